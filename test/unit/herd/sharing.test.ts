/** T3, T4: many boxes behind one address, some of them gone, through whole gateways over the simulated herd, in virtual time. */
import { describe, expect, it } from 'vitest';
import type { Seen } from '../../support/herd/player.ts';
import { createRandom, textOf } from '../../support/herd/random.ts';
import type { BoxSetting, HerdModel } from '../../support/herd/setting.ts';
import type { Talk } from '../../support/herd/trace.ts';
import { openVirtual, type VirtualStage } from '../../support/herd/virtual.ts';
import { other, small, talk, traceOf } from './talks.ts';

const third: HerdModel = { ...other, name: 'third:latest' };
const usual: Partial<BoxSetting> = { keepAliveMs: 7_200_000 };

/** Each call is another conversation. */
function talksOf(count: number, everyMs: number, models: readonly HerdModel[] = [small]): readonly Talk[] {
  const random = createRandom(3);
  return Array.from({ length: count }, (_, at) =>
    talk({ atMs: 60_000 + at * everyMs, model: models[at % models.length]?.name ?? '', system: textOf(random, 400) }),
  );
}

async function listed(stage: VirtualStage, path: string): Promise<Record<string, unknown>[]> {
  const request = new Request(`http://localhost:3000${path}`, { headers: { host: 'localhost:3000' } });
  const peer = {
    port: stage.opened.ports[0],
    address: () => '127.0.0.1',
    onGone: () => undefined,
    waitUntil: () => undefined,
  };
  const told = await stage.until(Promise.resolve(stage.opened.gateway.fetch(request, peer)).then((answer) => answer.json()));
  const { data, models } = told as { data?: Record<string, unknown>[]; models?: Record<string, unknown>[] };
  return data ?? models ?? [];
}

const boxOf = ({ headers }: Seen) => headers.get('x-corral-box') ?? '';
const waitOf = ({ firstTokenMs = Number.NaN, startMs }: Seen) => firstTokenMs - startMs;

describe('A3: three boxes with overlapping models', () => {
  const boxes = [
    { ...usual, models: [small, other] },
    { ...usual, models: [small, third] },
    { ...usual, models: [small, other] },
  ];
  const yaml = (more: readonly string[] = []) =>
    [
      'fleet:',
      '  boxes:',
      ...[1, 2, 3].map((weight) => `  - {url: "http://box-${weight}.herd:11434", weight: ${weight}}`),
      `  warm: [{model: "${small.name}", boxes: 3}]`,
      ...more,
    ].join('\n');

  it('each model is listed once', async () => {
    const stage = await openVirtual({ boxes }, yaml());
    const wanted = [other.name, small.name, third.name];
    expect((await listed(stage, '/v1/models')).map(({ id }) => id).toSorted()).toEqual(wanted);
    expect((await listed(stage, '/api/tags')).map(({ name }) => name).toSorted()).toEqual(wanted);
  });

  it.each([
    ['conversations', []],
    ['calls without affinity', ['  affinity: {enabled: false}']],
  ])('300 %s are shared within a tenth of the weights', async (_, more) => {
    const stage = await openVirtual({ boxes }, yaml(more));
    const seen = await stage.play({ ...traceOf(talksOf(300, 2_000)), boxes });
    expect(seen.every(({ isExact }) => isExact)).toBe(true);
    const counts = ['box-1.herd', 'box-2.herd', 'box-3.herd'].map((name) => seen.filter((one) => boxOf(one) === name).length);
    // 300 by 1 : 2 : 3.
    for (const [at, wanted] of [50, 100, 150].entries()) {
      expect(counts[at]).toBeGreaterThanOrEqual(0.9 * wanted);
      expect(counts[at]).toBeLessThanOrEqual(1.1 * wanted);
    }
  });

  it('only boxes that have a model are asked for it', async () => {
    const stage = await openVirtual({ boxes }, yaml());
    const seen = await stage.play({ ...traceOf(talksOf(300, 2_000, [small, other, third])), boxes });
    expect(seen.every(({ isExact }) => isExact)).toBe(true);
    const places = (model: HerdModel) => [...new Set(seen.filter((one) => one.talk.model === model.name).map(boxOf))].toSorted();
    expect(places(third)).toEqual(['box-2.herd']);
    for (const name of places(other)) expect(['box-1.herd', 'box-3.herd']).toContain(name);
  });
});

describe('A4: of three boxes one is a black hole and one has no name', () => {
  it('lists come at once, the first calls wait 2.2 s at most, and all others as long as ever', async () => {
    const boxes = [
      { ...usual, models: [small] },
      { ...usual, models: [small] },
    ];
    const stage = await openVirtual(
      { boxes },
      [
        'fleet:',
        '  boxes: [{url: "http://box-1.herd:11434"}, {url: "http://box-2.herd:11434"}, {url: "http://nobody.herd:11434"}]',
        `  warm: [{model: "${small.name}", boxes: 2}]`,
      ].join('\n'),
    );
    // Calls take half a second and come each 1.4 s, so that none meets another one.
    const seen = await stage.play({
      ...traceOf(talksOf(200, 1_400)),
      boxes,
      events: [{ atMs: 80_000, box: 1, what: 'falls silent' }],
    });
    expect(seen.filter(({ verdict }) => verdict !== 'whole').map(({ error }) => error)).toEqual([]);
    expect(new Set(seen.map(boxOf))).toEqual(new Set(['box-1.herd', 'box-2.herd']));
    const leastMs = Math.min(...seen.map(waitOf));
    const added = seen.map((one) => waitOf(one) - leastMs).filter((addedMs) => addedMs > 5);
    // The one that finds out. Nobody waits after it.
    expect(added).toHaveLength(1);
    expect(added[0]).toBeGreaterThan(1_000);
    expect(added[0]).toBeLessThan(2_200);

    const startedMs = stage.clock.now();
    expect((await listed(stage, '/v1/models')).map(({ id }) => id)).toEqual([small.name]);
    expect(stage.clock.now() - startedMs).toBeLessThan(50);
  });
});
