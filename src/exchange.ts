/**
 * The types that travel with a request. Policies, protocols, backends, the fleet and the log do not know each other; what
 * they must tell each other, they tell here.
 *
 * exchange: one request from its first byte to its answer's last · call: its decoded body · attempt: one try at one upstream.
 */
import type { GatewayError } from './errors.ts';
import type { Call } from './exchange/call.ts';
import type { Protocol } from './exchange/protocol.ts';
import type { AnswerRewrite } from './exchange/rewrite.ts';
import type { Upstream } from './exchange/upstream.ts';
import type { Wait, Work } from './exchange/work.ts';
import { endToEndHeaders } from './http/hop-headers.ts';
import type { SignedCaller } from './http/signed-caller.ts';
import type { JsonDraft } from './json/object-text.ts';
import type { Clock, Peer } from './platform.ts';

export type { Call, Translation } from './exchange/call.ts';
export type { CallAllowances, CallReading, Heartbeat, Protocol } from './exchange/protocol.ts';
export type { AnswerRewrite, RewrittenAnswer, StreamRewrite } from './exchange/rewrite.ts';
export type {
  AnswerText,
  EditableText,
  OpenedEvent,
  PlainMessage,
  ProtocolTexts,
  RequestText,
  StreamPiece,
  StreamWhole,
  TextScope,
} from './exchange/texts.ts';
export type { BoxOptions, Fleet, KnownModel, LegCaller, ModelFacts, Upstream } from './exchange/upstream.ts';
export type { Ask, Lease, LeaseSeen, Placing, Prediction, Wait, Waiter, Work } from './exchange/work.ts';
export type { EventFacts, StreamSeen, StreamShape, TokenCounts } from './streams/shape.ts';

/** Hono's environment in this house: `c.env` is the exchange itself. */
export interface GatewayEnv {
  Bindings: Exchange;
}

/** Who is calling, as an authentication policy found out. */
export interface Identity {
  /** For logs: the key's `metadata.name` or `metadata.user`, never the key. */
  readonly name: string | undefined;
  readonly isAdmin: boolean;
  /** Patterns of model names (`x`, `x*`, `*x`, `*`); undefined allows all, an empty list none. */
  readonly allowedModels: readonly string[] | undefined;
  readonly metadata: Readonly<Record<string, unknown>>;
}

export interface Usage {
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** Of the input, what came from the server's prompt cache, and what was written into it; where the server tells. */
  readonly cachedInputTokens?: number | undefined;
  readonly cacheCreationInputTokens?: number | undefined;
  /** Of the output, what was thought and not said; where the server tells. */
  readonly reasoningTokens?: number | undefined;
  /** True when Corral counted content events because the box never told. */
  readonly estimated: boolean;
}

/** How an exchange ended, for the log and the metrics. */
export type Outcome = 'completed' | 'failed' | 'broken' | 'abandoned' | 'refused';

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

/** An upstream's answer as CEL's `response` sees it. */
export interface AnswerSeen {
  readonly status: number;
  readonly headers: Headers;
  readonly body?: Uint8Array | undefined;
}

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

/** What is known of the caller beside the key: each member is a CEL variable of that name. */
export interface Claims {
  jwt?: Readonly<Record<string, unknown>>;
  /** The verified token itself, for `backendAuth.passthrough` and `jwt.rawToken`. A secret: never logged, no variable of its own. */
  rawToken?: string;
  basicAuth?: { readonly username: string };
  extauthz?: Readonly<Record<string, unknown>>;
  /** The person behind a shared key, as a trusted client names them in headers. */
  user?: UserClaims;
}

export interface UserClaims {
  readonly id?: string | undefined;
  readonly email?: string | undefined;
  readonly name?: string | undefined;
  readonly role?: string | undefined;
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

/** W3C trace context of an exchange. */
export interface Trace {
  /** 32 and 16 lower-case hexadecimal digits. */
  readonly traceId: string;
  readonly spanId: string;
  readonly isSampled: boolean;
  /** What the next server is told: `traceparent`, and `tracestate` where one came. */
  headersOut(): Readonly<Record<string, string>>;
}

/** At most 8, each once. */
export function addWarning(exchange: Exchange, warning: string): void {
  if (exchange.warnings.length < 8 && !exchange.warnings.includes(warning)) exchange.warnings.push(warning);
}

/** Runs `ending` when the exchange has ended, whatever became of it. */
export function atEnd(exchange: Exchange, ending: (exchange: Exchange, endedMs: number) => void): void {
  exchange.endings ??= [];
  if (exchange.endings.length < 32) exchange.endings.push(ending);
}

/**
 * The headers as a copy that may be edited; every later look at `exchange.headers` sees the edits. What belongs to the client's
 * connection goes now: a header that a policy sets afterwards must not be taken away again because a client named it there.
 */
export function editHeaders(exchange: Exchange): Headers {
  if (exchange.headers === exchange.request.headers) exchange.headers = endToEndHeaders(exchange.headers);
  return exchange.headers;
}

/**
 * Calls `listener` once when the client leaves before an upstream's answer is on its way to it: as the runtime sees it, or, where the
 * answer's headers have left already, as the stream behind them does. One that has left before is told of at once, in a turn of its own.
 */
export function onGone(exchange: Exchange, listener: () => void): void {
  let isTold = false;
  // Some runtimes tell of it in both ways.
  const tell = () => {
    exchange.hasLeft = true;
    if (!isTold) listener();
    isTold = true;
  };
  if (exchange.hasLeft === true) {
    queueMicrotask(tell);
    return;
  }
  exchange.departures ??= [];
  exchange.departures.push(tell);
  exchange.peer.onGone(tell);
}

/** Says to all who asked by `onGone` that the client has left: for whoever sees it where the runtime does not. */
export function tellGone(exchange: Exchange): void {
  const told = exchange.departures ?? [];
  exchange.departures = undefined;
  exchange.hasLeft = true;
  for (const listener of told) listener();
}

/** Adds a header to whatever answer leaves. */
export function addAnswerHeader(exchange: Exchange, name: string, value: string): void {
  exchange.answerHeaders ??= {};
  exchange.answerHeaders[name] = value;
}

export interface AttemptRecord {
  readonly upstream: Upstream;
  /** False where one that was taken for a box is a server of another kind, as its answers have shown. */
  readonly isOllama?: boolean;
  readonly startedMs: number;
  /** When its headers were there, or it had failed. */
  answeredMs?: number | undefined;
  status: number | undefined;
  error: GatewayError | undefined;
  /** From when its box was chosen: what was predicted until the first token, and how long a slot and a load were waited for. */
  readonly predictedMs?: number | undefined;
  readonly waitedMs?: number | undefined;
}

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
