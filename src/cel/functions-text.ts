/** Texts: regular expressions, the strings extension where cel-js has it not, and query parts of URLs. */
import type { Environment } from '@marcbachmann/cel-js';
import { spendWork } from './evaluation.ts';
import { CelFailure, CelMissing } from './expression.ts';
import { sync } from './namespaces.ts';
import { isMatch, replaceMatch } from './patterns.ts';

/**
 * cel-js's own of these names mean something else, and cannot be registered anew: whoever compiles an expression puts the
 * name on the right into its place.
 */
export const replacedMethods: ReadonlyMap<string, string> = new Map([
  // JavaScript's regular expressions can take exponential time.
  ['matches', 'matchesPattern'],
  // JavaScript's lower case of `İ` is longer than it; ASCII's is what is asked for.
  ['lowerAscii', 'lowerAsciiOnly'],
  ['upperAscii', 'upperAsciiOnly'],
  // Knows no ints.
  ['json', 'jsonValue'],
]);

export function registerTexts(environment: Environment): void {
  const method = (signature: string, run: (...args: never[]) => unknown): void => {
    environment.registerFunction(`string.${signature}`, run as (...args: unknown[]) => unknown, sync);
  };
  method('matchesPattern(string): bool', isMatch);
  environment.registerFunction('matches(string, string): bool', isMatch, sync);
  method('regexReplace(string, string): string', replaceMatch);
  method('lowerAsciiOnly(): string', (text: string) => text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase()));
  method('upperAsciiOnly(): string', (text: string) => text.replace(/[a-z]+/g, (letters) => letters.toUpperCase()));
  method('charAt(int): string', charAt);
  method('stripPrefix(string): string', (text: string, part: string) => (text.startsWith(part) ? text.slice(part.length) : text));
  method('stripSuffix(string): string', (text: string, part: string) =>
    part !== '' && text.endsWith(part) ? text.slice(0, -part.length) : text,
  );
  method('replace(string, string): string', (text: string, from: string, to: string) => replaced(text, from, to, -1n));
  method('replace(string, string, int): string', replaced);
  method('unredacted(): string', (text: string) => text);
  method('query(string): list<string>', queryValues);
  method('addQuery(string, string): string', (url: string, name: string, value: string) => withQuery(url, name, value, false));
  method('setQuery(string, string): string', (url: string, name: string, value: string) => withQuery(url, name, value, true));
}

/** Counted in characters, not in UTF-16's halves of them. */
function charAt(text: string, index: bigint): string {
  let at = 0n;
  for (const char of text) if (at++ === index) return char;
  throw new CelFailure('charAt: there is no such place in the text');
}

/** At most `count` times; below zero, wherever it stands. */
function replaced(text: string, from: string, to: string, count: bigint): string {
  const parts = text.split(from);
  const times = count < 0n ? parts.length - 1 : Math.min(Number(count), parts.length - 1);
  spendWork(text.length + times * to.length);
  if (from === '' && count < 0n) return `${to}${[...text].map((char) => `${char}${to}`).join('')}`;
  return (
    parts.slice(0, times + 1).join(to) +
    parts
      .slice(times + 1)
      .map((part) => `${from}${part}`)
      .join('')
  );
}

/** All values of a query parameter of a URL or path. */
function queryValues(url: string, name: string): string[] {
  const at = url.indexOf('?');
  const values = at < 0 ? [] : new URLSearchParams(url.slice(at + 1)).getAll(name);
  if (values.length === 0) throw new CelMissing('the query has no such parameter');
  return values;
}

function withQuery(url: string, name: string, value: string, replaces: boolean): string {
  const at = url.indexOf('?');
  const search = new URLSearchParams(at < 0 ? '' : url.slice(at + 1));
  if (replaces) search.delete(name);
  search.append(name, value);
  return `${at < 0 ? url : url.slice(0, at)}?${search}`;
}
