/** What is said into a stream that is silent, and when: for streams under way, and for those whose box owes its headers. */
import type { Exchange } from '../exchange.ts';
import type { Inject, Relay, Tap } from '../platform.ts';
import type { AnswerTools } from './tools.ts';
import type { Watch } from './watch.ts';

/** A heartbeat in the client's protocol; empty where it has none. */
export function heartbeatOf(exchange: Exchange): Uint8Array {
  const { protocol, wait, requestModel: model = '', clock } = exchange;
  return encoder.encode(protocol?.heartbeat?.({ wait, model, wallTimeMs: clock.wallTime() }) ?? '');
}

const encoder = new TextEncoder();

/** For a stream of events that passes as it comes; `tap` knows where its frames end. Undefined: nothing is ever put in. */
export function heartbeatsInto(exchange: Exchange, tap: Tap, watch: Watch, tools: AnswerTools): Relay['onOpen'] {
  if (tap.isBetweenFrames === undefined || exchange.protocol?.heartbeat === undefined) return undefined;
  const everyMs = tools.limits.fleet.loads.heartbeat;
  return (inject) => watch.silence.beat(everyMs, () => beat(exchange, tap.isBetweenFrames === true, inject));
}

/** False: not now. */
export function beat(exchange: Exchange, isBetweenFrames: boolean, inject: Inject): boolean {
  return isBetweenFrames && inject(heartbeatOf(exchange));
}
