/** Whatever stands in the file, the loader answers: with a configuration, or with errors that have a place. */
import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type LoadResult, loadConfig } from '../../../src/config/load.ts';

const folder = new URL('../../../config/examples/', import.meta.url);
const examples = readdirSync(folder)
  .filter((name) => name.endsWith('.yaml'))
  .map((name) => readFileSync(new URL(name, folder), 'utf8'));

const bits = [
  '- ',
  ': ',
  '\t',
  '"',
  "'",
  '[',
  ']',
  '{',
  '}',
  '#',
  '&a ',
  '*a',
  '!x ',
  '|',
  '>',
  '\n',
  '\r\n',
  '---\n',
  '$',
  '${',
  '${A:-',
  '$$',
  '~',
  '<<: ',
  '? ',
  '\u0000',
  '\uD800',
  '\uE000',
  '\uFEFF',
  'null',
  '5',
  'true',
  '__proto__: 1\n',
];

interface Edit {
  readonly at: number;
  readonly remove: number;
  readonly insert: string;
}

const editArbitrary: fc.Arbitrary<Edit> = fc.record({
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  remove: fc.integer({ min: 0, max: 12 }),
  insert: fc.oneof(fc.constantFrom(...bits), fc.constant(''), fc.string({ maxLength: 4, unit: 'binary' })),
});

function edited(text: string, edits: readonly Edit[]): string {
  return edits.reduce((current, { at, remove, insert }) => {
    const start = Math.floor(at * current.length);
    return current.slice(0, start) + insert + current.slice(start + remove);
  }, text);
}

function check(text: string, result: LoadResult): void {
  const lines = text.replace(/^\uFEFF/, '').split('\n').length;
  const all = result.ok ? result.warnings : [...result.errors, ...result.warnings];
  if (!result.ok) {
    expect(result.errors.length).toBeGreaterThan(0);
    expect(result.errors.length).toBeLessThanOrEqual(100);
  }
  for (const { line, column, message } of all) {
    expect(line).toBeGreaterThanOrEqual(1);
    expect(line).toBeLessThanOrEqual(lines);
    expect(column).toBeGreaterThanOrEqual(1);
    expect(message).not.toBe('');
  }
}

it('edited examples', () => {
  fc.assert(
    fc.property(fc.constantFrom(...examples), fc.array(editArbitrary, { minLength: 1, maxLength: 4 }), (example, edits) => {
      const text = edited(example, edits);
      check(text, loadConfig(text, { name: 'x.yaml', env: (name) => (name.length % 2 === 0 ? name : undefined) }));
    }),
    { numRuns: 300 },
  );
});

it('any values at all under the known keys', () => {
  const keys = fc.constantFrom(
    'binds',
    'gateways',
    'routes',
    'backends',
    'llm',
    'config',
    'fleet',
    'listeners',
    'policies',
    'ai',
    'models',
    'port',
    'name',
    'provider',
    'matches',
    'apiKey',
  );
  const { tree } = fc.letrec<{ tree: unknown }>((tie) => ({
    tree: fc.oneof(
      { maxDepth: 6 },
      fc.constantFrom<unknown>(null, true, 3000, -1, '', 'ollama', '*', '$A', 'localhost:11434'),
      fc.array(tie('tree'), { maxLength: 3 }),
      fc.dictionary(keys, tie('tree'), { maxKeys: 4 }),
    ),
  }));
  fc.assert(
    fc.property(fc.dictionary(keys, tree, { maxKeys: 4 }), (value) => {
      const text = JSON.stringify(value, undefined, 1);
      check(text, loadConfig(text, { name: 'x.json', env: () => undefined }));
    }),
    { numRuns: 300 },
  );
});
