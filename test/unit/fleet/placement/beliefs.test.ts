import { expect, it } from 'vitest';
import type { Box } from '../../../../src/fleet/box.ts';
import { beliefsOf, loadMsOf } from '../../../../src/fleet/placement/beliefs.ts';
import { Rates } from '../../../../src/fleet/rates/rates.ts';
import { plainWork } from '../../../support/work.ts';

const work = plainWork({ promptTokens: 1_000 });

/** A box that has read 1,000 tokens in `readMs`, in a call of `callMs`; undefined: it was never asked. */
function boxOf(readMs?: number, callMs = 4_000): Box {
  let nowMs = 0;
  const rates = new Rates(() => nowMs);
  if (readMs !== undefined) {
    const ask = { model: 'chat', numCtx: undefined, work };
    const run = rates.granted({ model: 'chat', ask, loadMs: 0, isCold: false, sizeBytes: 0 });
    nowMs = 50 + readMs;
    run.began();
    nowMs = callMs;
    run.end({ how: 'completed', promptTokens: 1_000, outputTokens: 40 });
  }
  return { rates } as Box;
}

const [fast, slow, untried] = [boxOf(500), boxOf(2_000, 6_000), boxOf()];

it('is what a box has shown', () => {
  expect(beliefsOf(slow, 'chat', [slow], 0)).toEqual({
    callMs: 6_000,
    sayMs: 3_950,
    tokensPerSecond: 500,
    leastMs: 50,
    tokensFactor: 1,
    hitShare: 0.9,
  });
});

it('is the best of the others where a box has shown nothing, and a usual one where nobody has', () => {
  expect(beliefsOf(untried, 'chat', [fast, slow, untried], 0)).toMatchObject({ callMs: 4_000, tokensPerSecond: 2_000 });
  expect(beliefsOf(untried, 'other', [fast, slow, untried], 0)).toMatchObject({ callMs: 3_000, tokensPerSecond: 600 });
});

it('moves towards the best of the others with time, never more than half-way, and never down', () => {
  const herd = [fast, slow];
  const later = (box: Box, nowMs: number) => beliefsOf(box, 'chat', herd, nowMs).tokensPerSecond;
  expect([later(slow, 0), later(slow, 600_000), later(fast, 600_000)]).toEqual([500, 875, 2_000]);
  expect(later(slow, 1e9)).toBeCloseTo(1_250);
});

it('takes a box that has loaded nothing for as fast as the fastest of those that have', () => {
  const [quick, late] = [boxOf(), boxOf()];
  quick.rates.learnLoad(1e10, 11_000);
  late.rates.learnLoad(1e9, 11_000);
  const load = (box: Box, others: readonly Box[]) => loadMsOf(box, 1e9, others);
  expect([load(untried, [untried]), load(untried, [quick, late, untried]), load(late, [quick, late])]).toEqual([
    3_000, 2_000, 11_000,
  ]);
});
