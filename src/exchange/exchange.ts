/** The request itself, and what it is handed to read its body, to count and to be tried again. */
import type { GatewayError } from '../errors.ts';
import type { SignedCaller } from '../http/signed-caller.ts';
import type { Clock, Peer } from '../platform.ts';
import type { Call } from './call.ts';
import type { Claims, Identity } from './caller.ts';
import type { Protocol } from './protocol.ts';
import type { AttemptRecord, Outcome, Trace, Usage } from './record.ts';
import type { Wait, Work } from './work.ts';

/** One request from its first byte to its answer's last. Written by the stages it passes, read by the log at the end. */
export interface Exchange {
  readonly id: string;
  readonly request: Request;
  readonly peer: Peer;
  readonly clock: Clock;
  /** Milliseconds on `clock.now()`. */
  readonly startedMs: number;
  /**
   * The request as the policies see and edit it (`transformations`): what the client sent until one of them says otherwise.
   * `request` itself is never rebuilt, and never asked for these.
   */
  method: string;
  /** Undecoded, without query. */
  path: string;
  /** Empty, or from `?` on. */
  query: string;
  /** Lower case, without port; empty when there was none. */
  host: string;
  /** Not to be edited in place: on some runtimes these are the request's own, which cannot be. `editHeaders` makes a copy. */
  headers: Headers;
  /** How a body is read, when somebody asks for it. The same object for all exchanges of a plan. */
  readonly bodies: BodyReader;
  /** The body without its content-encoding, once it has been read, or what a policy has put in its place. */
  heldBody: Uint8Array | undefined;
  /** For `bodies` alone: the reading that was begun first. A field, because a WeakMap of exchanges costs every request more. */
  bodyReading: Promise<Uint8Array> | undefined;
  /** For `bodies` alone: the body as it was sent, where somebody read it so and it has a content-encoding. */
  sentBody: { readonly bytes: Uint8Array; readonly encoding: string } | undefined;
  /** Policies that still want `heldBody` when the answer is there: `release` leaves it until then. */
  bodyHolds: number;

  /** Set by the gateway as it walks the plan. */
  listenerName: string;
  gatewayName: string;
  routeName: string;
  /** The path prefix that the matched route asked for, when it matched by prefix. For `urlRewrite.path.prefix`. */
  matchedPrefix: string | undefined;
  protocol: Protocol | undefined;

  /** Set by policies. */
  identity: Identity | undefined;
  /** What policies found out about the caller, by CEL variable; undefined until one has something to tell. */
  claims: Claims | undefined;
  /** What a Corral in front has said of the caller, and proven; undefined: it is a client of this Corral itself. */
  relayed?: SignedCaller | undefined;
  /** CEL's `metadata`, set by transformations. */
  metadata: Record<string, unknown> | undefined;
  /** Request headers (lower case) that a policy has used up, such as a verified key: they go to no upstream. */
  readonly consumedHeaders: Set<string>;
  /** On `clock.now()`; headers must be there by then. Undefined: no limit. */
  deadlineMs: number | undefined;
  retry: RetryRule | undefined;

  /** Headers for whatever answer leaves, unless it has them already: limits that were found on the way. */
  answerHeaders: Record<string, string> | undefined;
  /** A policy around the route reads or changes the answer's body: it is handed out as a web stream and not piped beside it. */
  answerIsRead: boolean;
  /** Run once, when the exchange has ended, before it is logged. `atEnd` adds to them. At most 32. */
  endings: ((exchange: Exchange, endedMs: number) => void)[] | undefined;
  /** What is counted beside the exchange itself. The same object for all exchanges of a plan. */
  readonly telemetry: Telemetry;
  /** Undefined where nothing is traced. */
  trace: Trace | undefined;

  /** Set once the body of an inference request is understood. */
  call: Call | undefined;

  /** What the call asks of a box; undefined until placement has looked at it. */
  work: Work | undefined;

  /** The exchange that this one is a part of, where a big batch goes out in parts. The log and the metrics only ever see the whole. */
  readonly whole?: Exchange;

  /** Set while upstreams are tried. */
  readonly attempts: AttemptRecord[];
  /** What is being waited for before an upstream is asked: for heartbeats. */
  wait: Wait | undefined;
  /** How long it has waited for slots of boxes, all of them together, and its place in the last line when it came there; left out: not at all. */
  queuedMs?: number;
  queuePosition?: number;
  /** Told when the client leaves an answer that has headers but no upstream yet; see `onGone`. */
  departures: (() => void)[] | undefined;
  /** The client has left, as far as somebody was told by `onGone`; left out: not that anybody knows. */
  hasLeft?: boolean;
  /** Said to the client in `x-corral-warning` and in the log; short, without secrets. At most 8. */
  readonly warnings: string[];

  /** True once an upstream's body is on its way to the client: the tap ends the exchange, at the last byte. */
  isRelayed: boolean;
  /** True once the answer, as the policies have left it, was handed to the runtime. */
  isAnswered: boolean;
  /** True once it was counted as over. */
  isEnded?: boolean;
  /** Known at the end. */
  status: number;
  requestModel: string | undefined;
  responseModel: string | undefined;
  usage: Usage | undefined;
  firstByteMs: number | undefined;
  /** Bytes of the answer's body that were given on, as far as Corral counted them. */
  answerBytes: number;
  /** The text that the model said, 64 KiB at most; only where `telemetry.wantsCompletion`. */
  completion: string | undefined;
  outcome: Outcome | undefined;
  error: GatewayError | undefined;
}

/** When to try again: `statuses`, `condition` and failures to get an answer, until `attempts` tries have been made in all. */
export interface RetryRule {
  /** The first try included. */
  readonly attempts: number;
  readonly statuses: ReadonlySet<number>;
  /** Before an upstream is asked again that has been asked already. */
  readonly backoffMs: number;
  /** CEL of the answer: true means that it is worth another try. */
  readonly condition?: ((exchange: Exchange, answer: AnswerSeen) => boolean) | undefined;
  /** What further tries there may be for all requests together; undefined: no such limit. */
  readonly budget?: RetryBudget | undefined;
}

/** Keeps a storm of retries from making an outage worse. */
export interface RetryBudget {
  /** A request has made its first try. */
  deposit(nowMs: number): void;
  /** Whether one more further try may be made; takes it from what is left. */
  withdraw(nowMs: number): boolean;
}

/** An upstream's answer as CEL's `response` sees it. */
export interface AnswerSeen {
  readonly status: number;
  readonly headers: Headers;
  readonly body?: Uint8Array | undefined;
}

/** Reads request bodies within the plan's limits. */
export interface BodyReader {
  /**
   * The body without its content-encoding, read once however often it is asked for; counted against what the process may
   * hold until `release`. Throws body_too_large (above the plan's limit, or `maxBytes` where that is less),
   * body_timeout, overloaded, unsupported_encoding, invalid_body.
   */
  read(exchange: Exchange, maxBytes?: number): Promise<Uint8Array>;
  /** The same with its content-encoding, for whoever only hands it on; only where nobody has read it yet. */
  readAsSent(exchange: Exchange): Promise<Uint8Array>;
  /** Puts another body in its place. Throws overloaded where there is no memory for what it is longer. */
  replace(exchange: Exchange, bytes: Uint8Array): void;
  /** Nobody will ask for it again, but for `bodyHolds`: its memory is free. Safe to call at any time, more than once. */
  release(exchange: Exchange): void;
}

export type UpstreamCallKind = 'Http' | 'Llm' | 'ExtAuthz' | 'Guardrail' | 'Mirror';

/** What happens on a request's way and is not to be read off the exchange at its end. Costs nothing where nobody counts. */
export interface Telemetry {
  guardCheck(phase: 'Request' | 'Response', action: 'Allow' | 'Mask' | 'Reject' | 'FailOpen'): void;
  /** One call to a server, made by a policy. With the exchange it was made for it also becomes a span of its trace. */
  upstreamCall(kind: UpstreamCallKind, seconds: number, exchange?: Exchange): void;
  /** Whether anything (a log field, a trace attribute) wants the texts of prompts or completions kept. */
  readonly wantsPrompt: boolean;
  readonly wantsCompletion: boolean;
  /** A further try was due, and there was no retry budget left for it. */
  retryRefused?(): void;
  /** A wait for a slot of this box is over. */
  queueWait?(box: string, seconds: number): void;
  /** A call got no slot of this box: `full`, `timeout` or `deadline`. */
  queueRejected?(box: string, reason: string): void;
  /** A box has cut a prompt to fit its context. */
  promptTruncated?(model: string, box: string): void;
}

export const noTelemetry: Telemetry = {
  guardCheck: () => undefined,
  upstreamCall: () => undefined,
  wantsPrompt: false,
  wantsCompletion: false,
};
