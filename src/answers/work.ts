/** What a call asks of a box, read off the request. */
import type { Call, Exchange, Work } from '../exchange.ts';
import { memberObject } from '../json/nested.ts';
import { conversationOf, earlierShareOf, promptTokensOf } from '../protocols/conversation.ts';
import { numCtxHeader } from '../protocols/translate/ollama-asked.ts';
import { type ShareSetting, shareOf } from './share.ts';

export interface WorkSetting {
  readonly queue: { readonly share: ShareSetting };
  readonly affinity: { readonly enabled: boolean; readonly headers: readonly string[] };
}

/** `urgency`: where it is not for the caller to say. */
export function workOf(exchange: Exchange, call: Call, setting: WorkSetting, urgency?: Work['urgency']): Work {
  return new CallWork(exchange, call, setting, urgency);
}

type Share = ReturnType<typeof shareOf>;

/** The prompt, and who shares, are looked at when somebody asks, once: where there is one box, and no queue, nobody does. */
class CallWork implements Work {
  readonly use: Work['use'];
  readonly #exchange: Exchange;
  readonly #call: Call;
  readonly #setting: WorkSetting;
  readonly #urgency: Work['urgency'] | undefined;
  #share: Share | undefined;
  #promptTokens: number | undefined;
  #earlierShare: number | undefined;
  #conversation: { readonly text: string | undefined } | undefined;

  constructor(exchange: Exchange, call: Call, setting: WorkSetting, urgency: Work['urgency'] | undefined) {
    this.use = call.protocol.operation === 'embeddings' ? 'embed' : 'generate';
    this.#exchange = exchange;
    this.#call = call;
    this.#setting = setting;
    this.#urgency = urgency;
  }

  get sharer(): string {
    return this.#shared.sharer;
  }

  get weight(): number {
    return this.#shared.weight;
  }

  get urgency(): Work['urgency'] {
    return this.#urgency ?? this.#shared.urgency;
  }

  get #shared(): Share {
    this.#share ??= shareOf(this.#exchange, this.#setting.queue.share);
    return this.#share;
  }

  /** What an owner of the box elsewhere is told (JSON sees no getters): who shares, and nothing of the prompt. */
  toJSON(): Pick<Work, 'sharer' | 'weight' | 'urgency' | 'use'> {
    return { sharer: this.sharer, weight: this.weight, urgency: this.urgency, use: this.use };
  }

  get promptTokens(): number {
    this.#promptTokens ??= promptTokensOf(this.#call);
    return this.#promptTokens;
  }

  get earlierTokens(): number {
    this.#earlierShare ??= this.conversation === undefined ? 0 : earlierShareOf(this.#call);
    return Math.floor(this.promptTokens * this.#earlierShare);
  }

  get numCtx(): number | undefined {
    const { body } = this.#call;
    const asked =
      this.#exchange.headers.get(numCtxHeader) ??
      (body?.has('options') ? memberObject(body, 'options')?.get('num_ctx') : undefined) ??
      (body?.has('num_ctx') ? body.get('num_ctx') : undefined);
    // What is no number is refused when the call is made ready for a box.
    const numCtx = typeof asked === 'string' ? Number(asked) : asked;
    return typeof numCtx === 'number' && numCtx > 0 && Number.isSafeInteger(numCtx) ? numCtx : undefined;
  }

  /** As Ollama asks for it before it loads (server/routes.go, scheduleRunner). What a box forgives, as thinking in Messages, is not there. */
  get needs(): NonNullable<Work['needs']> {
    const { body, boxChanges, protocol } = this.#call;
    if (body === undefined) return [];
    const asked = (name: string) => (boxChanges.has(name) ? boxChanges.get(name) : body.has(name) ? body.get(name) : undefined);
    const needs: NonNullable<Work['needs']>[number][] = [];
    const tools = asked('tools');
    if (Array.isArray(tools) && tools.length > 0) needs.push('tools');
    if (isThinking(asked('think')) || isThinking(asked('reasoning_effort'))) needs.push('thinking');
    if (protocol.operation === 'text_completion' && isText(asked('suffix'))) needs.push('insert');
    return needs;
  }

  get conversation(): string | undefined {
    const { enabled, headers } = this.#setting.affinity;
    if (!enabled) return undefined;
    this.#conversation ??= { text: conversationOf(this.#call, this.#exchange.headers, headers) };
    return this.#conversation.text;
  }
}

function isThinking(asked: unknown): boolean {
  return asked === true || (isText(asked) && asked !== 'none');
}

function isText(value: unknown): boolean {
  return typeof value === 'string' && value !== '';
}
