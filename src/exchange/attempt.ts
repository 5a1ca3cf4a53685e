/** One try of a request at one upstream, and how its upstream is judged by it. */
import type { JsonDraft } from '../json/object-text.ts';
import type { AnswerSeen, Exchange } from './exchange.ts';
import type { Protocol } from './protocol.ts';
import type { AnswerRewrite } from './rewrite.ts';
import type { Upstream } from './upstream.ts';

/** One try's request, edited by policies until it leaves. */
export interface Outgoing {
  method: string;
  /** Undecoded, from `/` on. */
  path: string;
  /** Empty, or from `?` on. */
  query: string;
  /** The Host header when it shall differ from the upstream's own authority. */
  authority: string | undefined;
  /** Lower-case names; set, replaced and deleted freely. Holds no hop-by-hop and no content-length header. */
  headers: Record<string, string>;
}

/** One try at one upstream. */
export interface Attempt {
  readonly exchange: Exchange;
  readonly upstream: Upstream;
  /** The upstream is spoken to as an Ollama box. */
  readonly isBox: boolean;
  readonly outgoing: Outgoing;
  /** Present when the call has a JSON body: read and edited member by member, exact in everything that is not touched. */
  body: JsonDraft | undefined;
  /** What is sent instead of the request's body, where there is no `body` to edit. */
  replacedBody?: Uint8Array | undefined;
  /** The protocol that the upstream is spoken to in; the client's, unless the call is translated. */
  protocol: Protocol | undefined;
  /** What changes the answer on its way back, in this order. Undefined, as nearly always: its bytes pass as they come. */
  rewrites: AnswerRewrite[] | undefined;
  /** Until headers; undefined: no limit of the policy's. */
  timeoutMs: number | undefined;
  /** The prompt's tokens by estimate, where the provider's `tokenize` asks for one: limits take them up front. */
  promptTokens?: number | undefined;
}

/**
 * Edits one try before it leaves. Compiled once from a policy; may throw GatewayError. A Response it gives is the answer:
 * nothing is sent then, and nothing else is tried.
 */
// biome-ignore lint/suspicious/noConfusingVoidType: an edit that only edits returns nothing at all
export type AttemptEdit = (attempt: Attempt) => void | Response | Promise<void | Response>;

/** Edits the headers of an upstream's answer, in place, before anybody else sees it. */
export type AnswerEdit = (exchange: Exchange, answer: { readonly status: number; readonly headers: Headers }) => void;

/** When an upstream counts as unhealthy, and for how long it is left alone then. */
export interface HealthRule {
  /** Judges an answer. A failure to get one is always unhealthy. */
  isUnhealthy(exchange: Exchange, answer: AnswerSeen): boolean;
  readonly eviction: EvictionRule | undefined;
}

export interface EvictionRule {
  readonly durationMs: number | undefined;
  /** 0 to 1: the health score that an upstream comes back with; undefined leaves it as it is. */
  readonly restoreHealth: number | undefined;
  readonly consecutiveFailures: number | undefined;
  /** 0 to 1: below it an unhealthy answer evicts. */
  readonly healthThreshold: number | undefined;
  /** Without `durationMs` and a time of the answer's own: true evicts for a few seconds, false not at all. */
  readonly hasDefault: boolean;
}
