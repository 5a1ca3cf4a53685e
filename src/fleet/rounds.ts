/** Looks at each box when it is due, in the background, one timer per box. */
import type { Platform } from '../platform.ts';
import type { Stop } from './ask.ts';
import type { Box } from './box.ts';

export interface Rounds {
  start(): void;
  /** The box is due at another time than planned. */
  replan(box: Box): void;
}

/** Does nothing where the runtime has no background. Ends for good with `stop`. */
export function createRounds(boxes: readonly Box[], { clock, hasBackground }: Platform, stop: Stop): Rounds {
  const timers = new Map<Box, () => void>();
  let isRunning = false;
  const plan = (box: Box) => {
    timers.get(box)?.();
    const cancel = clock.after(Math.max(0, box.dueMs - clock.now()), () => void turn(box));
    timers.set(box, cancel);
  };
  const turn = async (box: Box) => {
    await box.look();
    if (isRunning) plan(box);
  };
  stop.onStop(() => {
    isRunning = false;
    for (const cancel of timers.values()) cancel();
    timers.clear();
  });
  return {
    start() {
      if (isRunning || !hasBackground || stop.isStopped) return;
      isRunning = true;
      for (const box of boxes) void turn(box);
    },
    replan(box) {
      if (isRunning && boxes.includes(box)) plan(box);
    },
  };
}
