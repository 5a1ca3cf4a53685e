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

/** The prompt is looked at when somebody asks, once: where there is one box, and no queue, nobody does. */
class CallWork implements Work {
  readonly sharer: string;
  readonly weight: number;
  readonly urgency: Work['urgency'];
  readonly use: Work['use'];
  readonly #exchange: Exchange;
  readonly #call: Call;
  readonly #affinity: WorkSetting['affinity'];
  #promptTokens: number | undefined;
  #earlierShare: number | undefined;
  #conversation: { readonly text: string | undefined } | undefined;

  constructor(exchange: Exchange, call: Call, { queue, affinity }: WorkSetting, urgency?: Work['urgency']) {
    const share = shareOf(exchange, queue.share);
    const { sharer, weight } = share;
    this.sharer = sharer;
    this.weight = weight;
    this.urgency = urgency ?? share.urgency;
    this.use = call.protocol.operation === 'embeddings' ? 'embed' : 'generate';
    this.#exchange = exchange;
    this.#call = call;
    this.#affinity = affinity;
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

  get conversation(): string | undefined {
    const { enabled, headers } = this.#affinity;
    if (!enabled) return undefined;
    this.#conversation ??= { text: conversationOf(this.#call, this.#exchange.headers, headers) };
    return this.#conversation.text;
  }
}
