/** Hands an upstream's answer on, watched by a tap that learns usage and tells a broken stream from a whole one. */
import type { Answered } from '../backends/send.ts';
import type { Candidate } from '../backends/target.ts';
import { GatewayError } from '../errors.ts';
import { addWarning, type Call, type Exchange, type Outcome, type Protocol, type Upstream } from '../exchange.ts';
import { slowWarning } from '../fleet/advice.ts';
import { contentLengthOf } from '../http/hop-headers.ts';
import type { Tap } from '../platform.ts';
import { createAnswerTap, createEventTap, createPlainTap, type TapReport } from '../streams/tap.ts';
import type { AnswerTools } from './tools.ts';

const outcomeOf: Readonly<Record<TapReport['how'], Outcome>> = {
  completed: 'completed',
  broken: 'broken',
  abandoned: 'abandoned',
};

export function relayAnswer(
  exchange: Exchange,
  call: Call | undefined,
  protocol: Protocol | undefined,
  candidate: Candidate,
  answered: Answered,
  tools: AnswerTools,
): Response | Promise<Response> {
  const { status, headers, body } = answered.response;
  const headersOnly = exchange.method === 'HEAD' || status === 204 || status === 304;
  if (protocol?.kind === 'inference') noteSlowness(exchange, candidate, tools);
  for (const edit of candidate.target.answerEdits) edit(exchange, answered.response);
  addWarnings(exchange, headers);
  for (const name in exchange.answerHeaders) if (!headers.has(name)) headers.set(name, exchange.answerHeaders[name] ?? '');
  exchange.isRelayed = true;
  exchange.status = status;
  const watch = watchAnswer(candidate.target.upstream, answered, tools);
  let hasEnded = false;
  const tap = createTap(exchange, call, headersOnly ? undefined : protocol, headers, watch, (report) => {
    hasEnded = true;
    watch.stop();
    if (report.how === 'abandoned') answered.abort(new GatewayError('upstream_closed', 'the client left'));
    settle(exchange, report, watch.death);
    tools.exchanges.end(exchange);
  });
  // The tap would wait for ever for an answer that never began; the exchange ends with the error instead.
  const giveUp = (cause: unknown): never => {
    if (!hasEnded) {
      watch.stop();
      body.cancel();
      exchange.isRelayed = false;
    }
    const name = candidate.target.upstream.name;
    throw new GatewayError('upstream_closed', `${name} gave an answer that cannot be passed on`, { cause });
  };
  try {
    const response = tools.platform.respond({ status, headers, body, tap, headersOnly });
    return response instanceof Promise ? response.catch(giveUp) : response;
  } catch (thrown) {
    return giveUp(thrown);
  }
}

interface Watch {
  touch(): void;
  stop(): void;
  /** Why Corral itself gave the answer up; undefined when it did not. */
  readonly death: string | undefined;
}

/** Counts the answer as under way at its upstream, and ends it when the upstream dies in silence. */
function watchAnswer(upstream: Upstream, answered: Answered, { fleet, idle }: AnswerTools): Watch {
  fleet.enter(upstream);
  let death: string | undefined;
  const silence = idle.watch({
    isStillAlive: () => fleet.checkAlive(upstream),
    onDead() {
      death = `${upstream.name} fell silent in the middle of its answer and answers no probe.`;
      answered.abort(new GatewayError('upstream_silent', death));
    },
  });
  return {
    touch: silence.touch,
    get death() {
      return death;
    },
    stop() {
      silence.stop();
      fleet.leave(upstream);
    },
  };
}

function createTap(
  exchange: Exchange,
  call: Call | undefined,
  protocol: Protocol | undefined,
  headers: Headers,
  watched: Watch,
  onEnd: (report: TapReport) => void,
): Tap {
  const onFirstByte = () => {
    exchange.firstByteMs = exchange.clock.now();
  };
  const onBytes = () => watched.touch();
  const type = headers.get('content-type') ?? '';
  const shape = protocol?.stream;
  if (
    protocol !== undefined &&
    shape !== undefined &&
    type.startsWith(shape.framing === 'sse' ? 'text/event-stream' : 'application/x-ndjson')
  ) {
    return createEventTap({
      shape,
      removeUsageOnly: call !== undefined && !call.wantsUsage && call.boxChanges.has('stream_options'),
      errorEvent: (message, seen) =>
        protocol.errorInStream(new GatewayError('broken_stream', watched.death ?? message), exchange.id, seen),
      onFirstByte,
      onBytes,
      onEnd,
    });
  }
  if (protocol !== undefined && type.startsWith('application/json')) {
    return createAnswerTap({ usageOf: protocol.usageOf, expectedBytes: contentLengthOf(headers), onFirstByte, onBytes, onEnd });
  }
  return createPlainTap({ onFirstByte, onBytes, onEnd });
}

function settle(exchange: Exchange, report: TapReport, death: string | undefined): void {
  exchange.outcome = exchange.status >= 400 && report.how === 'completed' ? undefined : outcomeOf[report.how];
  exchange.responseModel = report.model;
  exchange.answerBytes = report.bytes;
  if (report.usage !== undefined) exchange.usage = { ...report.usage, estimated: false };
  else if (report.events > 0) exchange.usage = { inputTokens: 0, outputTokens: report.events, estimated: true };
  const failure = death ?? report.failure;
  if (failure !== undefined) exchange.error = new GatewayError('broken_stream', failure);
}

/** Said to the client in one header, and in the log. */
export function addWarnings(exchange: Exchange, headers: Headers): void {
  // Warnings name boxes and models, which people may call what they like; headers hold ASCII.
  for (const warning of exchange.warnings) headers.append('x-corral-warning', warning.replace(/[^\x20-\x7e]/gu, '?'));
}

/** A model that runs partly on the CPU is slow: said in a header and in the log, with the smaller variant that the box has. */
function noteSlowness(exchange: Exchange, { target: { upstream }, model }: Candidate, { fleet }: AnswerTools): void {
  const runner = model === undefined ? undefined : fleet.runnerOn(upstream, model);
  if (runner === undefined || runner.vramBytes >= runner.sizeBytes) return;
  // Names of one blob share a runner, and it has the name that loaded it: the client knows the one it asked for.
  const warning = slowWarning(upstream.name, { ...runner, name: model ?? runner.name }, fleet.modelsOn(upstream));
  if (warning !== undefined) addWarning(exchange, warning);
}
