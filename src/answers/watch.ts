/** What is watched of an answer on its way to the client: whether its upstream still lives, and what the bytes tell. */
import type { Answered } from '../backends/send.ts';
import { GatewayError } from '../errors.ts';
import type { Call, Exchange, Lease, Outcome, Protocol, StreamSeen, StreamShape, Upstream } from '../exchange.ts';
import { contentLengthOf } from '../http/hop-headers.ts';
import type { Tap } from '../platform.ts';
import type { StreamWatch, WatchedStream } from '../streams/idle.ts';
import {
  type AnswerTapOptions,
  createAnswerTap,
  createEventTap,
  createPlainTap,
  type EventTapOptions,
  type TapListeners,
  type TapReport,
} from '../streams/tap.ts';
import type { AnswerTools } from './tools.ts';

const outcomeOf: Readonly<Record<TapReport['how'], Outcome>> = {
  completed: 'completed',
  broken: 'broken',
  abandoned: 'abandoned',
};

/** Eyes on one answer that is under way. */
export interface Watch {
  /** The name of who answers, where that is no box. */
  readonly server: string | undefined;
  readonly lease: Lease | undefined;
  /** Of the stream as the upstream sends it. */
  readonly silence: StreamWatch;
  stop(): void;
  /** Why Corral itself gave the answer up; undefined when it did not. */
  readonly death: string | undefined;
}

/**
 * Counts the answer as under way at its upstream, and ends it when the upstream dies in silence. `model`: what the box answers with;
 * a box that answers probes but has not got it in memory any more was started anew, and its old connections will never say so.
 */
export function watchAnswer(upstream: Upstream, answered: Answered, tools: AnswerTools, model?: string): Watch {
  return new AnswerWatch(upstream, answered, tools, model);
}

/** One object and not several with closures: every answer makes one. */
class AnswerWatch implements Watch, WatchedStream {
  readonly lease: Lease | undefined;
  death: string | undefined;
  readonly #upstream: Upstream;
  readonly #answered: Answered;
  readonly #fleet: AnswerTools['fleet'];
  readonly #model: string | undefined;
  readonly silence: StreamWatch;
  #isGone = true;

  constructor(upstream: Upstream, answered: Answered, { fleet, idle }: AnswerTools, model: string | undefined) {
    this.lease = answered.lease;
    this.#upstream = upstream;
    this.#answered = answered;
    this.#fleet = fleet;
    this.#model = model;
    if (this.lease === undefined) fleet.enter(upstream);
    this.silence = idle.watch(this);
  }

  get server(): string | undefined {
    return this.#fleet.isBox(this.#upstream) ? undefined : this.#upstream.name;
  }

  async isStillAlive(): Promise<boolean> {
    const upstream = this.#upstream;
    const model = this.#model;
    const fleet = this.#fleet;
    this.#isGone = !(await fleet.checkAlive(upstream));
    // What Ollama's cloud answers is in no box's memory.
    const isHere =
      this.lease !== undefined && model !== undefined && fleet.isProvenBox(upstream) && !fleet.isRemote(upstream, model);
    return !this.#isGone && (!isHere || (await fleet.checkResident(upstream, model)) !== false);
  }

  onDead(): void {
    const why = this.#isGone ? 'answers no probe' : 'has not got the model in memory any more';
    this.death = `${this.#upstream.name} fell silent in the middle of its answer and ${why}.`;
    this.#answered.abort(new GatewayError('upstream_silent', this.death));
  }

  stop(): void {
    this.silence.stop();
    // A lease is ended by what the tap has learnt (`tapFor`), or here where it learnt nothing.
    if (this.lease === undefined) this.#fleet.leave(this.#upstream);
    else this.lease.end();
  }
}

/** Whether an answer is a stream of the protocol's events. */
export function isEventStream(protocol: Protocol | undefined, headers: Headers): boolean {
  const framing = protocol?.stream?.framing;
  if (framing === undefined) return false;
  return (headers.get('content-type') ?? '').startsWith(framing === 'sse' ? 'text/event-stream' : 'application/x-ndjson');
}

/**
 * `protocol` is the one that the upstream speaks; undefined where the answer has no body, or one that nobody understands.
 * `asideAtEnd`: of streams of events, a comment for before the end (streams/event-tap.ts).
 */
export function tapFor(
  exchange: Exchange,
  call: Call | undefined,
  protocol: Protocol | undefined,
  headers: Headers,
  watched: Watch,
  onReport: (report: TapReport) => void,
  asideAtEnd?: (report: TapReport) => Uint8Array | undefined,
): Tap {
  if (protocol?.stream !== undefined && isEventStream(protocol, headers)) {
    // After a translation the extra usage was not asked for on this client's behalf, and goes no further than the translation.
    const removeUsageOnly =
      call !== undefined && call.protocol === protocol && !call.wantsUsage && call.boxChanges.has('stream_options');
    return createEventTap(
      new EventListeners(exchange, watched, onReport, protocol, protocol.stream, removeUsageOnly, asideAtEnd),
    );
  }
  if (protocol !== undefined && (headers.get('content-type') ?? '').startsWith('application/json'))
    return createAnswerTap(new AnswerListeners(exchange, watched, onReport, protocol, contentLengthOf(headers)));
  return createPlainTap(new Listeners(exchange, watched, onReport));
}

/** Tells on what a tap tells. One object for each answer, with what its kind of tap wants to know. */
class Listeners implements TapListeners {
  readonly exchange: Exchange;
  readonly watched: Watch;
  /** By itself, as it is asked for with each chunk. */
  readonly #silence: StreamWatch;
  readonly #onReport: (report: TapReport) => void;

  constructor(exchange: Exchange, watched: Watch, onReport: (report: TapReport) => void) {
    this.exchange = exchange;
    this.watched = watched;
    this.#silence = watched.silence;
    this.#onReport = onReport;
  }

  get server(): string | undefined {
    return this.watched.server;
  }

  onFirstByte(): void {
    this.exchange.firstByteMs = this.exchange.clock.now();
    this.watched.lease?.began();
  }

  onBytes(): void {
    this.#silence.touch();
  }

  onEnd(report: TapReport): void {
    const { how, usage } = report;
    this.watched.lease?.end({ how, promptTokens: usage?.inputTokens, outputTokens: usage?.outputTokens });
    this.#onReport(report);
  }
}

class AnswerListeners extends Listeners implements AnswerTapOptions {
  readonly usageOf: Protocol['usageOf'];
  readonly expectedBytes: number | undefined;

  constructor(
    exchange: Exchange,
    watched: Watch,
    onReport: (report: TapReport) => void,
    { usageOf }: Protocol,
    expectedBytes: number | undefined,
  ) {
    super(exchange, watched, onReport);
    this.usageOf = usageOf;
    this.expectedBytes = expectedBytes;
  }
}

class EventListeners extends Listeners implements EventTapOptions {
  readonly shape: StreamShape;
  readonly removeUsageOnly: boolean;
  readonly asideAtEnd: ((report: TapReport) => Uint8Array | undefined) | undefined;
  readonly #protocol: Protocol;

  constructor(
    exchange: Exchange,
    watched: Watch,
    onReport: (report: TapReport) => void,
    protocol: Protocol,
    shape: StreamShape,
    removeUsageOnly: boolean,
    asideAtEnd: ((report: TapReport) => Uint8Array | undefined) | undefined,
  ) {
    super(exchange, watched, onReport);
    this.asideAtEnd = asideAtEnd;
    this.shape = shape;
    this.removeUsageOnly = removeUsageOnly;
    this.#protocol = protocol;
  }

  errorEvent(message: string, seen: StreamSeen): string {
    const error = new GatewayError('broken_stream', this.watched.death ?? message);
    return this.#protocol.errorInStream(error, this.exchange.id, seen);
  }
}

/** What the tap learned, written into the exchange. */
export function settle(exchange: Exchange, report: TapReport, death: string | undefined): void {
  // One that a policy has let go of before the client had any of it is what is answered instead.
  const isReplaced = report.how === 'abandoned' && !exchange.isAnswered;
  const isError = exchange.status >= 400 && report.how === 'completed';
  exchange.outcome = isReplaced || isError ? undefined : outcomeOf[report.how];
  exchange.responseModel = report.model;
  exchange.answerBytes = report.bytes;
  if (report.usage !== undefined) exchange.usage = { ...report.usage, estimated: false };
  else if (report.events > 0) exchange.usage = { inputTokens: 0, outputTokens: report.events, estimated: true };
  const failure = death ?? report.failure;
  if (failure !== undefined) exchange.error = new GatewayError('broken_stream', failure);
}
