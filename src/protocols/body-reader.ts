/** One reader of bodies for all exchanges of a plan: what was read is kept until nobody needs it any more. */
import type { BodyReader, Exchange } from '../exchange.ts';
import { type BodyBudget, type BodyLimits, inflateWithin, readBody, readInflatedBody, takeOrRefuse } from './read-body.ts';

export function createBodyReader(limits: BodyLimits, budget: BodyBudget): BodyReader {
  const hold = (exchange: Exchange, reading: Promise<Uint8Array>): Promise<Uint8Array> => {
    const held = reading.then((bytes) => {
      exchange.heldBody = bytes;
      return bytes;
    });
    // Who asks while somebody else's reading is under way waits for the same bytes: a body can be read once only.
    exchange.bodyReading = held;
    return held;
  };
  const readPlain = (exchange: Exchange, maxBytes = limits.maxBodyBytes): Promise<Uint8Array> => {
    const ownLimits = maxBytes < limits.maxBodyBytes ? { ...limits, maxBodyBytes: maxBytes } : limits;
    const sent = exchange.sentBody;
    if (sent !== undefined) return hold(exchange, inflateWithin(sent.bytes, sent.encoding, ownLimits, budget));
    return hold(exchange, readInflatedBody(exchange, ownLimits, budget));
  };
  return {
    read: (exchange, maxBytes) =>
      exchange.heldBody === undefined
        ? (exchange.bodyReading ?? readPlain(exchange, maxBytes))
        : Promise.resolve(exchange.heldBody),
    async readAsSent(exchange) {
      const encoding = exchange.request.headers.get('content-encoding');
      if (encoding === null) return hold(exchange, readBody(exchange, limits, budget));
      const bytes = await readBody(exchange, limits, budget);
      // Not what policies would understand, so not `heldBody`.
      exchange.sentBody = { bytes, encoding };
      return bytes;
    },
    replace(exchange, bytes) {
      const more = bytes.length - (exchange.heldBody?.length ?? 0);
      // What a policy made is counted like what a client sent.
      if (more > 0) takeOrRefuse(budget, more);
      else budget.give(-more);
      exchange.heldBody = bytes;
    },
    release(exchange) {
      if (exchange.bodyHolds > 0) return;
      budget.give((exchange.sentBody?.bytes.length ?? 0) + (exchange.heldBody?.length ?? 0));
      exchange.sentBody = undefined;
      exchange.heldBody = undefined;
    },
  };
}
