/**
 * The relay's end of the leg from a Corral in front: callers are who that one says, and its answers begin early, so that the
 * tunnel between the two has no silence to cut.
 */
import { GatewayError } from '../errors.ts';
import { addAnswerHeader, type Exchange, tellGone } from '../exchange.ts';
import { answerEarly, earlyHeader } from '../http/early-answer.ts';
import { loadHeader, loadSigner, type RelayLoad } from '../http/relay-load.ts';
import {
  type CallerProblem,
  callerChecker,
  callerHeader,
  challengeHeader,
  type ReplayMemory,
  relayHeader,
  relayProver,
  toleranceMs,
} from '../http/signed-caller.ts';
import type { Clock, Platform } from '../platform.ts';

export interface Leg {
  /**
   * Takes the caller from what a Corral in front has signed; undefined where there is nothing of the kind, and the client is one of
   * this Corral's own. Rejects with relay_caller_unknown.
   */
  know(exchange: Exchange): Promise<void> | undefined;
  /**
   * For callers that are known so, after a moment: headers, signs of life, and the answer when it is there. It tells how busy this
   * relay is.
   */
  early(exchange: Exchange, answer: Response | Promise<Response>): Response | Promise<Response>;
}

export interface LegSetting {
  readonly secret: string;
  /** Of this relay: who calls says that it means this one. */
  readonly instanceId: string;
  readonly clock: Clock;
  readonly runtime: Platform['runtime'];
  readonly heartbeatMs: number;
  /** What has been here once. */
  readonly memory: ReplayMemory;
  /** What the boxes have to do now. */
  readonly load: () => RelayLoad;
}

/** Long enough for every refusal that is at hand, and short against every tunnel's patience. */
const earlyAfterMs = 1_000;
/** A tunnel may wait for no more than this, whatever is configured. */
const maxHeartbeatMs = 15_000;

export function createLeg({ secret, instanceId, clock, runtime, heartbeatMs, memory, load }: LegSetting): Leg {
  const check = callerChecker(secret, instanceId, memory);
  const prove = relayProver(secret, instanceId);
  const sign = loadSigner(secret);
  const tellLoad = async (exchange: Exchange, token: string, answer: Promise<Response>): Promise<Response> => {
    const response = await answer;
    if (exchange.relayed === undefined) return response;
    // The Corral in front believes it of this relay: a box behind it would write that one's answers, status and all.
    response.headers.delete(earlyHeader);
    response.headers.set(loadHeader, await sign(load(), token));
    return response;
  };
  const know = async (exchange: Exchange, token: string | null, proof: Promise<string> | undefined): Promise<void> => {
    if (proof !== undefined) addAnswerHeader(exchange, relayHeader, await proof);
    if (token === null) return;
    const found = await check(token, exchange.request, clock.wallTime());
    if (typeof found === 'string') throw unknownCaller(found);
    exchange.relayed = found;
    exchange.identity = { name: found.name, isAdmin: found.isAdmin, allowedModels: undefined, metadata: {} };
    exchange.consumedHeaders.add(callerHeader);
  };
  return {
    know(exchange) {
      // Also where a key is asked for: a Corral in front that has not signed yet learns from the refusal that it may be worth a probe.
      addAnswerHeader(exchange, relayHeader, '1');
      const { headers } = exchange.request;
      const token = headers.get(callerHeader);
      const challenge = headers.get(challengeHeader);
      const proof = challenge === null ? undefined : prove(challenge);
      if (proof !== undefined) exchange.consumedHeaders.add(challengeHeader);
      return token === null && proof === undefined ? undefined : know(exchange, token, proof);
    },
    early(exchange, answer) {
      const token = exchange.request.headers.get(callerHeader);
      if (!(answer instanceof Promise) || token === null) return answer;
      const telling = tellLoad(exchange, token, answer);
      // What is asked for by GET is at hand.
      if (exchange.request.method !== 'POST') return telling;
      return answerEarly(telling, {
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
  audience:
    'it was meant for another relay: this address leads to several, or to another one than a moment ago (one that was started anew is found out by itself); both ends must be of the same version, too',
  used: 'it has been here before: every request is signed for itself',
};

function unknownCaller(problem: CallerProblem): GatewayError {
  const message = `this Corral relay refuses the request of the Corral in front: ${mends[problem]}`;
  return new GatewayError('relay_caller_unknown', message);
}
