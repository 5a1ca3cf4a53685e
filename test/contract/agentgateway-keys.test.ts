/// <reference types="node" />
/**
 * No key of agentgateway's is unknown to Corral: each is there, or refused by name with the reason. The fixture lists the keys
 * of agentgateway's standalone configuration by their paths, taken from its published JSON schema; what stands below a key that
 * is refused is left out, and what may stand at several places is listed below one of them.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { YamlPath } from '../../src/config/diagnostic.ts';
import { configJsonSchema, type JsonSchema } from '../../src/config/json-schema.ts';
import { refusalOf } from '../../src/config/known-keys.ts';

const paths = readFileSync(new URL('../fixtures/agentgateway-keys.txt', import.meta.url), 'utf8')
  .trimEnd()
  .split('\n');
const schema = configJsonSchema();

/** `gateways.*.listeners[].name` as a path in a file: `gateways`, `x`, `listeners`, 0, `name`. */
function stepsOf(path: string): YamlPath {
  return path.split('.').flatMap((step) => (step.endsWith('[]') ? [step.slice(0, -2), 0] : [step === '*' ? 'x' : step]));
}

/** All that may stand at a step below. */
function below(parts: readonly JsonSchema[], step: string | number): readonly JsonSchema[] {
  return parts.flatMap(formsOf).flatMap(({ properties, items, additionalProperties }) => {
    if (typeof step === 'number') return items ?? [];
    return properties?.[step] ?? (typeof additionalProperties === 'object' ? additionalProperties : []);
  });
}

function formsOf(part: JsonSchema): readonly JsonSchema[] {
  const reference = (part.$ref ?? part.allOf?.[0]?.$ref)?.replace('#/definitions/', '');
  const named = reference === undefined ? undefined : schema.definitions?.[reference];
  return [part, ...(named === undefined ? [] : formsOf(named)), ...(part.anyOf ?? []).flatMap(formsOf)];
}

/** `there`, `refused: why`, or what is wrong with it. */
function fateOf(path: string): string {
  const steps = stepsOf(path);
  let parts: readonly JsonSchema[] = [schema];
  for (const step of steps) parts = below(parts, step);
  const open = parts.filter(({ not, type }) => not === undefined && type !== 'null');
  if (open.length > 0) return 'there';
  const closed = parts.flatMap(({ description }) => description?.match(/^Refused(?: here)?: (.+)$/)?.[1] ?? []);
  const why = closed[0] ?? refusalOf(steps.slice(0, -1), String(steps.at(-1)))?.message ?? 'not known';
  return /^known to agentgateway, not supported: .{10}|.{20}/.test(why) ? `refused: ${why}` : `wrong: ${why}`;
}

describe("agentgateway's keys", () => {
  it('are all there, or refused with a reason', () => {
    const fates = paths.map((path) => `${path} ${fateOf(path)}`);
    const count = (word: string) => fates.filter((fate) => fate.split(' ')[1] === word).length;
    process.stdout.write(`agentgateway's keys: ${count('there')} there, ${count('refused:')} refused, of ${paths.length}\n`);
    expect(fates.filter((fate) => fate.split(' ')[1] === 'wrong:')).toEqual([]);
    expect(paths.length).toBeGreaterThan(900);
    expect(count('there')).toBeGreaterThan(700);
  });

  it.each([
    ['binds[].port', 'there'],
    ['gateways.*.listeners[].tls.spiffe', expect.stringMatching(/^refused: .*mesh/)],
    ['config.database', expect.stringMatching(/^refused: .*request database/)],
    ['policies[].policy.oidc', expect.stringMatching(/^refused: .*oauth2-proxy/)],
    ['llm.modls', 'wrong: not known'],
  ])('%s', (path, fate) => {
    expect(fateOf(path)).toEqual(fate);
  });
});
