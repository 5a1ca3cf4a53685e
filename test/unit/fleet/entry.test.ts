import { describe, expect, it } from 'vitest';
import type { Ask, Waiter, Work } from '../../../src/exchange.ts';
import { createFleet } from '../../../src/fleet/fleet.ts';
import { plainWork } from '../../support/work.ts';
import { attic, createWorld, healthyBox, runningItem } from './scripted-boxes.ts';

const waiter: Waiter = { deadlineMs: undefined, onGone: () => undefined, waitUntil: () => undefined };

/** Whether a call that needs this waits for a load of a model that can do that. */
async function waits(needs: Work['needs'], able: readonly string[] | undefined, isLoaded = false) {
  const world = createWorld();
  const script = healthyBox(['a:1b'], isLoaded ? [runningItem('a:1b')] : []);
  if (able !== undefined) script.answers['/api/show'] = { capabilities: able };
  script.answers['/api/generate'] = { model: 'a:1b', done: true, done_reason: 'load' };
  world.scripts.set(attic.baseUrl, script);
  const herd = createFleet({ upstreams: [attic], platform: world.platform, instanceId: 'me', jitter: () => 0.5 });
  herd.start();
  await world.clock.advance(5_000);
  const work = plainWork({ needs });
  const ask: Ask = { model: 'a:1b', numCtx: undefined, work };
  const admitted = herd.admit(attic, ask, waiter);
  await world.clock.advance(1);
  const loads = world.take(attic.baseUrl).filter((path) => path === '/api/generate').length;
  herd.stop();
  return [admitted instanceof Promise, loads];
}

describe('a call that the box refuses before it loads', () => {
  it('waits for no load: the box says at once what the model cannot do', async () => {
    expect(await waits(['tools'], ['completion'])).toEqual([false, 0]);
    expect(await waits(['tools', 'thinking'], ['completion', 'tools'])).toEqual([false, 0]);
  });

  it.each([
    ['needs nothing', [], ['completion']],
    ['needs what the model can do', ['tools'], ['completion', 'tools']],
    ['needs something of a model of which nothing is known', ['tools'], undefined],
  ] as const)('is none that %s', async (_, needs, able) => {
    expect(await waits(needs, able)).toEqual([true, 1]);
  });

  it('goes in as ever where the model is in memory', async () => {
    expect(await waits(['tools'], ['completion'], true)).toEqual([false, 0]);
  });
});
