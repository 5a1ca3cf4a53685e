/** One thing that guards look for: a builtin, or a pattern of the configuration. */
import type { RE2JS } from 're2js';
import { rustRegexOf } from '../../fields/rust-regex.ts';
import { Program } from './program.ts';

export interface Range {
  readonly from: number;
  readonly to: number;
}

export interface GuardRule {
  /** For warnings: the builtin's name, or the pattern. */
  readonly name: string;
  /** What stands in a match's place. */
  readonly mask: string;
  /** For streams: tells what may still become a match. */
  readonly program: Program;
  /** Matches that begin at `from` or later, rising, apart from each other, never empty. */
  find(text: string, from: number): readonly Range[];
}

/** Throws FieldError. */
export function patternRule(pattern: string): GuardRule {
  const regex = rustRegexOf(pattern);
  return { name: pattern, mask: '<masked>', program: new Program(regex), find: (text, from) => findAll(regex, text, from) };
}

function findAll(regex: RE2JS, text: string, from: number): Range[] {
  const ranges: Range[] = [];
  const matcher = regex.matcher(text);
  for (let isFound = matcher.find(from); isFound; isFound = matcher.find()) {
    const range = { from: matcher.start(), to: matcher.end() };
    // A pattern such as `a*` matches nothing everywhere; that masks nothing.
    if (range.to > range.from) ranges.push(range);
  }
  return ranges;
}

/** The text with its matches masked; the same text when there are none. */
export function masked(rule: GuardRule, text: string): string {
  return replaced(text, 0, text.length, rule.find(text, 0), rule.mask);
}

/** `text[from, to)` with each range, which lies inside it, replaced. */
export function replaced(text: string, from: number, to: number, ranges: readonly Range[], mask: string): string {
  if (ranges.length === 0) return from === 0 && to === text.length ? text : text.slice(from, to);
  let result = '';
  let at = from;
  for (const range of ranges) {
    result += text.slice(at, range.from) + mask;
    at = range.to;
  }
  return result + text.slice(at, to);
}
