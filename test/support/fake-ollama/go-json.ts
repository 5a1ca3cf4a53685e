/**
 * JSON the way Go's encoding/json reads and writes it, as far as Ollama shows it to a client: keys fold (simple Unicode folding),
 * the last duplicate wins, what follows the first value is ignored, and errors have Go's words.
 */

export type GoValue = string | number | boolean | null | GoValue[] | GoObject;

/** An object with every key it was written with, in order. */
export class GoObject {
  readonly entries: [key: string, value: GoValue][] = [];

  /** The field Go would fill: the last key that folds to `name`. Undefined when there is none. */
  field(name: string): GoValue | undefined {
    for (let at = this.entries.length - 1; at >= 0; at--) {
      const entry = this.entries[at];
      if (entry !== undefined && fold(entry[0]) === name) return entry[1];
    }
    return undefined;
  }
}

/** An error in Go's words. */
export class GoJsonError extends Error {}

/** Go folds U+017F to s and U+212A to k, on top of upper and lower case. */
function fold(key: string): string {
  return key.replaceAll('\u017f', 's').replaceAll('\u212a', 'k').toLowerCase();
}

/** Reads the first JSON value of `text`. Throws GoJsonError: `EOF` for nothing at all, `unexpected EOF` for half a value. */
export function parseGoJson(text: string): GoValue {
  const start = skipSpace(text, 0);
  if (start >= text.length) throw new GoJsonError('EOF');
  return valueAt(text, start, 'looking for beginning of value')[0];
}

function skipSpace(text: string, from: number): number {
  let at = from;
  while (at < text.length && ' \t\r\n'.includes(text.charAt(at))) at++;
  return at;
}

function invalid(text: string, at: number, context: string): GoJsonError {
  const character = text.charAt(at);
  if (character === '') return new GoJsonError('unexpected EOF');
  const code = character.charCodeAt(0);
  const escaped = code < 32 || code === 127 ? `\\x${code.toString(16).padStart(2, '0')}` : character === "'" ? "\\'" : character;
  return new GoJsonError(`invalid character '${escaped}' ${context}`);
}

function valueAt(text: string, from: number, context: string): [GoValue, number] {
  const at = skipSpace(text, from);
  const first = text.charAt(at);
  if (first === '{') return objectAt(text, at);
  if (first === '[') return arrayAt(text, at);
  if (first === '"') return stringAt(text, at);
  for (const [word, value] of [
    ['true', true],
    ['false', false],
    ['null', null],
  ] as const) {
    if (first === word[0]) return wordAt(text, at, word, value);
  }
  const number = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/.exec(text.slice(at, at + 400));
  if (number === null || number[0] === '') throw invalid(text, at, context);
  return [Number(number[0]), at + number[0].length];
}

function wordAt(text: string, at: number, word: string, value: GoValue): [GoValue, number] {
  for (let offset = 1; offset < word.length; offset++) {
    if (text[at + offset] !== word[offset]) {
      throw invalid(text, at + offset, `in literal ${word} (expecting '${word[offset]}')`);
    }
  }
  return [value, at + word.length];
}

function stringAt(text: string, start: number): [string, number] {
  for (let at = start + 1; at < text.length; at++) {
    const character = text.charAt(at);
    if (character === '\\') at++;
    else if (character === '"') {
      try {
        return [JSON.parse(text.slice(start, at + 1)) as string, at + 1];
      } catch {
        throw new GoJsonError('invalid character in string escape code');
      }
    } else if (character < ' ') throw invalid(text, at, 'in string literal');
  }
  throw new GoJsonError('unexpected EOF');
}

function arrayAt(text: string, start: number): [GoValue[], number] {
  const items: GoValue[] = [];
  let at = skipSpace(text, start + 1);
  if (text[at] === ']') return [items, at + 1];
  for (;;) {
    const [value, after] = valueAt(text, at, 'looking for beginning of value');
    items.push(value);
    at = skipSpace(text, after);
    if (text[at] === ']') return [items, at + 1];
    if (text[at] !== ',') throw invalid(text, at, 'after array element');
    at++;
  }
}

function objectAt(text: string, start: number): [GoObject, number] {
  const object = new GoObject();
  let at = skipSpace(text, start + 1);
  if (text[at] === '}') return [object, at + 1];
  for (;;) {
    at = skipSpace(text, at);
    if (text[at] !== '"') throw invalid(text, at, 'looking for beginning of object key string');
    const [key, afterKey] = stringAt(text, at);
    at = skipSpace(text, afterKey);
    if (text[at] !== ':') throw invalid(text, at, 'after object key');
    const [value, afterValue] = valueAt(text, at + 1, 'looking for beginning of value');
    object.entries.push([key, value]);
    at = skipSpace(text, afterValue);
    if (text[at] === '}') return [object, at + 1];
    if (text[at] !== ',') throw invalid(text, at, 'after object key:value pair');
    at++;
  }
}

/** What Go calls a JSON value's type in its errors. */
export function goTypeOf(value: GoValue): string {
  if (Array.isArray(value)) return 'array';
  if (value instanceof GoObject) return 'object';
  return value === null ? 'null' : typeof value === 'boolean' ? 'bool' : typeof value;
}

const unsafe = /[<>&\u2028\u2029]/g;

/** Writes JSON as Go does by default: `<`, `>` and `&` escaped, members in the order given. */
export function goJson(value: unknown): string {
  return JSON.stringify(value).replace(unsafe, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
