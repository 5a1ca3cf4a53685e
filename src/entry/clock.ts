/** The machine's own clock, the same on every runtime. */
import type { Clock } from '../platform.ts';

/** Timers wrap round beyond 24 days and would fire at once; nothing here is waited for as long. */
const maxDelayMs = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => performance.now(),
  wallTime: () => Date.now(),
  after(delayMs, task) {
    const timer: unknown = setTimeout(task, Math.min(delayMs, maxDelayMs));
    // Node, Bun and Deno keep a process alive for a pending timer unless told otherwise; Workers have plain numbers.
    if (typeof timer === 'object' && timer !== null) (timer as { unref?(): void }).unref?.();
    else if (typeof timer === 'number') denoUnref?.(timer);
    return () => clearTimeout(timer as Parameters<typeof clearTimeout>[0]);
  },
};

const denoUnref = (globalThis as { Deno?: { unrefTimer?(id: number): void } }).Deno?.unrefTimer;
