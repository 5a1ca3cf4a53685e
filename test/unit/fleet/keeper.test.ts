import { describe, expect, it } from 'vitest';
import type { Ask, Upstream, Waiter } from '../../../src/exchange.ts';
import { createFleet, type TendedHerd } from '../../../src/fleet/fleet.ts';
import { plainWork } from '../../support/work.ts';
import {
  attic,
  createWorld,
  den,
  ghost,
  healthyBox,
  modelItem,
  Raw,
  runningItem,
  type Script,
  type World,
} from './scripted-boxes.ts';

interface Kept {
  readonly world: World;
  readonly herd: TendedHerd;
  readonly log: string[];
}

/** Boxes by their scripts; undefined: no such host. */
function kept(scripts: readonly (readonly [Upstream, Script | undefined])[], hasBackground = true): Kept {
  const world = createWorld({ hasBackground });
  const log: string[] = [];
  for (const [{ baseUrl }, script] of scripts) if (script !== undefined) world.scripts.set(baseUrl, script);
  const platform = { ...world.platform, report: (level: string, message: string) => void log.push(`${level} ${message}`) };
  const upstreams = scripts.map(([upstream]) => upstream);
  return { world, log, herd: createFleet({ upstreams, platform, instanceId: 'me', jitter: () => 0.5 }) };
}

const showing = (capabilities: readonly string[], contextLength = 8_192) => ({
  capabilities,
  model_info: { 'general.architecture': 'llama', 'llama.context_length': contextLength },
});

const ask: Ask = {
  model: 'a:1b',
  numCtx: undefined,
  work: plainWork(),
};
const waiter: Waiter = { deadlineMs: undefined, onGone: () => undefined, waitUntil: () => undefined };

describe('what is known of the models', () => {
  it('T4: lists and reports come at once, whatever a box does: one is blackholed, one does not resolve', async () => {
    const { world, herd } = kept([
      [attic, healthyBox(['a:1b'])],
      [den, { ...healthyBox(['b:1b']), fault: 'silent' }],
      [ghost, undefined],
    ]);
    herd.start();
    await world.clock.advance(10_000);
    const startedMs = world.clock.now();
    let isDone = false;
    void herd.learn().then(() => {
      isDone = true;
    });
    await world.clock.advance(49);
    expect(isDone).toBe(true);
    expect(herd.models().map(({ model }) => model.name)).toEqual(['a:1b']);
    expect(herd.keeper.report().boxes.map(({ name, isAlive, trouble }) => [name, isAlive, trouble?.code])).toEqual([
      ['attic', true, undefined],
      ['den', false, 'upstream_silent'],
      ['ghost', false, 'upstream_unresolved'],
    ]);
    expect(world.clock.now() - startedMs).toBe(49);
    herd.stop();
  });

  it('A3: reports tell of each model once, with the boxes that have it, as it is listed', async () => {
    const script = healthyBox(['a:1b', 'c:1b']);
    const { world, herd } = kept([
      [attic, healthyBox(['a:1b', 'b:1b'])],
      [den, script],
    ]);
    herd.start();
    await world.clock.advance(10_000);
    const told = () => herd.keeper.report().models.toSorted((one, other) => (one.name < other.name ? -1 : 1));
    expect(told()).toEqual([
      { name: 'a:1b', boxes: ['attic', 'den'] },
      { name: 'b:1b', boxes: ['attic'] },
      { name: 'c:1b', boxes: ['den'] },
    ]);
    script.fault = 'refused';
    // As long as lists forgive it, and no longer.
    await world.clock.advance(40_500);
    expect(told()).toEqual([
      { name: 'a:1b', boxes: ['attic'] },
      { name: 'b:1b', boxes: ['attic'] },
    ]);
    herd.stop();
  });

  it('T18: a model that comes or goes is seen within the probe interval, and at once after a refresh', async () => {
    const script = healthyBox(['a:1b']);
    const { world, herd } = kept([[attic, script]]);
    herd.start();
    await world.clock.advance(1_000);
    const names = () => herd.models().map(({ model }) => model.name);
    script.answers['/api/tags'] = { models: [modelItem('a:1b'), modelItem('new:1b')] };
    await Promise.all([herd.keeper.refresh(), world.clock.advance(1_000)]);
    expect(names().sort()).toEqual(['a:1b', 'new:1b']);
    script.answers['/api/tags'] = { models: [modelItem('new:1b')] };
    await world.clock.advance(10_500);
    expect(names()).toEqual(['new:1b']);
    herd.stop();
  });

  it('A18: what only a box has that is gone is listed for 30 s more, and again as soon as it is back', async () => {
    const script = healthyBox(['b:1b']);
    const { world, herd } = kept([
      [attic, healthyBox(['a:1b'])],
      [den, script],
    ]);
    herd.start();
    await world.clock.advance(10_000);
    const names = () => herd.models().map(({ model }) => model.name);
    expect(names().sort()).toEqual(['a:1b', 'b:1b']);
    script.fault = 'refused';
    await world.clock.advance(40_500);
    expect(names()).toEqual(['a:1b']);
    delete script.fault;
    await Promise.all([herd.keeper.refresh(), world.clock.advance(1_000)]);
    expect(names().sort()).toEqual(['a:1b', 'b:1b']);
    script.fault = 'refused';
    // Whoever leaves for a moment stays in the lists.
    await Promise.all([herd.keeper.refresh(), world.clock.advance(29_000)]);
    expect(names().sort()).toEqual(['a:1b', 'b:1b']);
    await world.clock.advance(2_000);
    expect(names()).toEqual(['a:1b']);
    herd.stop();
  });

  it('T18: a refresh does not believe a look that had begun before', async () => {
    const script: Script = { ...healthyBox(['a:1b']), delayMs: 100 };
    const { world, herd } = kept([[attic, script]]);
    herd.start();
    await world.clock.advance(1_000);
    await world.clock.advance(2_000);
    const changedMs = world.clock.now() + 50;
    // The box reads its list when it is asked, and its answer takes 100 ms.
    script.answers['/api/tags'] = () => ({
      models: world.clock.now() - 100 < changedMs ? [modelItem('a:1b')] : [modelItem('a:1b'), modelItem('new:1b')],
    });
    void herd.learn();
    await world.clock.advance(60);
    const refreshed = herd.keeper.refresh();
    await world.clock.advance(300);
    expect(await refreshed).toEqual({ answered: ['attic'], silent: [] });
    expect(herd.hasModel(attic, 'new:1b')).toBe(true);
    herd.stop();
  });

  it('a refresh waits for no box longer than 5 s', async () => {
    const { world, herd } = kept([
      [attic, healthyBox(['a:1b'])],
      [den, { ...healthyBox([]), fault: 'silent' }],
    ]);
    const refreshed = herd.keeper.refresh();
    await world.clock.advance(5_000);
    expect(await refreshed).toEqual({ answered: ['attic'], silent: ['den'] });
  });

  it('asks once for what each digest can do, whichever boxes have it', async () => {
    const script = (more: string): Script => {
      const box = healthyBox([['a:1b', 'same'], ['alias:1b', 'same'], more]);
      box.answers['/api/show'] = (text: string) =>
        text.includes('gone') ? new Raw(404, '{}') : showing(['completion', 'tools']);
      return box;
    };
    const { world, herd } = kept([
      [attic, script('x:1b')],
      [den, script('gone:1b')],
    ]);
    herd.start();
    await world.clock.advance(60_000);
    const shows = world.asked
      .filter(({ url }) => url.endsWith('/api/show'))
      .map(({ url, text }) => `${url.slice(7, 12)} ${text}`);
    expect(shows.filter((one) => one.includes('a:1b') || one.includes('alias:1b'))).toHaveLength(1);
    expect(shows.filter((one) => one.includes('x:1b'))).toHaveLength(1);
    expect(shows.filter((one) => one.includes('gone:1b'))).toHaveLength(1);
    expect(herd.factsOf(den, 'alias:1b')).toEqual({ capabilities: ['completion', 'tools'], contextLength: 8_192 });
    expect(herd.factsOf(den, 'gone:1b')).toBeUndefined();
    const models = herd.keeper
      .report()
      .boxes[0]?.models?.map(({ name, capabilities, contextLength }) => [name, capabilities, contextLength]);
    expect(models?.[0]).toEqual(['a:1b', ['completion', 'tools'], 8_192]);
    herd.stop();
  });

  it('never asks for models of a cloud', async () => {
    const script = healthyBox([]);
    script.answers['/api/tags'] = { models: [{ ...modelItem('big:cloud'), remote_host: 'https://ollama.com' }] };
    const { world, herd } = kept([[attic, script]]);
    herd.start();
    await world.clock.advance(30_000);
    expect(world.take(attic.baseUrl)).not.toContain('/api/show');
    herd.stop();
  });

  it('T16: models that differ between boxes are told in the log once per change, and reported', async () => {
    const script = healthyBox([['a:1b', 'old-digest-12345']]);
    const { world, herd, log } = kept([
      [attic, healthyBox([['a:1b', 'new-digest-12345']])],
      [den, script],
    ]);
    herd.start();
    await world.clock.advance(60_000);
    const told =
      'digest drift: a:1b is not the same on all boxes: new-digest-1 on attic; old-digest-1 on den. Pull it again where it is old: ollama pull a:1b';
    expect(log.filter((line) => line.includes('digest'))).toEqual([`warn ${told}`]);
    expect(herd.keeper.driftingModels).toBe(1);
    expect(herd.keeper.report().drift).toEqual([
      {
        model: 'a:1b',
        digests: [
          { digest: 'new-digest-12345', modifiedAt: '2026-01-28T10:00:00.123456789Z', boxes: ['attic'] },
          { digest: 'old-digest-12345', modifiedAt: '2026-01-28T10:00:00.123456789Z', boxes: ['den'] },
        ],
      },
    ]);
    script.answers['/api/tags'] = { models: [modelItem(['a:1b', 'new-digest-12345'])] };
    await world.clock.advance(11_000);
    expect(log.filter((line) => line.includes('digest')).slice(1)).toEqual([
      'info digest drift: the same on all boxes again: a:1b',
    ]);
    expect(herd.keeper.driftingModels).toBe(0);
    herd.stop();
  });
});

describe('out of service', () => {
  const idle: Script = healthyBox(['a:1b'], [runningItem('a:1b')]);

  it('a cordoned box gets no new work and finishes what it has begun', async () => {
    const { world, herd, log } = kept([[attic, idle]]);
    await Promise.all([herd.learn(), world.clock.advance(1)]);
    const lease = await herd.admit(attic, ask, waiter);
    expect(herd.keeper.cordon('attic')).toEqual({ box: 'attic', isCordoned: true, hasChanged: true, inFlight: 1, waiting: 0 });
    expect(herd.isCordoned(attic)).toBe(true);
    expect(() => herd.admit(attic, ask, waiter)).toThrow(/attic is out of service.*corral fleet uncordon attic/);
    expect(herd.describe()[0]?.isCordoned).toBe(true);
    // Clocks tell fractions of milliseconds, reports do not.
    await world.clock.advance(5_000.4);
    expect(herd.keeper.report().boxes[0]).toMatchObject({ isCordoned: true, cordonedForMs: 5_000, inFlight: 1 });
    lease.end();
    expect(herd.keeper.uncordon('attic')).toMatchObject({ isCordoned: false, hasChanged: true, inFlight: 0 });
    expect(herd.keeper.uncordon('attic')).toMatchObject({ hasChanged: false });
    (await herd.admit(attic, ask, waiter)).end();
    expect(log).toEqual([
      'info attic is out of service: one call under way finishes; new work goes elsewhere',
      'info attic is back in service',
    ]);
  });

  it.each([
    [0, 'nothing is under way there'],
    [2, '2 calls under way finish'],
  ])('the log says of a box that goes out of service what is under way: %i', async (count, told) => {
    const { world, herd, log } = kept([[attic, idle]]);
    await Promise.all([herd.learn(), world.clock.advance(1)]);
    for (let call = 0; call < count; call++) await herd.admit(attic, ask, waiter);
    herd.keeper.cordon('attic');
    expect(log).toEqual([`info attic is out of service: ${told}; new work goes elsewhere`]);
  });

  it('a drain answers when nothing is under way any more, and at its limit', async () => {
    const { world, herd } = kept([[attic, idle]]);
    await Promise.all([herd.learn(), world.clock.advance(1)]);
    const lease = await herd.admit(attic, ask, waiter);
    const tooShort = herd.keeper.drain('attic', 1_000);
    await world.clock.advance(1_000);
    expect(await tooShort).toMatchObject({ hasChanged: true, inFlight: 1 });
    let state: unknown;
    void herd.keeper.drain('attic', 60_000).then((drained) => {
      state = drained;
    });
    await world.clock.advance(30_000);
    expect(state).toBeUndefined();
    lease.end();
    await world.clock.advance(100);
    expect(state).toEqual({ box: 'attic', isCordoned: true, hasChanged: false, inFlight: 0, waiting: 0 });
  });

  it('a name that no box has is no box', async () => {
    const { herd } = kept([[attic, idle]]);
    expect([herd.keeper.cordon('x'), herd.keeper.uncordon('x'), await herd.keeper.drain('x', 1)]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  });
});
