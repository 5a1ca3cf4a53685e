/** The slots of one box: how many calls each of its models serves at once, and who waits for one. */
import type { Ask, Waiter } from '../exchange.ts';

export interface Slots {
  /**
   * A slot of the model: at once where one is free and nobody waits, else when its turn comes. Rejects with GatewayError
   * queue_full or queue_timeout. Never settles after its waiter has gone.
   */
  take(ask: Ask, waiter: Waiter): Slot | Promise<Slot>;
  /** Calls under way, of one model or of all. */
  busy(model?: string): number;
  /** Calls that wait, of one model or of all. */
  waiting(model?: string): number;
  /** How many calls one model is believed to serve at once; undefined: not known yet. */
  limitOf(model: string): number | undefined;
}

export interface Slot {
  readonly queuedMs: number;
  /** The first byte of the answer is there: what is learnt of the slots is learnt from this. */
  began(): void;
  /** Safe to call again. */
  end(): void;
}

/** Counts, and lets everybody pass. */
export function createSlots(): Slots {
  const counts = new Map<string, number>();
  let all = 0;
  return {
    take({ model }) {
      all++;
      counts.set(model, (counts.get(model) ?? 0) + 1);
      let isOver = false;
      return {
        queuedMs: 0,
        began: () => undefined,
        end() {
          if (isOver) return;
          isOver = true;
          all--;
          const left = (counts.get(model) ?? 1) - 1;
          if (left > 0) counts.set(model, left);
          else counts.delete(model);
        },
      };
    },
    busy: (model) => (model === undefined ? all : (counts.get(model) ?? 0)),
    waiting: () => 0,
    limitOf: () => undefined,
  };
}
