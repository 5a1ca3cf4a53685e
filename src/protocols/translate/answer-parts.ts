/** A chat completion taken apart, before it is put together again in another protocol's words. */
import type { ReasoningName } from './reasoning-mark.ts';

export type AnswerPart =
  | { readonly kind: 'text' | 'refusal' }
  | { readonly kind: 'thinking'; readonly name: ReasoningName }
  | { readonly kind: 'tool'; readonly id: string; readonly name: string };

export interface FilledPart {
  readonly part: AnswerPart;
  /** Of a tool: its arguments, as the model wrote them. */
  readonly text: string;
}

export interface AnswerHead {
  readonly id: string;
  readonly model: string;
  /** Seconds since 1970. */
  readonly created: number;
}

export interface TokenCounts {
  /** All that went in, what came from a cache included. */
  readonly input: number;
  readonly cached: number;
  readonly cacheWritten: number;
  readonly output: number;
  readonly reasoning: number;
}

export interface AnswerEnd {
  readonly reason: 'stop' | 'length' | 'tools' | 'filtered';
  /** The sequence that ended it, where the server tells. */
  readonly stopSequence: string | undefined;
  /** Undefined where the server never told. */
  readonly usage: TokenCounts | undefined;
}

/** An error of an upstream's, as far as it can be understood. */
export interface UpstreamError {
  readonly message: string;
  readonly type: string | undefined;
  readonly code: string | number | undefined;
  readonly param: string | undefined;
}

/** Writes an answer while it comes. Parts follow one another; each method gives what is to be sent. */
export interface AnswerWriter {
  begin(head: AnswerHead): string;
  open(part: AnswerPart): string;
  more(text: string): string;
  close(): string;
  end(end: AnswerEnd): string;
  fail(error: UpstreamError): string;
  /** The server lives, and has nothing to say yet. */
  alive(): string;
  /** It has to keep more than it may: the answer must break off. */
  readonly isFull: boolean;
}
