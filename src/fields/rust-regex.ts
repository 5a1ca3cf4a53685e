/**
 * Patterns as agentgateway writes them (the Rust `regex` crate, which searches in linear time) on RE2, which does too. The two
 * syntaxes are nearly one; where RE2 reads the same signs otherwise, they are translated, or refused, so that no pattern
 * silently means something else.
 */
import type { RE2JS } from 're2js';
import { onDemand } from './on-demand.ts';
import { FieldError } from './text-field.ts';

/** The engine, which is needed only where a pattern is written. */
export const re2 = onDemand(() => import('re2js'));

/** A pattern that compiles to more than this is a mistake, or an attack on the memory of whoever starts it. */
const maxPatternLength = 4_096;

/** Throws FieldError, which names the column, and NotLoaded (on-demand.ts). */
export function rustRegexOf(pattern: string): RE2JS {
  if (pattern.length > maxPatternLength) {
    throw new FieldError(`a pattern may have ${maxPatternLength} characters at most; this one has ${pattern.length}`);
  }
  const translated = translate(pattern);
  const { RE2JS } = re2();
  try {
    return RE2JS.compile(translated);
  } catch (thrown) {
    throw new FieldError(complaint(pattern, thrown));
  }
}

function complaint(pattern: string, thrown: unknown): string {
  const { error, input } = thrown as { error?: unknown; input?: unknown };
  const reason = typeof error === 'string' ? error : 'not valid';
  const at = typeof input === 'string' && input !== '' ? pattern.indexOf(input) : -1;
  const place = at < 0 ? '' : ` at column ${at + 1}: ${String(input).slice(0, 60)}`;
  const hint = /\(\?<?[=!]|\\[1-9]/.test(pattern) ? '; look-around and back-references do not exist in this syntax' : '';
  return `this is no pattern: ${reason}${place}${hint}`;
}

/** Rust's classes know all of Unicode, RE2's know ASCII. Given outside of brackets, and inside of them. */
const classes: Readonly<Record<string, readonly [outside: string, inside: string | undefined]>> = {
  d: ['\\p{Nd}', '\\p{Nd}'],
  D: ['\\P{Nd}', '\\P{Nd}'],
  w: ['[\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}]', '\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}'],
  W: ['[^\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}]', undefined],
  s: ['[\\s\\x0b\\x{85}\\p{Z}]', '\\s\\x0b\\x{85}\\p{Z}'],
  S: ['[^\\s\\x0b\\x{85}\\p{Z}]', undefined],
};

function translate(pattern: string): string {
  let out = '';
  let isInClass = false;
  let classFrom = 0;
  for (let at = 0; at < pattern.length; ) {
    const rest = pattern.slice(at, at + 16);
    const char = rest.charAt(0);
    let taken = char;
    let given = char;
    if (char === '\\') [taken, given] = escaped(rest, at, isInClass);
    else if (isInClass && char === '[') [taken, given] = posixClass(pattern, at);
    else if (isInClass && /^(?:&&|--|~~)/.test(rest)) refuse(at, 'set operations (&&, --, ~~) are not supported');
    else if (isInClass && char === ']' && at > classFrom) isInClass = false;
    else if (!isInClass && char === '[') {
      isInClass = true;
      if (rest.charAt(1) === '^') taken = given = '[^';
      classFrom = at + taken.length;
    } else if (!isInClass && char === '(') [taken, given] = opened(rest, at);
    else if (!isInClass && char === '{') [taken, given] = repetition(rest, at);
    out += given;
    at += taken.length;
  }
  return out;
}

function escaped(rest: string, at: number, isInClass: boolean): [taken: string, given: string] {
  const char = rest.charAt(1);
  const known = classes[char];
  if (known !== undefined) {
    const given = known[isInClass ? 1 : 0];
    if (given === undefined) refuse(at, `\\${char} cannot stand inside of brackets`);
    return [`\\${char}`, given ?? ''];
  }
  const hex = /^\\[xuU](?:\{([0-9A-Fa-f]{1,8})\})/.exec(rest) ?? /^\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8}))/.exec(rest);
  if (hex !== null) return [hex[0], `\\x{${hex[1] ?? hex[2]}}`];
  if (/^\\(?:[<>]|b\{)/.test(rest)) refuse(at, 'half word boundaries are not supported; \\b is');
  // The name of a class of Unicode may be longer than what is looked at; its brace is no repetition.
  if (/^\\[pP]\{/.test(rest)) return [rest.slice(0, 3), rest.slice(0, 3)];
  return [rest.slice(0, 2), rest.slice(0, 2)];
}

/** Rust's flag u is always on. */
function opened(rest: string, at: number): [taken: string, given: string] {
  if (/^\(\?[a-zA-Z]*x/.test(rest)) refuse(at, 'the flag x is not supported: write the pattern without blanks');
  const flags = /^\(\?([a-zA-Z]*u[a-zA-Z]*)([:)])/.exec(rest);
  if (flags === null) return ['(', '('];
  const [taken, letters = '', end = ''] = flags;
  const others = letters.replaceAll('u', '');
  return [taken, others === '' && end === ')' ? '' : `(?${others}${end}`];
}

/** RE2 takes a brace that begins no repetition for itself, Rust for a mistake. */
function repetition(rest: string, at: number): [taken: string, given: string] {
  const found = /^\{\d+(?:,\d*)?\}/.exec(rest)?.[0];
  if (found === undefined) refuse(at, '"{" begins a repetition such as {2,3}; the sign itself is "\\{"');
  return [found ?? '', found ?? ''];
}

function posixClass(pattern: string, at: number): [taken: string, given: string] {
  const posix = /^\[:\^?[a-z]+:\]/.exec(pattern.slice(at, at + 16))?.[0];
  if (posix === undefined) refuse(at, 'a class inside a class is not supported; write "\\[" for the sign');
  return [posix ?? '', posix ?? ''];
}

function refuse(at: number, reason: string): never {
  throw new FieldError(`this pattern cannot be used, column ${at + 1}: ${reason}`);
}
