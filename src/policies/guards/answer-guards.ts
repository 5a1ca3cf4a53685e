/** Guards of answers, whole ones and streams. */
import { GatewayError } from '../../errors.ts';
import type { AnswerRewrite, AnswerText, Attempt, PlainMessage, ProtocolTexts, RewrittenAnswer } from '../../exchange.ts';
import type { PolicyScope } from '../policy.ts';
import { GuardedStream } from './guarded-stream.ts';
import type { ResponseGuardOptions, WebhookOptions } from './options.ts';
import { createRegexGuard, type RegexGuard } from './regex-guard.ts';
import { guardFailed } from './rejection.ts';
import { RuleStage, type Stage } from './stage.ts';
import { createWebhook, type WebhookCaller } from './webhook.ts';
import { WebhookStage } from './webhook-stage.ts';

type AnswerGuard =
  | { readonly kind: 'regex'; readonly guard: RegexGuard }
  | {
      readonly kind: 'webhook';
      readonly failsOpen: boolean;
      readonly callerFor: ReturnType<typeof createWebhook>;
    };

export interface AnswerGuards {
  readonly rules: readonly RegexGuard[];
  /** For one try, whose request is still there. */
  rewriteFor(attempt: Attempt, llmRequest: () => unknown): AnswerRewrite | undefined;
}

export function createAnswerGuards(
  options: readonly ResponseGuardOptions[],
  guardsStreams: boolean,
  scope: PolicyScope,
): AnswerGuards {
  const guards = options.map((one) => guardOf(one, scope));
  return {
    rules: guards.flatMap((guard) => (guard.kind === 'regex' ? [guard.guard] : [])),
    rewriteFor(attempt, llmRequest) {
      const texts = attempt.protocol?.texts;
      if (texts === undefined) return undefined;
      return new GuardedAnswer(
        attempt,
        texts,
        guards.map((guard) => checkOf(guard, attempt, llmRequest)),
        guardsStreams,
      );
    },
  };
}

function guardOf({ regex, webhook, rejection }: ResponseGuardOptions, scope: PolicyScope): AnswerGuard {
  if (regex !== undefined) return { kind: 'regex', guard: createRegexGuard(regex, rejection) };
  const { target, failureMode } = webhook as WebhookOptions;
  const callerFor = createWebhook(webhook as WebhookOptions, scope.serverOf(target), scope.sideCalls);
  return { kind: 'webhook', failsOpen: failureMode === 'failOpen', callerFor };
}

/** A guard at work on one answer, and what it has done so far. */
interface Check {
  action: 'Allow' | 'Mask' | 'Reject' | 'FailOpen';
  readonly isMainOnly: boolean;
  whole(texts: readonly AnswerText[]): void | Promise<void>;
  stages(): readonly Stage[];
}

function checkOf(guard: AnswerGuard, { exchange }: Attempt, llmRequest: () => unknown): Check {
  return guard.kind === 'regex' ? regexCheck(guard.guard) : webhookCheck(guard.callerFor(exchange, llmRequest), guard.failsOpen);
}

function regexCheck(guard: RegexGuard): Check {
  const check: Check = {
    action: 'Allow',
    isMainOnly: false,
    whole(texts) {
      for (const text of texts) {
        const left = rejecting(check, () => guard.guard(text.text));
        if (left !== text.text) check.action = 'Mask';
        text.text = left;
      }
    },
    stages: () =>
      guard.rules.map((rule) => {
        return new RuleStage(rule, () => {
          if (guard.action === 'reject') rejecting(check, () => throwIt(guard.rejection()));
          check.action = 'Mask';
          return rule.mask;
        });
      }),
  };
  return check;
}

function rejecting<Result>(check: Check, guard: () => Result): Result {
  try {
    return guard();
  } catch (thrown) {
    check.action = 'Reject';
    throw thrown;
  }
}

function throwIt(error: GatewayError): never {
  throw error;
}

function webhookCheck(caller: WebhookCaller, failsOpen: boolean): Check {
  /** Undefined: they may pass as they are. */
  const judge = async (messages: readonly PlainMessage[]): Promise<readonly PlainMessage[] | undefined> => {
    try {
      const verdict = await caller.ask('response', messages);
      if (verdict.kind === 'pass') return undefined;
      if (verdict.kind === 'reject') throw verdict.error;
      if (verdict.messages.length !== messages.length) throw new Error('the webhook gave another number of choices');
      check.action = 'Mask';
      return verdict.messages;
    } catch (thrown) {
      if (thrown instanceof GatewayError && thrown.code === 'guard_rejected') return rejecting(check, () => throwIt(thrown));
      if (!failsOpen) return rejecting(check, () => throwIt(guardFailed(thrown)));
      check.action = 'FailOpen';
      return undefined;
    }
  };
  const check: Check = {
    action: 'Allow',
    isMainOnly: true,
    async whole(texts) {
      const choices = choicesOf(texts);
      if (choices.length === 0) return;
      const given = await judge(
        choices.map((choice) => ({ role: 'assistant', content: choice.map(({ text }) => text).join('\n') })),
      );
      if (given === undefined) return;
      for (const [index, choice] of choices.entries()) {
        for (const [at, text] of choice.entries()) text.text = at === 0 ? (given[index]?.content ?? '') : '';
      }
    },
    stages: () => [
      new WebhookStage(async (window) => (await judge([{ role: 'assistant', content: window }]))?.[0]?.content ?? window),
    ],
  };
  return check;
}

function choicesOf(texts: readonly AnswerText[]): readonly AnswerText[][] {
  const choices = new Map<number, AnswerText[]>();
  for (const text of texts) {
    if (!text.isMain) continue;
    const choice = choices.get(text.choice);
    if (choice === undefined) choices.set(text.choice, [text]);
    else choice.push(text);
  }
  return [...choices.values()];
}

class GuardedAnswer implements AnswerRewrite {
  readonly #attempt: Attempt;
  readonly #texts: ProtocolTexts;
  readonly #checks: readonly Check[];
  readonly #guardsStreams: boolean;

  constructor(attempt: Attempt, texts: ProtocolTexts, checks: readonly Check[], guardsStreams: boolean) {
    this.#attempt = attempt;
    this.#texts = texts;
    this.#checks = checks;
    this.#guardsStreams = guardsStreams;
  }

  async whole(text: string, status: number): Promise<RewrittenAnswer> {
    // An upstream's own error is no model's answer.
    if (status >= 400) return { text };
    const opened = this.#texts.openAnswer(text);
    // What is no JSON object is one text.
    const bare: AnswerText = { text, choice: 0, isMain: true };
    const texts = opened?.texts ?? [bare];
    try {
      for (const check of this.#checks) await check.whole(texts);
    } finally {
      this.#count();
    }
    return { text: opened?.write() ?? bare.text };
  }

  stream(): GuardedStream | undefined {
    const { protocol, exchange } = this.#attempt;
    // The try's protocol may have become the upstream's by now; the client's is the exchange's.
    const client = exchange.protocol ?? protocol;
    if (!this.#guardsStreams || client === undefined) return undefined;
    return new GuardedStream({
      protocol: client,
      texts: this.#texts,
      exchangeId: exchange.id,
      stagesFor: (isMain) => this.#checks.flatMap((check) => (check.isMainOnly && !isMain ? [] : check.stages())),
      onEnd: (rejection) => {
        if (rejection !== undefined) exchange.error = rejection;
        this.#count();
      },
    });
  }

  #count(): void {
    for (const { action } of this.#checks) this.#attempt.exchange.telemetry.guardCheck('Response', action);
  }
}
