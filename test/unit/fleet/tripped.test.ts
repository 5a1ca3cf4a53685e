/** The breaker at work in a fleet: what leases are told makes a box one that is asked last. */
import { expect, test } from 'vitest';
import type { Ask, LeaseSeen } from '../../../src/exchange.ts';
import { createFleet } from '../../../src/fleet/fleet.ts';
import { plainWork } from '../../support/work.ts';
import { attic, createWorld, den, healthyBox } from './scripted-boxes.ts';

const ask: Ask = {
  model: 'm',
  numCtx: undefined,
  work: plainWork({ promptTokens: 0 }),
};
const waiter = { deadlineMs: undefined, onGone: () => undefined, waitUntil: () => undefined };

test('a box that keeps failing with a model is asked last for it, and says so; a whole answer ends that', async () => {
  const world = createWorld();
  world.scripts.set(attic.baseUrl, healthyBox(['m']));
  const herd = createFleet({ upstreams: [attic, den], platform: world.platform, instanceId: 'me', jitter: () => 0.5 });
  const call = async (seen: LeaseSeen) => {
    const lease = await herd.admit(attic, ask, waiter);
    await world.clock.advance(100);
    lease.end(seen);
  };
  const trippedAt = () => [herd.isTripped(attic, 'm'), herd.isTripped(attic, 'other'), herd.isTripped(den, 'm')];
  for (let at = 0; at < 3; at++) await call({ how: 'abandoned' });
  expect(trippedAt()).toEqual([false, false, false]);
  for (let at = 0; at < 3; at++) await call({ how: 'failed', fault: 'out of memory' });
  expect(trippedAt()).toEqual([true, false, false]);
  expect(herd.describe().map(({ tripped }) => tripped)).toEqual([[{ model: 'm:latest', failures: 3, forMs: 5_000 }], undefined]);
  // A box that is alone is asked all the same.
  await call({ how: 'completed' });
  expect(trippedAt()).toEqual([false, false, false]);
});

test('a box that is to be tried again is not left alone for long because whoever came to try it has left the line', async () => {
  const world = createWorld();
  const narrow = {
    ...attic,
    box: { weight: 1, slots: 1, vramBytes: undefined, reserveBytes: 0, maxLoaded: undefined, headers: {} },
  };
  const herd = createFleet({ upstreams: [narrow, den], platform: world.platform, instanceId: 'me', jitter: () => 0.5 });
  for (let at = 0; at < 3; at++) {
    const lease = await herd.admit(narrow, ask, waiter);
    await world.clock.advance(200);
    lease.end({ how: 'failed', fault: 'out of memory' });
  }
  expect(herd.isTripped(narrow, 'm')).toBe(true);
  // A call from before is still under way when the rest is over, and the next one waits behind it.
  const held = herd.admit(narrow, ask, waiter);
  await world.clock.advance(5_100);
  expect(herd.isTripped(narrow, 'm')).toBe(false);
  const departures: (() => void)[] = [];
  const leaving = { ...waiter, onGone: (listener: () => void) => void departures.push(listener) };
  void herd.admit(narrow, ask, leaving);
  expect(herd.isTripped(narrow, 'm')).toBe(true);
  for (const listener of departures) listener();
  expect(herd.isTripped(narrow, 'm')).toBe(false);
  // The same where a lease ends and nobody can say what became of its call.
  (await held).end();
  (await herd.admit(narrow, ask, waiter)).end();
  expect(herd.isTripped(narrow, 'm')).toBe(false);
});
