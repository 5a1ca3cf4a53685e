import { expect, test } from 'vitest';
import type { Ask, Waiter } from '../../../../src/exchange.ts';
import { type NeighbourLoad, Neighbours } from '../../../../src/fleet/loads/load-neighbours.ts';
import { createFakeClock } from '../../../support/fake-clock.ts';
import { plainWork } from '../../../support/work.ts';

const ask: Ask = {
  model: 'a',
  numCtx: undefined,
  work: plainWork({ promptTokens: 0 }),
};

function createStage(hasBackground = true) {
  const clock = createFakeClock();
  const loading: NeighbourLoad[] = [];
  const stage = { clash: true, listed: new Set(['a']), holds: true as boolean | undefined, busy: 1, looks: 0 };
  const neighbours = new Neighbours({
    clock,
    hasBackground,
    loads: () => loading,
    memory: {
      name: 'attic',
      runnerKeyOf: (model) => model,
      holds: () => stage.holds,
      mayClash: () => stage.clash,
      busyWith: () => stage.busy,
      async checkResident(model) {
        stage.looks++;
        stage.holds = stage.listed.has(model);
        return stage.holds;
      },
    },
  });
  const gone: (() => void)[] = [];
  const waits: unknown[] = [];
  const waiter: Waiter = {
    deadlineMs: undefined,
    onGone: (listener) => void gone.push(listener),
    waitUntil: () => undefined,
    onWait: (wait) => void waits.push(wait),
  };
  const hold = () => {
    const fate: { is: unknown } = { is: 'held' };
    neighbours
      .count(
        'a',
        waiter,
        neighbours.hold(ask, 'a', waiter, () => undefined),
      )
      .then(({ waitedMs }) => {
        fate.is = waitedMs;
      });
    return fate;
  };
  const begin = (model = 'b'): NeighbourLoad => {
    const load = { model, numCtx: undefined, startedMs: clock.now() };
    loading.push(load);
    return load;
  };
  const end = (load: NeighbourLoad) => {
    loading.splice(loading.indexOf(load), 1);
    return neighbours.ended(load, async () => {
      stage.holds = stage.listed.has('a');
    });
  };
  const leave = () => {
    for (const listener of gone) listener();
  };
  return { clock, stage, neighbours, waits, hold, begin, end, leave };
}

test('in the way of a load is what is idle and may not fit beside it', () => {
  const { neighbours, stage, begin } = createStage();
  expect(neighbours.isInTheWay('a', undefined)).toBe(false);
  begin();
  expect(neighbours.isInTheWay('a', undefined)).toBe(true);
  stage.clash = false;
  expect(neighbours.isInTheWay('a', undefined)).toBe(false);
  stage.clash = true;
  // Another call of it is at the box, beside the one that asks.
  stage.busy = 2;
  expect(neighbours.isInTheWay('a', undefined)).toBe(false);
  stage.holds = undefined;
  expect(neighbours.isInTheWay('a', undefined)).toBe(false);
  expect(neighbours.isInTheWay('b', undefined)).toBe(false);
});

test.each([true, false])(
  'what was pushed out is held until the load is over, and is told so (hasBackground %s)',
  async (hasBackground) => {
    const { clock, stage, neighbours, hold, begin, end, waits } = createStage(hasBackground);
    const load = begin();
    stage.listed.clear();
    const fate = hold();
    expect(waits).toEqual([{ for: 'load', boxName: 'attic', position: 0 }]);
    await clock.advance(5_000);
    expect([fate.is, stage.looks, neighbours.held, neighbours.waiting()]).toEqual(['held', 1, 1, ['a']]);
    const over = end(load);
    // Those who have waited for the load go first: where each looks for itself, up to 250 ms later.
    await clock.advance(hasBackground ? 99 : 349);
    expect(fate.is).toBe('held');
    await clock.advance(1);
    await over;
    await clock.advance(hasBackground ? 0 : 250);
    expect(fate.is).toBe(hasBackground ? 5_100 : 5_500);
    expect([neighbours.held, clock.pending]).toEqual([0, 0]);
  },
);

test('what is still listed after a second goes on beside the load', async () => {
  const { clock, stage, hold, begin } = createStage();
  begin();
  const fate = hold();
  await clock.advance(990);
  expect([fate.is, stage.looks]).toEqual(['held', 0]);
  await clock.advance(10);
  expect([fate.is, stage.looks, clock.pending]).toEqual([1_000, 1, 0]);
  // Later ones need not wait for that.
  const later = hold();
  await clock.settle();
  expect(later.is).toBe(0);
});

test('whoever leaves is held no more and is asked for nothing', async () => {
  const { clock, neighbours, hold, begin, end, leave } = createStage();
  const load = begin();
  const fate = hold();
  leave();
  await end(load);
  expect([fate.is, neighbours.held, clock.pending]).toEqual(['held', 0, 0]);
});

test('calls that come while it is asked what is in memory after a load are held for that; at most for 3 s', async () => {
  const stale = createStage();
  void stale.neighbours.ended({ model: 'b', numCtx: undefined, startedMs: 0 }, () => new Promise(() => undefined));
  expect([stale.neighbours.isSettling, stale.neighbours.isInTheWay('a', undefined)]).toEqual([true, true]);
  await stale.clock.advance(3_001);
  expect([stale.neighbours.isInTheWay('a', undefined), stale.neighbours.isSettling]).toEqual([false, false]);
});
