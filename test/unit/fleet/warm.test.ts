import { describe, expect, it } from 'vitest';
import type { Ask, BoxOptions, Upstream } from '../../../src/exchange.ts';
import { createFleet, type TendedHerd } from '../../../src/fleet/fleet.ts';
import { type WarmRule, warmContexts, warmRoundMs } from '../../../src/fleet/warm.ts';
import { plainWork } from '../../support/work.ts';
import { createWorld, healthyBox, Raw, upstreamNamed, type World } from './scripted-boxes.ts';

const gibibyte = 1024 ** 3;

const work = plainWork();

interface Memory {
  /** Name → when it goes, on the wall clock. */
  readonly loaded: Map<string, number>;
  /** What loads and renewals said. */
  readonly asked: { readonly atMs: number; readonly model: string; readonly keepAlive: unknown; readonly numCtx: unknown }[];
  failsWith: string | undefined;
}

interface Sized {
  readonly vram?: number;
  readonly reserve?: number;
  readonly maxLoaded?: number;
  /** In memory from the beginning. */
  readonly resident?: readonly string[];
}

interface Kept {
  readonly world: World;
  readonly herd: TendedHerd;
  readonly upstreams: readonly Upstream[];
  readonly log: string[];
  readonly memories: Readonly<Record<string, Memory>>;
  /** Rounds as the process makes them, for so long. */
  run(forMs: number): Promise<void>;
}

function rule(more: Partial<WarmRule> = {}): WarmRule {
  return { model: 'a:1b', boxes: 1, numCtx: undefined, isDue: () => true, ...more };
}

/** Boxes that load at once, keep what they have for as long as they were told to (5 minutes unless said), and list it. */
function kept(boxes: Readonly<Record<string, Sized>>, rules: readonly WarmRule[], loadMs = 0): Kept {
  const world = createWorld();
  const log: string[] = [];
  const memories: Record<string, Memory> = {};
  const upstreams: Upstream[] = [];
  for (const [name, sized] of Object.entries(boxes)) {
    const upstream = upstreamNamed(name, `http://${name}:11434`);
    const options: BoxOptions = {
      weight: 1,
      slots: undefined,
      vramBytes: sized.vram === undefined ? undefined : sized.vram * gibibyte,
      reserveBytes: (sized.reserve ?? 0) * gibibyte,
      maxLoaded: sized.maxLoaded,
      headers: {},
    };
    upstreams.push({ ...upstream, box: options });
    const memory: Memory = { loaded: new Map(), asked: [], failsWith: undefined };
    memories[name] = memory;
    for (const model of sized.resident ?? []) memory.loaded.set(model, world.clock.wallTime() + 300_000);
    const script = healthyBox(['a:1b', 'b:1b', 'other:1b']);
    const tags = script.answers['/api/tags'] as { models: { size: number }[] };
    for (const model of tags.models) model.size = 2 * gibibyte;
    const running = () => [...memory.loaded].filter(([, untilMs]) => untilMs > world.clock.wallTime());
    script.answers['/api/ps'] = () => ({
      models: running().map(([model, untilMs]) => ({
        name: model,
        model,
        size: 2 * gibibyte,
        size_vram: 2 * gibibyte,
        digest: `sha-${model}`,
        context_length: 4_096,
        expires_at: new Date(untilMs).toISOString(),
      })),
    });
    script.answers['/api/generate'] = async (text: string) => {
      const { model, keep_alive: keepAlive, options: sent } = JSON.parse(text);
      memory.asked.push({ atMs: world.clock.now(), model, keepAlive, numCtx: sent?.num_ctx });
      if (memory.failsWith !== undefined) return new Raw(500, JSON.stringify({ error: memory.failsWith }));
      if (!running().some(([name]) => name === model))
        await new Promise<void>((resolve) => void world.clock.after(loadMs, resolve));
      const keptMs = typeof keepAlive === 'string' ? Number.parseInt(keepAlive, 10) * 1_000 : 300_000;
      memory.loaded.set(model, world.clock.wallTime() + keptMs);
      return { done: true, done_reason: 'load' };
    };
    script.answers['/api/show'] = { capabilities: ['completion'], model_info: {} };
    world.scripts.set(upstream.baseUrl, script);
  }
  const platform = { ...world.platform, report: (level: string, message: string) => void log.push(`${level} ${message}`) };
  const herd = createFleet({ upstreams, platform, instanceId: 'me', jitter: () => 0.5, warm: rules });
  herd.start();
  const run = async (forMs: number): Promise<void> => {
    const endMs = world.clock.now() + forMs;
    while (world.clock.now() < endMs) {
      await world.clock.advance(Math.min(warmRoundMs, endMs - world.clock.now()));
      void herd.keeper.keepWarm();
    }
    await world.clock.advance(1);
  };
  return { world, herd, upstreams, log, memories, run };
}

function warmOn({ herd }: Kept): readonly (readonly string[])[] {
  return herd.keeper.report().warm.map(({ warmOn: names }) => names);
}

const loadsOf = ({ memories }: Kept) =>
  Object.entries(memories).flatMap(([name, { asked }]) =>
    asked.filter(({ keepAlive }) => keepAlive === undefined).map(({ model }) => `${name} ${model}`),
  );

describe('models that are kept warm', () => {
  it('T5: one load, and then hours in memory', async () => {
    const one = kept({ desk: {} }, [rule()]);
    const unloaded: number[] = [];
    for (let minute = 0; minute < 240; minute++) {
      await one.run(60_000);
      if ((one.memories.desk?.loaded.get('a:1b') ?? 0) <= one.world.clock.wallTime()) unloaded.push(minute);
    }
    expect(unloaded).toEqual([]);
    expect(loadsOf(one)).toEqual(['desk a:1b']);
    // Every two minutes, and not with every round.
    expect(one.memories.desk?.asked.length).toBeGreaterThan(100);
    expect(one.memories.desk?.asked.length).toBeLessThan(125);
    // The context that the runner has, or the box would load it anew.
    expect(one.memories.desk?.asked.slice(-1)).toMatchObject([{ model: 'a:1b', keepAlive: '360s', numCtx: 4_096 }]);
    expect(one.log).toEqual(['info warm: desk has a:1b in memory after 0.0 s']);
    one.herd.stop();
  });

  it('goes out of memory by itself when its time is over, and comes back', async () => {
    const startMs = Date.UTC(2026, 0, 1);
    const minutes = (wallMs: number) => (wallMs - startMs) / 60_000;
    const one = kept({ desk: {} }, [rule({ isDue: (wallMs) => minutes(wallMs) < 10 || minutes(wallMs) >= 30 })]);
    await one.run(9 * 60_000);
    expect(warmOn(one)).toEqual([['desk']]);
    await one.run(10 * 60_000);
    expect(warmOn(one)).toEqual([[]]);
    const asked = one.memories.desk?.asked.length;
    await one.run(10 * 60_000);
    expect(one.memories.desk?.asked.length).toBe(asked);
    await one.run(3 * 60_000);
    expect(warmOn(one)).toEqual([['desk']]);
    one.herd.stop();
  });

  it('is spread over so many boxes, the one with the most free memory first', async () => {
    const one = kept({ small: { vram: 8 }, large: { vram: 24 }, full: { vram: 24, resident: ['other:1b', 'b:1b'] } }, [
      rule({ boxes: 2 }),
    ]);
    await one.run(60_000);
    expect(loadsOf(one).sort()).toEqual(['full a:1b', 'large a:1b']);
    one.herd.stop();
  });

  it('is on the boxes that are named, and where it is already it is only kept', async () => {
    const one = kept({ desk: {}, den: { resident: ['a:1b'] }, attic: {} }, [rule({ boxes: ['den', 'attic', 'nobody'] })]);
    await one.run(60_000);
    expect(loadsOf(one)).toEqual(['attic a:1b']);
    expect(warmOn(one)).toEqual([['den', 'attic']]);
    one.herd.stop();
  });

  it('loads one after the other on each box: the second might push out the first', async () => {
    const one = kept({ desk: { maxLoaded: 1 }, den: {} }, [rule({ boxes: 2 }), rule({ model: 'b:1b', boxes: 2 })], 10_000);
    await one.run(16_000);
    expect(loadsOf(one)).toEqual(['desk a:1b', 'den a:1b']);
    await one.run(60_000);
    expect(loadsOf(one)).toEqual(['desk a:1b', 'den a:1b', 'den b:1b']);
    expect(one.log).toContain(
      'warn warm: desk does not keep b:1b in memory: the memory is full of other models that are kept warm',
    );
    one.herd.stop();
  });

  it('pushes out nothing that is busy, and waits until it is idle', async () => {
    const one = kept({ desk: { maxLoaded: 1, resident: ['other:1b'] } }, [rule()]);
    await one.world.clock.advance(5_000);
    const [desk] = one.upstreams;
    if (desk === undefined) throw new Error('no desk');
    const waiter = { deadlineMs: undefined, onGone: () => undefined, waitUntil: () => undefined };
    const lease = await one.herd.admit(desk, { model: 'other:1b', numCtx: undefined, work }, waiter);
    await one.run(120_000);
    expect(loadsOf(one)).toEqual([]);
    lease.end();
    await one.run(60_000);
    expect(loadsOf(one)).toEqual(['desk a:1b']);
    one.herd.stop();
  });

  it('two that do not fit together do not push each other out for ever', async () => {
    const one = kept({ desk: { maxLoaded: 1 } }, [rule(), rule({ model: 'b:1b' })]);
    await one.run(60 * 60_000);
    expect(loadsOf(one)).toEqual(['desk a:1b']);
    expect(one.log).toContain(
      'warn warm: desk does not keep b:1b in memory: the memory is full of other models that are kept warm',
    );
    expect(one.log.filter((line) => line.startsWith('warn'))).toHaveLength(1);
    one.herd.stop();
  });

  it('leaves what the owner has reserved', async () => {
    const one = kept({ desk: { vram: 8, reserve: 7 } }, [rule()]);
    await one.run(300_000);
    expect(loadsOf(one)).toEqual([]);
    expect(one.log).toEqual(['warn warm: desk does not keep a:1b in memory: it does not fit into the memory for models']);
    one.herd.stop();
  });

  it('leaves boxes that are out of service alone, and takes another', async () => {
    const one = kept({ desk: {}, den: {} }, [rule()]);
    one.herd.keeper.cordon('desk');
    await one.run(60_000);
    expect(loadsOf(one)).toEqual(['den a:1b']);
    one.herd.stop();
  });

  it('tries a load that fails again after longer and longer, and says so once', async () => {
    const one = kept({ desk: {} }, [rule()]);
    const memory = one.memories.desk;
    if (memory === undefined) throw new Error('no desk');
    memory.failsWith = 'cudaMalloc failed: out of memory';
    await one.run(3_600_000);
    const gaps = memory.asked
      .map(({ atMs }, index) => Math.round((atMs - (memory.asked[index - 1]?.atMs ?? 0)) / 1_000))
      .slice(1);
    expect(gaps).toEqual([30, 60, 120, 240, 480, 900, 900]);
    expect(one.log.filter((line) => line.includes('warm:'))).toEqual([
      'warn warm: desk does not keep a:1b in memory: desk could not load a:1b: cudaMalloc failed: out of memory',
    ]);
    memory.failsWith = undefined;
    await one.run(900_000);
    expect(warmOn(one)).toEqual([['desk']]);
    expect(one.log.slice(-1)).toEqual(['info warm: desk has a:1b in memory after 0.0 s']);
    one.herd.stop();
  });

  it('begins one load, however long it takes and however often it is looked at', async () => {
    const one = kept({ desk: {} }, [rule()], 120_000);
    await one.run(240_000);
    expect(loadsOf(one)).toEqual(['desk a:1b']);
    expect(one.log).toEqual(['info warm: desk has a:1b in memory after 120.0 s']);
    one.herd.stop();
  });
});

describe('the context of calls that name none', () => {
  it('is what boxes are compared by: one that has the model with less must load it', async () => {
    const one = kept({ desk: { resident: ['a:1b'] }, den: { resident: ['a:1b'] } }, [rule({ numCtx: 16_384, boxes: ['den'] })]);
    await one.world.clock.advance(5_000);
    const ask = { model: 'a:1b', numCtx: undefined, work };
    const loads = (asked: Ask) =>
      one.herd.place(one.upstreams.map((upstream) => ({ upstream, ask: asked })))?.map(({ prediction }) => prediction.loadMs > 0);
    // Both have it with 4,096.
    expect(loads(ask)).toEqual([true, true]);
    expect(loads({ ...ask, numCtx: 4_096 })).toEqual([false, false]);
    expect(loads({ ...ask, model: 'A:1b' })).toEqual([true, true]);
    one.herd.stop();
  });

  it('is the largest that the model is wanted with now, by whatever name; of other models there is none', async () => {
    const world = createWorld();
    const startMs = world.clock.wallTime();
    const contextOf = warmContexts(
      [
        rule({ model: 'Llama3.2', numCtx: 8_192 }),
        rule({ model: 'llama3.2:latest', numCtx: 16_384, isDue: (wallMs) => wallMs >= startMs + 60_000 }),
        rule({ model: 'b:1b', numCtx: 4_096, isDue: () => false }),
        rule({ model: 'c:1b' }),
      ],
      world.clock,
    );
    expect(['llama3.2:latest', 'b:1b', 'c:1b', 'd:1b'].map((model) => contextOf?.(model))).toEqual([
      8_192,
      undefined,
      undefined,
      undefined,
    ]);
    await world.clock.advance(60_000);
    expect(contextOf?.('llama3.2:latest')).toBe(16_384);
    expect(warmContexts([rule()], world.clock)).toBeUndefined();
  });
});
