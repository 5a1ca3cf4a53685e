/**
 * Whether a box takes new work. A box that is out of service finishes what it has begun; everything else goes elsewhere.
 * The state lives with the box and survives reloads, not restarts.
 */
import type { Clock } from '../platform.ts';

export class Duty {
  /** On the clock; undefined: it serves. */
  #cordonedMs: number | undefined;

  get isCordoned(): boolean {
    return this.#cordonedMs !== undefined;
  }

  /** Returns whether that changed anything. */
  cordon(nowMs: number): boolean {
    if (this.#cordonedMs !== undefined) return false;
    this.#cordonedMs = nowMs;
    return true;
  }

  uncordon(): boolean {
    const was = this.isCordoned;
    this.#cordonedMs = undefined;
    return was;
  }

  /** For how long it has been out of service; undefined: it serves. */
  sinceMs(nowMs: number): number | undefined {
    return this.#cordonedMs === undefined ? undefined : nowMs - this.#cordonedMs;
  }
}

interface Busy {
  readonly inFlight: number;
  readonly waiting: number;
}

const lookMs = 50;

/**
 * Resolves with true as soon as nothing is under way or waits, with false after `limitMs`. Looks again and again, because on
 * Workers no request may end another one's promise.
 */
export function drained(box: () => Busy, clock: Clock, limitMs: number): Promise<boolean> {
  const endMs = clock.now() + limitMs;
  return new Promise((resolve) => {
    const look = (): void => {
      const { inFlight, waiting } = box();
      if (inFlight + waiting === 0) resolve(true);
      else if (clock.now() >= endMs) resolve(false);
      else clock.after(Math.min(lookMs, endMs - clock.now()), look);
    };
    look();
  });
}
