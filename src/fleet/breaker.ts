/**
 * Which models a box is better not asked for just now. Only an order of preference: a box that is alone is asked all the same.
 * Counted are failures in a row that speak of the box; a client that left, a full queue or a bad request is none of them.
 */
import { GatewayError } from '../errors.ts';
import type { LeaseSeen } from '../exchange.ts';

/** Failures in a row that open it. */
const openAfter = 3;
const firstBackoffMs = 5_000;
const maxBackoffMs = 300_000;
/** What fails so close together has one cause: one load that several waited for, one runner under several streams. */
const sameCauseMs = 100;
/** Beyond that the model that was least lately in trouble is forgotten: it counts as sound again. */
const maxModels = 256;

/** What changed, for the log: told once for each change. */
export interface BreakerListener {
  /** `failures`: in a row, so far. */
  opened(model: string, forMs: number, failures: number, why: string): void;
  closed(model: string): void;
}

export interface TrippedModel {
  readonly model: string;
  readonly failures: number;
  /** Until one call may try it; 0: the next one may. */
  readonly forMs: number;
}

interface Trouble {
  failures: number;
  failedMs: number;
  /** The next time that it is left alone, it is for so long. */
  backoffMs: number;
  /** When one call may try it; undefined while it is closed. */
  restsUntilMs: number | undefined;
  /** What `restsUntilMs` was before the call that tries it now took its place. */
  probe: { readonly backMs: number } | undefined;
}

/** By model; times on one clock, handed in. What has no trouble takes up no room. */
export class Breaker {
  readonly #troubles = new Map<string, Trouble>();
  readonly #jitter: () => number;
  readonly #listener: BreakerListener | undefined;

  /** `jitter`: from 0 up to 1; rests differ by a tenth up or down, so that many gateways do not come back at once. */
  constructor(jitter: () => number, listener?: BreakerListener) {
    this.#jitter = jitter;
    this.#listener = listener;
  }

  /** Whether others should be asked first. False again when the rest is over and nobody tries it yet. */
  isTripped(model: string, nowMs: number): boolean {
    if (this.#troubles.size === 0) return false;
    const restsUntilMs = this.#troubles.get(model)?.restsUntilMs;
    return restsUntilMs !== undefined && nowMs < restsUntilMs;
  }

  /** Nothing is in trouble, as nearly always: calls that come, and those that end well, change nothing. */
  get isQuiet(): boolean {
    return this.#troubles.size === 0;
  }

  /** How many models are tripped, or wait for the call that tries them. */
  get openCount(): number {
    let count = 0;
    for (const { restsUntilMs } of this.#troubles.values()) if (restsUntilMs !== undefined) count++;
    return count;
  }

  /** At most 256, for people. */
  tripped(nowMs: number): readonly TrippedModel[] {
    const tripped: TrippedModel[] = [];
    for (const [model, { failures, restsUntilMs }] of this.#troubles) {
      if (restsUntilMs !== undefined) tripped.push({ model, failures, forMs: Math.max(0, restsUntilMs - nowMs) });
    }
    return tripped;
  }

  /**
   * A call leaves for the model. The first one after the rest tries whether it is sound again: until that is known the others go
   * elsewhere, for as long as the rest was at most, so that a call whose end nobody tells holds nothing up for good.
   */
  began(model: string, nowMs: number): void {
    if (this.#troubles.size === 0) return;
    const trouble = this.#troubles.get(model);
    if (trouble?.restsUntilMs === undefined || nowMs < trouble.restsUntilMs) return;
    trouble.probe = { backMs: nowMs };
    trouble.restsUntilMs = nowMs + trouble.backoffMs;
  }

  /** A whole answer came. */
  succeeded(model: string): void {
    if (this.#troubles.size === 0) return;
    const trouble = this.#troubles.get(model);
    if (trouble === undefined) return;
    this.#troubles.delete(model);
    if (trouble.restsUntilMs !== undefined) this.#listener?.closed(model);
  }

  /** The box failed; `why` in a few words. */
  failed(model: string, nowMs: number, why: string): void {
    const known = this.#troubles.get(model);
    if (known !== undefined && known.probe === undefined && nowMs - known.failedMs < sameCauseMs) return;
    const trouble = known ?? {
      failures: 0,
      failedMs: nowMs,
      backoffMs: firstBackoffMs,
      restsUntilMs: undefined,
      probe: undefined,
    };
    trouble.failedMs = nowMs;
    // The order of the map is the order of the last failures.
    this.#troubles.delete(model);
    this.#troubles.set(model, trouble);
    trouble.failures++;
    const isResting = trouble.restsUntilMs !== undefined && nowMs < trouble.restsUntilMs && trouble.probe === undefined;
    // Calls that were under way when it opened, and those of a box that is alone, do not open it once more.
    if (trouble.failures >= openAfter && !isResting) {
      const forMs = trouble.backoffMs * (0.9 + 0.2 * this.#jitter());
      trouble.restsUntilMs = nowMs + forMs;
      trouble.probe = undefined;
      trouble.backoffMs = Math.min(trouble.backoffMs * 2, maxBackoffMs);
      this.#listener?.opened(model, forMs, trouble.failures, why);
    }
    if (this.#troubles.size > maxModels) this.#forgetOldest();
  }

  /** A call came to nothing that says anything of the box: if it was the one that tries it, the next one may. */
  left(model: string): void {
    if (this.#troubles.size === 0) return;
    const trouble = this.#troubles.get(model);
    if (trouble?.probe === undefined) return;
    trouble.restsUntilMs = trouble.probe.backMs;
    trouble.probe = undefined;
  }

  /** What became of a call that was let in. */
  ended(model: string, nowMs: number, { how, fault }: LeaseSeen): void {
    if (how === 'completed') this.succeeded(model);
    else if (how === 'broken') this.failed(model, nowMs, fault ?? 'it broke off in the middle of an answer');
    else if (how === 'failed' && fault !== undefined) this.failed(model, nowMs, fault);
    else this.left(model);
  }

  /** A call was not let in: for want of room, or because its model could not be loaded. */
  refused(model: string, nowMs: number, thrown: unknown): void {
    if (thrown instanceof GatewayError && thrown.code === 'load_failed')
      this.failed(model, nowMs, 'the model could not be loaded');
    else this.left(model);
  }

  #forgetOldest(): void {
    const [oldest] = this.#troubles.keys();
    if (oldest === undefined) return;
    const trouble = this.#troubles.get(oldest);
    this.#troubles.delete(oldest);
    if (trouble?.restsUntilMs !== undefined) this.#listener?.closed(oldest);
  }
}
