/**
 * What outlives one plan: limits, health, caches of keys. A plan is compiled anew at every reload; its parts find what they
 * knew before under the same key. One contract suite runs over every store (`test/contract/state.test.ts`).
 */

export interface State {
  /** Token buckets by key. */
  readonly buckets: BucketStore;
  /**
   * The object that is kept under a key, made when there is none. For what lives in this process only (health scores,
   * caches). Asked for while a plan is compiled, so that there are as many as the configuration names, and no more. `key`
   * holds the place in the YAML by names, not by numbers, so that it stays the same when a route is added.
   */
  kept<Value extends object>(key: string, create: () => Value): Value;
  /** After a reload: forgets what nobody asked for since the last sweep. Buckets stay: their number is bounded by itself. */
  sweep(): void;
  /** True where several processes or isolates each have their own: limits hold per isolate only. */
  readonly isPerIsolate: boolean;
}

/** All three may change from one call to the next, by a reload: the new ones hold from then on. */
export interface BucketRule {
  /** The bucket starts full. 0: nothing is ever allowed. */
  readonly capacity: number;
  /** 0: what is taken never comes back. */
  readonly perFill: number;
  /** Above 0. */
  readonly fillIntervalMs: number;
}

export interface BucketVerdict {
  readonly isAllowed: boolean;
  readonly limit: number;
  /** A whole number, what this call took already subtracted. */
  readonly remaining: number;
  /** Until the next fill, an interval at most; 0 where no fill will ever bring anything. */
  readonly resetMs: number;
}

/**
 * A store may answer at once or later: the memory store answers at once, and costs no promise. `nowMs` never runs backwards
 * for one store but by mistake; then nothing is filled until time has caught up.
 */
export interface BucketStore {
  /**
   * Takes `amount` when that much is left, and nothing otherwise; `needs` instead of `amount` decides whether it may (a call
   * that costs nothing yet needs 1 to be left). Whole intervals only are filled.
   */
  take(key: string, rule: BucketRule, amount: number, nowMs: number, needs?: number): BucketVerdict | Promise<BucketVerdict>;
  /** Corrects what was taken once the true amount is known: a further cost (never below 0), or below 0 a refund (never above the capacity). */
  settle(key: string, rule: BucketRule, amount: number, nowMs: number): void | Promise<void>;
}
