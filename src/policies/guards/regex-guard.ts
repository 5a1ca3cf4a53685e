/** A guard made of rules. */
import type { GatewayError } from '../../errors.ts';
import { builtinRule } from './builtins.ts';
import type { RegexOptions, RejectionOptions } from './options.ts';
import { rejectionOf } from './rejection.ts';
import { type GuardRule, masked, patternRule } from './rule.ts';

export interface RegexGuard {
  readonly rules: readonly GuardRule[];
  readonly action: 'mask' | 'reject';
  rejection(): GatewayError;
  /** The text with what was found masked. Throws the rejection where it is not to be masked. */
  guard(text: string): string;
}

export function createRegexGuard({ action, rules: given }: RegexOptions, rejection: RejectionOptions | undefined): RegexGuard {
  const rules = given.map((rule) => (rule.builtin === undefined ? patternRule(rule.pattern ?? '') : builtinRule(rule.builtin)));
  const reject = rejectionOf(rejection);
  return {
    rules,
    action,
    rejection: reject,
    guard(text) {
      if (action === 'mask') return rules.reduce((left, rule) => masked(rule, left), text);
      if (rules.some((rule) => rule.find(text, 0).length > 0)) throw reject();
      return text;
    },
  };
}
