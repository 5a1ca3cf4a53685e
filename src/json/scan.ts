/**
 * Finds where the members of a JSON object stand, in one pass over its text. It does not check the grammar: on text that
 * JSON.parse accepts the spans are right, on other text they mean nothing, but the pass always ends and never recurses.
 */

export interface MemberSpan {
  /** As spelled, escapes resolved. */
  readonly name: string;
  /** Index of the name's opening quote. */
  readonly from: number;
  /** The value's span, white space around it left out. `to` ends the member too. */
  readonly valueFrom: number;
  readonly to: number;
}

export interface ObjectSpan {
  /** Index of `{`. */
  readonly from: number;
  /** Index after `}`. */
  readonly to: number;
  readonly members: readonly MemberSpan[];
}

/** Why a scan gave up: the text ends too early, or brackets are nested deeper than allowed. */
export type ScanFault = { readonly fault: 'truncated' } | { readonly fault: 'too_deep'; readonly at: number };

const quote = 0x22;
const comma = 0x2c;
const colon = 0x3a;
const openBracket = 0x5b;
const backslash = 0x5c;
const closeBracket = 0x5d;
const openBrace = 0x7b;
const closeBrace = 0x7d;

/** Scans the object whose `{` stands at `from`. Nesting counts that brace as 1. */
export function scanObject(text: string, from: number, maxDepth: number): ObjectSpan | ScanFault {
  const members: MemberSpan[] = [];
  let depth = 1;
  let nameFrom = -1;
  let nameTo = -1;
  let valueFrom = -1;
  for (let at = from + 1; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === quote) {
      const to = stringEnd(text, at);
      if (to < 0) return { fault: 'truncated' };
      if (depth === 1 && valueFrom < 0) {
        nameFrom = at;
        nameTo = to;
      }
      at = to - 1;
    } else if (code === openBrace || code === openBracket) {
      if (++depth > maxDepth) return { fault: 'too_deep', at };
    } else if (depth === 1) {
      if (code === colon) {
        valueFrom = at + 1;
      } else if (code === comma || code === closeBrace || code === closeBracket) {
        if (valueFrom >= 0) members.push(memberSpan(text, nameFrom, nameTo, valueFrom, at));
        if (code !== comma) return { from, to: at + 1, members };
        nameFrom = nameTo = valueFrom = -1;
      }
    } else if (code === closeBrace || code === closeBracket) {
      depth--;
    }
  }
  return { fault: 'truncated' };
}

/** The spans of the elements of the array whose `[` stands at `from`, in valid JSON. */
export function scanArray(text: string, from: number): { readonly from: number; readonly to: number }[] {
  const elements: { from: number; to: number }[] = [];
  let depth = 1;
  let elementFrom = from + 1;
  for (let at = from + 1; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === quote) {
      const to = stringEnd(text, at);
      if (to < 0) break;
      at = to - 1;
    } else if (code === openBrace || code === openBracket) {
      depth++;
    } else if (code === comma ? depth === 1 : (code === closeBrace || code === closeBracket) && --depth === 0) {
      const element = trimmed(text, elementFrom, at);
      if (element.from < element.to) elements.push(element);
      if (code !== comma) return elements;
      elementFrom = at + 1;
    }
  }
  return elements;
}

/** Index after the quote that closes the string opened at `from`; -1 when nothing closes it. */
export function stringEnd(text: string, from: number): number {
  // Most strings are short: a native search costs more than looking at a few letters.
  const near = Math.min(from + 32, text.length);
  for (let at = from + 1; at < near; at++) {
    const code = text.charCodeAt(at);
    if (code === quote) return at + 1;
    if (code === backslash) at++;
  }
  // Images are megabytes of base64: indexOf goes over them at memory speed.
  for (let at = text.indexOf('"', from + 1); at >= 0; at = text.indexOf('"', at + 1)) {
    let slashesFrom = at;
    while (text.charCodeAt(slashesFrom - 1) === backslash) slashesFrom--;
    if ((at - slashesFrom) % 2 === 0) return at + 1;
  }
  return -1;
}

function memberSpan(text: string, nameFrom: number, nameTo: number, valueFrom: number, valueTo: number): MemberSpan {
  const value = trimmed(text, valueFrom, valueTo);
  const raw = text.slice(nameFrom + 1, nameTo - 1);
  return { name: raw.includes('\\') ? unescaped(raw) : raw, from: nameFrom, valueFrom: value.from, to: value.to };
}

function unescaped(raw: string): string {
  try {
    // As a bare string: V8 may read an escaped name wrongly (parse.ts).
    return JSON.parse(`"${raw}"`);
  } catch {
    return raw; // The whole text will be refused for it.
  }
}

function trimmed(text: string, from: number, to: number): { from: number; to: number } {
  while (from < to && isSpace(text.charCodeAt(from))) from++;
  while (to > from && isSpace(text.charCodeAt(to - 1))) to--;
  return { from, to };
}

/** JSON's white space: space, tab, line feed, carriage return. */
export function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;
}
