/** The breaker at work in a fleet: what leases are told makes a box one that is asked last. */
import { expect, test } from 'vitest';
import type { Ask, LeaseSeen } from '../../../src/exchange.ts';
import { createFleet } from '../../../src/fleet/fleet.ts';
import { createWorld, healthyBox, upstreamNamed } from './scripted-boxes.ts';

const attic = upstreamNamed('attic', 'http://attic:11434');
const den = upstreamNamed('den', 'http://den:11434');
const ask: Ask = {
  model: 'm',
  numCtx: undefined,
  work: { promptTokens: 0, conversation: undefined, sharer: '', weight: 1, urgency: 'interactive', use: 'generate' },
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
