/**
 * Asks for an API key (agentgateway http/apikey.rs). Differs from agentgateway on purpose (design decision 5): the mode is
 * `strict` unless told otherwise, and a key is read from `x-api-key` as well, where Anthropic's clients put it.
 */
import * as z from 'zod';
import { GatewayError } from '../errors.ts';
import type { Exchange, Identity } from '../exchange.ts';
import { compileModelPattern } from '../fields/model-name.ts';
import { onlyHere } from '../fields/portable.ts';
import { holdsSecret, secretField } from '../fields/secret.ts';
import { textField } from '../fields/text-field.ts';
import {
  bearerHeader,
  type CredentialLocation,
  credentialLocationField,
  credentialReaderOf,
  credentialRemoverOf,
  describeLocation,
} from './credential-location.ts';
import { foreign } from './foreign.ts';
import { identityOf, keyMetadataField, networkKeysOf, trustOf, warningsOf } from './key-metadata.ts';
import { createKeyRing, type RingKey } from './key-ring.ts';
import { createNetworkCheck } from './networks.ts';
import { definePolicy, type PolicyScope } from './policy.ts';
import { takeUser } from './user-headers.ts';

const allowedModelField = textField('a model name, or a pattern such as "llama3*"', (text) => compileModelPattern(text).text);

const keyField = z
  .strictObject({
    key: onlyHere(secretField, (key) =>
      typeof key === 'string' ? undefined : 'agentgateway takes a text here: write key: $VARIABLE',
    )
      .optional()
      .describe('The key itself; better a variable or {file: path} than in clear.'),
    keyHash: holdsSecret(
      z.string().regex(/^sha256:[0-9a-f]{64}$/i, {
        error: 'expected "sha256:" and 64 hexadecimal digits: printf %s KEY | sha256sum',
      }),
    )
      .optional()
      .describe('SHA-256 of the key instead of the key: `sha256:` and 64 hexadecimal digits.'),
    metadata: keyMetadataField
      .nullish()
      .describe(
        'Anything known of the key. `name` or `user` is shown in logs; `scopes: [admin]` opens management paths; `userHeaders: true` believes the client that has this key what it says of its users (`X-OpenWebUI-User-Id`, `-Email`, `-Name`, `-Role`; or the headers by name: `{id, email, name, role}`); `networks: ["192.168.1.0/24"]` counts clients from there that send no key as this one, asked for under a local name or one of `hosts`; `weight` (0.01 to 100) and `class` (`interactive`, `bulk`) are its share of the slots of a box.',
      ),
    allowedModels: z
      .array(allowedModelField)
      .optional()
      .describe(
        'Models that this key may use: names, or patterns with one "*" at the start or the end. Left out: all; []: none.',
      ),
    budgets: foreign('money is not counted; limit tokens per key by localRateLimit, with type: tokens and key: apiKey.name'),
  })
  .superRefine(({ key, keyHash }, context) => {
    if ((key === undefined) === (keyHash === undefined)) context.addIssue('expected exactly one of key and keyHash');
  });

const optionsField = z.strictObject({
  keys: z.array(keyField).describe('The keys that are accepted.'),
  mode: z
    .enum(['strict', 'optional', 'permissive'])
    .default('strict')
    .describe(
      'strict: a valid key is needed (default; agentgateway: optional). optional: none is needed, a wrong one is refused. permissive: nobody is refused.',
    ),
  location: credentialLocationField
    .optional()
    .describe('Where the key stands in the request. Default: `Authorization: Bearer KEY` or `x-api-key: KEY`.'),
});

export type ApiKeyOptions = z.output<typeof optionsField>;

const defaultLocations: readonly CredentialLocation[] = [bearerHeader, { kind: 'header', name: 'x-api-key', prefix: '' }];
const challenge = { 'www-authenticate': 'Bearer' } as const;

export const apiKey = definePolicy<ApiKeyOptions>({
  name: 'apiKey',
  about: 'Asks for an API key; says who calls, which models they may use, and whether they may manage boxes.',
  places: ['listener', 'route'],
  options: optionsField,
  example: `apiKey:
  keys:
    - key: sk-alice
      metadata: { user: alice }
      allowedModels: ["llama3.2*", nomic-embed-text]
    - keyHash: sha256:021311f6e96612fdd20ba8dca53dc2b56d973a72ef97cf78c54c562ad402d30a
      metadata: { user: ops, scopes: [admin] }
`,
  inherits: 'both',
  protects: (options) => options.mode === 'strict',

  refuses: ({ keys }, runtime) =>
    runtime === 'workerd' && keys.some(({ metadata }) => metadata?.networks !== undefined)
      ? 'metadata.networks means nothing on Workers, where every request comes through the edge; give those clients a key'
      : undefined,

  onRequest(options, scope) {
    for (const warning of warningsOf(options.keys)) scope.warn(warning);
    const check = createKeyCheck(options, scope);
    return async (c, next) => {
      const result = check(c.env);
      if (result !== undefined) await result;
      await next();
    };
  },

  /** A verified header is in `consumedHeaders`; a query parameter or cookie is cut out of what surrounds it here. */
  onAttempt({ location }) {
    if (location === undefined || location.kind === 'header') return () => undefined;
    const remove = credentialRemoverOf(location);
    return ({ exchange, outgoing }) => {
      if (exchange.identity !== undefined) remove(outgoing);
    };
  },
});

/**
 * The check alone: sets `exchange.identity` or throws api_key_missing or api_key_invalid. Waits only for a key that was given
 * as a hash and comes for the first time.
 */
export function createKeyCheck(options: ApiKeyOptions, scope: PolicyScope): (exchange: Exchange) => Promise<void> | undefined {
  const locations = options.location === undefined ? defaultLocations : [options.location];
  const credentials = locations.map((location) => ({
    read: credentialReaderOf(location),
    header: location.kind === 'header' ? location.name : undefined,
  }));
  const identities = options.keys.map(({ metadata, allowedModels }) => identityOf(metadata ?? {}, allowedModels));
  const ring = createKeyRing(ringKeysOf(options, identities, scope));
  const hasHashes = options.keys.some(({ keyHash }) => keyHash !== undefined);
  const { mode } = options;
  const where = locations.map(describeLocation).join(' or ');
  const trusted = trustOf(identities);
  const networkKeys = networkKeysOf(identities);
  const identityByNetwork = networkKeys.length === 0 ? undefined : createNetworkCheck(networkKeys);

  const accept = (exchange: Exchange, identity: Identity, header: string | undefined): void => {
    exchange.identity = identity;
    if (header !== undefined) exchange.consumedHeaders.add(header);
    const userHeaders = trusted?.get(identity);
    if (userHeaders !== undefined) takeUser(exchange, userHeaders);
  };
  const refuse = (isPresented: boolean, why?: string): void => {
    if (mode === 'permissive' || (mode === 'optional' && !isPresented)) return;
    throw isPresented ? invalidKey(where) : missingKey(where, why);
  };
  const checkHashes = async (exchange: Exchange): Promise<void> => {
    for (const { read, header } of credentials) {
      const key = read(exchange);
      const identity = key === undefined ? undefined : await ring.findByHash(key);
      if (identity !== undefined) return accept(exchange, identity, header);
    }
    refuse(true);
  };
  const checkNetwork = (exchange: Exchange): void => {
    const found = identityByNetwork?.(exchange);
    if (found === undefined || typeof found === 'string') refuse(false, found);
    // Not `accept`: whoever is in a network has not shown that it may speak for others.
    else exchange.identity = found;
  };

  return (exchange) => {
    let isPresented = false;
    // All places are looked at: SDKs send a dummy in one and people put the real key in the other.
    for (const { read, header } of credentials) {
      const key = read(exchange);
      // A token that jwtAuth has used up is no key that is wrong.
      if (key === undefined || key === exchange.claims?.rawToken) continue;
      isPresented = true;
      const identity = ring.find(key);
      if (identity !== undefined) {
        accept(exchange, identity, header);
        return undefined;
      }
    }
    if (isPresented && hasHashes) return checkHashes(exchange);
    if (isPresented) refuse(true);
    else checkNetwork(exchange);
    return undefined;
  };
}

function ringKeysOf({ keys }: ApiKeyOptions, identities: readonly Identity[], { adminToken }: PolicyScope): readonly RingKey[] {
  const ringKeys = keys.flatMap(({ key, keyHash }, index): RingKey[] => {
    const identity = identities[index];
    if (identity === undefined) return [];
    return [key === undefined ? { keyHash: (keyHash ?? '').slice('sha256:'.length).toLowerCase(), identity } : { key, identity }];
  });
  // Last, so that it keeps its scope even where the same text stands among the keys.
  if (adminToken !== undefined) ringKeys.push({ key: adminToken, identity: identityOf({ name: 'admin', scopes: ['admin'] }) });
  return ringKeys;
}

function missingKey(where: string, why: string | undefined): GatewayError {
  const unless = why === undefined ? '' : `. Requests from your network may come without one, but not this one: ${why}`;
  const message = `api key authentication failure: no API Key found. Send your key as ${where}${unless}`;
  return new GatewayError('api_key_missing', message, { headers: challenge });
}

function invalidKey(where: string): GatewayError {
  const message = `api key authentication failure: invalid credentials. The key sent as ${where} is not one that this gateway accepts; check it, or ask whoever runs the gateway for one`;
  return new GatewayError('api_key_invalid', message, { headers: challenge });
}
