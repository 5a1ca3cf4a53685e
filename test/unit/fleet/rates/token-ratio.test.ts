import { expect, test } from 'vitest';
import { TokenRatios } from '../../../../src/fleet/rates/token-ratio.ts';

function learnt(...tokens: number[]): number {
  const ratios = new TokenRatios();
  for (const one of tokens) ratios.learn('m', 1_000, one);
  return ratios.factorOf('m');
}

test('nothing is believed before three prompts', () => {
  expect([learnt(), learnt(1_300), learnt(1_300, 1_300)]).toEqual([1, 1, 1]);
  expect(learnt(1_265, 1_265, 1_265)).toBeCloseTo(1.1, 5);
});

test('the lowest ratio counts, less a margin, 15 % at most', () => {
  expect(learnt(3_000, 3_000, 3_000)).toBe(1.15);
  expect(learnt(3_000, 3_000, 1_200)).toBeCloseTo(1.0435, 3);
  expect(learnt(1_100, 1_100, 1_100)).toBe(1);
});

test('a low one is outweighed in time', () => {
  const ratios = new TokenRatios();
  ratios.learn('m', 1_000, 1_000);
  for (let at = 0; at < 100; at++) ratios.learn('m', 1_000, 1_300);
  expect(ratios.factorOf('m')).toBeGreaterThan(1.12);
});

test('prompts that were cut, and short ones, teach nothing', () => {
  const ratios = new TokenRatios();
  for (let at = 0; at < 3; at++) {
    ratios.learn('m', 1_000, 999);
    ratios.learn('m', 199, 400);
  }
  expect(ratios.size).toBe(0);
});

test('what is no number teaches nothing, and spoils nothing', () => {
  expect(learnt(Number.POSITIVE_INFINITY, 1_265, Number.NaN, 1_265, 1_265)).toBeCloseTo(1.1, 5);
  const ratios = new TokenRatios();
  for (const fewest of [Number.NaN, Number.POSITIVE_INFINITY]) ratios.learn('m', fewest, Number.POSITIVE_INFINITY);
  expect(ratios.size).toBe(0);
});

test('the first eight prompts of a model are wanted, later one of 32', () => {
  const ratios = new TokenRatios();
  for (let at = 0; at < 8; at++) {
    expect(ratios.wants('m')).toBe(true);
    ratios.learn('m', 1_000, 1_200);
  }
  const wanted = Array.from({ length: 32 }, () => ratios.wants('m'));
  expect(wanted.filter(Boolean)).toHaveLength(1);
});

test('no more than 256 models: the one that was least lately learnt of goes', () => {
  const ratios = new TokenRatios();
  for (let model = 0; model < 257; model++) for (let at = 0; at < 3; at++) ratios.learn(`m${model}`, 1_000, 1_265);
  expect(ratios.size).toBe(256);
  expect([ratios.factorOf('m0') > 1, ratios.factorOf('m1') > 1, ratios.factorOf('m256') > 1]).toEqual([false, true, true]);
});
