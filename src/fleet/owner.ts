/**
 * Who owns a box's slots, queue and loads where this process does not: on Workers isolates share nothing, so that one Durable Object
 * per box decides (design decision 20). fleet/ knows only this contract; the entry brings the owners.
 */
import type { Ask, LeaseSeen, Waiter } from '../exchange.ts';
import type { RelayLoad } from '../http/relay-load.ts';
import type { BoxWanted } from './wanted.ts';

export interface BoxOwner {
  /**
   * A slot of the box, with the model in memory. Rejects as `Fleet.admit` does; never settles after its waiter has gone, and what it had
   * is given to the next then.
   */
  admit(ask: Ask, waiter: Waiter): Promise<Grant>;
}

export interface Grant {
  readonly queuedMs: number;
  readonly loadMs: number;
  began(): void;
  /** The slot is free again; what is known of the call is for the owner, too. Safe to call again. */
  end(seen?: LeaseSeen): void;
}

/** What an owner knows of everybody's calls, and one process in front alone does not. */
export interface OwnerTold extends RelayLoad {
  /** Models that are better not asked for just now, and for how long (`Breaker`). */
  readonly resting: readonly { readonly model: string; readonly forMs: number }[];
}

/**
 * Undefined: this process owns it. Asked once per box; `now`: what the newest plan says of it; `hear`: takes what the owner tells, of
 * calls beside those that this process has under way.
 */
export type OwnerOf = (wanted: BoxWanted, now: () => BoxWanted, hear: (told: OwnerTold) => void) => BoxOwner | undefined;
