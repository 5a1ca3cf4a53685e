/** Hands an upstream's answer on, watched by a tap that learns usage and tells a broken stream from a whole one. */
import type { Answered } from '../backends/send.ts';
import type { Candidate } from '../backends/target.ts';
import { GatewayError } from '../errors.ts';
import { type Attempt, addWarning, type Call, type Exchange, type Protocol } from '../exchange.ts';
import { slowWarning } from '../fleet/asking/advice.ts';
import { OpenedBody } from '../http/early-answer.ts';
import { relayHeader } from '../http/signed-caller.ts';
import type { TapReport } from '../streams/report.ts';
import { completionReaderOf, readAlong } from './completion.ts';
import { heartbeatsInto } from './heartbeats.ts';
import { tellBox } from './placed.ts';
import { mustBeRewritten, relayRewritten } from './rewritten.ts';
import type { AnswerTools } from './tools.ts';
import { type Ended, headerText, noteTruncation, truncationAside } from './truncation.ts';
import { settle, tapFor, watchAnswer } from './watch.ts';

/** A try that was answered, as the retry loop hands it over. */
export interface Relayed {
  readonly candidate: Candidate;
  readonly attempt: Attempt;
  readonly answered: Answered;
}

export function relayAnswer(
  exchange: Exchange,
  call: Call | undefined,
  protocol: Protocol | undefined,
  { candidate, attempt, answered }: Relayed,
  tools: AnswerTools,
): Response | Promise<Response> {
  const { status, headers, body } = answered.response;
  const headersOnly = exchange.method === 'HEAD' || status === 204 || status === 205 || status === 304;
  if (status > 599) {
    // No Response holds it (some servers make numbers up), and what was begun for one would never end.
    body.cancel();
    answered.lease?.end();
    throw new GatewayError(
      'upstream_closed',
      `${attempt.upstream.name} gave an answer that cannot be passed on: status ${status}`,
    );
  }
  if (protocol?.kind === 'inference') noteSlowness(exchange, candidate, headers, tools);
  for (const edit of candidate.target.answerEdits) edit(exchange, answered.response);
  addWarnings(exchange, headers);
  tellBox(headers, candidate.target.upstream, tools.fleet);
  // What a relay says of itself is never what the box behind it says.
  if (exchange.answerHeaders?.[relayHeader] !== undefined) headers.delete(relayHeader);
  for (const name in exchange.answerHeaders) if (!headers.has(name)) headers.set(name, exchange.answerHeaders[name] ?? '');
  exchange.status = status;
  const ended: Ended = { call, upstream: attempt.upstream, isBox: attempt.isBox, model: candidate.model };
  // What was read here already is no body that the runtime could take over.
  if (!headersOnly && (mustBeRewritten(attempt) || body instanceof OpenedBody))
    return relayRewritten(exchange, call, { attempt, answered, ended, model: candidate.model }, tools);
  exchange.isRelayed = true;
  const watch = watchAnswer(candidate.target.upstream, answered, tools, candidate.model);
  let hasEnded = false;
  const onReport = (report: TapReport) => {
    hasEnded = true;
    watch.stop();
    if (report.how === 'abandoned') answered.abort(new GatewayError('upstream_closed', 'the client left'));
    settle(exchange, report, watch.death);
    const warning = noteTruncation(exchange, ended, tools);
    // Of an answer that is there as a whole, the headers have not left yet.
    if (warning !== undefined) headers.append('x-corral-warning', headerText(warning));
    tools.exchanges.end(exchange);
  };
  const protocolOfTap = headersOnly ? undefined : attempt.protocol;
  const watching = tapFor(exchange, call, protocolOfTap, headers, watch, onReport, truncationAside(exchange, ended, tools));
  const reader = headersOnly ? undefined : completionReaderOf(exchange, headers);
  const tap = reader === undefined ? watching : readAlong(watching, reader);
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
    const onOpen = headersOnly ? undefined : heartbeatsInto(exchange, watching, watch, tools);
    const response = tools.platform.respond({ status, headers, body, tap, headersOnly, onOpen });
    return response instanceof Promise ? response.catch(giveUp) : response;
  } catch (thrown) {
    return giveUp(thrown);
  }
}

/** Said to the client in one header, and in the log. */
export function addWarnings(exchange: Exchange, headers: Headers): void {
  for (const warning of exchange.warnings) headers.append('x-corral-warning', headerText(warning));
}

/** As `slowWarning` begins, among several warnings in one header. */
const saidSlow = /(?:^|, )slow: /;

/** A model that runs partly on the CPU is slow: said in a header and in the log, with the smaller variant that the box has. */
function noteSlowness(
  exchange: Exchange,
  { target: { upstream }, model }: Candidate,
  headers: Headers,
  { fleet }: AnswerTools,
): void {
  const runner = model === undefined ? undefined : fleet.runnerOn(upstream, model);
  if (runner === undefined || runner.vramBytes >= runner.sizeBytes) return;
  // A relay, or another Corral before the box, has said it already: its warning reaches the client with the answer.
  if (saidSlow.test(headers.get('x-corral-warning') ?? '')) return;
  // Names of one blob share a runner, and it has the name that loaded it: the client knows the one it asked for.
  const warning = slowWarning(upstream.name, { ...runner, name: model ?? runner.name }, fleet.modelsOn(upstream));
  if (warning !== undefined) addWarning(exchange, warning);
}
