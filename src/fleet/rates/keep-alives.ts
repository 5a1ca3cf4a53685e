/**
 * The keep_alive of each model in a box's memory, from one look at `/api/ps` after the other: its end is set anew whenever the model
 * has become idle (server/sched.go, processCompleted), so between two looks it became idle somewhere in between. Milliseconds.
 */
import { instantOf, type RunningModel } from '../asking/answers.ts';

/** It lies between these. */
export interface KeepAlive {
  readonly leastMs: number;
  /** ∞: not known. */
  readonly mostMs: number;
}

export const unknownKeepAlive: KeepAlive = { leastMs: 0, mostMs: Number.POSITIVE_INFINITY };

interface Known extends KeepAlive {
  readonly expiresMs: number;
}

/** Of one box. Knows no more models than were listed by the last look. */
export class KeepAlives {
  #known = new Map<string, Known>();
  #lookedMs: number | undefined;

  of(model: string): KeepAlive {
    return this.#known.get(model) ?? unknownKeepAlive;
  }

  get size(): number {
    return this.#known.size;
  }

  saw(running: ReadonlyMap<string, RunningModel>, wallMs: number): void {
    const known = new Map<string, Known>();
    for (const [model, { expiresAt }] of running) {
      const expiresMs = instantOf(expiresAt);
      const before = this.#known.get(model);
      known.set(model, before?.expiresMs === expiresMs ? before : { ...this.#between(expiresMs, wallMs, before), expiresMs });
    }
    this.#known = known;
    this.#lookedMs = wallMs;
  }

  /** It has become idle since the last look. */
  #between(expiresMs: number, wallMs: number, before = unknownKeepAlive): KeepAlive {
    const leastMs = Math.max(0, expiresMs - wallMs);
    const mostMs = this.#lookedMs === undefined ? Number.POSITIVE_INFINITY : Math.max(leastMs, expiresMs - this.#lookedMs);
    // A call may have brought another one.
    if (leastMs > before.mostMs || mostMs < before.leastMs) return { leastMs, mostMs };
    return { leastMs: Math.max(leastMs, before.leastMs), mostMs: Math.min(mostMs, before.mostMs) };
  }
}
