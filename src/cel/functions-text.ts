/** Texts: regular expressions, the strings extension where cel-js has it not, and query parts of URLs. */
import type { Environment } from '@marcbachmann/cel-js';
import { spendItems, spendWork } from './evaluation.ts';
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
  // Makes as long a list as a client's text has commas.
  ['split', 'splitText'],
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
  method('splitText(string): list<string>', splitText);
  method('splitText(string, int): list<string>', splitText);
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
  const found = timesIn(text, from);
  const times = count < 0n ? found : Math.min(Number(count), found);
  spendWork(text.length + times * to.length);
  // A function, because `$` means something in a replacement that is a text.
  if (times === found) return text.replaceAll(from, () => to);
  let left = times;
  return text.replaceAll(from, (same) => (left-- > 0 ? to : same));
}

/** As Rust's `splitn`: below zero, all parts; the last of a limited number is the rest. */
function splitText(text: string, separator: string, limit = -1n): string[] {
  const parts = timesIn(text, separator) + 1;
  spendItems(limit < 0n ? parts : Math.min(Number(limit), parts));
  if (limit < 0n || limit >= BigInt(parts)) return text.split(separator);
  const found: string[] = [];
  let from = 0;
  while (BigInt(found.length) < limit - 1n) {
    // Nothing stands between all signs; the first place is behind the first one.
    const at = separator === '' ? from + 1 : text.indexOf(separator, from);
    found.push(text.slice(from, at));
    from = at + separator.length;
  }
  return limit === 0n ? [] : [...found, text.slice(from)];
}

/** How often the part stands in the text, without making anything of it. */
function timesIn(text: string, part: string): number {
  if (part === '') return text.length + 1;
  let times = 0;
  for (let at = text.indexOf(part); at >= 0; at = text.indexOf(part, at + part.length)) times++;
  return times;
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
