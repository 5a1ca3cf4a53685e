/// <reference types="node" />
import { readdirSync, readFileSync, statSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { compileCel } from '../../../src/cel/compile-cel.ts';
import { type CelExpression, CelFailure } from '../../../src/cel/expression.ts';
import { FieldError } from '../../../src/fields/text-field.ts';
import { sceneOf } from './scene.ts';

/** What people write, for when the corpus is not there. */
const written = [
  'request.headers["x-user-tier"] == "premium" ? 4096 : 256',
  'jwt.groups.contains("admins") && request.path == "/admin"',
  'coalesce(json(request.body).priority, "standard")',
  'cidr("10.0.0.0/8").containsIP(source.address) || has(jwt.sub)',
  'llmRequest.model.stripPrefix("openai/")',
  'json(request.body).messages.exists(m, m.content.matches("(?i)secret|[a-z]+@x"))',
  '{"a": 1, "b": [1.5, true, null]}.merge(apiKey).mapValues(v, string(v)).filterKeys(k, k != "a")',
  'default(request.headers.cookie("session"), r"raw\\d") + \'\'\'x\'\'\' + string(b"\\xff".size())',
  'request.uri.setQuery("a", "b").regexReplace("a=(.)", "$1").split("?", 2)[0].size() > 3u - 1u',
  'json(request.body).with(b, b.list.map(x, x * 2).filter(x, x % 4 == 0).all(x, x in [4, 8]))',
  'timestamp("2024-01-01T00:00:00Z") + duration("1h30m") < request.startTime && -1.5e3 < 0x1F',
];

function corpusExpressions(): string[] {
  const folder = new URL('../../../../shared/configs/', import.meta.url);
  try {
    const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => /\.ya?ml$/.test(name));
    const texts = names
      .filter((name) => statSync(new URL(name, folder)).size < 100_000)
      .flatMap((name) => parseAllDocuments(readFileSync(new URL(name, folder), 'utf8'), { logLevel: 'silent' }))
      .flatMap((document) => textsIn(document.errors.length > 0 ? undefined : document.toJS()));
    return [...new Set(texts)].filter((text) => /[.(=]/.test(text) && text.length < 500 && isExpression(text));
  } catch {
    return [];
  }
}

function textsIn(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(textsIn) : [];
}

function isExpression(text: string): boolean {
  try {
    compileCel(text);
    return true;
  } catch {
    return false;
  }
}

const expressions = [...written, ...corpusExpressions()];
const pieces = [
  '(',
  ')',
  '[',
  ']',
  '{',
  '}',
  '"',
  "'",
  '.',
  ',',
  ':',
  '?',
  '!',
  '-',
  '&&',
  '||',
  '==',
  ' in ',
  '\\',
  '\n',
  'é',
  '🎉',
  '\u0000',
  '0x',
  '1e999',
  '9'.repeat(30),
  '.all(x, x)',
  '.map(x, x)',
  'default(',
  'r"',
  'b"',
  '"""',
  'null',
  'u',
  '/*',
  '//',
  '__proto__',
  'constructor',
];

const mutation = fc.record({ at: fc.nat(200), length: fc.nat(20), kind: fc.nat(3), piece: fc.constantFrom(...pieces) });

function mutated(source: string, changes: readonly { at: number; length: number; kind: number; piece: string }[]): string {
  let text = source;
  for (const { at, length, kind, piece } of changes) {
    const from = at % (text.length + 1);
    const cut = text.slice(from, from + length);
    if (kind === 0) text = text.slice(0, from) + text.slice(from + length);
    else if (kind === 1) text = text.slice(0, from) + piece + text.slice(from);
    else if (kind === 2) text = text.slice(0, from) + cut + text.slice(from);
    else text = text.slice(0, from) + piece + text.slice(from + length);
  }
  return text;
}

describe('expressions that nobody meant', () => {
  it('come from many that people wrote', () => {
    for (const source of written) expect(isExpression(source), source).toBe(true);
  });

  it('are told where they are wrong, or do something, or fail: within a second', async () => {
    const exchange = await sceneOf();
    fc.assert(
      fc.property(fc.constantFrom(...expressions), fc.array(mutation, { minLength: 1, maxLength: 6 }), (source, changes) => {
        const startedMs = performance.now();
        const text = mutated(source, changes);
        let expression: CelExpression | undefined;
        try {
          expression = compileCel(text);
        } catch (thrown) {
          if (!(thrown instanceof FieldError)) throw new Error(`${JSON.stringify(text)} threw`, { cause: thrown });
          expect(thrown.message).toMatch(/^(?:line \d+, )?column \d+: [^\n]+$/);
        }
        try {
          expression?.evaluate(exchange);
        } catch (thrown) {
          if (!(thrown instanceof CelFailure)) throw new Error(`${JSON.stringify(text)} threw`, { cause: thrown });
        }
        expression?.textOf(exchange);
        expect(performance.now() - startedMs).toBeLessThan(1_000);
      }),
      { numRuns: 3_000 },
    );
  });
});
