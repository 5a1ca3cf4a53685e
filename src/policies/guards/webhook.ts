/** A server that decides on texts (agentgateway llm/policy/webhook.rs): it lets them pass, gives others in their place, or refuses. */
import { GatewayError } from '../../errors.ts';
import type { Exchange, PlainMessage } from '../../exchange.ts';
import { matchesText } from '../../fields/string-match.ts';
import type { SideCalls, SideServer } from '../../http/side-calls.ts';
import { parseValue } from '../../json/parse.ts';
import { isHeaderValue } from '../header-edits.ts';
import type { WebhookOptions } from './options.ts';

/** As agentgateway. */
const timeoutMs = 10_000;
const maxAnswerBytes = 8 * 1024 * 1024;

export type Verdict =
  | { readonly kind: 'pass' }
  | { readonly kind: 'mask'; readonly messages: readonly PlainMessage[] }
  | { readonly kind: 'reject'; readonly error: GatewayError };

/** How one exchange asks, worked out while its request is still there. */
export interface WebhookCaller {
  /** Throws whatever went wrong: nobody there, or an answer that is none. */
  ask(phase: 'request' | 'response', messages: readonly PlainMessage[]): Promise<Verdict>;
}

export function createWebhook(
  { headers, forwardHeaderMatches }: WebhookOptions,
  server: SideServer,
  sideCalls: SideCalls,
): (exchange: Exchange, llmRequest: () => unknown) => WebhookCaller {
  const expressions = Object.entries(headers);
  return (exchange, llmRequest) => {
    const sent: Record<string, string> = { ...exchange.trace?.headersOut() };
    for (const { name, value } of forwardHeaderMatches) {
      const given = exchange.headers.get(name);
      if (given !== null && matchesText(value, given)) sent[name] = given;
    }
    sent['content-type'] = 'application/json';
    let path: string | undefined;
    let method = 'POST';
    const extras = expressions.length === 0 ? {} : { llmRequest: llmRequest() };
    for (const [name, expression] of expressions) {
      const value = expression.textOf(exchange, extras);
      if (name === ':path') path = value !== undefined && /^\/[\x21-\x7e]*$/.test(value) ? value : undefined;
      else if (name === ':method') method = value !== undefined && /^[A-Z]{1,20}$/.test(value) ? value : method;
      else if (value !== undefined && isHeaderValue(value)) sent[name === ':authority' ? 'host' : name] = value;
      else delete sent[name];
    }
    return {
      async ask(phase, messages) {
        const body = phase === 'request' ? { messages } : { choices: messages.map((message) => ({ message })) };
        const { clock, telemetry } = exchange;
        const startedMs = clock.now();
        try {
          const answer = await sideCalls.call({
            server,
            method,
            path: path ?? `/${phase}`,
            headers: sent,
            body: new TextEncoder().encode(JSON.stringify({ body })),
            timeoutMs,
            maxBytes: maxAnswerBytes,
          });
          return verdictIn(new TextDecoder().decode(answer.bytes), phase);
        } finally {
          telemetry.upstreamCall('Guardrail', (clock.now() - startedMs) / 1000, exchange);
        }
      },
    };
  };
}

/** The three kinds of `action` are told apart by their body. One that is neither is a mistake, not a leave to pass. */
function verdictIn(text: string, phase: 'request' | 'response'): Verdict {
  const action = membersOf(membersOf(parseValue(text)).action, 'the webhook answered without an action');
  const { body, status_code: status } = action;
  if (body === undefined || body === null) return { kind: 'pass' };
  if (typeof body === 'string') {
    if (typeof status !== 'number' || !Number.isInteger(status) || status < 200 || status > 599) {
      throw new Error('the webhook refuses without a status_code');
    }
    const verbatim = { text: body, contentType: undefined };
    return { kind: 'reject', error: new GatewayError('guard_rejected', body, { status, verbatim }) };
  }
  const members = membersOf(body);
  const list = phase === 'request' ? members.messages : members.choices;
  if (!Array.isArray(list)) throw new Error('the webhook masks without messages or choices');
  return { kind: 'mask', messages: list.map((one: unknown) => messageIn(phase === 'request' ? one : membersOf(one).message)) };
}

function messageIn(value: unknown): PlainMessage {
  const { role = '', content } = membersOf(value);
  if (typeof role !== 'string' || typeof content !== 'string') throw new Error('the webhook gave a message without content');
  return { role, content };
}

function membersOf(value: unknown, message = 'the webhook answered something else than expected'): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error(message);
  return value as Record<string, unknown>;
}
