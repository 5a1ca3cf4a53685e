/**
 * Asks for a signed token of an issuer that is trusted (agentgateway http/jwt.rs). Strict unless told otherwise (design
 * decision 5). Which models a caller may use and whether boxes may be managed is up to keys, and to `authorization` rules that
 * read the token's claims: no claim opens anything by itself.
 */
import * as z from 'zod';
import { GatewayError } from '../errors.ts';
import type { Exchange } from '../exchange.ts';
import { onDemand } from '../fields/on-demand.ts';
import { FieldError, parsedOr } from '../fields/text-field.ts';
import { textOrFileField } from '../fields/text-or-file.ts';
import { takeIdentity } from './caller.ts';
import { bearerHeader, credentialLocationField, credentialReaderOf, credentialRemoverOf } from './credential-location.ts';
import { keySetOf } from './jwk-set.ts';
import { fixedKeys, keysFrom } from './jwk-source.ts';
import type { Issuer, TokenClaims } from './jwt-check.ts';
import { isLocalHost } from './local-address.ts';
import { definePolicy, type PolicyScope } from './policy.ts';

/** jose is many files, which whoever has no `jwtAuth` shall not wait for. */
export const jwtCheck = onDemand(() => import('./jwt-check.ts'));

const jwksField = z
  .union(
    [textOrFileField, z.strictObject({ url: z.string().describe('Address of the key set, usually `…/.well-known/jwks.json`.') })],
    { error: 'expected a JSON Web Key Set as text, {file: "path"}, or {url: "https://…"}' },
  )
  .transform((given, context): { text: string } | { url: string } => {
    if (typeof given !== 'string') return { url: parsedOr(() => addressOf(given.url), context) };
    // Read again when the plan is made: what is kept here is compared as JSON when routes are grouped.
    parsedOr(() => keySetOf(given), context);
    return { text: given };
  });

function addressOf(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== 'https:' && url?.protocol !== 'http:')
    throw new FieldError(`expected an http or https URL, not "${text.slice(0, 200)}"`);
  if (url.username !== '' || url.password !== '') throw new FieldError('a URL with user and password is not supported');
  url.hash = '';
  return url.href;
}

const issuerShape = {
  issuer: z.string().min(1).optional().describe('Who has signed: the `iss` of its tokens, letter by letter.'),
  audiences: z
    .array(z.string().min(1))
    .nullish()
    .describe('Whom tokens must be meant for: one of these must stand in `aud`. Left out: not looked at.'),
  jwks: jwksField.optional().describe("The issuer's public keys: a JSON Web Key Set as text, {file: path}, or {url: address}."),
  jwtValidationOptions: z
    .strictObject({
      requiredClaims: z
        .array(z.string().min(1))
        .default(['exp'])
        .describe('Claims that a token must have. `exp` and `nbf` are minded wherever they stand.'),
    })
    .optional()
    .describe('What else a token must have.'),
};

const providerField = z.strictObject(issuerShape).superRefine(refuseHalves);

/** Asked for at the end of the object, so that a wrong `jwks` is one error and not two. */
function refuseHalves(given: { issuer?: unknown; jwks?: unknown }, context: { addIssue(message: string): void }): void {
  if (given.issuer === undefined) context.addIssue('the issuer is missing: expected issuer: the `iss` of its tokens');
  if (given.jwks === undefined)
    context.addIssue('the keys are missing: expected jwks: a text, {file: "path"}, or {url: "https://…"}');
}

const optionsField = z
  .strictObject({
    mode: z
      .enum(['strict', 'optional', 'permissive'])
      .default('strict')
      .describe(
        'strict: a valid token is needed (default; agentgateway: optional). optional: none is needed, a wrong one is refused. permissive: nobody is refused.',
      ),
    location: credentialLocationField
      .optional()
      .describe('Where the token stands in the request. Default: `Authorization: Bearer TOKEN`.'),
    ...issuerShape,
    providers: z
      .array(providerField)
      .min(1)
      .max(32)
      .optional()
      .describe('Several issuers, instead of the one that is described by `issuer`, `audiences`, `jwks` and so on.'),
  })
  .superRefine(({ providers, issuer, audiences, jwks, jwtValidationOptions }, context) => {
    if (providers === undefined) refuseHalves({ issuer, jwks }, context);
    else if ([issuer, audiences, jwks, jwtValidationOptions].some((member) => member !== undefined))
      context.addIssue('expected providers or one issuer, not both: make it one more of the providers');
  });

export type JwtAuthOptions = z.output<typeof optionsField>;

type Provider = z.output<typeof providerField>;

export const jwtAuth = definePolicy<JwtAuthOptions>({
  name: 'jwtAuth',
  about: 'Asks for a signed token (JWT) of an issuer that is trusted; its claims are there for rules, limits and logs.',
  places: ['listener', 'route'],
  options: optionsField,
  example: `jwtAuth:
  issuer: https://login.example.com
  audiences: [models]
  jwks: { url: "https://login.example.com/.well-known/jwks.json" }
`,
  inherits: 'both',
  protects: (options) => options.mode === 'strict',

  onRequest(options, scope) {
    const location = options.location ?? bearerHeader;
    const read = credentialReaderOf(location);
    const header = location.kind === 'header' ? location.name : undefined;
    const check = jwtCheck().createTokenCheck(
      (options.providers ?? [options]).map((provider) => issuerOf(provider, scope)),
      scope.clock,
    );
    const { mode } = options;

    return async (c, next) => {
      const exchange = c.env;
      const token = read(exchange);
      if (token === undefined) {
        if (mode === 'strict') throw missing();
      } else {
        const claims = await check(token, exchange).catch((thrown: unknown) => {
          if (mode === 'permissive' && thrown instanceof GatewayError) return undefined;
          throw thrown;
        });
        if (claims !== undefined) accept(exchange, claims, token, header);
      }
      await next();
    };
  },

  /** A verified header is in `consumedHeaders`; a query parameter or cookie is cut out of what surrounds it here. */
  onAttempt({ location }) {
    if (location === undefined || location.kind === 'header') return undefined;
    const remove = credentialRemoverOf(location);
    return ({ exchange, outgoing }) => {
      if (exchange.claims?.jwt !== undefined) remove(outgoing);
    };
  },
});

function issuerOf({ issuer = '', audiences, jwks, jwtValidationOptions }: Provider, scope: PolicyScope): Issuer {
  return {
    issuer,
    audiences: audiences ?? [],
    requiredClaims: jwtValidationOptions?.requiredClaims ?? ['exp'],
    keys: keysOf(jwks, scope),
  };
}

function keysOf(jwks: Provider['jwks'], scope: PolicyScope): Issuer['keys'] {
  if (jwks === undefined) return fixedKeys(new Map()); // The schema has refused this.
  if ('text' in jwks) return fixedKeys(keySetOf(jwks.text));
  const { protocol, hostname } = new URL(jwks.url);
  if (protocol === 'http:' && !isLocalHost(hostname))
    scope.warn(`the keys come over plain http from ${hostname}: whoever stands between may sign tokens; use https`);
  return keysFrom(jwks.url, scope);
}

function accept(exchange: Exchange, claims: TokenClaims, token: string, header: string | undefined): void {
  exchange.claims = { ...exchange.claims, jwt: claims, rawToken: token };
  if (header !== undefined) exchange.consumedHeaders.add(header);
  const name = [claims.sub, claims.email].find((claim) => typeof claim === 'string' && claim !== '');
  takeIdentity(exchange, typeof name === 'string' ? name.slice(0, 256) : undefined);
}

function missing(): GatewayError {
  return new GatewayError('jwt_missing', 'authentication failure: no bearer token found', {
    headers: { 'www-authenticate': 'Bearer' },
  });
}
