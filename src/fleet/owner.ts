/**
 * Who owns a box's slots, queue and loads where this process does not: on Workers isolates share nothing, so that one Durable Object
 * per box decides (design decision 20). fleet/ knows only this contract; the entry brings the owners.
 */
import type { Ask, Waiter } from '../exchange.ts';
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
  /** The slot is free again. Safe to call again. */
  end(): void;
}

/** Undefined: this process owns it. Asked once per box; `now`: what the newest plan says of it. */
export type OwnerOf = (wanted: BoxWanted, now: () => BoxWanted) => BoxOwner | undefined;
