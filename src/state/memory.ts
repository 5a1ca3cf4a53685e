/** State in this process's memory: gone when it ends, each isolate has its own. */
import type { BucketRule, BucketStore, BucketVerdict, State } from './state.ts';

export interface MemoryLimits {
  /** Buckets at once. Beyond them the one that was asked for longest ago is forgotten: it would be full again soonest. */
  readonly maxBuckets?: number;
}

interface Bucket {
  tokens: number;
  /** Start of the interval that is running. */
  filledMs: number;
}

const defaultMaxBuckets = 10_000;

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
      fill(known, rule, nowMs);
      return known;
    }
    if (buckets.size >= maxBuckets) {
      const [oldest] = buckets.keys();
      if (oldest !== undefined) buckets.delete(oldest);
    }
    const fresh = { tokens: rule.capacity, filledMs: nowMs };
    buckets.set(key, fresh);
    return fresh;
  };

  return {
    take(key, rule, amount, nowMs, needs = amount): BucketVerdict {
      const bucket = bucketOf(key, rule, nowMs);
      const isAllowed = bucket.tokens >= needs;
      if (isAllowed) bucket.tokens -= amount;
      return {
        isAllowed,
        limit: rule.capacity,
        remaining: Math.max(0, Math.floor(bucket.tokens)),
        resetMs: Math.max(0, bucket.filledMs + rule.fillIntervalMs - nowMs),
      };
    },
    settle(key, rule, amount, nowMs) {
      const bucket = bucketOf(key, rule, nowMs);
      bucket.tokens = Math.min(rule.capacity, Math.max(0, bucket.tokens - amount));
    },
  };
}

function fill(bucket: Bucket, { capacity, perFill, fillIntervalMs }: BucketRule, nowMs: number): void {
  const intervals = Math.floor((nowMs - bucket.filledMs) / fillIntervalMs);
  if (intervals > 0) {
    bucket.filledMs += intervals * fillIntervalMs;
    bucket.tokens += intervals * perFill;
  }
  // A reload may have made the bucket smaller.
  bucket.tokens = Math.min(capacity, bucket.tokens);
}
