/** No upstream could be reached: the error says what happened and what to do, in the words of the troubleshooting page. */
import { GatewayError } from '../errors.ts';
import type { Exchange } from '../exchange.ts';
import { troubleAdvice, wordsOf } from '../fleet/advice.ts';

export function unreachableError(error: GatewayError, exchange: Exchange): GatewayError {
  const failed = exchange.attempts.filter((attempt) => attempt.error !== undefined);
  // Errors of the request itself (a missing model, a body too large) met no upstream: they say enough.
  if (failed.length === 0 || !failed.some((attempt) => attempt.error === error)) return error;
  const seen = new Set<string>();
  const words = failed.flatMap(({ upstream, error: own }) => {
    if (own === undefined || seen.has(upstream.name)) return [];
    seen.add(upstream.name);
    return [upstream.kind === 'box' ? wordsOf(troubleAdvice(upstream, own)) : `${upstream.name}: ${own.message}`];
  });
  return new GatewayError(error.code, words.slice(0, 4).join(' '), { status: error.status, cause: error.cause });
}
