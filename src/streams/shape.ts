/**
 * What `streams/` asks of a protocol. The same contract as StreamShape in exchange.ts, said again because that file stands above
 * this folder; the tap's unit test holds the two together.
 */

export interface EventFacts {
  usage?: { inputTokens: number; outputTokens: number };
  isUsageOnly?: boolean;
  failed?: string;
  model?: string;
  answerId?: string;
}

export interface StreamShape {
  readonly framing: 'sse' | 'ndjson';
  readonly telling: readonly string[];
  factsOf(data: string, event: string | undefined): EventFacts;
  isTerminator(data: string, event: string | undefined): boolean;
}

/** What was seen of a stream until it broke, for the error that ends it. */
export interface StreamSeen {
  readonly answerId?: string | undefined;
  readonly model?: string | undefined;
  readonly events?: number | undefined;
}
