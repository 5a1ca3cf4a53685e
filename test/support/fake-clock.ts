import { setImmediate as atNextTurn } from 'node:timers';
import type { Clock } from '../../src/platform.ts';

interface Task {
  readonly dueMs: number;
  readonly order: number;
  readonly run: () => void;
}

export interface FakeClock extends Clock {
  /** Moves time on by `ms`. Due tasks run one by one in due order, each at its own time, promises settling in between. */
  advance(ms: number): Promise<void>;
  /** Lets everything that is already on its way settle, without moving time. */
  settle(): Promise<void>;
  /** Moves the wall clock alone, as a user or NTP does; `now()` does not jump. */
  setWallTime(ms: number): void;
  /** How many tasks still wait: a leak shows here. */
  readonly pending: number;
  /** Milliseconds until the next task is due, or undefined when none waits. */
  readonly nextDueMs: number | undefined;
}

/** Time that stands still until a test moves it. `now()` starts at 0, `wallTime()` at 2026-01-01T00:00:00Z. */
export function createFakeClock(start: { nowMs?: number; wallTimeMs?: number } = {}): FakeClock {
  let nowMs = start.nowMs ?? 0;
  let wallAheadMs = (start.wallTimeMs ?? Date.UTC(2026, 0, 1)) - nowMs;
  let order = 0;
  const tasks = new Set<Task>();

  const next = (): Task | undefined => {
    let first: Task | undefined;
    for (const task of tasks) {
      if (first === undefined || task.dueMs < first.dueMs || (task.dueMs === first.dueMs && task.order < first.order))
        first = task;
    }
    return first;
  };

  return {
    now: () => nowMs,
    wallTime: () => nowMs + wallAheadMs,
    after(delayMs, run) {
      const task: Task = { dueMs: nowMs + Math.max(0, delayMs), order: order++, run };
      tasks.add(task);
      return () => {
        tasks.delete(task);
      };
    },
    async advance(ms) {
      const untilMs = nowMs + ms;
      await settle();
      for (let task = next(); task !== undefined && task.dueMs <= untilMs; task = next()) {
        tasks.delete(task);
        nowMs = task.dueMs;
        task.run();
        await settle();
      }
      nowMs = untilMs;
      await settle();
    },
    settle,
    setWallTime(ms) {
      wallAheadMs = ms - nowMs;
    },
    get pending() {
      return tasks.size;
    },
    get nextDueMs() {
      const task = next();
      return task === undefined ? undefined : task.dueMs - nowMs;
    },
  };
}

/** One turn of the event loop: every promise that can settle without outside help has settled. */
function settle(): Promise<void> {
  return new Promise((resolve) => atNextTurn(resolve));
}
