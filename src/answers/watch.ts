/** What is watched of an answer on its way to the client: whether its upstream still lives, and what the bytes tell. */
import type { Answered } from '../backends/send.ts';
import { GatewayError } from '../errors.ts';
import type { Call, Exchange, Lease, Outcome, Protocol, Upstream } from '../exchange.ts';
import { contentLengthOf } from '../http/hop-headers.ts';
import type { Tap } from '../platform.ts';
import { createAnswerTap, createEventTap, createPlainTap, type TapReport } from '../streams/tap.ts';
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
  touch(): void;
  /** Of the stream as the upstream sends it; see `StreamWatch.beat`. */
  beat(everyMs: number, listener: () => boolean): void;
  stop(): void;
  /** Why Corral itself gave the answer up; undefined when it did not. */
  readonly death: string | undefined;
}

/**
 * Counts the answer as under way at its upstream, and ends it when the upstream dies in silence. `model`: what the box answers with;
 * a box that answers probes but has not got it in memory any more was started anew, and its old connections will never say so.
 */
export function watchAnswer(upstream: Upstream, answered: Answered, { fleet, idle }: AnswerTools, model?: string): Watch {
  const { lease } = answered;
  if (lease === undefined) fleet.enter(upstream);
  let death: string | undefined;
  let isGone = true;
  const silence = idle.watch({
    async isStillAlive() {
      isGone = !(await fleet.checkAlive(upstream));
      // What Ollama's cloud answers is in no box's memory.
      const isHere =
        lease !== undefined && model !== undefined && fleet.isProvenBox(upstream) && !fleet.isRemote(upstream, model);
      return !isGone && (!isHere || (await fleet.checkResident(upstream, model)) !== false);
    },
    onDead() {
      const why = isGone ? 'answers no probe' : 'has not got the model in memory any more';
      death = `${upstream.name} fell silent in the middle of its answer and ${why}.`;
      answered.abort(new GatewayError('upstream_silent', death));
    },
  });
  return {
    server: fleet.isBox(upstream) ? undefined : upstream.name,
    lease,
    touch: () => silence.touch(),
    beat: (everyMs, listener) => silence.beat(everyMs, listener),
    get death() {
      return death;
    },
    stop() {
      silence.stop();
      // A lease is ended by what the tap has learnt (`tapFor`), or here where it learnt nothing.
      if (lease === undefined) fleet.leave(upstream);
      else lease.end();
    },
  };
}

/** Whether an answer is a stream of the protocol's events. */
export function isEventStream(protocol: Protocol | undefined, headers: Headers): boolean {
  const framing = protocol?.stream?.framing;
  if (framing === undefined) return false;
  return (headers.get('content-type') ?? '').startsWith(framing === 'sse' ? 'text/event-stream' : 'application/x-ndjson');
}

/** `protocol` is the one that the upstream speaks; undefined where the answer has no body, or one that nobody understands. */
export function tapFor(
  exchange: Exchange,
  call: Call | undefined,
  protocol: Protocol | undefined,
  headers: Headers,
  watched: Watch,
  onReport: (report: TapReport) => void,
): Tap {
  const onEnd = (report: TapReport) => {
    watched.lease?.end({ how: report.how, promptTokens: report.usage?.inputTokens, outputTokens: report.usage?.outputTokens });
    onReport(report);
  };
  const { server } = watched;
  const onFirstByte = () => {
    exchange.firstByteMs = exchange.clock.now();
    watched.lease?.began();
  };
  const onBytes = () => watched.touch();
  if (protocol?.stream !== undefined && isEventStream(protocol, headers)) {
    return createEventTap({
      shape: protocol.stream,
      // After a translation the extra usage was not asked for on this client's behalf, and goes no further than the translation.
      removeUsageOnly:
        call !== undefined && call.protocol === protocol && !call.wantsUsage && call.boxChanges.has('stream_options'),
      errorEvent: (message, seen) =>
        protocol.errorInStream(new GatewayError('broken_stream', watched.death ?? message), exchange.id, seen),
      server,
      onFirstByte,
      onBytes,
      onEnd,
    });
  }
  if (protocol !== undefined && (headers.get('content-type') ?? '').startsWith('application/json')) {
    return createAnswerTap({
      usageOf: protocol.usageOf,
      expectedBytes: contentLengthOf(headers),
      server,
      onFirstByte,
      onBytes,
      onEnd,
    });
  }
  return createPlainTap({ server, onFirstByte, onBytes, onEnd });
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
