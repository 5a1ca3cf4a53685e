/**
 * Regular expressions as agentgateway writes them (the Rust `regex` crate), made into JavaScript's. What Rust has not
 * (look-around, back-references) and what cannot be carried over faithfully is an error, so that a pattern either means
 * the same in both or does not start.
 */
import { FieldError } from './text-field.ts';

const posixClasses: Readonly<Record<string, string>> = {
  alnum: '0-9A-Za-z',
  alpha: 'A-Za-z',
  ascii: '\\x00-\\x7F',
  blank: '\\t ',
  cntrl: '\\x00-\\x1F\\x7F',
  digit: '0-9',
  graph: '!-~',
  lower: 'a-z',
  print: ' -~',
  punct: '!-\\/:-@\\[-`{-~',
  space: '\\t-\\r ',
  upper: 'A-Z',
  word: '0-9A-Za-z_',
  xdigit: '0-9A-Fa-f',
};

const refusedGroups = /\(\?(?:=|!|<=|<!)/y;
const namedGroup = /\(\?P?<([A-Za-z_]\w*)>/y;
const flagGroup = /\(\?([a-zA-Z-]*)([:)])/y;
const posixClass = /\[:(\^?)([a-z]+):\]/y;
const hexEscape = /\\[xuU](?:\{([0-9A-Fa-f]{1,8})\}|([0-9A-Fa-f]{2,8}))/y;
const unicodeClass = /\\[pP](?:\{[^}]*\}|[A-Za-z])/y;

/** A regular expression that must match the whole text, as agentgateway's matches do. Throws FieldError. */
export function fullRegexOf(pattern: string): RegExp {
  const { source, flags } = javaScriptRegexOf(pattern);
  return compiled(`^(?:${source})$`, flags, pattern);
}

/** A regular expression that may match anywhere in the text. Throws FieldError. */
export function searchRegexOf(pattern: string): RegExp {
  const { source, flags } = javaScriptRegexOf(pattern);
  return compiled(source, flags, pattern);
}

function compiled(source: string, flags: string, pattern: string): RegExp {
  try {
    return new RegExp(source, flags);
  } catch (thrown) {
    const reason =
      thrown instanceof Error ? thrown.message.replace(/^Invalid regular expression: \/.*\/[a-z]*: /s, '') : 'not valid';
    throw new FieldError(`"${pattern.slice(0, 200)}" is no regular expression: ${reason}`);
  }
}

function javaScriptRegexOf(pattern: string): { source: string; flags: string } {
  if (pattern.length > 4_096) throw new FieldError('a regular expression may have 4096 characters at most');
  const leading = /^\(\?([a-zA-Z]+)\)/.exec(pattern);
  const flags = leading === null ? '' : flagsOf(leading[1] ?? '');
  const body = leading === null ? pattern : pattern.slice(leading[0].length);
  // Compiled alone first: `a)|(b` would be whole inside `^(?:…)$`, and mean something else.
  const source = new Translation(body, flags.includes('s')).text();
  compiled(source, `u${flags}`, pattern);
  return { source, flags: `u${flags}` };
}

/** Rust's leading flags: i, s, m as in JavaScript; u is always on. */
function flagsOf(letters: string): string {
  for (const letter of letters) {
    if (!'ismu'.includes(letter))
      throw new FieldError(`the flag "${letter}" of a regular expression is not supported; i, s and m are`);
  }
  return [...new Set(letters.replaceAll('u', ''))].join('');
}

/** One pass over a pattern. */
class Translation {
  readonly #pattern: string;
  readonly #dot: string;
  #at = 0;

  constructor(pattern: string, dotAll: boolean) {
    this.#pattern = pattern;
    // Rust's dot leaves out the line feed only, JavaScript's three more.
    this.#dot = dotAll ? '.' : '[^\\n]';
  }

  text(): string {
    let out = '';
    while (this.#at < this.#pattern.length) out += this.#next();
    return out;
  }

  #next(): string {
    const char = this.#char();
    if (char === '\\') return this.#escape(false);
    if (char === '[') return this.#class();
    if (char === '(') return this.#group();
    this.#at += char.length;
    // A lone bracket or brace is itself in Rust, an error in JavaScript's Unicode mode.
    if (char === ']' || char === '}') return `\\${char}`;
    if (char === '{') return this.#repetition();
    return char === '.' ? this.#dot : char;
  }

  #repetition(): string {
    const rest = this.#take(/\d+(?:,\d*)?\}/y);
    if (rest === undefined)
      throw new FieldError('in a regular expression "{" begins a repetition such as {2,3}; the sign itself is "\\{"');
    return `{${rest[0]}`;
  }

  #group(): string {
    if (this.#take(refusedGroups) !== undefined)
      throw new FieldError('regular expressions here have no look-ahead and no look-behind');
    const named = this.#take(namedGroup);
    if (named !== undefined) return `(?<${named[1]}>`;
    const flagged = this.#take(flagGroup);
    if (flagged === undefined) {
      this.#at += 1;
      return '(';
    }
    if (flagged[1] !== '' || flagged[2] === ')')
      throw new FieldError(`flags such as "${flagged[0]}" may stand at the start of a regular expression only`);
    return '(?:';
  }

  #class(): string {
    this.#at += 1;
    let out = '[';
    if (this.#take(/\^/y) !== undefined) out += '^';
    // A bracket that comes first is itself.
    if (this.#take(/\]/y) !== undefined) out += '\\]';
    for (;;) {
      const char = this.#char();
      if (char === '') throw new FieldError('a "[" in the regular expression is never closed');
      if (char === ']') break;
      out += char === '\\' ? this.#escape(true) : char === '[' ? this.#posix() : this.#classChar(char);
    }
    this.#at += 1;
    return `${out}]`;
  }

  #classChar(char: string): string {
    if (this.#take(/&&|--|~~/y) !== undefined)
      throw new FieldError('set operations (&&, --, ~~) in a regular expression are not supported');
    this.#at += char.length;
    return char;
  }

  #posix(): string {
    const match = this.#take(posixClass);
    const members = match === undefined ? undefined : posixClasses[match[2] ?? ''];
    if (members === undefined || match?.[1] === '^')
      throw new FieldError('a class inside a class of a regular expression is not supported; write "\\[" for the sign');
    return members;
  }

  #escape(inClass: boolean): string {
    const hex = this.#take(hexEscape);
    if (hex !== undefined) return `\\u{${hex[1] ?? hex[2]}}`;
    const property = this.#take(unicodeClass)?.[0];
    if (property !== undefined) return property.includes('{') ? property : `${property.slice(0, 2)}{${property.slice(2)}}`;
    this.#at += 1;
    const char = this.#char();
    this.#at += char.length;
    if (/[0-9]/.test(char)) throw new FieldError('regular expressions here have no back-references');
    if (!inClass && char === 'A') return '^';
    if (!inClass && char === 'z') return '$';
    if (char === 'a') return '\\x07';
    if (/[A-Za-z]/.test(char)) return `\\${char}`;
    // Rust lets any punctuation be escaped, JavaScript's Unicode mode only its own signs.
    return /[\^$\\.*+?()[\]{}|/]/.test(char) || (inClass && char === '-') ? `\\${char}` : char;
  }

  #char(): string {
    const point = this.#pattern.codePointAt(this.#at);
    return point === undefined ? '' : String.fromCodePoint(point);
  }

  #take(expression: RegExp): RegExpExecArray | undefined {
    expression.lastIndex = this.#at;
    const match = expression.exec(this.#pattern);
    if (match === null) return undefined;
    this.#at += match[0].length;
    return match;
  }
}
