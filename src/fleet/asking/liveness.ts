/** Whether a box is there, since when it is not, and how long to leave it alone before asking again. */
import type { ErrorCode, GatewayError } from '../../errors.ts';

/** A box that fails is asked again after this, then after twice as long, up to the second. */
export const firstRetryMs = 1_000;
const maxRetryMs = 60_000;
/** What is older than this is not known any more; longer than the longest pause between two probes. */
const lastsMs = 90_000;
/** A box that has just gone keeps its models in the lists for so long: restarts are short. */
const absenceForgivenMs = 30_000;
const never = Number.NEGATIVE_INFINITY;

/** Failures that mean that nobody is there. All others leave open whether the box lives. */
const deadly: ReadonlySet<ErrorCode> = new Set([
  'upstream_refused',
  'upstream_unresolved',
  'upstream_tls',
  'upstream_silent',
  'upstream_closed',
]);

export function isDeadly(error: GatewayError): boolean {
  return deadly.has(error.code);
}

/** What changed, for the log: told once for each change. A box that was never there is not told of. */
export interface LivenessListener {
  gone(trouble: GatewayError): void;
  back(goneMs: number): void;
}

/** All times on one clock, handed in. */
export class Liveness {
  /** What keeps the box from serving, as far as known. A box can be up and yet in trouble: it refuses the Host header. */
  trouble: GatewayError | undefined;
  #isUp: boolean | undefined;
  #heardMs = never;
  #downSinceMs = never;
  #failedLooks = 0;
  #wasTold = false;
  readonly #listener: LivenessListener | undefined;

  constructor(listener?: LivenessListener) {
    this.#listener = listener;
  }

  /** Undefined: never heard of, or not lately. */
  isUp(nowMs: number): boolean | undefined {
    return nowMs - this.#heardMs > lastsMs ? undefined : this.#isUp;
  }

  /** Whether what the box has belongs into the lists: it is there, or was until a moment ago. */
  isForgiven(nowMs: number): boolean {
    return this.#isUp !== false || nowMs - this.#downSinceMs < absenceForgivenMs;
  }

  /** It answered an attempt. Returns whether that is news. */
  heard(nowMs: number): boolean {
    this.#heardMs = nowMs;
    if (this.#isUp === true) return false;
    this.up(nowMs);
    return true;
  }

  up(nowMs: number, trouble?: GatewayError): void {
    this.#isUp = true;
    this.#heardMs = nowMs;
    this.trouble = trouble;
    if (this.#wasTold) this.#listener?.back(nowMs - this.#downSinceMs);
    this.#wasTold = false;
  }

  down(nowMs: number, trouble: GatewayError): void {
    if (this.#isUp !== false) {
      this.#downSinceMs = nowMs;
      this.#failedLooks = 0;
    }
    const wasUp = this.#isUp === true;
    this.#isUp = false;
    this.#heardMs = nowMs;
    this.trouble = trouble;
    if (!wasUp) return;
    this.#wasTold = true;
    this.#listener?.gone(trouble);
  }

  /** After a look: how long until the next, in ms. `intervalMs` for a box that is up, else longer each time. */
  pauseMs(intervalMs: number): number {
    if (this.#isUp !== false) return intervalMs;
    const pauseMs = Math.min(firstRetryMs * 2 ** this.#failedLooks, maxRetryMs);
    this.#failedLooks = Math.min(this.#failedLooks + 1, 10);
    return pauseMs;
  }
}
