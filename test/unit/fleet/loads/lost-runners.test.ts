import { expect, test } from 'vitest';
import type { Ask, LeaseSeen } from '../../../../src/exchange.ts';
import { faultOf } from '../../../../src/fleet/asking/faults.ts';
import { createFleet } from '../../../../src/fleet/fleet.ts';
import { LostRunners, maxLost } from '../../../../src/fleet/loads/lost-runners.ts';
import { plainWork } from '../../../support/work.ts';
import { attic, createWorld, healthyBox } from '../scripted-boxes.ts';

const ask: Ask = {
  model: 'm',
  numCtx: undefined,
  work: plainWork({ promptTokens: 0 }),
};
const waiter = { deadlineMs: undefined, onGone: () => undefined, waitUntil: () => undefined };

/** A box that lists `m` as loaded, whatever has become of its runner. */
async function herdWithWarmBox() {
  const world = createWorld();
  const script = healthyBox(['m']);
  script.answers['/api/ps'] = { models: [{ name: 'm:latest', model: 'm:latest', digest: 'sha-m', size: 1, size_vram: 1 }] };
  script.answers['/api/generate'] = { done: true };
  world.scripts.set(attic.baseUrl, script);
  const herd = createFleet({ upstreams: [attic], platform: world.platform, instanceId: 'me', jitter: () => 0.5 });
  void herd.learn();
  await world.clock.advance(10);
  /** Paths that the box was asked for because of one call. */
  const pathsOf = async (seen: LeaseSeen): Promise<string[]> => {
    world.take(attic.baseUrl);
    const admitted = herd.admit(attic, ask, waiter);
    await world.clock.advance(10);
    (await admitted).end(seen);
    await world.clock.advance(10);
    return world.take(attic.baseUrl).filter((path) => path === '/api/generate');
  };
  return { world, herd, script, pathsOf };
}

test.each<[string, LeaseSeen]>([
  ['a stream that broke', { how: 'broken' }],
  ['a crash', { how: 'failed', fault: 'its runner failed', isCrash: true }],
])(
  'after %s the model is loaded by Corral before the next call, although the box lists it; then it counts as there',
  async (_, seen) => {
    const { herd, pathsOf } = await herdWithWarmBox();
    expect(await pathsOf(seen)).toEqual([]);
    expect(herd.isResident(attic, 'm')).toBe(false);
    expect(await pathsOf({ how: 'abandoned' })).toEqual(['/api/generate']);
    expect(herd.isResident(attic, 'm')).toBe(true);
    expect(await pathsOf({ how: 'completed' })).toEqual([]);
    // A load that has just ended well says nothing of a runner that crashed after it.
    await pathsOf(seen);
    expect(await pathsOf({ how: 'completed' })).toEqual(['/api/generate']);
  },
);

test.each<[string, LeaseSeen]>([
  ['a client that left', { how: 'abandoned' }],
  ['a refusal', { how: 'failed' }],
  ['a tunnel that failed', { how: 'failed', fault: '502' }],
])('after %s nothing is loaded anew', async (_, seen) => {
  const { pathsOf } = await herdWithWarmBox();
  await pathsOf(seen);
  expect(await pathsOf({ how: 'completed' })).toEqual([]);
});

test('a call that is answered to its end, or a list without it, ends the doubt', async () => {
  const { world, herd, script, pathsOf } = await herdWithWarmBox();
  const admitted = await herd.admit(attic, ask, waiter);
  await pathsOf({ how: 'broken' });
  expect(herd.isResident(attic, 'm')).toBe(false);
  admitted.end({ how: 'completed' });
  expect(herd.isResident(attic, 'm')).toBe(true);

  await pathsOf({ how: 'broken' });
  const listed = script.answers['/api/ps'];
  script.answers['/api/ps'] = { models: [] };
  void herd.checkResident(attic, 'm');
  await world.clock.advance(10);
  script.answers['/api/ps'] = listed;
  void herd.checkResident(attic, 'm');
  await world.clock.advance(10);
  expect(herd.isResident(attic, 'm')).toBe(true);
});

test('no more than 64 are remembered; the first are believed in again', () => {
  const lost = new LostRunners();
  for (let at = 0; at < maxLost + 1; at++) lost.lose(`m${at}`);
  expect([lost.size, lost.has('m0'), lost.has('m1'), lost.has('m64')]).toEqual([64, false, true, true]);
});

test('what the box says of a runner that ended is a crash; a full queue, a proxy and other failures are none', () => {
  const isCrash = (status: number, error: string) => faultOf(status, JSON.stringify({ error })).isCrash;
  expect(isCrash(500, 'an error was encountered while running the model: unexpected EOF')).toBe(true);
  expect(isCrash(500, 'model requires more system memory (5.3 GiB) than is available (3.9 GiB)')).toBe(true);
  expect(isCrash(503, 'server busy, please try again.  maximum pending requests exceeded')).toBeUndefined();
  expect(isCrash(502, 'bad gateway')).toBeUndefined();
  expect(isCrash(500, 'something new')).toBeUndefined();
});
