/**
 * The relay's end of the leg from a Corral in front: callers are who that one says, and its answers begin early, so that the
 * tunnel between the two has no silence to cut.
 */
import { GatewayError } from '../errors.ts';
import { addAnswerHeader, type Exchange, tellGone } from '../exchange.ts';
import { answerEarly } from '../http/early-answer.ts';
import {
  type CallerProblem,
  callerChecker,
  callerHeader,
  type ReplayMemory,
  relayHeader,
  toleranceMs,
} from '../http/signed-caller.ts';
import type { Clock, Platform } from '../platform.ts';

export interface Leg {
  /**
   * Takes the caller from what a Corral in front has signed; undefined where there is nothing of the kind, and the client is one of
   * this Corral's own. Rejects with relay_caller_unknown.
   */
  know(exchange: Exchange): Promise<void> | undefined;
  /** For callers that are known so, after a moment: headers, signs of life, and the answer when it is there. */
  early(exchange: Exchange, answer: Response | Promise<Response>): Response | Promise<Response>;
}

export interface LegSetting {
  readonly secret: string;
  readonly clock: Clock;
  readonly runtime: Platform['runtime'];
  readonly heartbeatMs: number;
  /** What has been here once. */
  readonly memory: ReplayMemory;
}

/** Long enough for every refusal that is at hand, and short against every tunnel's patience. */
const earlyAfterMs = 1_000;
/** A tunnel may wait for no more than this, whatever is configured. */
const maxHeartbeatMs = 15_000;

export function createLeg({ secret, clock, runtime, heartbeatMs, memory }: LegSetting): Leg {
  const check = callerChecker(secret, memory);
  const know = async (exchange: Exchange, token: string): Promise<void> => {
    const found = await check(token, exchange.request, clock.wallTime());
    if (typeof found === 'string') throw unknownCaller(found);
    exchange.relayed = found;
    exchange.identity = { name: found.name, isAdmin: found.isAdmin, allowedModels: undefined, metadata: {} };
    exchange.consumedHeaders.add(callerHeader);
  };
  return {
    know(exchange) {
      // Also where a key is asked for: a Corral in front that has not signed yet learns from the refusal that it may.
      addAnswerHeader(exchange, relayHeader, '1');
      const token = exchange.request.headers.get(callerHeader);
      return token === null ? undefined : know(exchange, token);
    },
    early(exchange, answer) {
      // What is asked for by GET is at hand.
      if (!(answer instanceof Promise) || exchange.request.method !== 'POST') return answer;
      if (!exchange.request.headers.has(callerHeader)) return answer;
      return answerEarly(answer, {
        clock,
        runtime,
        afterMs: earlyAfterMs,
        heartbeatMs: Math.min(heartbeatMs, maxHeartbeatMs),
        mayBegin: () => exchange.relayed !== undefined,
        onGone: () => tellGone(exchange),
      });
    },
  };
}

const mends: Readonly<Record<CallerProblem, string>> = {
  wrong: 'it was signed with another secret: give both ends the same CORRAL_RELAY_SECRET (or fleet.relay.secret)',
  clock: `its time is more than ${toleranceMs / 1_000} s from this machine's: set both clocks by NTP`,
  used: 'it has been here before: every request is signed for itself',
};

function unknownCaller(problem: CallerProblem): GatewayError {
  const message = `this Corral relay refuses the request of the Corral in front: ${mends[problem]}`;
  return new GatewayError('relay_caller_unknown', message);
}
