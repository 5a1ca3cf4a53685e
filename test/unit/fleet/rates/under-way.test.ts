import { describe, expect, it } from 'vitest';
import { crowdOf, leftMsOf, slownessOf, type UnderWay } from '../../../../src/fleet/rates/under-way.ts';
import { plainWork } from '../../../support/work.ts';

const work = plainWork({ promptTokens: 1_000 });
const pace = { leastMs: 100, tokensPerSecond: 1_000, tokensFactor: 1, sayMs: 2_000 };

function run(given: Partial<UnderWay>): UnderWay {
  return { name: 'chat', ask: { model: 'chat', numCtx: undefined, work }, grantedMs: 0, beganMs: undefined, ...given };
}

describe('who works beside a call', () => {
  const crowd = (runs: readonly UnderWay[], nowMs: number) => crowdOf(runs, 'chat', nowMs, () => pace);

  it('is told apart by what it does: reads a prompt, answers with the same model, or with another', () => {
    const runs = [run({}), run({ name: 'other' }), run({ beganMs: 500 }), run({ name: 'other', beganMs: 500 })];
    expect(crowd(runs, 1_000)).toEqual({ reading: 2, saying: 1, sayingOthers: 1 });
    expect(slownessOf(crowd(runs, 1_000))).toBeCloseTo(3.65);
    expect(slownessOf(crowd([], 0))).toBe(1);
  });

  it('has read its prompt when twice the time is over, whatever it tells: whole answers begin when they end', () => {
    expect(crowd([run({})], 2_200)).toEqual({ reading: 1, saying: 0, sayingOthers: 0 });
    expect(crowd([run({})], 2_201)).toEqual({ reading: 0, saying: 1, sayingOthers: 0 });
  });
});

describe('what is left of a call', () => {
  const left = (given: Partial<UnderWay>, nowMs: number) => leftMsOf([run(given)], 'chat', nowMs, pace);

  it('is what it will say, and what it has not read of its prompt', () => {
    expect(left({}, 0)).toEqual([3_100]);
    expect(left({}, 600)).toEqual([2_500]);
    expect(left({ beganMs: 1_000 }, 1_500)).toEqual([1_500]);
  });

  it('goes by what was foretold of it', () => {
    const predicted = { totalMs: 0, queueMs: 0, loadMs: 0, evictionMs: 0, promptMs: 900, cachedMs: 500 };
    expect(left({ ask: { model: 'chat', numCtx: undefined, work, predicted } }, 100)).toEqual([2_300]);
  });

  it('is a quarter of all where it takes longer than that', () => {
    expect(left({ beganMs: 0 }, 60_000)).toEqual([500]);
    expect(left({}, 60_000)).toEqual([2_275]);
  });

  it('begins with those that are being answered, and leaves other models out', () => {
    const runs = [run({}), run({ name: 'other' }), run({ beganMs: 900 })];
    expect(leftMsOf(runs, 'chat', 1_000, pace)).toEqual([1_900, 2_275]);
  });
});
