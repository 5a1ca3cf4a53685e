/// <reference types="node" />
/** Whatever may be written in a configuration stands in a golden case, which shows the plan that it becomes. */
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { configJsonSchema } from '../../src/config/json-schema.ts';
import { keysIn, keysOf } from '../support/config-keys.ts';

const folder = new URL('../conformance/config/', import.meta.url);
const schema = configJsonSchema();
const keys = keysOf(schema);

/** An entry of a conditional form has the keys of the plain one. */
function plain(key: string): string {
  return key.replace(/\.conditional\[\]\.(?!condition$)/, '.');
}

function keysInCases(): ReadonlySet<string> {
  const names = readdirSync(folder).filter((name) => name.endsWith('.case'));
  const values = names.map((name): unknown => parse(readFileSync(new URL(name, folder), 'utf8').split('---8<---')[0] ?? ''));
  return new Set(values.flatMap((value) => [...keysIn(value, schema)].map(plain)));
}

describe('the grammar', () => {
  it('is walked whole', () => {
    expect(keys.size).toBeGreaterThan(500);
    for (const key of [
      'binds',
      'bind.port',
      'corsPolicy.allowOrigins',
      'extAuthzPolicy.conditional[].cache.ttl',
      'fleet.openPaths',
    ])
      expect(keys).toContain(key);
    expect(keys).not.toContain('extAuthzPolicy.service');
    expect(keysIn({ binds: [{ port: 1, listeners: [{ routes: [{ policies: { csrf: {} } }] }] }] }, schema)).toEqual(
      new Set(['binds', 'bind.port', 'bind.listeners', 'listener.routes', 'route.policies', 'routePolicies.csrf']),
    );
  });

  it('has a golden case for every key', () => {
    const shown = keysInCases();
    expect([...keys].filter((key) => !shown.has(plain(key)))).toEqual([]);
  });
});
