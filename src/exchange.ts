/**
 * The types that travel with a request. Policies, protocols, backends, the fleet and the log do not know each other; what
 * they must tell each other, they tell here.
 *
 * exchange: one request from its first byte to its answer's last · call: its decoded body · attempt: one try at one upstream.
 */
import type { GatewayError } from './errors.ts';
import type { JsonDraft, ObjectText } from './json/object-text.ts';
import type { Clock, Peer, UpstreamTls } from './platform.ts';
import type { StreamSeen, StreamShape, TokenCounts } from './streams/shape.ts';

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

  /** Set while upstreams are tried. */
  readonly attempts: AttemptRecord[];
  /** Said to the client in `x-corral-warning` and in the log; short, without secrets. At most 8. */
  readonly warnings: string[];

  /** True once an upstream's body is on its way to the client: the tap ends the exchange, at the last byte. */
  isRelayed: boolean;
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
  /** Puts another body in its place. */
  replace(exchange: Exchange, bytes: Uint8Array): void;
  /** Nobody will ask for it again: its memory is free. Safe to call at any time, more than once. */
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

/** The headers as a copy that may be edited; every later look at `exchange.headers` sees the edits. */
export function editHeaders(exchange: Exchange): Headers {
  if (exchange.headers === exchange.request.headers) exchange.headers = new Headers(exchange.headers);
  return exchange.headers;
}

/** Adds a header to whatever answer leaves. */
export function addAnswerHeader(exchange: Exchange, name: string, value: string): void {
  exchange.answerHeaders ??= {};
  exchange.answerHeaders[name] = value;
}

export interface AttemptRecord {
  readonly upstream: Upstream;
  readonly startedMs: number;
  /** When its headers were there, or it had failed. */
  answeredMs?: number | undefined;
  status: number | undefined;
  error: GatewayError | undefined;
}

/** The decoded body of an inference request. */
export interface Call {
  readonly protocol: Protocol;
  /** The JSON body; undefined for multipart, whose bytes pass as they came. */
  readonly body: ObjectText | undefined;
  /** The request body's bytes as received, inflated. */
  readonly bytes: Uint8Array;
  /** As the client wrote it; undefined when it named none. */
  readonly model: string | undefined;
  /** The answer will be a stream of events. */
  readonly isStream: boolean;
  /** Whether the client itself asked for usage in the stream (OpenAI's `stream_options.include_usage`). */
  readonly wantsUsage: boolean;
  /** What the protocol changes on the way to a box because Ollama would drop it silently. Member name → value, undefined deletes. */
  readonly boxChanges: ReadonlyMap<string, unknown>;
  /** What the client should know when the call goes to a box: for `Exchange.warnings`. */
  readonly boxWarnings?: readonly string[];
  /** For forms: the bytes with another model named in them. */
  readonly bytesFor?: (model: string) => Uint8Array;
  /** Thrown instead of sending the call to a box: Ollama would answer as if all were well. Other hosts may serve it. */
  readonly boxRefusal?: GatewayError | undefined;
}

/** One base URL that answers: a box, or another OpenAI-compatible server, or any host. */
export interface Upstream {
  /** Shown to people: the backend's name in the YAML, unique in the plan. Never a URL with secrets. */
  readonly name: string;
  /** Scheme and authority, `http://localhost:11434`, no path, no trailing slash. */
  readonly baseUrl: string;
  /** What the configuration says: `box` is presumed for OpenAI-compatible URLs without a vendor credential. */
  readonly kind: 'box' | 'openai' | 'host';
  readonly tls: UpstreamTls | undefined;
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

/** How a call is put to an upstream that cannot speak the client's protocol. Made once per pair of protocols; keeps nothing. */
export interface Translation {
  /** The protocol spoken to the upstream. */
  readonly upstream: Protocol;
  /** The body for the upstream. Throws GatewayError unsupported_parameter for what it has no words for. */
  request(bytes: Uint8Array): { readonly bytes: Uint8Array; readonly warnings: readonly string[] };
  /** Brings one answer, whole or streamed, error or not, back into the client's protocol. */
  rewriteFor(call: Call): AnswerRewrite;
}

/** Edits the headers of an upstream's answer, in place, before anybody else sees it. */
export type AnswerEdit = (exchange: Exchange, answer: { readonly status: number; readonly headers: Headers }) => void;

/** Changes an answer's body on its way to the client: a translation, a guard. Made per try. */
export interface AnswerRewrite {
  /** A whole answer of text. `status` is the upstream's; what is returned goes on. May throw GatewayError instead. */
  whole(text: string, status: number): RewrittenAnswer | Promise<RewrittenAnswer>;
  /** One stream of events, whose bytes come in any chunking; undefined leaves streams alone. */
  stream(): StreamRewrite | undefined;
}

export interface RewrittenAnswer {
  readonly text: string;
  /** When it changes too. */
  readonly status?: number;
  readonly contentType?: string;
  /** For a rejection with headers of its own. Lower case. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** Bytes in, bytes out. What it holds back is bounded, and comes out at the end. */
export interface StreamRewrite {
  /** The content type that goes with what comes out, when it is another one. */
  readonly contentType?: string;
  push(chunk: Uint8Array): Uint8Array | Promise<Uint8Array>;
  /** The stream has ended, whole or with the error event that was the last chunk. */
  end(): Uint8Array | Promise<Uint8Array>;
  /** True once it has ended the stream itself: what came out was the last, the upstream is let go. */
  readonly isOver: boolean;
}

// ---------------------------------------------------------------------------------------------------------------------

export type { EventFacts, StreamSeen, StreamShape, TokenCounts } from './streams/shape.ts';

/** One wire protocol: what the gateway must know of it. Bodies pass through as they came; nothing is whitelisted. */
export interface Protocol {
  /** Its name in logs and in `ai.routes` where agentgateway has one. */
  readonly name: string;
  readonly family: 'openai' | 'anthropic' | 'ollama';
  /**
   * inference: runs a model; retried and failed over. list, show: answered with what Corral knows of all boxes.
   * probe: version and liveness. management: needs the admin scope. estimate: answered by the box or estimated here.
   */
  readonly kind: 'inference' | 'list' | 'show' | 'probe' | 'management' | 'estimate';
  readonly methods: readonly string[];
  /** The exact path on a box; a `:id` segment at the end stands for a model's name and may contain slashes. */
  readonly path: string;
  /** `gen_ai.operation.name`. */
  readonly operation: 'chat' | 'text_completion' | 'embeddings' | 'transcription' | 'none';
  readonly body: 'json' | 'multipart' | 'none';
  /** What `stream` means when the request does not say. */
  readonly streamsByDefault: boolean;
  /** Undefined for protocols that never stream. */
  readonly stream: StreamShape | undefined;
  /** Token counts of a whole JSON answer. Never throws. */
  usageOf(answer: unknown): TokenCounts | undefined;
  /** Reads one request: refuses (GatewayError) what cannot be served, and says what must change on the way to a box. */
  readCall(body: ObjectText, allowed?: CallAllowances): CallReading;
  /** The error as this protocol's clients expect it. */
  errorBody(error: GatewayError, exchangeId: string): { contentType: string; text: string };
  /** The error as the last event of a stream that has begun; complete frames, `\n` ended. */
  errorInStream(error: GatewayError, exchangeId: string, seen?: StreamSeen): string;
  /** Where its bodies hold texts that people and models wrote. Undefined: nothing in them is guarded. */
  readonly texts?: ProtocolTexts | undefined;
}

/** Kinds of content that a guard's `scope` names. */
export type TextScope = 'systemPrompt' | 'messages' | 'toolInput' | 'toolOutput';

export interface PlainMessage {
  readonly role: string;
  readonly content: string;
}

/** A text in a body; what is put in its place is written out with the body. */
export interface EditableText {
  text: string;
}

export interface RequestText extends EditableText {
  readonly scope: TextScope;
  readonly role: string;
  /** Which message it belongs to, in the order of the conversation. */
  readonly message: number;
}

export interface AnswerText extends EditableText {
  /** Which choice, or which block of content. */
  readonly choice: number;
  /** The answer itself; false for reasoning, refusals, arguments of tools and what else is said beside it. */
  readonly isMain: boolean;
}

/** A piece of a text that a stream brings bit by bit. */
export interface StreamPiece extends EditableText {
  /** The text that it belongs to. */
  readonly lane: string;
  /** Lanes of one group come one after the other: when another one begins, the one before has ended. */
  readonly group: string;
  readonly isMain: boolean;
  /** An event that carries only this lane, with this text. */
  alone(text: string, sequence: number | undefined): { readonly event: string | undefined; readonly data: string };
}

/** A text that comes whole, in a stream. */
export interface StreamWhole extends EditableText {
  /** It repeats what came in this lane. */
  readonly lane?: string | undefined;
  readonly isMain?: boolean;
}

export interface OpenedEvent {
  readonly pieces: readonly StreamPiece[];
  readonly wholes: readonly StreamWhole[];
  /** Lanes, or groups of them, that end with this event. */
  readonly ends: readonly string[] | 'all';
  /** Its number, where the protocol counts events. Set it to write another one. */
  sequence: number | undefined;
  /** The event's data. What tells generated text beside the text itself (log probabilities) is left out of it. */
  write(): string;
}

/** Where a protocol's bodies hold texts, for those who read and change them. Unknown members of answers count as texts. */
export interface ProtocolTexts {
  openRequest(body: JsonDraft): { readonly texts: readonly RequestText[]; write(): void };
  /** Adds messages before and behind the client's. */
  addMessages(body: JsonDraft, prepend: readonly PlainMessage[], append: readonly PlainMessage[]): void;
  /** Puts a conversation in place of the client's. */
  replaceMessages(body: JsonDraft, messages: readonly PlainMessage[]): void;
  /** Undefined: this is no JSON object. */
  openAnswer(text: string): { readonly texts: readonly AnswerText[]; write(): string } | undefined;
  /** Undefined: this is no JSON object. */
  openEvent(data: string): OpenedEvent | undefined;
  /** Later events repeat whole lanes. */
  readonly repeatsLanes: boolean;
}

/** What the configuration lets calls do that is off unless said (design decision 15). */
export interface CallAllowances {
  /** Server-side `web_search` tools, which a box runs through ollama.com. */
  readonly webSearch?: boolean;
}

export interface CallReading {
  readonly isStream: boolean;
  readonly wantsUsage: boolean;
  readonly boxChanges: ReadonlyMap<string, unknown>;
  /** True only for boxes: other hosts may honour what Ollama drops. */
  readonly warnings: readonly string[];
  readonly boxRefusal?: GatewayError | undefined;
}

// ---------------------------------------------------------------------------------------------------------------------

/** One model as one box tells of it. */
export interface KnownModel {
  /** `name:tag` as the box spells it. */
  readonly name: string;
  readonly digest: string;
  /** The item of `/api/tags`, exact. */
  readonly tag: string;
  readonly sizeBytes: number;
  readonly modifiedAt: string;
  /** Set for models that Ollama's cloud would serve. */
  readonly remoteHost: string | undefined;
}

/** What Corral knows of the boxes. Reading costs no waiting; asking is bounded and shared by all who ask at once. */
export interface Fleet {
  /** Whether this upstream answers as Ollama: the configuration's presumption until a probe has told. */
  isBox(upstream: Upstream): boolean;
  /** Undefined: never asked, or not lately. */
  isAlive(upstream: Upstream): boolean | undefined;
  /** By canonical name (`canonicalModel`); undefined when the box's list is not known. */
  hasModel(upstream: Upstream, model: string): boolean | undefined;
  /** Whether the box would hand this model on to Ollama's cloud, as far as its list tells. */
  isRemote(upstream: Upstream, model: string): boolean;
  /** Undefined when not known. */
  isResident(upstream: Upstream, model: string): boolean | undefined;
  /** Requests under way at this upstream, counted by Corral. */
  inFlight(upstream: Upstream): number;
  /** `GET /api/version` (any answer counts for other hosts), 2 s at most, shared by all who ask at once. */
  checkAlive(upstream: Upstream): Promise<boolean>;
  /** `/api/ps` now, 2 s at most: is the model in memory? Undefined when the box does not tell. */
  checkResident(upstream: Upstream, model: string): Promise<boolean | undefined>;
  /** An attempt met this fate: keeps liveness current between probes. */
  noteAnswer(upstream: Upstream): void;
  noteFailure(upstream: Upstream, error: GatewayError): void;
  enter(upstream: Upstream): void;
  leave(upstream: Upstream): void;
}
