/**
 * Verifies tokens (agentgateway http/jwt.rs, whose words these are). Safer where agentgateway is lax: `nbf` is honoured, every
 * required claim is, and of two issuers with a key of the same name the token's own is asked.
 */
import { decodeJwt, decodeProtectedHeader, errors, jwtVerify } from 'jose';
import { GatewayError } from '../errors.ts';
import type { Exchange } from '../exchange.ts';
import { parseValue } from '../json/parse.ts';
import type { Clock } from '../platform.ts';
import type { VerifyingKey } from './jwk-set.ts';
import type { KeySource } from './jwk-source.ts';

export interface Issuer {
  readonly issuer: string;
  /** Empty: any audience will do. */
  readonly audiences: readonly string[];
  readonly requiredClaims: readonly string[];
  readonly keys: KeySource;
}

export type TokenClaims = Readonly<Record<string, unknown>>;

/** Throws jwt_invalid, and what a key source throws. */
export type TokenCheck = (token: string, exchange: Exchange) => Promise<TokenClaims>;

const knownAlgorithms = /^(?:HS|RS|PS|ES)(?:256|384|512)$|^EdDSA$|^Ed25519$/;

export function createTokenCheck(issuers: readonly Issuer[], clock: Clock): TokenCheck {
  return async (token, exchange) => {
    const kid = keyNameOf(token);
    let failure: unknown;
    for (const issuer of issuersFor(token, kid, issuers)) {
      try {
        const key = await issuer.keys.keyFor(kid, exchange);
        if (key !== undefined) return await claimsOf(token, key, issuer, new Date(clock.wallTime()));
      } catch (thrown) {
        // The same issuer may stand there twice, for two audiences.
        failure ??= thrown;
      }
    }
    if (failure === undefined) throw invalid(`token uses the unknown key ${JSON.stringify(kid.slice(0, 200))}`);
    if (failure instanceof GatewayError) throw failure;
    throw invalid(`the token is invalid or malformed: Error(${reasonOf(failure)})`, failure);
  };
}

async function claimsOf(token: string, key: VerifyingKey, issuer: Issuer, currentDate: Date): Promise<TokenClaims> {
  const { payload } = await jwtVerify(token, key.jwk, {
    algorithms: [...key.algorithms],
    issuer: issuer.issuer,
    ...(issuer.audiences.length === 0 ? {} : { audience: [...issuer.audiences] }),
    requiredClaims: [...issuer.requiredClaims],
    clockTolerance: 0,
    currentDate,
  });
  // Names with escapes are read wrongly by some versions of V8; see `parseValue`.
  const text = payloadTextOf(token);
  return text.includes('\\') ? (parseValue(text) as TokenClaims) : payload;
}

function payloadTextOf(token: string): string {
  const base64 = (token.split('.')[1] ?? '').replaceAll('-', '+').replaceAll('_', '/');
  return new TextDecoder().decode(Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0)));
}

/** The `kid` of the token's header, whose form is checked on the way. */
function keyNameOf(token: string): string {
  let header: ReturnType<typeof decodeProtectedHeader>;
  try {
    header = decodeProtectedHeader(token);
  } catch (thrown) {
    throw invalid('the token header is malformed: Error(InvalidToken)', thrown);
  }
  if (typeof header.alg !== 'string' || !knownAlgorithms.test(header.alg))
    throw invalid('the token header is malformed: Error(InvalidAlgorithmName)');
  if (typeof header.kid !== 'string') throw invalid('the token header does not specify a `kid`');
  return header.kid;
}

/** Those that the token names; else whoever has a key of that name, which will find that the token is not its own. */
function issuersFor(token: string, kid: string, issuers: readonly Issuer[]): readonly Issuer[] {
  const named = namedIssuerOf(token);
  const own = issuers.filter(({ issuer }) => issuer === named);
  return own.length > 0 ? own : issuers.filter(({ keys }) => keys.has(kid));
}

/** As the token claims: nothing is believed of it but where to look for its key. */
function namedIssuerOf(token: string): unknown {
  try {
    return decodeJwt(token).iss;
  } catch {
    return undefined;
  }
}

/** The names are those of agentgateway's library (jsonwebtoken errors.rs). */
function reasonOf(thrown: unknown): string {
  if (thrown instanceof errors.JWTExpired) return 'ExpiredSignature';
  if (thrown instanceof errors.JWSSignatureVerificationFailed) return 'InvalidSignature';
  if (thrown instanceof errors.JOSEAlgNotAllowed) return 'InvalidAlgorithm';
  if (thrown instanceof errors.JWTClaimValidationFailed) {
    const { claim, reason } = thrown;
    if (reason === 'missing') return `MissingRequiredClaim(${JSON.stringify(claim)})`;
    if (claim === 'iss') return 'InvalidIssuer';
    if (claim === 'aud') return 'InvalidAudience';
    if (claim === 'nbf' && reason === 'check_failed') return 'ImmatureSignature';
    return `InvalidClaimFormat(${JSON.stringify(claim)})`;
  }
  return thrown instanceof errors.JOSEError ? 'InvalidToken' : 'InvalidKeyFormat';
}

function invalid(what: string, cause?: unknown): GatewayError {
  const headers = { 'www-authenticate': 'Bearer error="invalid_token"' };
  return new GatewayError('jwt_invalid', `authentication failure: ${what}`, { headers, cause });
}
