/**
 * JSON Web Key Sets (RFC 7517): which keys may verify a token, and with which algorithms. What is decided here is decided by
 * the key alone: a token cannot choose an algorithm that its key is not for, and shared secrets are no keys at all.
 */
import type { JWK } from 'jose';
import { FieldError } from '../fields/text-field.ts';
import { parseValue } from '../json/parse.ts';

export interface VerifyingKey {
  /** Its public members only. The same object for as long as the key is known: jose remembers what it made of it. */
  readonly jwk: JWK;
  readonly algorithms: readonly string[];
}

/** By `kid`. */
export type KeySet = ReadonlyMap<string, VerifyingKey>;

const maxKeys = 200;

type Members = Readonly<Record<string, unknown>>;

/** Keys that are for something else are passed over. Throws FieldError when none is left, and says why. */
export function keySetOf(text: string): KeySet {
  const keys = new Map<string, VerifyingKey>();
  const passedOver: string[] = [];
  for (const [index, entry] of entriesOf(text).entries()) {
    const found = isMembers(entry) ? keyOf(entry) : 'is no object';
    const kid = isMembers(entry) ? entry.kid : undefined;
    if (typeof found === 'string') passedOver.push(`key ${index + 1} ${found}`);
    else if (typeof kid !== 'string' || kid === '') passedOver.push(`key ${index + 1} has no kid`);
    else if (keys.has(kid)) passedOver.push(`key ${index + 1} has the kid of another one`);
    else keys.set(kid, found);
  }
  if (keys.size > 0) return keys;
  const why = passedOver.length === 0 ? 'it is empty' : passedOver.slice(0, 5).join(', ');
  throw new FieldError(`no key of this key set can verify tokens: ${why}`);
}

function entriesOf(text: string): readonly unknown[] {
  let value: unknown;
  try {
    value = parseValue(text);
  } catch {
    throw new FieldError('expected a JSON Web Key Set, {"keys": [ … ]}, but this is no JSON');
  }
  const keys = isMembers(value) ? value.keys : undefined;
  if (!Array.isArray(keys)) throw new FieldError('expected a JSON Web Key Set: {"keys": [ … ]}');
  if (keys.length > maxKeys) throw new FieldError(`a key set may hold ${maxKeys} keys at most`);
  return keys;
}

function isMembers(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The key, or why it cannot verify tokens. */
function keyOf(members: Members): VerifyingKey | string {
  const { use, key_ops: operations, alg } = members;
  if (use !== undefined && use !== 'sig') return `is for ${JSON.stringify(use)?.slice(0, 20)}, not for signatures`;
  if (Array.isArray(operations) && !operations.includes('verify')) return 'is not for verifying';
  const found = byType(members);
  if (typeof found === 'string' || alg === undefined) return found;
  return found.algorithms.some((one) => one === alg)
    ? { ...found, algorithms: found.algorithms.filter((one) => one === alg) }
    : `has the alg ${JSON.stringify(alg)?.slice(0, 20)}, which is not supported for its kind`;
}

const curves: Readonly<Record<string, { readonly bytes: number; readonly algorithm: string }>> = {
  'P-256': { bytes: 32, algorithm: 'ES256' },
  'P-384': { bytes: 48, algorithm: 'ES384' },
};

function byType({ kty, crv, x, y, n, e }: Members): VerifyingKey | string {
  if (kty === 'oct') return 'is a shared secret; use a key pair (RSA, EC or Ed25519)';
  if (kty === 'RSA') {
    const bytes = bytesOf(n);
    if (bytes === undefined || bytesOf(e) === undefined) return 'is no whole RSA key';
    if (bytes < 256) return 'is an RSA key of less than 2048 bits';
    const algorithms = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'];
    return { jwk: { kty, n: String(n), e: String(e) }, algorithms };
  }
  if (kty === 'EC') {
    const curve = typeof crv === 'string' && Object.hasOwn(curves, crv) ? curves[crv] : undefined;
    if (curve === undefined) return 'is of a curve that is not supported (P-256 and P-384 are)';
    if (bytesOf(x) !== curve.bytes || bytesOf(y) !== curve.bytes) return 'is no whole EC key';
    return { jwk: { kty, crv: String(crv), x: String(x), y: String(y) }, algorithms: [curve.algorithm] };
  }
  if (kty === 'OKP') {
    if (crv !== 'Ed25519') return 'is of a curve that is not supported (Ed25519 is)';
    if (bytesOf(x) !== 32) return 'is no whole Ed25519 key';
    return { jwk: { kty, crv, x: String(x) }, algorithms: ['EdDSA', 'Ed25519'] };
  }
  return 'is of a kind that is not supported (RSA, EC and OKP are)';
}

/** How many bytes a base64url text stands for; undefined for what is none. */
function bytesOf(text: unknown): number | undefined {
  return typeof text === 'string' && /^[\w-]+$/.test(text) ? Math.floor((text.length * 3) / 4) : undefined;
}
