/// <reference types="node" />
import { readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import * as z from 'zod';
import { readingWith } from '../../src/fields/files.ts';
import { policies, policyNamed } from '../../src/policies/index.ts';
import { fakeScope } from '../unit/policies/fake-exchange.ts';

const folder = new URL('../../src/policies/', import.meta.url);
const server = { name: 'server', baseUrl: 'http://server:1', tls: undefined, headers: {} };
const scope = fakeScope({ yamlPath: 'routes[0].policies', serverOf: () => server });

/** Those that the compiler asks by functions of their own. */
const compiledElsewhere: Readonly<Record<string, string>> = {
  backendTLS: 'upstreamTlsOf',
  health: 'healthRuleOf',
  sessionAffinity: 'affinityOf',
};

/** A JSON Schema, as far as this test looks into it. */
interface Schema {
  readonly type?: string;
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema | boolean;
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
  readonly allOf?: readonly Schema[];
  readonly definitions?: Readonly<Record<string, Schema>>;
}

function schemaOf(options: z.ZodType): Schema {
  return z.toJSONSchema(options, { io: 'input', unrepresentable: 'any', reused: 'inline', target: 'draft-7' }) as Schema;
}

/** Every object in a schema, with its path. */
function objectsIn(schema: Schema, path: string): [path: string, schema: Schema][] {
  const found: [string, Schema][] = schema.properties === undefined ? [] : [[path, schema]];
  for (const [name, member] of Object.entries(schema.properties ?? {})) found.push(...objectsIn(member, `${path}.${name}`));
  for (const part of [...(schema.anyOf ?? []), ...(schema.allOf ?? [])]) found.push(...objectsIn(part, path));
  for (const [name, part] of Object.entries(schema.definitions ?? {})) found.push(...objectsIn(part, name));
  if (schema.items !== undefined) found.push(...objectsIn(schema.items, `${path}[]`));
  if (typeof schema.additionalProperties === 'object') found.push(...objectsIn(schema.additionalProperties, `${path}.*`));
  return found;
}

function exampleOf(name: string): unknown {
  const policy = policyNamed(name);
  const example: unknown = parse((policy?.example ?? '').replaceAll('$$', () => '$'));
  expect(Object.keys(example as object)).toEqual([name]);
  return (example as Record<string, unknown>)[name];
}

describe('the list of policies', () => {
  it('is in the order in which agentgateway runs them', () => {
    expect(policies.map(({ name }) => name)).toEqual([
      'cors',
      'jwtAuth',
      'basicAuth',
      'apiKey',
      'extAuthz',
      'authorization',
      'timeout',
      'retry',
      'localRateLimit',
      'buffer',
      'transformations',
      'csrf',
      'responseHeaderModifier',
      'requestHeaderModifier',
      'urlRewrite',
      'requestRedirect',
      'delay',
      'directResponse',
      'requestMirror',
      'http',
      'backendAuth',
      'backendTLS',
      'health',
      'sessionAffinity',
      'ai',
    ]);
  });

  it('holds every policy file of the folder, and nothing twice', async () => {
    const names = policies.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    // Files in a room below are parts of a policy.
    for (const file of readdirSync(folder).filter((name) => name.endsWith('.ts'))) {
      const exported: Record<string, unknown> = await import(new URL(file, folder).href);
      const defined = Object.values(exported).filter((value) => isDefinition(value));
      if (file === 'policy.ts' || file === 'index.ts') continue;
      for (const policy of defined) expect(policies).toContain(policy);
    }
  });

  it('is asked by name', () => {
    expect(policyNamed('cors')).toBe(policies[0]);
    expect(policyNamed('Cors')).toBeUndefined();
    expect(policyNamed('constructor')).toBeUndefined();
  });
});

function isDefinition(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'about' in value && 'options' in value;
}

describe.each(policies.map((policy) => [policy.name, policy] as const))('the policy %s', (name, policy) => {
  it('stands in a file of its name and is exported by it', async () => {
    const exported: Record<string, unknown> = await import(new URL(`${name}.ts`, folder).href);
    expect(exported[name]).toBe(policy);
  });

  it('says in one sentence what it does', () => {
    expect(policy.about).toMatch(/^[A-Z].*\.$/);
    expect(policy.about.length).toBeLessThan(160);
    expect(policy.about).not.toContain('\n');
  });

  it('may stand somewhere, nowhere twice', () => {
    expect(policy.places.length).toBeGreaterThan(0);
    expect(new Set(policy.places).size).toBe(policy.places.length);
    // What is decided before a route is known cannot be about a try at an upstream alone.
    if (policy.places.includes('listener')) expect(policy.onRequest).toBeDefined();
    // What only runs around the exchange would do nothing on a backend.
    if (policy.places.includes('backend') && policy.onRequest !== undefined) {
      expect(policy.onAttempt ?? policy.onBackendAttempt ?? policy.onBackendAnswer).toBeDefined();
    }
  });

  it('has an example that its own schema takes', () => {
    const result = policy.options.safeParse(exampleOf(name));
    expect(result.error?.issues).toBeUndefined();
  });

  it('takes only an object, or a list of such, and no unknown key at any depth', () => {
    const example = exampleOf(name) as Record<string, unknown> | Record<string, unknown>[];
    const empty = Array.isArray(example) ? {} : [];
    for (const wrong of [null, 'on', true, 5, empty]) expect(policy.options.safeParse(wrong).success).toBe(false);
    const misspelt = Array.isArray(example) ? [{ ...example[0], noSuchKey: 1 }] : { ...example, noSuchKey: 1 };
    const result = policy.options.safeParse(misspelt);
    expect(result.error?.issues).toMatchObject([{ code: 'unrecognized_keys', keys: ['noSuchKey'] }]);
    for (const [path, { additionalProperties }] of objectsIn(schemaOf(policy.options), name)) {
      expect([path, additionalProperties]).toEqual([path, false]);
    }
  });

  it('describes every option', () => {
    for (const [path, { properties }] of objectsIn(schemaOf(policy.options), name)) {
      for (const [option, { description }] of Object.entries(properties ?? {})) {
        expect([`${path}.${option}`, description]).toEqual([`${path}.${option}`, expect.stringMatching(/^\S.*\.$/s)]);
      }
    }
  });

  it('is made once, by a factory that gives what runs per request', async () => {
    const options = readingWith(undefined, () => policy.options.parse(exampleOf(name)));
    const { onRequest, onAttempt, onBackendAttempt, onTranslated } = policy;
    const factories = [onRequest, onAttempt, onBackendAttempt, onTranslated];
    const made = factories.map((make) => make?.(options, scope)).filter((one) => one !== undefined);
    for (const one of made) expect(one).toBeTypeOf('function');
    const elsewhere = compiledElsewhere[name];
    if (elsewhere === undefined) {
      expect(made.length).toBeGreaterThan(0);
      return;
    }
    expect(made).toEqual([]);
    const exported: Record<string, unknown> = await import(new URL(`${name}.ts`, folder).href);
    expect(exported[elsewhere]).toBeTypeOf('function');
  });
});
