import { describe, expect, it } from 'vitest';
import { createMemoryState } from '../../../src/state/memory.ts';
import type { BucketRule, BucketVerdict } from '../../../src/state/state.ts';

const aMinute: BucketRule = { capacity: 2, perFill: 1, fillIntervalMs: 60_000 };

function bucketsOf(maxBuckets: number) {
  const { buckets } = createMemoryState({ maxBuckets });
  const take = (key: string, amount: number, nowMs = 0, rule = aMinute) =>
    buckets.take(key, rule, amount, nowMs) as BucketVerdict;
  return { take, left: (key: string, nowMs = 0) => take(key, 0, nowMs).remaining };
}

describe('the memory of buckets', () => {
  it('answers at once, without a promise', () => {
    const { take } = bucketsOf(1);
    expect(take('a', 1)).not.toBeInstanceOf(Promise);
  });

  it('holds as many as it may', () => {
    const { take, left } = bucketsOf(3);
    for (const key of ['a', 'b', 'c']) take(key, 2);
    expect([left('a'), left('b'), left('c')]).toEqual([0, 0, 0]);
  });

  it('forgets the one that was asked for longest ago, of those that have as much to lose', () => {
    const { take, left } = bucketsOf(3);
    for (const key of ['a', 'b', 'c']) take(key, 2);
    left('a');
    take('d', 2);
    expect([left('a'), left('c'), left('d')]).toEqual([0, 0, 0]);
    expect(left('b')).toBe(2);
  });

  it('keeps one that is used up, however many others are invented', () => {
    const { take, left } = bucketsOf(50);
    take('spent', 2);
    for (let index = 0; index < 1_000; index++) take(`invented-${index}`, 1);
    expect(left('spent')).toBe(0);
  });

  it('counts the fills that have passed, and lets go of what is full again', () => {
    const { take, left } = bucketsOf(2);
    take('early', 2);
    take('late', 2, 115_000);
    // By now `early` is full again, and the other is not.
    take('new', 1, 121_000);
    expect(left('late', 121_000)).toBe(0);
    expect(left('early', 121_000)).toBe(2);
  });

  it('would rather forget what comes back than what never does', () => {
    const { take, left } = bucketsOf(2);
    const never: BucketRule = { capacity: 5, perFill: 0, fillIntervalMs: 1_000 };
    take('never', 5, 0, never);
    take('soon', 2);
    take('new', 1);
    expect(take('never', 1, 0, never).isAllowed).toBe(false);
    expect(left('new')).toBe(1);
  });

  it('compares sixteen of them at most', () => {
    const { take, left } = bucketsOf(18);
    for (let index = 0; index < 17; index++) take(`spent-${index}`, 2);
    take('full', 0);
    take('new', 1);
    // The full one was the eighteenth: nobody looked that far.
    expect(left('spent-1')).toBe(0);
    expect(left('spent-0')).toBe(2);
  });
});

describe('createMemoryState', () => {
  it('tells whether each isolate has its own', () => {
    expect(createMemoryState().isPerIsolate).toBe(false);
    expect(createMemoryState({}, true).isPerIsolate).toBe(true);
  });
});
