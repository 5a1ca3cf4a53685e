/** Hands an upstream's answer on, watched by a tap that learns usage and tells a broken stream from a whole one. */
import type { Answered } from '../backends/send.ts';
import type { Candidate } from '../backends/target.ts';
import { GatewayError } from '../errors.ts';
import { addWarning, type Call, type Exchange, type Outcome, type Protocol } from '../exchange.ts';
import { slowWarning } from '../fleet/advice.ts';
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
  const { response } = answered;
  const { upstream } = candidate.target;
  const { fleet, exchanges, platform } = tools;
  noteSlowness(exchange, candidate, tools);
  for (const edit of candidate.target.answerEdits) edit(response.headers);
  addWarnings(exchange, response.headers);
  exchange.isRelayed = true;
  exchange.status = response.status;
  fleet.enter(upstream);
  const stopWatching = tools.idle.watch({
    isStillAlive: () => fleet.checkAlive(upstream),
    onDead: () => answered.abort(new GatewayError('upstream_silent', `${upstream.name} fell silent in the middle of its answer`)),
  });
  const tap = createTap(exchange, call, protocol, response.headers, stopWatching, (report) => {
    stopWatching.stop();
    fleet.leave(upstream);
    if (report.how === 'abandoned') answered.abort(new GatewayError('upstream_closed', 'the client left'));
    settle(exchange, report);
    exchanges.end(exchange);
  });
  return platform.respond({
    status: response.status,
    headers: response.headers,
    body: response.body,
    tap,
    headersOnly: exchange.method === 'HEAD' || response.status === 204 || response.status === 304,
  });
}

function createTap(
  exchange: Exchange,
  call: Call | undefined,
  protocol: Protocol | undefined,
  headers: Headers,
  watched: { touch(): void },
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
      errorEvent: (message, seen) => protocol.errorInStream(new GatewayError('broken_stream', message), exchange.id, seen),
      onFirstByte,
      onBytes,
      onEnd,
    });
  }
  if (protocol !== undefined && type.startsWith('application/json')) {
    return createAnswerTap({ usageOf: protocol.usageOf, expectedBytes: lengthOf(headers), onFirstByte, onBytes, onEnd });
  }
  return createPlainTap({ onFirstByte, onBytes, onEnd });
}

function lengthOf(headers: Headers): number | undefined {
  const length = headers.get('content-length');
  return length === null ? undefined : Number(length);
}

function settle(exchange: Exchange, report: TapReport): void {
  exchange.outcome = exchange.status >= 400 && report.how === 'completed' ? undefined : outcomeOf[report.how];
  exchange.responseModel = report.model;
  if (report.usage !== undefined) exchange.usage = { ...report.usage, estimated: false };
  else if (report.events > 0) exchange.usage = { inputTokens: 0, outputTokens: report.events, estimated: true };
  if (report.failure !== undefined) exchange.error = new GatewayError('broken_stream', report.failure);
}

/** Said to the client in one header, and in the log. */
export function addWarnings(exchange: Exchange, headers: Headers): void {
  for (const warning of exchange.warnings) headers.append('x-corral-warning', warning);
}

/** A model that runs partly on the CPU is slow: said in a header and in the log, with the smaller variant that the box has. */
function noteSlowness(exchange: Exchange, { target: { upstream }, model }: Candidate, { fleet }: AnswerTools): void {
  const runner = model === undefined ? undefined : fleet.runnerOn(upstream, model);
  if (runner === undefined || runner.vramBytes >= runner.sizeBytes) return;
  const warning = slowWarning(upstream.name, runner, fleet.modelsOn(upstream));
  if (warning !== undefined) addWarning(exchange, warning);
}
