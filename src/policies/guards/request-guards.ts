/** Guards of requests: run in order on each try, before anything is sent; the first that refuses ends the request. */
import type { Attempt, Exchange, PlainMessage, ProtocolTexts, RequestText, TextScope } from '../../exchange.ts';
import type { JsonDraft } from '../../json/object-text.ts';
import type { PolicyScope } from '../policy.ts';
import { createModeration } from './moderation.ts';
import type { RequestGuardOptions, WebhookOptions } from './options.ts';
import { createRegexGuard, type RegexGuard } from './regex-guard.ts';
import { guardFailed, rejectionOf } from './rejection.ts';
import { createWebhook, type Verdict } from './webhook.ts';

/** What a guard looks at. */
export interface Guarded {
  readonly attempt: Attempt;
  readonly body: JsonDraft;
  readonly texts: ProtocolTexts;
  /** CEL's `llmRequest`. */
  llmRequest(): unknown;
}

/** What it did. Throws GatewayError to refuse. */
type Action = 'Allow' | 'Mask' | 'FailOpen';
type RequestGuard = (guarded: Guarded) => Action | Promise<Action>;

export function createRequestGuards(
  options: readonly RequestGuardOptions[],
  scope: PolicyScope,
): (guarded: Guarded) => Promise<void> | undefined {
  const guards = options.map((one) => guardOf(one, scope));
  return (guarded) => runFrom(guards, 0, guarded);
}

/** Waits only where a guard does. */
function runFrom(guards: readonly RequestGuard[], from: number, guarded: Guarded): Promise<void> | undefined {
  for (let index = from; index < guards.length; index++) {
    const action = counted(guards[index] as RequestGuard, guarded);
    if (action instanceof Promise) return action.then(() => runFrom(guards, index + 1, guarded));
  }
  return undefined;
}

function counted(guard: RequestGuard, guarded: Guarded): void | Promise<void> {
  const { exchange } = guarded.attempt;
  // A second try of the same request is no second check.
  const count = (action: Action) => {
    if (exchange.attempts.length === 0) exchange.telemetry.guardCheck('Request', action);
  };
  const refused = (thrown: unknown): never => {
    exchange.telemetry.guardCheck('Request', 'Reject');
    throw thrown;
  };
  try {
    const action = guard(guarded);
    return action instanceof Promise ? action.then(count, refused) : count(action);
  } catch (thrown) {
    return refused(thrown);
  }
}

const defaultScope: readonly TextScope[] = ['systemPrompt', 'messages'];

function guardOf(options: RequestGuardOptions, scope: PolicyScope): RequestGuard {
  const { regex, webhook, openAIModeration, rejection, scope: scopes = defaultScope } = options;
  if (regex !== undefined) return regexGuard(createRegexGuard(regex, rejection), new Set(scopes));
  if (webhook !== undefined) return webhookGuard(webhook, scope);
  const isFlagged = createModeration(openAIModeration ?? {}, scope);
  const reject = rejectionOf(rejection);
  const ask = onceEach((attempt: Attempt, messages: readonly PlainMessage[]) => isFlagged(attempt, messages));
  return async ({ attempt, body, texts }): Promise<Action> => {
    const messages = messagesOf(texts.openRequest(body).texts);
    if (messages.length === 0) return 'Allow';
    const flagged = await ask(attempt, messages).catch((thrown: unknown) => {
      throw guardFailed(thrown);
    });
    if (flagged) throw reject();
    return 'Allow';
  };
}

function regexGuard(guard: RegexGuard, scopes: ReadonlySet<TextScope>): RequestGuard {
  return ({ body, texts }) => {
    const opened = texts.openRequest(body);
    const inScope = opened.texts.filter((text) => scopes.has(text.scope));
    let isMasked = false;
    for (const text of inScope) {
      const left = guard.guard(text.text);
      isMasked ||= left !== text.text;
      text.text = left;
    }
    for (const parts of runsOf(inScope)) isMasked = guardRun(guard, parts) || isMasked;
    // Also without a match: what was looked into leaves as it was understood.
    opened.write();
    return isMasked ? 'Mask' : 'Allow';
  };
}

/** Parts of one message, which the model reads as one text: a secret may lie across them. */
function runsOf(texts: readonly RequestText[]): readonly RequestText[][] {
  const runs = new Map<number, RequestText[]>();
  for (const text of texts) {
    if (text.scope === 'toolInput' || text.text === '') continue;
    const run = runs.get(text.message);
    if (run === undefined) runs.set(text.message, [text]);
    else run.push(text);
  }
  return [...runs.values()].filter((run) => run.length > 1);
}

function guardRun(guard: RegexGuard, parts: readonly RequestText[]): boolean {
  const joined = parts.map(({ text }) => text).join(' ');
  const left = guard.guard(joined);
  if (left === joined) return false;
  for (const [index, part] of parts.entries()) part.text = index === 0 ? left : '';
  return true;
}

function webhookGuard(options: WebhookOptions, scope: PolicyScope): RequestGuard {
  const callerFor = createWebhook(options, scope.serverOf(options.target), scope.sideCalls);
  const ask = onceEach((attempt: Attempt, messages: readonly PlainMessage[], llmRequest: () => unknown) =>
    callerFor(attempt.exchange, llmRequest).ask('request', messages),
  );
  return async ({ attempt, body, texts, llmRequest }) => {
    const opened = texts.openRequest(body);
    const asked = messagesOf(opened.texts);
    if (asked.length === 0) return 'Allow';
    let verdict: Verdict;
    try {
      verdict = await ask(attempt, asked, llmRequest);
    } catch (thrown) {
      if (options.failureMode === 'failOpen') return 'FailOpen';
      throw guardFailed(thrown);
    }
    if (verdict.kind === 'reject') throw verdict.error;
    if (verdict.kind === 'pass') return 'Allow';
    if (isSameConversation(asked, verdict.messages)) {
      putMessages(opened.texts, asked, verdict.messages);
      opened.write();
    } else {
      texts.replaceMessages(body, verdict.messages);
    }
    return 'Mask';
  };
}

/** The same question of the same exchange, asked again by the next try, has the same answer. */
function onceEach<Answer, More extends unknown[]>(
  ask: (attempt: Attempt, messages: readonly PlainMessage[], ...more: More) => Promise<Answer>,
): (attempt: Attempt, messages: readonly PlainMessage[], ...more: More) => Promise<Answer> {
  const asked = new WeakMap<Exchange, { readonly question: string; readonly answer: Promise<Answer> }>();
  return (attempt, messages, ...more) => {
    const question = JSON.stringify(messages);
    const known = asked.get(attempt.exchange);
    if (known?.question === question) return known.answer;
    const answer = ask(attempt, messages, ...more);
    asked.set(attempt.exchange, { question, answer });
    return answer;
  };
}

/** The conversation as other servers are shown it: what was said, without the arguments of tools. */
function messagesOf(texts: readonly RequestText[]): PlainMessage[] {
  const messages = new Map<number, { role: string; parts: string[] }>();
  for (const { scope, role, message, text } of texts) {
    if (scope === 'toolInput') continue;
    const known = messages.get(message);
    if (known === undefined) messages.set(message, { role, parts: [text] });
    else known.parts.push(text);
  }
  return [...messages.values()].map(({ role, parts }) => ({ role, content: parts.join(' ') }));
}

function isSameConversation(asked: readonly PlainMessage[], given: readonly PlainMessage[]): boolean {
  return asked.length === given.length && asked.every(({ role }, index) => given[index]?.role === role);
}

/** What changed is put in the message's first text, and its other texts are emptied. */
function putMessages(texts: readonly RequestText[], asked: readonly PlainMessage[], given: readonly PlainMessage[]): void {
  const numbers = [...new Set(texts.filter(({ scope }) => scope !== 'toolInput').map(({ message }) => message))];
  for (const [index, message] of numbers.entries()) {
    const content = given[index]?.content ?? '';
    if (content === asked[index]?.content) continue;
    const own = texts.filter((text) => text.scope !== 'toolInput' && text.message === message);
    for (const [at, text] of own.entries()) text.text = at === 0 ? content : '';
  }
}
