import { describe, expect, test } from 'vitest';
import { GatewayError } from '../../../src/errors.ts';
import { Breaker } from '../../../src/fleet/breaker.ts';

interface Seen {
  readonly breaker: Breaker;
  readonly told: string[];
}

/** Jitter 0.5: rests are exactly as long as they are meant to be. */
function create(jitter = 0.5): Seen {
  const told: string[] = [];
  const breaker = new Breaker(() => jitter, {
    opened: (model, forMs, failures, why) => told.push(`${model} open ${forMs} after ${failures}: ${why}`),
    closed: (model) => told.push(`${model} closed`),
  });
  return { breaker, told };
}

/** The last of them at `lastMs`, each from a cause of its own. */
function failTimes(breaker: Breaker, times: number, lastMs = 0): void {
  for (let at = times - 1; at >= 0; at--) breaker.failed('m', lastMs - at * 100, 'crash');
}

describe('opens', () => {
  test('after three failures in a row, and says so once', () => {
    const { breaker, told } = create();
    failTimes(breaker, 2, -100);
    expect([breaker.isTripped('m', 0), breaker.openCount]).toEqual([false, 0]);
    failTimes(breaker, 1);
    expect([breaker.isTripped('m', 0), breaker.openCount]).toEqual([true, 1]);
    expect(told).toEqual(['m open 5000 after 3: crash']);
    expect(breaker.isTripped('other', 0)).toBe(false);
  });

  test('not for failures with answers in between', () => {
    const { breaker } = create();
    failTimes(breaker, 2);
    breaker.succeeded('m');
    failTimes(breaker, 2);
    expect(breaker.isTripped('m', 0)).toBe(false);
  });

  test('for longer each time, five minutes at most', () => {
    const { breaker, told } = create();
    failTimes(breaker, 3);
    let nowMs = 5_000;
    for (const restMs of [10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000]) {
      expect(breaker.isTripped('m', nowMs)).toBe(false);
      breaker.began('m', nowMs);
      breaker.failed('m', nowMs, 'crash');
      expect(told.at(-1)).toMatch(`m open ${restMs} `);
      expect(breaker.isTripped('m', nowMs + restMs - 1)).toBe(true);
      nowMs += restMs;
    }
  });

  test.each([
    [0, 4_500],
    [1, 5_500],
  ])('a tenth earlier or later: %s', (jitter, restMs) => {
    const { breaker } = create(jitter);
    failTimes(breaker, 3);
    expect([breaker.isTripped('m', restMs - 1), breaker.isTripped('m', restMs)]).toEqual([true, false]);
  });

  test('calls that were under way when it opened do not make it longer', () => {
    const { breaker, told } = create();
    failTimes(breaker, 3);
    failTimes(breaker, 5, 4_000);
    expect(breaker.isTripped('m', 5_000)).toBe(false);
    expect(told).toHaveLength(1);
  });
});

test('what fails at the same moment has one cause and counts once', () => {
  const { breaker } = create();
  for (let at = 0; at < 10; at++) breaker.failed('m', at, 'the model could not be loaded');
  expect(breaker.isTripped('m', 10)).toBe(false);
  breaker.failed('m', 100, 'crash');
  breaker.failed('m', 200, 'crash');
  expect(breaker.isTripped('m', 200)).toBe(true);
});

describe('half open', () => {
  test('one call tries it while the others go elsewhere; a whole answer closes it', () => {
    const { breaker, told } = create();
    failTimes(breaker, 3);
    expect(breaker.isTripped('m', 5_000)).toBe(false);
    breaker.began('m', 5_000);
    expect(breaker.isTripped('m', 5_001)).toBe(true);
    breaker.ended('m', 6_000, { how: 'completed' });
    expect([breaker.isTripped('m', 6_000), breaker.openCount]).toEqual([false, 0]);
    expect(told).toEqual(['m open 5000 after 3: crash', 'm closed']);
  });

  test('T7: a client that leaves is no verdict: the next call tries it', () => {
    const { breaker } = create();
    failTimes(breaker, 3);
    breaker.began('m', 5_000);
    breaker.ended('m', 5_100, { how: 'abandoned' });
    expect([breaker.isTripped('m', 5_100), breaker.openCount]).toEqual([false, 1]);
  });

  test('a try whose end nobody tells holds nothing up for good', () => {
    const { breaker } = create();
    failTimes(breaker, 3);
    breaker.began('m', 5_000);
    expect([breaker.isTripped('m', 14_999), breaker.isTripped('m', 15_000)]).toEqual([true, false]);
  });
});

describe('what counts', () => {
  test('T7: impatient clients never', () => {
    const { breaker } = create();
    for (let at = 0; at < 10; at++) breaker.ended('m', at * 100, { how: 'abandoned' });
    expect(breaker.isTripped('m', 900)).toBe(false);
  });

  test.each([
    ['a stream that broke off', { how: 'broken' }, true],
    ['a failure of the box', { how: 'failed', fault: 'out of memory' }, true],
    ['a refusal of the request', { how: 'failed' }, false],
  ] as const)('%s', (_, seen, counts) => {
    const { breaker } = create();
    for (let at = 0; at < 3; at++) breaker.ended('m', at * 100, seen);
    expect(breaker.isTripped('m', 200)).toBe(counts);
  });

  test.each([
    ['load_failed', true],
    ['queue_full', false],
    ['queue_timeout', false],
    ['box_cordoned', false],
  ] as const)('%s', (code, counts) => {
    const { breaker } = create();
    for (let at = 0; at < 3; at++) breaker.refused('m', at * 100, new GatewayError(code, ''));
    expect(breaker.isTripped('m', 200)).toBe(counts);
  });
});

test('no more than 256 models are remembered: of those the latest', () => {
  const { breaker, told } = create();
  for (let model = 0; model < 257; model++) for (let at = 0; at < 3; at++) breaker.failed(`m${model}`, at * 100, 'crash');
  expect(breaker.openCount).toBe(256);
  expect(['m0', 'm1', 'm256'].map((model) => breaker.isTripped(model, 200))).toEqual([false, true, true]);
  expect(told.at(-1)).toBe('m256 open 5000 after 3: crash');
  expect(told.filter((line) => line.endsWith('closed'))).toEqual(['m0 closed']);
});
