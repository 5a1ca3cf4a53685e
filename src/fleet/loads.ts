/** The loads of one box: a model is brought into memory by Corral itself, once for all who want it, and not by a client's request. */
import type { Ask, Waiter } from '../exchange.ts';

export interface Loads {
  /**
   * Undefined: the model is in memory as asked for, or nothing is known and the call itself may load it. Else resolves with the
   * milliseconds waited, once it is in memory; rejects with GatewayError where the box could not load it. A waiter that goes
   * leaves the load to the others, and to itself.
   */
  ready(ask: Ask, waiter: Waiter): Promise<number> | undefined;
  /** Models that are being loaded now, and since when on the clock. */
  underWay(): readonly { readonly model: string; readonly startedMs: number }[];
}

export function createLoads(): Loads {
  return { ready: () => undefined, underWay: () => [] };
}
