/** `promptGuard` as a whole: what of it runs on a try, and what is said about it at start. */
import type { Attempt } from '../../exchange.ts';
import type { PolicyScope } from '../policy.ts';
import { createAnswerGuards } from './answer-guards.ts';
import { builtinNames } from './builtins.ts';
import { maxHeldCharacters } from './lane.ts';
import type { PromptGuardOptions } from './options.ts';
import type { RegexGuard } from './regex-guard.ts';
import { createRequestGuards } from './request-guards.ts';

/** Guards one try's request, and has its answer guarded. Undefined where there are no guards. */
export type PromptGuard = (attempt: Attempt, llmRequest: () => unknown) => Promise<void> | undefined;

export function createPromptGuard(options: PromptGuardOptions | undefined, scope: PolicyScope): PromptGuard | undefined {
  if (options === undefined || options.request.length + options.response.length === 0) return undefined;
  const guardsStreams = options.streaming !== 'Disabled';
  const guardRequest = createRequestGuards(options.request, scope);
  const answers = createAnswerGuards(options.response, guardsStreams, scope);
  if (options.response.length > 0) warnOfStreams(guardsStreams, answers.rules, scope);
  return (attempt, llmRequest) => {
    const { body, protocol } = attempt;
    if (body === undefined || protocol?.texts === undefined) return undefined;
    if (options.response.length > 0) {
      const rewrite = answers.rewriteFor(attempt, llmRequest);
      if (rewrite !== undefined) attempt.rewrites = [...(attempt.rewrites ?? []), rewrite];
    }
    return guardRequest({ attempt, body, texts: protocol.texts, llmRequest });
  };
}

function warnOfStreams(guardsStreams: boolean, guards: readonly RegexGuard[], scope: PolicyScope): void {
  if (!guardsStreams) {
    scope.warn('promptGuard.streaming is Disabled: answers that are streamed pass its response guards unseen');
    return;
  }
  const rules = guards.flatMap((guard) => guard.rules);
  // No address and no number is near as long, whatever a builtin would take for one.
  const isBuiltin = (name: string) => builtinNames.some((builtin) => builtin === name);
  const isLong = rules.filter((rule) => !isBuiltin(rule.name) && rule.program.maxLength > maxHeldCharacters);
  for (const { name } of isLong) {
    scope.warn(
      `promptGuard: the pattern ${name.slice(0, 80)} can match more than ${maxHeldCharacters} characters; of streams no more than that is held back, and a longer match may leave unseen. Bound it, as in {1,200}`,
    );
  }
  const lengths = rules.map((rule) => rule.program.maxLength).filter((length) => length <= maxHeldCharacters);
  const together = lengths.reduce((sum, length) => sum + length, 0);
  if (isLong.length === 0 && together > maxHeldCharacters) {
    scope.warn(
      `promptGuard: all rules together may want to hold back ${together} characters of a stream; they get ${maxHeldCharacters}, and decide early beyond that`,
    );
  }
}
