/// <reference types="node" />
/**
 * Whatever stands in the file, there is an answer, and soon: a plan, or errors that have a place. fast-check prints the seed and
 * the smallest text it could find when there is none.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import process from 'node:process';
import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { summaryOf } from '../../../src/compile/summary.ts';
import { type Diagnostic, formatDiagnostic } from '../../../src/config/diagnostic.ts';
import { configJsonSchema } from '../../../src/config/json-schema.ts';
import { portabilityOf } from '../../../src/config/portable.ts';
import { draftOf } from '../../../src/entry/draft.ts';
import { createSideCalls } from '../../../src/http/side-calls.ts';
import type { Platform } from '../../../src/platform.ts';
import { createMemoryState } from '../../../src/state/memory.ts';
import { keysOf } from '../../support/config-keys.ts';
import { createFakeClock } from '../../support/fake-clock.ts';
import { plainSettings } from '../../support/settings.ts';
import { mutants } from './mutants.ts';

const examples = textsIn(new URL('../../../config/examples/', import.meta.url));
const corpusFolder = new URL('../../../../shared/configs/', import.meta.url);
const hasCorpus = existsSync(corpusFolder);
/** Every name of the grammar, without where it stands. */
const names = [...new Set([...keysOf(configJsonSchema())].map((key) => key.replace(/^.*\./, '')))].filter((name) => name !== '*');

function textsIn(folder: URL): readonly string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.yaml'))
    .sort()
    .map((name) => readFileSync(new URL(name, folder), 'utf8'))
    .filter((text) => text.length < 20_000);
}

const clock = createFakeClock();
const platform = {
  runtime: 'node',
  clock,
  refuses: () => undefined,
  send: () => Promise.reject(new Error('nothing is sent while a plan is made')),
} as unknown as Platform;

/** As `--validate-only` does it: all that is known of a text before anything is begun. */
function judge(text: string, ignoreUnsupported: boolean) {
  const settings = plainSettings(text, {
    ignoreUnsupported,
    env: (name) => (name.length % 3 === 0 ? undefined : 'value'),
    readFile: (path) => {
      if (path.length % 2 === 0) return 'the text of a file';
      throw new Error('there is no such file');
    },
  });
  const result = draftOf(settings, platform, { state: createMemoryState(), sideCalls: createSideCalls(platform) });
  if (!result.ok) return { errors: result.errors, warnings: result.warnings, isOk: false };
  const { plan, written, warnings } = result.draft;
  summaryOf(plan);
  portabilityOf(written);
  return { errors: [], warnings, isOk: true };
}

/** About the file as a whole, or about what is no YAML and so has no path. */
const withoutPath =
  /^(?:this is not YAML|the file |a tab stands|a second document|YAML tags|a key must be|the alias |the environment variable )/;
const maxCpuMs = 1_000;

function check(text: string, ignoreUnsupported: boolean): boolean {
  const before = process.cpuUsage();
  const { errors, warnings, isOk } = judge(text, ignoreUnsupported);
  const { user, system } = process.cpuUsage(before);
  expect((user + system) / 1_000).toBeLessThan(maxCpuMs);
  if (!isOk) expect(errors.length).toBeGreaterThan(0);
  expect(errors.length).toBeLessThanOrEqual(100);
  const lines = text.replace(/^\uFEFF/, '').split('\n');
  for (const problem of [...errors, ...warnings]) checkPlace(problem, lines);
  for (const { path, message } of errors) if (path === '') expect(message).toMatch(withoutPath);
  return isOk;
}

function checkPlace(problem: Diagnostic, lines: readonly string[]): void {
  const { line, column, message } = problem;
  expect(message).not.toBe('');
  expect(line).toBeGreaterThanOrEqual(1);
  expect(line).toBeLessThanOrEqual(lines.length);
  expect(column).toBeGreaterThanOrEqual(1);
  expect(column).toBeLessThanOrEqual((lines[line - 1] ?? '').length + 1);
  expect(formatDiagnostic(problem)).not.toContain('undefined');
}

/** As many as fit into the time; on a busy machine fewer. */
const bounds = { numRuns: 600, interruptAfterTimeLimit: 4_000, markInterruptAsFailure: false };

function fuzz(texts: readonly string[]): void {
  const seen = { runs: 0, ok: 0 };
  fc.assert(
    fc.property(mutants(texts, names), fc.boolean(), (mutant, ignoreUnsupported) => {
      seen.runs++;
      if (check(mutant, ignoreUnsupported)) seen.ok++;
    }),
    bounds,
  );
  process.stdout.write(`mutants: ${seen.runs}, of which ${seen.ok} are configurations all the same\n`);
  expect(seen.ok).toBeGreaterThan(0);
  expect(seen.ok).toBeLessThan(seen.runs);
}

describe('mutants', () => {
  it('of the examples', () => fuzz(examples));

  it.runIf(hasCorpus)("of agentgateway's documented configurations", () => fuzz(textsIn(corpusFolder)));

  if (!hasCorpus) test.skip('SKIPPED: ../shared/configs is not here, so nothing but the examples was mutated', () => undefined);
});

describe('traps', () => {
  const bomb = [
    'a: &a [x, x, x, x, x, x, x, x, x]',
    ...'bcdefghi'.split('').map((name, index) => {
      const before = String.fromCharCode(97 + index);
      return `${name}: &${name} [${Array.from({ length: 9 }, () => `*${before}`).join(', ')}]`;
    }),
  ].join('\n');
  const traps: Readonly<Record<string, string>> = {
    'aliases that multiply': bomb,
    'aliases that multiply below a key': `binds: &b\n- port: 1\n  listeners: []\n${bomb}\n`,
    'one anchor used a thousand times': `x: &x {policies: {}}\nbinds: [${Array.from({ length: 1_000 }, () => '*x').join(', ')}]`,
    'values that are deep through aliases': `x0: &x0 {policies: {}}\n${Array.from({ length: 900 }, (_, index) => `x${index + 1}: &x${index + 1} {policies: *x${index}}`).join('\n')}`,
    'the same key ten thousand times': 'binds: []\n'.repeat(10_000),
    'two thousand errors on one line': `{binds: [${Array.from({ length: 2_000 }, () => '{key: "secret: a", port: x}').join(', ')}]}`,
    'an alias within what it repeats': 'binds: &a [*a]',
    'lists in lists': `binds: ${'['.repeat(5_000)}${']'.repeat(5_000)}`,
    'maps in maps': `binds: ${'{a: '.repeat(3_000)}1${'}'.repeat(3_000)}`,
    'deep blocks': Array.from({ length: 1_500 }, (_, depth) => `${' '.repeat(depth)}a:`).join('\n'),
    'ten thousand keys': Array.from({ length: 10_000 }, (_, index) => `key${index}: 1`).join('\n'),
    'three thousand routes that are wrong': `binds:\n- port: 1\n  listeners:\n  - routes:\n${'    - nam: a\n'.repeat(3_000)}`,
    'a thousand routes that are right': `binds:\n- port: 1\n  listeners:\n  - routes:\n${'    - backends: [{host: "a:1"}]\n'.repeat(1_000)}`,
    'a thousand models': `llm:\n  models:\n${Array.from({ length: 1_000 }, (_, index) => `  - {name: "m${index}*", provider: ollama}\n`).join('')}`,
    'a long line': `binds: "${'x'.repeat(1_000_000)}"`,
    'a thousand errors of YAML': `${'a: [\n'.repeat(1_000)}`,
    'many variables': `binds: [${Array.from({ length: 7_000 }, () => '$A').join(', ')}]`,
    'a name that is no name': '{"\\u0000": 1, "a\\nb": 2, "__proto__": 3, "constructor": 4}',
    'five megabytes': 'x'.repeat(5 * 1024 * 1024),
    'a regular expression for backtracking engines': `binds: [{port: 1, listeners: [{routes: [{matches: [{path: {regex: "(a|a)*(b|b)*(.+)+$"}}]}]}]}]`,
    'a long regular expression': `binds: [{port: 1, listeners: [{routes: [{matches: [{path: {regex: "${'(a|b)'.repeat(5_000)}"}}]}]}]}]`,
    'a long expression': `frontendPolicies: {accessLog: {filter: "${'1 + '.repeat(20_000)}1"}}`,
    'a deep expression': `frontendPolicies: {accessLog: {filter: "${'('.repeat(20_000)}1${')'.repeat(20_000)}"}}`,
  };

  it.each(Object.keys(traps))('%s', (name) => {
    check(traps[name] ?? '', false);
  });
});

it('any values at all under the known keys', () => {
  const keys = fc.constantFrom(...names);
  const { tree } = fc.letrec<{ tree: unknown }>((tie) => ({
    tree: fc.oneof(
      { maxDepth: 6 },
      fc.constantFrom<unknown>(null, true, 3000, -1, '', 'ollama', '*', '$A', 'localhost:11434'),
      fc.array(tie('tree'), { maxLength: 3 }),
      fc.dictionary(keys, tie('tree'), { maxKeys: 4 }),
    ),
  }));
  fc.assert(
    fc.property(fc.dictionary(keys, tree, { maxKeys: 4 }), fc.boolean(), (value, ignoreUnsupported) => {
      check(JSON.stringify(value, undefined, 1), ignoreUnsupported);
    }),
    { ...bounds, numRuns: 300, interruptAfterTimeLimit: 2_000 },
  );
});
