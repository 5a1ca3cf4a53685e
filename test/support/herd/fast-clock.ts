/** Real time, compressed: at a factor of 50 a second lasts 20 ms. For boxes on real ports. */
import { clearTimeout, setTimeout } from 'node:timers';
import type { SimulationClock } from './setting.ts';

/**
 * A task that was set off by another one is due by that one's own due time, not by when the machine got round to it: what is
 * simulated does not become slower because timers come a little late.
 */
export function createFastClock(factor: number): SimulationClock {
  const startMs = performance.now();
  let taskMs: number | undefined;
  const real = () => (performance.now() - startMs) * factor;
  const now = () => taskMs ?? real();
  const wallStartMs = Date.now();
  return {
    now,
    wallTime: () => wallStartMs + now(),
    after(delayMs, task) {
      const dueMs = now() + Math.max(0, delayMs);
      const timer = setTimeout(
        () => {
          taskMs = dueMs;
          try {
            task();
          } finally {
            taskMs = undefined;
          }
        },
        Math.max(0, dueMs - real()) / factor,
      );
      return () => clearTimeout(timer);
    },
  };
}
