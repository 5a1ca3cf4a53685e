/** No upstream could be reached: the error says what happened and what to do, in the words of the troubleshooting page. */
import { GatewayError } from '../errors.ts';
import type { Exchange } from '../exchange.ts';
import { troubleAdvice, wordsOf } from '../fleet/asking/advice.ts';

/** More boxes than this are not told of one by one. */
const maxTold = 4;

export function unreachableError(error: GatewayError, exchange: Exchange): GatewayError {
  // Errors of the request itself (a missing model, a body too large) met no upstream: they say enough.
  if (!exchange.attempts.some((attempt) => attempt.error === error)) return error;
  return new GatewayError(error.code, failuresOf(exchange).join(' '), {
    status: error.status,
    cause: error.cause,
    ...(error.headers && { headers: error.headers }),
  });
}

/** What became of the boxes that could not be reached, each once, with the mend. `told`: what was said already. */
export function failuresOf({ attempts }: Exchange, told?: GatewayError): readonly string[] {
  const words = new Map<string, string>();
  for (const { upstream, error } of attempts) {
    if (error === undefined || error === told || words.has(upstream.name)) continue;
    words.set(
      upstream.name,
      upstream.kind === 'box' ? wordsOf(troubleAdvice(upstream, error)) : `${upstream.name}: ${error.message}`,
    );
  }
  return [...words.values()].slice(0, maxTold);
}
