import { describe, expect, it } from 'vitest';
import { createBoxes } from '../../../src/fleet/boxes.ts';
import { createFleet } from '../../../src/fleet/fleet.ts';
import { createWorld, healthyBox, upstreamNamed, type World } from './scripted-boxes.ts';

function stage(models: Readonly<Record<string, readonly string[]>>) {
  const world = createWorld();
  for (const [url, names] of Object.entries(models)) world.scripts.set(url, healthyBox([...names]));
  const boxes = createBoxes({ platform: world.platform, instanceId: 'me', jitter: () => 0.5 });
  const herdOf = (named: Readonly<Record<string, string>>, probeIntervalMs = 10_000) => {
    const upstreams = Object.entries(named).map(([name, url]) => upstreamNamed(name, url));
    const herd = createFleet({ upstreams, platform: world.platform, instanceId: 'me', boxes, probeIntervalMs });
    return { herd, upstreams };
  };
  return { world, boxes, herdOf };
}

const attic = 'http://attic:11434';
const den = 'http://den:11434';

async function settle(world: World, ms = 100): Promise<void> {
  await world.clock.advance(ms);
}

describe('boxes across plans', () => {
  it('are known at once under the next plan, by its name, without being asked again', async () => {
    const { world, boxes, herdOf } = stage({ [attic]: ['llama3.2:latest'] });
    const before = herdOf({ old: attic });
    before.herd.start();
    await settle(world);
    world.take(attic);
    const after = herdOf({ renamed: attic });
    after.herd.start();
    await settle(world);
    expect(world.take(attic)).toEqual([]);
    const [upstream] = after.upstreams;
    if (upstream === undefined) throw new Error('there is one');
    expect(after.herd.isAlive(upstream)).toBe(true);
    expect(after.herd.hasModel(upstream, 'llama3.2')).toBe(true);
    expect(after.herd.describe().map(({ name, isAlive }) => [name, isAlive])).toEqual([['renamed', true]]);
    expect(boxes.size).toBe(1);
  });

  it('count what is under way over all plans', () => {
    const { herdOf } = stage({});
    const before = herdOf({ old: attic });
    const after = herdOf({ fresh: attic });
    const [old] = before.upstreams;
    const [fresh] = after.upstreams;
    if (old === undefined || fresh === undefined) throw new Error('there is one each');
    before.herd.enter(old);
    after.herd.enter(fresh);
    expect([before.herd.inFlight(old), after.herd.inFlight(fresh)]).toEqual([2, 2]);
    before.herd.leave(old);
    expect(after.herd.inFlight(fresh)).toBe(1);
  });

  it('are asked as long as a plan has them, and no longer', async () => {
    const { world, boxes, herdOf } = stage({ [attic]: [], [den]: [] });
    const before = herdOf({ attic, den });
    before.herd.start();
    await settle(world);
    const after = herdOf({ den });
    after.herd.start();
    world.take(attic);
    // The old plan still answers something.
    await settle(world, 12_000);
    expect(world.take(attic)).toContain('/api/version');
    before.herd.release();
    before.herd.release();
    expect(boxes.size).toBe(1);
    world.take(den);
    await settle(world, 12_000);
    expect(world.take(attic)).toEqual([]);
    expect(world.take(den)).toContain('/api/version');
  });

  it('that come with a later plan are asked from then on, at its pace', async () => {
    const { world, herdOf } = stage({ [attic]: [], [den]: [] });
    herdOf({ attic }).herd.start();
    await settle(world);
    herdOf({ attic, den }, 60_000).herd.start();
    await settle(world);
    expect(world.take(den)).toContain('/api/version');
    await settle(world, 50_000);
    expect(world.take(den)).toEqual([]);
    await settle(world, 20_000);
    expect(world.take(den)).toContain('/api/version');
  });

  it('do not pile up', async () => {
    const { world, boxes, herdOf } = stage({ [attic]: [] });
    let herd = herdOf({ attic }).herd;
    herd.start();
    for (let count = 0; count < 100; count++) {
      const next = herdOf({ [`name${count}`]: attic, [`gone${count}`]: `http://gone-${count}:1` }).herd;
      herd.release();
      herd = next;
    }
    expect(boxes.size).toBe(2);
    await settle(world, 10_000);
    herd.stop();
    await settle(world, 10_000);
    expect(world.clock.pending).toBe(0);
  });
});
