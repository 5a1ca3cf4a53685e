/**
 * What outlives one plan: limits, health, caches of keys. A plan is compiled anew at every reload; its parts find what they
 * knew before under the same key. One contract suite runs over every store (`test/contract/state.test.ts`).
 */

export interface State {
  /** Token buckets by key. */
  readonly buckets: BucketStore;
  /**
   * The object that is kept under a key, made when there is none. For what lives in this process only (health scores,
   * caches). `key` holds the place in the YAML by names, not by numbers, so that it stays the same when a route is added.
   */
  kept<Value extends object>(key: string, create: () => Value): Value;
  /** After a reload: forgets what nobody asked for since the last sweep. */
  sweep(): void;
  /** True where several processes or isolates each have their own: limits hold per isolate only. */
  readonly isPerIsolate: boolean;
}

export interface BucketRule {
  /** The bucket starts full. */
  readonly capacity: number;
  readonly perFill: number;
  readonly fillIntervalMs: number;
}

export interface BucketVerdict {
  readonly isAllowed: boolean;
  readonly limit: number;
  readonly remaining: number;
  /** Until the next fill that brings something. */
  readonly resetMs: number;
}

/** A store may answer at once or later: the memory store answers at once, and costs no promise. */
export interface BucketStore {
  /**
   * Takes `amount` when that much is left; `needs` instead of `amount` decides whether it may (a call that costs nothing yet
   * needs 1 to be left). Whole intervals only are filled.
   */
  take(key: string, rule: BucketRule, amount: number, nowMs: number, needs?: number): BucketVerdict | Promise<BucketVerdict>;
  /** Corrects what was taken, up (a refund) or down (never below 0), once the true amount is known. */
  settle(key: string, rule: BucketRule, amount: number, nowMs: number): void | Promise<void>;
}
