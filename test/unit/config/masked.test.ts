/** The configuration for people's eyes: nothing of a secret in it, wherever it stands. */
import { describe, expect, test } from 'vitest';
import * as z from 'zod';
import { formatDiagnostic, loadConfig } from '../../../src/config/load.ts';
import { mask, maskedConfig } from '../../../src/config/masked.ts';
import { configSchema } from '../../../src/config/schema.ts';
import { holdsSecret, isSecretField } from '../../../src/fields/secret.ts';

const marker = 'MARK3R';
const pem = `-----BEGIN PRIVATE KEY-----\\n${marker}\\n-----END PRIVATE KEY-----`;
const hash = `sha256:${'ab'.repeat(32)}`;
const jwks = `{"keys":[{"kty":"EC","crv":"P-256","kid":"${marker}","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}`;
const jwt = (keys: string) => `{issuer: "https://i.example", audiences: [a], jwks: '${keys}'}`;

/** One of every kind of secret, at every kind of place. */
const everySecret = `
config:
  tracing: {otlpEndpoint: "http://collector:4318", headers: {X-Collector: "${marker}-tracing"}}
llm:
  port: 4001
  tls: {cert: cert.pem, key: "${pem}"}
  providers:
  - {name: p1, provider: openAI, params: {apiKey: "${marker}-provider"}, defaults: {auth: {key: "${marker}-default"}, backendTLS: {cert: cert.pem, key: "${pem}"}}}
  models:
  - {name: a, provider: openAI, params: {apiKey: "${marker}-model"}}
  - {name: b, provider: openAI, auth: {key: {value: "${marker}-auth"}}, backendTLS: {cert: cert.pem, key: "${pem}"}}
  - {name: c, provider: openAI, auth: {credentials: [{key: "${marker}-more", location: {header: {name: x-more}}}]}}
binds:
- port: 3000
  listeners:
  - tls: {cert: cert.pem, key: "${pem}"}
    protocol: HTTPS
    policies:
      jwtAuth: ${jwt(jwks)}
    routes:
    - name: "uses ${marker}-key in its name"
      policies:
        apiKey: {keys: [{key: "${marker}-key", metadata: {name: alice}}, {keyHash: "${hash}"}, {key: {file: key.txt}}]}
        basicAuth: {htpasswd: "alice:{SHA}${marker}yxm6YcTAhz05Hph5gvu9M="}
        requestHeaderModifier: {set: {Authorization: "Bearer ${marker}-header", X-Copy: "again ${marker}-key", x-goog-api-key: "${marker}-google", X-Auth-Token: "${marker}-token"}}
      backends:
      - host: example.com:443
        policies:
          backendAuth: {key: "${marker}-backend"}
          backendTLS: {cert: cert.pem, key: "${pem}"}
`;

const files: Record<string, string> = {
  'cert.pem': '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----',
  'key.txt': `${marker}-in-a-file`,
};

function writtenOf(yaml: string): unknown {
  const loaded = loadConfig(yaml, { name: 'x.yaml', env: () => undefined, readFile: (path) => files[path] ?? '' });
  if (!loaded.ok) throw new Error(loaded.errors.map(formatDiagnostic).join('\n'));
  return loaded.written;
}

describe('a configuration with every kind of secret', () => {
  const shown = JSON.stringify(maskedConfig(writtenOf(everySecret)));

  test('shows none of them, and not where else they were written', () => {
    expect(shown).not.toContain(marker);
    expect(shown).not.toContain('ababab');
  });

  test('shows the rest: names, addresses, paths of files, defaults', () => {
    for (const seen of [
      'alice',
      'example.com:443',
      'key.txt',
      'cert.pem',
      'https://i.example',
      'http://collector:4318',
      'x-more',
    ]) {
      expect(shown.toLowerCase()).toContain(seen);
    }
    expect(maskedConfig(writtenOf('binds: []'))).toMatchObject({
      config: { adminAddr: 'localhost:15000', logging: { level: 'info', format: 'text' } },
      fleet: { loadTimeout: '15m', openPaths: [] },
    });
    expect(maskedConfig(writtenOf(everySecret))).toMatchObject({
      binds: [
        {
          listeners: [
            {
              routes: [
                {
                  name: `uses ${mask} in its name`,
                  policies: {
                    apiKey: {
                      keys: [{ key: mask, metadata: { name: 'alice' } }, { keyHash: mask }, { key: { file: 'key.txt' } }],
                    },
                  },
                },
              ],
            },
          ],
        },
      ],
    });
  });

  test('knows every secret field of the schema: whoever adds one adds it above', () => {
    expect([...secretNames()].sort()).toEqual([
      'auth.key',
      'backendAuth.key',
      'backendTLS.key',
      'basicAuth.htpasswd',
      'credentials[].key',
      'headers.*',
      'jwtAuth.jwks',
      'key.value',
      'keys[].key',
      'keys[].keyHash',
      'params.apiKey',
      'providers[].jwks',
      'relay.accessClientSecret',
      'relay.secret',
      'tls.key',
    ]);
  });
});

/** The last two steps of the paths of all secret fields. */
function secretNames(): ReadonlySet<string> {
  const names = new Set<string>();
  const seen = new Map<z.core.$ZodType, Set<string>>();
  const walk = (schema: z.core.$ZodType, path: readonly string[]): void => {
    const last = path.slice(-2).join('.');
    const places = seen.get(schema) ?? new Set();
    if (places.has(last)) return;
    seen.set(schema, places.add(last));
    if (isSecretField(schema)) {
      names.add(last.replace(/^\*\.(basicAuth|jwtAuth)$/, '$1'));
      return;
    }
    const def = schema._zod.def as unknown as Record<string, unknown>;
    const inner = [def.innerType, def.in, def.out, def.left, def.right, ...((def.options as unknown[]) ?? [])];
    for (const one of inner) if (one !== undefined) walk(one as z.core.$ZodType, path);
    for (const [name, one] of Object.entries((def.shape as object) ?? {})) walk(one, [...path, name]);
    if (def.element !== undefined) walk(def.element as z.core.$ZodType, [...path.slice(0, -1), `${path.at(-1)}[]`]);
    if (def.valueType !== undefined) walk(def.valueType as z.core.$ZodType, [...path, '*']);
  };
  walk(configSchema, []);
  return names;
}

describe('fields', () => {
  const secret = holdsSecret(z.string());
  const shownAs = (schema: z.ZodType, value: unknown) => maskedConfig(value, [], schema);

  test('what is made of a secret field is one', () => {
    for (const field of [
      secret.optional(),
      secret.describe('x'),
      secret.refine(() => true),
      secret.nullish(),
      secret.meta({ title: 'x' }),
    ]) {
      expect(shownAs(z.object({ field }), { field: 'value' })).toEqual({ field: mask });
    }
    expect(isSecretField(z.string())).toBe(false);
  });

  test('of several that may be meant, the fitting ones count', () => {
    const field = z.union([secret, z.object({ url: z.string() }), z.array(z.number())]);
    expect(shownAs(field, 'value')).toBe(mask);
    expect(shownAs(field, { url: 'u' })).toEqual({ url: 'u' });
    expect(shownAs(field, [1])).toEqual([1]);
  });

  test('what no schema speaks of is not shown', () => {
    expect(shownAs(z.object({}), { other: 'value' })).toEqual({ other: mask });
  });

  test('open values, defaults, lists, records, and passwords in addresses', () => {
    const schema = z.object({ open: z.record(z.string(), z.unknown()), count: z.number().default(3), list: z.array(secret) });
    expect(shownAs(schema, { open: { a: { b: ['http://u:p@host/x'] } }, list: ['one', 'two'] })).toEqual({
      open: { a: { b: [`http://${mask}@host/x`] } },
      count: 3,
      list: [mask, mask],
    });
  });

  test('secrets told elsewhere', () => {
    expect(maskedConfig({ a: 'has token-123 in it' }, ['token-123'], z.object({ a: z.string() }))).toEqual({
      a: `has ${mask} in it`,
    });
  });
});
