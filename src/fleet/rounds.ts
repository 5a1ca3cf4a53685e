/** Looks at each box when it is due, in the background, one timer per box. */
import type { Platform } from '../platform.ts';
import type { Box } from './box.ts';

export interface Rounds {
  start(): void;
  /** Ends all rounds, for good. */
  stop(): void;
  /** From now on this box is looked at, too. */
  add(box: Box): void;
  drop(box: Box): void;
  /** The box is due at another time than planned. */
  replan(box: Box): void;
}

/** Does nothing where the runtime has no background. */
export function createRounds({ clock, hasBackground }: Platform): Rounds {
  const boxes = new Set<Box>();
  const timers = new Map<Box, () => void>();
  let isRunning = false;
  let isOver = false;
  const plan = (box: Box) => {
    timers.get(box)?.();
    const cancel = clock.after(Math.max(0, box.dueMs - clock.now()), () => void turn(box));
    timers.set(box, cancel);
  };
  const turn = async (box: Box) => {
    await box.look();
    if (isRunning && boxes.has(box)) plan(box);
  };
  const cancel = (box: Box) => {
    timers.get(box)?.();
    timers.delete(box);
  };
  return {
    start() {
      if (isRunning || !hasBackground || isOver) return;
      isRunning = true;
      for (const box of boxes) void turn(box);
    },
    stop() {
      isRunning = false;
      isOver = true;
      for (const box of boxes) cancel(box);
    },
    add(box) {
      boxes.add(box);
      if (isRunning) void turn(box);
    },
    drop(box) {
      boxes.delete(box);
      cancel(box);
    },
    replan(box) {
      if (isRunning && boxes.has(box)) plan(box);
    },
  };
}
