/** What every store of state must do. A new store is one more entry of the list. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createMemoryState } from '../../src/state/memory.ts';
import type { BucketRule, State } from '../../src/state/state.ts';

interface Store {
  readonly name: string;
  /** A fresh one. */
  open(): State | Promise<State>;
}

const stores: readonly Store[] = [{ name: 'memory', open: () => createMemoryState() }];

const threeASecond: BucketRule = { capacity: 10, perFill: 3, fillIntervalMs: 1_000 };

describe.each(stores)('the state in $name', ({ open }) => {
  describe('buckets', () => {
    it('start full, and are taken from until too little is left', async () => {
      const { buckets } = await open();
      const take = (amount: number) => buckets.take('a', threeASecond, amount, 0);
      expect(await take(6)).toEqual({ isAllowed: true, limit: 10, remaining: 4, resetMs: 1_000 });
      expect(await take(5)).toEqual({ isAllowed: false, limit: 10, remaining: 4, resetMs: 1_000 });
      expect(await take(4)).toEqual({ isAllowed: true, limit: 10, remaining: 0, resetMs: 1_000 });
      expect(await take(1)).toMatchObject({ isAllowed: false, remaining: 0 });
    });

    it('are filled in whole intervals, from their first use on, up to the capacity', async () => {
      const { buckets } = await open();
      const take = (nowMs: number, amount = 0) => buckets.take('a', threeASecond, amount, nowMs);
      await take(500, 10);
      expect(await take(1_499)).toMatchObject({ remaining: 0, resetMs: 1 });
      expect(await take(1_500)).toMatchObject({ remaining: 3, resetMs: 1_000 });
      expect(await take(2_499)).toMatchObject({ remaining: 3, resetMs: 1 });
      expect(await take(3_700)).toMatchObject({ remaining: 9, resetMs: 800 });
      expect(await take(4_500)).toMatchObject({ remaining: 10 });
      expect(await take(1_000_000_000)).toMatchObject({ remaining: 10 });
    });

    it('judge by what is needed where that differs from what is taken', async () => {
      const { buckets } = await open();
      const look = () => buckets.take('a', threeASecond, 0, 0, 1);
      expect(await look()).toMatchObject({ isAllowed: true, remaining: 10 });
      await buckets.settle('a', threeASecond, 10, 0);
      expect(await look()).toMatchObject({ isAllowed: false, remaining: 0 });
    });

    it('are corrected once the true cost is known: never below nothing, never above the capacity', async () => {
      const { buckets } = await open();
      const left = async () => (await buckets.take('a', threeASecond, 0, 0)).remaining;
      await buckets.settle('a', threeASecond, 4, 0);
      expect(await left()).toBe(6);
      await buckets.settle('a', threeASecond, -3, 0);
      expect(await left()).toBe(9);
      await buckets.settle('a', threeASecond, 500, 0);
      expect(await left()).toBe(0);
      await buckets.settle('a', threeASecond, -500, 0);
      expect(await left()).toBe(10);
    });

    it('know nothing of each other', async () => {
      const { buckets } = await open();
      await buckets.take('a', threeASecond, 10, 0);
      expect(await buckets.take('b', threeASecond, 1, 0)).toMatchObject({ isAllowed: true, remaining: 9 });
    });

    it('allow nothing without a capacity, and say that waiting does not help', async () => {
      const { buckets } = await open();
      const nothing: BucketRule = { capacity: 0, perFill: 0, fillIntervalMs: 1_000 };
      for (const nowMs of [0, 5_000]) {
        expect(await buckets.take('a', nothing, 1, nowMs)).toEqual({ isAllowed: false, limit: 0, remaining: 0, resetMs: 0 });
      }
    });

    it('that are never filled stay as they are', async () => {
      const { buckets } = await open();
      const once: BucketRule = { capacity: 2, perFill: 0, fillIntervalMs: 1_000 };
      await buckets.take('a', once, 2, 0);
      expect(await buckets.take('a', once, 1, 1e12)).toEqual({ isAllowed: false, limit: 2, remaining: 0, resetMs: 0 });
    });

    it('follow a rule that a reload has changed', async () => {
      const { buckets } = await open();
      await buckets.take('a', threeASecond, 1, 0);
      const smaller: BucketRule = { capacity: 4, perFill: 1, fillIntervalMs: 500 };
      expect(await buckets.take('a', smaller, 0, 0)).toEqual({ isAllowed: true, limit: 4, remaining: 4, resetMs: 500 });
      await buckets.take('a', smaller, 4, 0);
      expect(await buckets.take('a', threeASecond, 0, 1_000)).toMatchObject({ limit: 10, remaining: 3 });
    });

    it('are not filled by a clock that runs backwards, and name no wait longer than an interval', async () => {
      const { buckets } = await open();
      await buckets.take('a', threeASecond, 10, 5_000);
      expect(await buckets.take('a', threeASecond, 1, 1_000)).toEqual({
        isAllowed: false,
        limit: 10,
        remaining: 0,
        resetMs: 1_000,
      });
      expect(await buckets.take('a', threeASecond, 1, 6_000)).toMatchObject({ isAllowed: true, remaining: 2 });
    });

    it('never hold less than nothing or more than their capacity, and never give away more than was filled', async () => {
      const step = fc.record({
        afterMs: fc.integer({ min: 0, max: 5_000 }),
        amount: fc.integer({ min: 0, max: 15 }),
        charge: fc.integer({ min: -15, max: 15 }),
      });
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
          const { buckets } = await open();
          let nowMs = 0;
          let given = 0;
          let refunded = 0;
          for (const { afterMs, amount, charge } of steps) {
            nowMs += afterMs;
            const { isAllowed, remaining, resetMs } = await buckets.take('a', threeASecond, amount, nowMs);
            if (isAllowed) given += amount;
            expect(remaining).toBeGreaterThanOrEqual(0);
            expect(remaining).toBeLessThanOrEqual(10);
            expect(resetMs).toBeGreaterThan(0);
            expect(resetMs).toBeLessThanOrEqual(1_000);
            await buckets.settle('a', threeASecond, charge, nowMs);
            if (charge < 0) refunded -= charge;
          }
          expect(given).toBeLessThanOrEqual(10 + refunded + 3 * Math.floor(nowMs / 1_000));
        }),
        { numRuns: 200 },
      );
    });
  });

  describe('what is kept', () => {
    it('is made once for each key', async () => {
      const state = await open();
      const first = state.kept('a', () => ({ n: 1 }));
      expect(state.kept('a', () => ({ n: 2 }))).toBe(first);
      expect(state.kept('b', () => ({ n: 3 }))).toEqual({ n: 3 });
    });

    it('is forgotten by the second sweep after it was last asked for', async () => {
      const state = await open();
      const first = state.kept('a', () => ({}));
      state.sweep();
      expect(state.kept('a', () => ({}))).toBe(first);
      state.sweep();
      state.sweep();
      expect(state.kept('a', () => ({}))).not.toBe(first);
    });

    it('stays while each plan asks for it, and buckets stay in any case', async () => {
      const state = await open();
      const first = state.kept('a', () => ({}));
      await state.buckets.take('a', threeASecond, 10, 0);
      for (let reload = 0; reload < 3; reload++) {
        expect(state.kept('a', () => ({}))).toBe(first);
        state.sweep();
      }
      expect(await state.buckets.take('a', threeASecond, 1, 0)).toMatchObject({ isAllowed: false });
    });
  });
});
