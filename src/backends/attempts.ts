/**
 * The retry and failover loop: candidates in turn until one answers. Before the first byte a box may fail in any way and the
 * next one is asked. Other upstreams are left for the next only where they cannot have seen the request (design decision 19: a
 * POST is not idempotent), or where the configuration asks for it: failover groups, failover virtual models, a `retry` policy.
 */
import { GatewayError, gatewayErrorOf } from '../errors.ts';
import { type Exchange, onGone } from '../exchange.ts';
import { tryOne } from './attempt.ts';
import type { AttemptsResult, AttemptTools, Payload } from './attempt-tools.ts';
import { createFailures } from './failures.ts';
import { failureAtOnce } from './first-bytes.ts';
import { createRow, type Verdict } from './row.ts';
import { ClientGone } from './send.ts';
import type { Candidate } from './target.ts';

export type { AttemptsResult, AttemptTools, Payload, Refusal } from './attempt-tools.ts';

/** Before these, nothing of the request has reached anybody. */
const beforeConnect = new Set(['upstream_refused', 'upstream_unresolved', 'upstream_tls']);
/** This upstream cannot take the call, and was not asked: another one may have the words for it, the room, or the eyes. */
const nothingSent = new Set(['unsupported_conversion', 'context_exceeded', 'image_unsupported']);
/** A box that answers so may be left for another: it is not up to the request. */
const boxUnable = new Set([502, 503, 504]);

/** Throws the last connection failure, or ClientGone; returns everything that an upstream answered. */
export function tryCandidates(
  exchange: Exchange,
  payload: Payload,
  candidates: readonly Candidate[],
  tools: AttemptTools,
): Promise<AttemptsResult> {
  const [only] = candidates;
  // Nearly always: nothing could be tried next, so nothing is kept for it.
  const isAlone = candidates.length === 1 && only?.isLastResort === false && exchange.retry === undefined;
  return isAlone ? tryOne(exchange, payload, only, 0, tools) : tryInTurn(exchange, payload, candidates, tools);
}

async function tryInTurn(
  exchange: Exchange,
  payload: Payload,
  candidates: readonly Candidate[],
  tools: AttemptTools,
): Promise<AttemptsResult> {
  const { retry } = exchange;
  const row = createRow(candidates, exchange);
  let turn = row.first();
  if (turn === undefined) throw new GatewayError('no_backends', 'no valid backends');
  let hasLeft = false;
  if (candidates.length > 1 || retry !== undefined)
    onGone(exchange, () => {
      hasLeft = true;
    });
  const failures = createFailures();
  for (;;) {
    if (turn.isRepeated && retry !== undefined) await pause(exchange, retry.backoffMs);
    // Between two tries nobody else looks: whoever left then is told to no try any more.
    if (hasLeft) throw new ClientGone();
    try {
      const result = await tryOne(exchange, payload, turn.candidate, turn.number, tools);
      if (result.kind === 'instead') return result;
      if (result.kind === 'answered' && row.hasOther()) {
        const failure = await failureAtOnce(result, exchange, tools);
        if (failure !== undefined) throw failure;
      }
      // The lists were wrong about this box; they may be about the others.
      if (lacksModel(result, tools)) row.widen();
      const verdict = verdictOnAnswer(result, exchange, tools);
      const next = row.next(verdict);
      if (next === undefined) return result.kind === 'refused' && verdict.mayMoveOn ? failures.lastOf(result) : result;
      if (result.kind === 'answered') {
        result.answered.response.body.cancel();
        result.answered.lease?.end();
      } else {
        failures.add(result);
      }
      turn = next;
    } catch (thrown) {
      if (thrown instanceof ClientGone) throw thrown;
      const error = gatewayErrorOf(thrown);
      const verdict = verdictOnFailure(error, payload, turn.candidate, exchange, tools);
      const next = row.next(verdict);
      if (next === undefined && !verdict.mayMoveOn) throw thrown;
      if (next === undefined) return failures.lastOf(error);
      failures.add(error);
      turn = next;
    }
  }
}

function verdictOnAnswer(result: Exclude<AttemptsResult, { kind: 'instead' }>, exchange: Exchange, tools: AttemptTools): Verdict {
  const { target } = result.candidate;
  const { status, headers } = result.kind === 'answered' ? result.answered.response : result.refusal;
  const isUnable = tools.fleet.isBox(target.upstream) && (boxUnable.has(status) || isOfOneBox(result, tools));
  const { retry } = exchange;
  return {
    mayMoveOn: isUnable || (target.failsOver && (status === 429 || status >= 500)),
    isRetried: retry !== undefined && (retry.statuses.has(status) || retry.condition?.(exchange, { status, headers }) === true),
  };
}

function verdictOnFailure(
  error: GatewayError,
  { call }: Payload,
  { target }: Candidate,
  exchange: Exchange,
  tools: AttemptTools,
): Verdict {
  // What a box would get wrong, or this upstream has no words for, another one may serve. Nothing was sent.
  if (error === call?.boxRefusal || nothingSent.has(error.code)) return { mayMoveOn: true, isRetried: false };
  const isReplayable = tools.fleet.isBox(target.upstream) || target.failsOver || beforeConnect.has(error.code);
  return { mayMoveOn: error.retryable && isReplayable, isRetried: error.retryable && exchange.retry !== undefined };
}

/** Out of memory, a runner that crashed, a model that is not there: another box may serve it. */
function isOfOneBox(result: AttemptsResult, tools: AttemptTools): boolean {
  return result.kind === 'refused' && tools.faultOf(result.refusal.status, result.refusal.text).mayMoveOn;
}

function lacksModel(result: AttemptsResult, tools: AttemptTools): boolean {
  return result.kind === 'refused' && tools.isModelMissing(result.refusal.status, result.refusal.text);
}

/** Throws request_timeout as soon as the pause turns out to reach beyond the exchange's own limit. */
async function pause({ clock, deadlineMs = Number.POSITIVE_INFINITY }: Exchange, delayMs: number): Promise<void> {
  if (delayMs <= 0) return;
  const leftMs = deadlineMs - clock.now();
  await new Promise<void>((resolve) => clock.after(Math.max(0, Math.min(delayMs, leftMs)), resolve));
  if (leftMs <= delayMs) throw new GatewayError('request_timeout', 'request timeout');
}
