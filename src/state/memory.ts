/** State in this process's memory: gone when it ends, each isolate has its own. */
import type { BucketRule, BucketStore, BucketVerdict, State } from './state.ts';

export interface MemoryLimits {
  /** Buckets at once. Beyond them one is forgotten that has little to lose: see `forgetOne`. */
  readonly maxBuckets?: number;
}

interface Bucket {
  tokens: number;
  /** Start of the interval that is running. */
  filledMs: number;
  /** The one it was last asked with. */
  rule: BucketRule;
}

const defaultMaxBuckets = 10_000;
/** Of those that were asked for longest ago, so many are compared when one has to go. */
const comparedBuckets = 16;

export function createMemoryState({ maxBuckets = defaultMaxBuckets }: MemoryLimits = {}, isPerIsolate = false): State {
  const kept = new Map<string, { value: object; isAsked: boolean }>();
  return {
    buckets: createMemoryBuckets(maxBuckets),
    kept<Value extends object>(key: string, create: () => Value): Value {
      const known = kept.get(key);
      if (known !== undefined) {
        known.isAsked = true;
        return known.value as Value;
      }
      const value = create();
      kept.set(key, { value, isAsked: true });
      return value;
    },
    sweep() {
      for (const [key, entry] of kept) {
        if (entry.isAsked) entry.isAsked = false;
        else kept.delete(key);
      }
    },
    isPerIsolate,
  };
}

function createMemoryBuckets(maxBuckets: number): BucketStore {
  const buckets = new Map<string, Bucket>();

  const bucketOf = (key: string, rule: BucketRule, nowMs: number): Bucket => {
    const known = buckets.get(key);
    if (known !== undefined) {
      // Moved to the end: a Map keeps the order of insertion, so the first entry is the one asked for longest ago.
      buckets.delete(key);
      buckets.set(key, known);
      known.rule = rule;
      fill(known, nowMs);
      return known;
    }
    if (buckets.size >= maxBuckets) forgetOne(buckets, nowMs);
    const fresh = { tokens: rule.capacity, filledMs: nowMs, rule };
    buckets.set(key, fresh);
    return fresh;
  };

  return {
    take(key, rule, amount, nowMs, needs = amount): BucketVerdict {
      const bucket = bucketOf(key, rule, nowMs);
      const isAllowed = bucket.tokens >= needs;
      if (isAllowed) bucket.tokens = Math.max(0, bucket.tokens - amount);
      const untilFillMs = bucket.filledMs + rule.fillIntervalMs - nowMs;
      return {
        isAllowed,
        limit: rule.capacity,
        remaining: Math.floor(bucket.tokens),
        resetMs: rule.perFill === 0 ? 0 : Math.min(rule.fillIntervalMs, Math.max(0, untilFillMs)),
      };
    },
    settle(key, rule, amount, nowMs) {
      const bucket = bucketOf(key, rule, nowMs);
      bucket.tokens = Math.min(rule.capacity, Math.max(0, bucket.tokens - amount));
    },
  };
}

function fill(bucket: Bucket, nowMs: number): void {
  const { capacity, perFill, fillIntervalMs } = bucket.rule;
  const intervals = Math.floor((nowMs - bucket.filledMs) / fillIntervalMs);
  if (intervals > 0) {
    bucket.filledMs += intervals * fillIntervalMs;
    bucket.tokens += intervals * perFill;
  }
  // A reload may have made the bucket smaller.
  bucket.tokens = Math.min(capacity, bucket.tokens);
}

/**
 * A forgotten bucket is full when it is asked for again. So of those that nobody asked for lately the one goes that would be
 * full soonest anyway: somebody who invents keys by the thousand wipes out his own buckets before those that are used up.
 */
function forgetOne(buckets: Map<string, Bucket>, nowMs: number): void {
  let compared = 0;
  let soonest: { key: string; ms: number } | undefined;
  for (const [key, bucket] of buckets) {
    const ms = untilFullMs(bucket, nowMs);
    if (soonest === undefined || ms < soonest.ms) soonest = { key, ms };
    compared++;
    if (ms <= 0 || compared >= comparedBuckets) break;
  }
  if (soonest !== undefined) buckets.delete(soonest.key);
}

function untilFullMs({ tokens, filledMs, rule }: Bucket, nowMs: number): number {
  const missing = rule.capacity - tokens;
  if (missing <= 0) return 0;
  return filledMs + Math.ceil(missing / rule.perFill) * rule.fillIntervalMs - nowMs;
}
