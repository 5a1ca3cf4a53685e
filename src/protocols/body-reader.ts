/** One reader of bodies for all exchanges of a plan: what was read is kept until nobody needs it any more. */
import type { BodyReader, Exchange } from '../exchange.ts';
import { type BodyBudget, type BodyLimits, readBody, readInflatedBody } from './read-body.ts';

export function createBodyReader(limits: BodyLimits, budget: BodyBudget): BodyReader {
  // Who asks while somebody else's reading is under way waits for the same bytes: a body can be read once only.
  const underWay = new WeakMap<Exchange, Promise<Uint8Array>>();
  const readOnce = (exchange: Exchange, readIt: typeof readBody, maxBytes = limits.maxBodyBytes): Promise<Uint8Array> => {
    const ownLimits = maxBytes < limits.maxBodyBytes ? { ...limits, maxBodyBytes: maxBytes } : limits;
    const reading = readIt(exchange, ownLimits, budget).then((bytes) => {
      exchange.heldBody = bytes;
      return bytes;
    });
    underWay.set(exchange, reading);
    return reading;
  };
  return {
    read: (exchange, maxBytes) =>
      exchange.heldBody === undefined
        ? (underWay.get(exchange) ?? readOnce(exchange, readInflatedBody, maxBytes))
        : Promise.resolve(exchange.heldBody),
    readAsSent: (exchange) => readOnce(exchange, readBody),
    replace(exchange, bytes) {
      const before = exchange.heldBody?.length ?? 0;
      // What a policy made is counted like what a client sent; a body that only grew a little is not refused for it.
      if (bytes.length > before) budget.take(bytes.length - before);
      else budget.give(before - bytes.length);
      exchange.heldBody = bytes;
    },
    release(exchange) {
      if (exchange.heldBody === undefined) return;
      budget.give(exchange.heldBody.length);
      exchange.heldBody = undefined;
    },
  };
}
