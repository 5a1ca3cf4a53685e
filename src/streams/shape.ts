/** How a protocol's answers look on the wire: all that this room needs to know to watch one. */

/** Token counts as an answer tells them. The optional ones are part of the others. */
export interface TokenCounts {
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly cachedInputTokens?: number | undefined;
  readonly cacheCreationInputTokens?: number | undefined;
  readonly reasoningTokens?: number | undefined;
}

/** What an event of a stream, or a whole JSON answer, tells Corral. */
export interface EventFacts {
  /** Token counts, when this event carries the final ones. */
  usage?: TokenCounts;
  /** This event only exists because Corral asked for usage: it is taken out when the client did not. */
  isUsageOnly?: boolean;
  /** The box reports its own failure in the stream. */
  failed?: string;
  model?: string;
  /** The answer's id, where an error in the stream must repeat it (Responses). */
  answerId?: string;
}

export interface StreamShape {
  readonly framing: 'sse' | 'ndjson';
  /** An event is parsed only when its bytes contain one of these; each is ASCII. Keeps the tap cheap. */
  readonly telling: readonly string[];
  /** Facts of one telling event, given its data: SSE `data` joined, or an NDJSON line. `event` is SSE's event name. Never throws. */
  factsOf(data: string, event: string | undefined): EventFacts;
  /** True for the event after which the stream is whole: `[DONE]`, `message_stop`, `response.completed`, `"done":true`. */
  isTerminator(data: string, event: string | undefined): boolean;
}

/** What was seen of a stream until it broke, for the error that ends it. */
export interface StreamSeen {
  readonly answerId?: string | undefined;
  readonly model?: string | undefined;
  /** Events so far. */
  readonly events?: number | undefined;
}
