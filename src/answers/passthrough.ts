/** Hands a request on as it came: `host` backends, opened paths, probes. The body streams through in both directions. */
import { tryCandidates } from '../backends/attempts.ts';
import { orderCandidates } from '../backends/candidates.ts';
import { ClientGone } from '../backends/send.ts';
import type { Target } from '../backends/target.ts';
import { GatewayError, gatewayErrorOf } from '../errors.ts';
import type { Exchange } from '../exchange.ts';
import { respondWithRefusal } from './refusal.ts';
import { relayAnswer } from './relay.ts';
import type { AnswerTools } from './tools.ts';
import { unreachableError } from './unreachable.ts';

export async function answerPassthrough(exchange: Exchange, targets: readonly Target[], tools: AnswerTools): Promise<Response> {
  // What tells sessions apart may be in the body; nobody asks where there is nothing to choose.
  if (targets.length > 1 && targets.some(({ affinity }) => affinity?.needs.requestBody)) await exchange.bodies.read(exchange);
  const ordered = orderCandidates(targets, undefined, tools.fleet, tools.random, exchange);
  if (ordered.length === 0) throw new GatewayError('no_backends', 'no valid backends');
  const hasBody = exchange.heldBody !== undefined || exchange.request.body !== null;
  // A `retry` policy wants the body again; without one it streams through, and nothing is left for a second upstream.
  const isPlain = exchange.heldBody !== undefined;
  const bytes =
    exchange.heldBody ?? (hasBody && exchange.retry !== undefined ? await exchange.bodies.readAsSent(exchange) : undefined);
  const candidates = hasBody && bytes === undefined ? ordered.slice(0, 1) : ordered;
  try {
    const result = await tryCandidates(exchange, { call: undefined, bytes, isPlain }, candidates, tools);
    if (result.kind === 'refused') return respondWithRefusal(exchange, result.candidate, result.refusal, candidates, tools);
    if (result.kind === 'instead') return result.response;
    return relayAnswer(exchange, undefined, exchange.protocol, result, tools);
  } catch (thrown) {
    if (thrown instanceof ClientGone) throw thrown;
    throw unreachableError(gatewayErrorOf(thrown), exchange);
  } finally {
    exchange.bodies.release(exchange);
  }
}
