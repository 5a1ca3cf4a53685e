/** Calls the keeper of warm models every few seconds, where something runs in the background; with the plan in force. */
import type { Keeper } from '../fleet/keeper.ts';
import { warmRoundMs } from '../fleet/warm.ts';
import type { Platform } from '../platform.ts';

export interface WarmRounds {
  start(): void;
  stop(): void;
}

/** The boxes are asked what they have before anything is loaded. */
const firstRoundMs = 3_000;

export function createWarmRounds(
  { clock, hasBackground }: Pick<Platform, 'clock' | 'hasBackground'>,
  keeper: () => Pick<Keeper, 'keepWarm'>,
): WarmRounds {
  let isRunning = false;
  let cancel: () => void = () => undefined;
  const plan = (delayMs: number): void => {
    cancel = clock.after(delayMs, () => {
      // A load may take minutes; the next round knows of it.
      void keeper().keepWarm();
      plan(warmRoundMs);
    });
  };
  return {
    start() {
      if (isRunning || !hasBackground) return;
      isRunning = true;
      plan(firstRoundMs);
    },
    stop() {
      isRunning = false;
      cancel();
    },
  };
}
