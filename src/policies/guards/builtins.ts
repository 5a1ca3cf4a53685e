/**
 * The five builtin recognisers, as agentgateway has them (crates/agentgateway/src/llm/policy/pii). They take more than what they
 * are named for: any nine digits are an SSN, and card numbers are not checked by their last digit. Where several patterns of
 * one recogniser overlap, they are masked as one.
 */
import { onDemand } from '../../fields/on-demand.ts';
import { re2 } from '../../fields/rust-regex.ts';
import { Program } from './program.ts';
import type { GuardRule, Range } from './rule.ts';

export const builtinNames = ['ssn', 'creditCard', 'phoneNumber', 'email', 'caSin'] as const;
export type BuiltinName = (typeof builtinNames)[number];

interface Builtin {
  readonly mask: string;
  /** For both engines: bounded, so that JavaScript's own is as linear as RE2, and many times faster. */
  readonly patterns?: readonly string[];
  readonly program?: string;
  readonly find?: GuardRule['find'];
  /** What has to be loaded. Throws NotLoaded. */
  readonly more?: () => Pick<Builtin, 'program' | 'find'>;
}

/** The library of phone numbers: as much code as all guards together. */
export const phone = onDemand(() => import('./phone.ts'));

const cardEnd = '[- ]?[0-9]{3,4}[- ]?[0-9]{3,4}[- ]?[0-9]{3,5}\\b';

const builtins: Readonly<Record<BuiltinName, Builtin>> = {
  ssn: {
    mask: '<SSN>',
    patterns: [
      '\\b[0-9]{5}-[0-9]{4}\\b',
      '\\b[0-9]{3}-[0-9]{6}\\b',
      '\\b[0-9]{9}\\b',
      '\\b[0-9]{3}[- .][0-9]{2}[- .][0-9]{4}\\b',
    ],
  },
  creditCard: {
    mask: '<CREDIT_CARD>',
    patterns: [
      `\\b[346][0-9]{3}${cardEnd}`,
      `\\b5[0-5][0-9]{2}${cardEnd}`,
      '\\b1[0-9]{3}[- ]?[0-9]{3,4}[- ]?[0-9]{3,4}[- ]?[0-9]{4,5}\\b',
    ],
  },
  phoneNumber: {
    mask: '<PHONE_NUMBER>',
    more: () => ({ program: phone().phoneProgramPattern, find: phone().findPhoneNumbers }),
  },
  email: {
    mask: '<EMAIL_ADDRESS>',
    program: '[a-zA-Z0-9_.+\\-]+@[a-zA-Z0-9\\-]+\\.[a-zA-Z0-9\\-.]+',
    find: findEmails,
  },
  caSin: { mask: '<CA_SIN>', patterns: ['\\b[0-9]{3}[- ][0-9]{3}[- ][0-9]{3}\\b', '\\b[0-9]{9}\\b'] },
};

const made = new Map<BuiltinName, GuardRule>();

/** Made at first use: most configurations have none. Throws NotLoaded (fields/on-demand.ts). */
export function builtinRule(name: BuiltinName): GuardRule {
  let rule = made.get(name);
  if (rule === undefined) {
    const builtin = builtins[name];
    rule = ruleOf(name, { ...builtin, ...builtin.more?.() });
    made.set(name, rule);
  }
  return rule;
}

function ruleOf(name: BuiltinName, { mask, patterns = [], program, find }: Builtin): GuardRule {
  const expressions = patterns.map((pattern) => new RegExp(pattern, 'g'));
  return {
    name,
    mask,
    program: new Program(re2().RE2JS.compile(program ?? patterns.map((pattern) => `(?:${pattern})`).join('|'))),
    find: find ?? ((text, from) => merged(expressions.flatMap((expression) => allOf(expression, text, from)))),
  };
}

function allOf(expression: RegExp, text: string, from: number): Range[] {
  const ranges: Range[] = [];
  expression.lastIndex = from;
  for (let match = expression.exec(text); match !== null; match = expression.exec(text)) {
    ranges.push({ from: match.index, to: match.index + match[0].length });
  }
  return ranges;
}

/** Those that overlap as one; those that only touch stay two. */
function merged(ranges: Range[]): readonly Range[] {
  if (ranges.length <= 1) return ranges;
  ranges.sort((first, second) => first.from - second.from);
  const result: Range[] = [];
  for (const range of ranges) {
    const last = result.at(-1);
    if (last === undefined || range.from >= last.to) result.push(range);
    else result[result.length - 1] = { from: last.from, to: Math.max(last.to, range.to) };
  }
  return result;
}

/** `local@label.rest`. From each `@` outwards: that looks at no character twice, where a search would. */
function findEmails(text: string, from: number): Range[] {
  const ranges: Range[] = [];
  let free = from;
  for (let at = text.indexOf('@', from); at >= 0; at = text.indexOf('@', at + 1)) {
    let start = at;
    while (start > free && isLocal(text.charCodeAt(start - 1))) start--;
    if (start === at) continue;
    let dot = at + 1;
    while (isLabel(text.charCodeAt(dot))) dot++;
    if (dot === at + 1 || text[dot] !== '.') continue;
    let to = dot + 1;
    while (isLabel(text.charCodeAt(to)) || text[to] === '.') to++;
    if (to === dot + 1) continue;
    ranges.push({ from: start, to });
    free = to;
  }
  return ranges;
}

/** ASCII letters, digits and the hyphen. */
function isLabel(code: number): boolean {
  return (code >= 48 && code <= 57) || (code >= 65 && code <= 90) || (code >= 97 && code <= 122) || code === 45;
}

/** The same and `_`, `.`, `+`. */
function isLocal(code: number): boolean {
  return isLabel(code) || code === 95 || code === 46 || code === 43;
}
