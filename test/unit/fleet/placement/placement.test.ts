import { describe, expect, it } from 'vitest';
import type { Ask, Upstream, Waiter, Work } from '../../../../src/exchange.ts';
import { createFleet, type Herd } from '../../../../src/fleet/fleet.ts';
import { usualTuning } from '../../../../src/fleet/tuning.ts';
import { plainWork } from '../../../support/work.ts';
import { createWorld, healthyBox, modelItem, runningItem, upstreamNamed, type World } from '../scripted-boxes.ts';

const options = { weight: 1, vramBytes: undefined, reserveBytes: 0, maxLoaded: undefined, headers: {} };
const boxes = ['attic', 'den', 'laptop'].map(
  (name): Upstream => ({ ...upstreamNamed(name, `http://${name}:11434`), box: { ...options, slots: 2 } }),
);

const waiter: Waiter = { deadlineMs: undefined, onGone: () => undefined, waitUntil: () => undefined };

const workOf = (given: Partial<Work> = {}) => plainWork({ promptTokens: 1_000, sharer: 'team', ...given });

/** From 0 up to 1, the same in every run. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

async function herdOf(world: World, upstreams: readonly Upstream[]): Promise<Herd> {
  const tuning = { ...usualTuning, ownsLoads: false };
  const herd = createFleet({ upstreams, platform: world.platform, instanceId: 'me', jitter: () => 0.5, tuning });
  const learning = herd.learn();
  await world.clock.advance(2_000);
  await learning;
  return herd;
}

function firstOf(herd: Herd, upstreams: readonly Upstream[], ask: Ask): Upstream {
  const placings = herd.place(upstreams.map((upstream) => ({ upstream, ask })));
  if (placings === undefined) throw new Error('nothing was predicted');
  const first = upstreams[placings.findIndex(({ rank }) => rank === 0)];
  if (first === undefined) throw new Error('nobody is first');
  return first;
}

describe('affinity (T14)', () => {
  async function warmHerd(upstreams: readonly Upstream[] = boxes) {
    const world = createWorld();
    for (const { baseUrl } of upstreams) world.scripts.set(baseUrl, healthyBox(['chat'], [runningItem('chat')]));
    return { world, herd: await herdOf(world, upstreams) };
  }

  /**
   * 200 conversations of 5 turns, a call each second, which takes some three seconds: what is new of its prompt is read at 500
   * tokens a second. Box by conversation and turn.
   */
  async function homes(upstreams: readonly Upstream[] = boxes): Promise<string[][]> {
    const { world, herd } = await warmHerd(upstreams);
    const { clock } = world;
    const visited: string[][] = Array.from({ length: 200 }, () => []);
    for (let turn = 0; turn < 5; turn++) {
      for (const [number, seen] of visited.entries()) {
        const work = workOf({ conversation: `c${number}`, promptTokens: 500 * (turn + 1), earlierTokens: 500 * turn });
        const ask = { model: 'chat', numCtx: undefined, work };
        const upstream = firstOf(herd, upstreams, ask);
        const newTokens = seen.at(-1) === upstream.name ? 500 : work.promptTokens;
        seen.push(upstream.name);
        void Promise.resolve(herd.admit(upstream, ask, waiter)).then((lease) => {
          clock.after(2 * newTokens, () => lease.began());
          clock.after(2 * newTokens + 2_000, () =>
            lease.end({ how: 'completed', promptTokens: work.promptTokens, outputTokens: 40 }),
          );
        });
        await clock.advance(1_000);
      }
    }
    herd.stop();
    return visited;
  }

  const staying = (visited: readonly (readonly string[])[]) =>
    visited.flatMap(([first, ...later]) => later.map((name) => name === first)).filter(Boolean).length / (200 * 4);

  it('T14: at least 95 % of the turns of 200 conversations stay with their box', async () => {
    const visited = await homes();
    expect(staying(visited)).toBeGreaterThanOrEqual(0.95);
    // And they are spread: a third each, more or less.
    for (const { name } of boxes) {
      const share = visited.filter(([first]) => first === name).length;
      expect(share).toBeGreaterThan(45);
      expect(share).toBeLessThan(90);
    }
  });

  async function idleHomes(upstreams: readonly Upstream[]): Promise<readonly string[]> {
    const { herd } = await warmHerd(upstreams);
    const found = Array.from({ length: 200 }, (_, number) => {
      const work = workOf({ conversation: `c${number}` });
      return firstOf(herd, upstreams, { model: 'chat', numCtx: undefined, work }).name;
    });
    herd.stop();
    return found;
  }

  it('T14: a box that goes away moves only its own conversations', async () => {
    const before = await idleHomes(boxes);
    const after = await idleHomes(boxes.slice(0, 2));
    const moved = before.filter((name, number) => name !== after[number]);
    expect(new Set(moved)).toEqual(new Set(['laptop']));
    expect(moved).toHaveLength(before.filter((name) => name === 'laptop').length);
  });

  it('T14: two gateways agree without telling each other', async () => {
    expect(await idleHomes(boxes)).toEqual(await idleHomes([...boxes].reverse()));
  });

  it('gives a box of twice the slots twice the conversations', async () => {
    const [attic, den] = boxes.map((one, index) => ({ ...one, box: { ...options, slots: index === 0 ? 4 : 2 } }));
    if (attic === undefined || den === undefined) throw new Error('two boxes');
    const found = await idleHomes([attic, den]);
    const share = found.filter((name) => name === 'attic').length / found.length;
    expect(share).toBeGreaterThan(0.58);
    expect(share).toBeLessThan(0.75);
  });

  it('sends turns elsewhere once home has far more to do than the others', async () => {
    const { herd } = await warmHerd();
    const ask = { model: 'chat', numCtx: undefined, work: workOf({ conversation: 'c1', earlierTokens: 900 }) };
    const home = firstOf(herd, boxes, ask);
    for (let count = 0; count < 6; count++) void herd.admit(home, ask, waiter);
    expect(firstOf(herd, boxes, ask)).not.toBe(home);
    herd.stop();
  });
});

/** A box with room for one model, which it loads when it must; one call after the other. */
class SimulatedBox {
  loads = 0;
  #loaded: string | undefined;
  #freeMs = 0;
  readonly #world: World;
  readonly #answers: Record<string, unknown>;

  constructor(world: World, { baseUrl }: Upstream) {
    this.#world = world;
    const script = healthyBox([]);
    script.answers['/api/tags'] = { models: ['chat', 'code'].map((name) => ({ ...modelItem(name), size: 4e9 })) };
    this.#answers = script.answers;
    world.scripts.set(baseUrl, script);
  }

  /** When the first token and the last one of a call are there that comes now. */
  serve(model: string): { readonly firstMs: number; readonly lastMs: number } {
    const { clock } = this.#world;
    let readyMs = Math.max(clock.now(), this.#freeMs);
    if (this.#loaded !== model) {
      this.loads++;
      this.#loaded = model;
      readyMs += 9_000;
      const shown = { models: [runningItem(model, `sha-${model}`, { size: 5e9, size_vram: 5e9 })] };
      clock.after(readyMs - clock.now(), () => {
        this.#answers['/api/ps'] = shown;
      });
    }
    this.#freeMs = readyMs + 500;
    return { firstMs: readyMs + 100, lastMs: readyMs + 500 };
  }
}

describe('warm first (T5)', () => {
  const models = ['chat', 'code'];

  /** 1,000 calls to two models over three boxes with room for one each; what became of it. */
  async function trace(choose: (herd: Herd, number: number, ask: Ask) => Upstream) {
    const world = createWorld();
    const simulated = new Map(boxes.map((upstream) => [upstream, new SimulatedBox(world, upstream)]));
    const herd = await herdOf(world, boxes);
    herd.start();
    const random = randomFrom(7);
    const { clock } = world;
    let ended = 0;
    let refused = 0;
    const run = async (upstream: Upstream, ask: Ask) => {
      const lease = await herd.admit(upstream, ask, waiter);
      const { firstMs, lastMs } = simulated.get(upstream)?.serve(ask.model) ?? { firstMs: 0, lastMs: 0 };
      clock.after(firstMs - clock.now(), () => lease.began());
      clock.after(lastMs - clock.now(), () => {
        ended++;
        lease.end({ how: 'completed', promptTokens: 1_000, outputTokens: 40 });
      });
    };
    for (let number = 0; number < 1_000; number++) {
      const model = models[random() < 0.6 ? 0 : 1] ?? '';
      const ask = { model, numCtx: undefined, work: workOf({ conversation: `c${number % 50}` }) };
      run(choose(herd, number, ask), ask).catch(() => {
        ended++;
        refused++;
      });
      await clock.advance(-700 * Math.log(1 - random()));
    }
    while (ended < 1_000) await clock.advance(60_000);
    herd.stop();
    return { loads: [...simulated.values()].reduce((sum, { loads }) => sum + loads, 0), refused };
  }

  it('T5: 1,000 calls to two models over three boxes load each model where it is needed, and no more', async () => {
    const placed = await trace((herd, _, ask) => firstOf(herd, boxes, ask));
    const roundRobin = await trace((_, number) => boxes[number % 3] as Upstream);
    expect(placed.refused).toBe(0);
    expect(placed.loads).toBeLessThanOrEqual(3);
    // Those that it refused were not even loaded for.
    expect(roundRobin.loads).toBeGreaterThanOrEqual(10 * placed.loads);
  }, 60_000);
});

describe('what is in memory', () => {
  const running = (name: string, context: number, expiresMs = 300_000) => ({
    ...runningItem(name),
    context_length: context,
    expires_at: new Date(Date.UTC(2026, 0, 1) + expiresMs).toISOString(),
  });

  async function ranks(numCtx: number | undefined, details: object = {}) {
    const world = createWorld();
    const [attic, den] = boxes as [Upstream, Upstream, Upstream];
    for (const [upstream, context] of [
      [attic, 4_096],
      [den, 8_192],
    ] as const) {
      const script = healthyBox([], [running('chat', context)]);
      script.answers['/api/tags'] = { models: [{ ...(modelItem('chat') as object), details }] };
      world.scripts.set(upstream.baseUrl, script);
    }
    const herd = await herdOf(world, [attic, den]);
    const loads = [attic, den].map((upstream) => herd.predict(upstream, { model: 'chat', numCtx, work: workOf() })?.loadMs === 0);
    herd.stop();
    return loads;
  }

  it('serves a call that asks for no more context than it has', async () => {
    expect(await ranks(undefined)).toEqual([true, true]);
    expect(await ranks(4_096)).toEqual([true, true]);
    expect(await ranks(8_192)).toEqual([false, true]);
    expect(await ranks(16_384)).toEqual([false, false]);
  });

  it('serves one that asks for more than the model was made for', async () => {
    expect(await ranks(16_384, { context_length: 8_192 })).toEqual([false, true]);
  });

  it('is what was seen last, while looks fail', async () => {
    const world = createWorld();
    for (const { baseUrl } of boxes) world.scripts.set(baseUrl, healthyBox(['chat'], [runningItem('chat')]));
    const herd = await herdOf(world, boxes);
    await world.clock.advance(100_000);
    const ask = { model: 'chat', numCtx: undefined, work: workOf() };
    expect(boxes.map((upstream) => herd.predict(upstream, ask)?.loadMs)).toEqual([0, 0, 0]);
    herd.stop();
  });

  it('is not known before the first look: then nothing is predicted', () => {
    const world = createWorld();
    const herd = createFleet({ upstreams: boxes, platform: world.platform, instanceId: 'me' });
    const ask = { model: 'chat', numCtx: undefined, work: workOf() };
    expect(herd.place(boxes.map((upstream) => ({ upstream, ask })))).toBeUndefined();
    herd.stop();
  });

  it('is placed by the old order where predictions are not wanted', async () => {
    const world = createWorld();
    for (const { baseUrl } of boxes) world.scripts.set(baseUrl, healthyBox(['chat']));
    const tuning = { ...usualTuning, byPrediction: false };
    const herd = createFleet({ upstreams: boxes, platform: world.platform, instanceId: 'me', tuning });
    const learning = herd.learn();
    await world.clock.advance(2_000);
    await learning;
    const ask = { model: 'chat', numCtx: undefined, work: workOf() };
    expect(herd.place(boxes.map((upstream) => ({ upstream, ask })))).toBeUndefined();
    herd.stop();
  });
});

describe('many boxes, one address (T3)', () => {
  it('T3: 300 calls are shared within a tenth of the boxes’ weights, none of them having been tried before', async () => {
    const world = createWorld();
    const weighted = boxes.map((one, index) => ({ ...one, box: { ...options, slots: 1, weight: index + 1 } }));
    for (const { baseUrl } of weighted) world.scripts.set(baseUrl, healthyBox(['chat'], [runningItem('chat')]));
    const herd = await herdOf(world, weighted);
    const counts = new Map<string, number>();
    for (let number = 0; number < 300; number++) {
      const ask = { model: 'chat', numCtx: undefined, work: workOf() };
      const upstream = firstOf(herd, weighted, ask);
      counts.set(upstream.name, (counts.get(upstream.name) ?? 0) + 1);
      const lease = await herd.admit(upstream, ask, waiter);
      await world.clock.advance(500);
      lease.began();
      await world.clock.advance(500);
      lease.end({ how: 'completed', promptTokens: 1_000, outputTokens: 40 });
    }
    herd.stop();
    expect(counts.get('attic')).toBeGreaterThanOrEqual(45);
    expect(counts.get('attic')).toBeLessThanOrEqual(55);
    expect(counts.get('den')).toBeGreaterThanOrEqual(90);
    expect(counts.get('den')).toBeLessThanOrEqual(110);
  });
});
