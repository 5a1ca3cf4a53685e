/** T14: where conversations are at home, through whole gateways over the simulated herd, in virtual time. */
import { describe, expect, it } from 'vitest';
import type { Seen } from '../../support/herd/player.ts';
import { createRandom, textOf } from '../../support/herd/random.ts';
import type { Talk, Trace } from '../../support/herd/trace.ts';
import { openVirtual, urlsOf } from '../../support/herd/virtual.ts';
import { small, talk, traceOf, turn } from './talks.ts';

const minuteMs = 60_000;
const conversations = 200;
/** One conversation has a turn every ten minutes, and the herd one every three seconds. */
const roundMs = 10 * minuteMs;

const box = { models: [small], parallel: 4, contextLength: 32_768, keepAliveMs: 7_200_000 };
const boxes = [box, box, box];
const names = ['box-1.herd', 'box-2.herd', 'box-3.herd'];

function talksOf(turns: number): readonly Talk[] {
  const random = createRandom(14);
  return Array.from({ length: conversations }, (_, at) =>
    talk({
      // The model is in memory everywhere by then.
      atMs: minuteMs + at * 3_000,
      system: textOf(random, 2_000),
      turns: Array.from({ length: turns }, () => turn({ user: textOf(random, 200), thinkMs: roundMs - 2_000 })),
    }),
  );
}

/** The boxes that each conversation was at, turn by turn. `order`: in which the configuration names the boxes. */
async function visits(trace: Trace, { order = urlsOf(trace), seed = 1 } = {}): Promise<readonly (readonly string[])[]> {
  const yaml = [
    'fleet:',
    '  boxes:',
    ...order.map((url) => `  - url: ${url}`),
    `  warm: [{model: "${small.name}", boxes: [${order.map((url) => new URL(url).hostname).join(', ')}]}]`,
  ];
  const stage = await openVirtual(trace, yaml.join('\n'), seed);
  const seen = await stage.play(trace);
  expect(seen.filter(({ verdict, isExact }) => verdict !== 'whole' || !isExact)).toEqual([]);
  const byTalk = new Map<Talk, Seen[]>(trace.talks.map((one) => [one, []]));
  for (const one of seen) byTalk.get(one.talk)?.push(one);
  return [...byTalk.values()].map((all) => all.map(({ headers }) => headers.get('x-corral-box') ?? ''));
}

describe('A14: 200 conversations of 5 turns on 3 boxes', () => {
  it('at least 95 of 100 turns stay; when a box goes, only its share moves, and comes back with it', async () => {
    const goesMs = minuteMs + 2 * roundMs;
    const trace: Trace = {
      ...traceOf(talksOf(5)),
      boxes,
      events: [
        { atMs: goesMs - 1_000, box: 1, what: 'dies' },
        // Two rounds later it is there again, and has loaded the model before the last one begins.
        { atMs: goesMs + 2 * roundMs - minuteMs, box: 1, what: 'comes back' },
      ],
    };
    const visited = await visits(trace);
    expect(visited.map(({ length }) => length)).toEqual(Array.from({ length: conversations }, () => 5));
    const moved = (from: number, to: number) => visited.filter((at) => at[from] !== at[to]);
    const share = visited.filter(([, second]) => second === 'box-2.herd').length;
    // A third, more or less.
    expect(share).toBeGreaterThan(45);
    expect(share).toBeLessThan(90);

    // 5 of 100 turns may move by themselves.
    expect(moved(0, 1).length).toBeLessThanOrEqual(10);
    const away = moved(1, 2);
    expect(away).toHaveLength(share);
    expect(new Set(away.map((at) => at[1]))).toEqual(new Set(['box-2.herd']));
    expect(new Set(away.map((at) => at[2]))).toEqual(new Set(['box-1.herd', 'box-3.herd']));
    expect(visited.filter((at) => at[4] !== at[1]).length).toBeLessThanOrEqual(10);
  });

  it('two gateways that know nothing of each other agree, whatever the order of their boxes', async () => {
    const trace: Trace = { ...traceOf(talksOf(1)), boxes };
    const one = await visits(trace);
    const other = await visits(trace, { order: urlsOf(trace).reverse(), seed: 2 });
    expect(new Set(one.flat())).toEqual(new Set(names));
    const agreed = one.filter(([first], at) => first === other[at]?.[0]).length;
    expect(agreed).toBe(conversations);
  });

  it('without one of the boxes only its conversations are elsewhere', async () => {
    const trace: Trace = { ...traceOf(talksOf(1)), boxes };
    const before = await visits(trace);
    const after = await visits(trace, { order: urlsOf(trace).slice(0, 2) });
    const moved = before.filter(([first], at) => first !== after[at]?.[0]);
    expect(new Set(moved.flat())).toEqual(new Set(['box-3.herd']));
    expect(moved).toHaveLength(before.filter(([first]) => first === 'box-3.herd').length);
  });
});
