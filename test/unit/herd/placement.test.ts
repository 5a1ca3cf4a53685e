/** Where calls go, over the simulated herd in virtual time. Bounds are of the simulation, not of this machine. */
import { describe, expect, it } from 'vitest';
import { bursts, chat, dying, mixed, shift } from '../../../bench/herd/traces.ts';
import { playThrough } from '../../support/herd/peers.ts';
import { figuresOf } from '../../support/herd/player.ts';
import { createRandom, textOf } from '../../support/herd/random.ts';
import type { Trace } from '../../support/herd/trace.ts';
import { loadsOf, openVirtual, urlsOf } from '../../support/herd/virtual.ts';
import { other, small, talk, traceOf, turn } from './talks.ts';

async function played(trace: Trace, yaml?: string) {
  const stage = await openVirtual(trace, yaml);
  const seen = await stage.play(trace);
  return { seen, loads: loadsOf(stage.herd), ...figuresOf(seen) };
}

describe('T5: models stay where they are warm', () => {
  it('needs one load for each of six models on three boxes that hold two each, and a p95 below one load', async () => {
    const { whole, loads, p95Ms, seen } = await played(mixed());
    expect(whole).toBe(300);
    expect(seen.every(({ isExact }) => isExact)).toBe(true);
    expect(loads).toBeLessThanOrEqual(6);
    expect(p95Ms).toBeLessThan(1_000);
  });

  it('needs a tenth of the loads and of the p95 of round robin and least connections on that trace', async () => {
    const { loads, p95Ms } = await played(mixed());
    for (const kind of ['round robin', 'least connections'] as const) {
      const peer = await playThrough(kind, mixed());
      expect(loadsOf(peer.herd)).toBeGreaterThanOrEqual(10 * loads);
      expect(figuresOf(peer.seen).p95Ms).toBeGreaterThanOrEqual(10 * p95Ms);
    }
  });

  describe('two models on three boxes, 1,000 requests', () => {
    const random = createRandom(11);
    const box = { models: [small, other], maxLoaded: 1, keepAliveMs: 7_200_000 };
    let atMs = 0;
    const talks = Array.from({ length: 1_000 }, () => {
      atMs += random.gapMs(0.4);
      return talk({ atMs: Math.round(atMs), model: random.pick([small, other]).name });
    });
    const trace = { ...traceOf(talks), boxes: [box, box, box] };
    const roundRobinLoads = async () => loadsOf((await playThrough('round robin', trace)).herd);

    it('takes no more loads than there are models and boxes to need them, where it is known how many fit', async () => {
      const boxes = urlsOf(trace).map((url) => `  - {url: "${url}", maxLoaded: 1}`);
      const { whole, loads } = await played(trace, ['fleet:', '  boxes:', ...boxes].join('\n'));
      expect(whole).toBe(1_000);
      expect(loads).toBeLessThanOrEqual(3);
      expect(await roundRobinLoads()).toBeGreaterThanOrEqual(100 * loads);
    });

    it('takes a few more until that is learnt, and ten times fewer than round robin', async () => {
      const { whole, loads } = await played(trace);
      expect(whole).toBe(1_000);
      expect(loads).toBeLessThanOrEqual(12);
      expect(await roundRobinLoads()).toBeGreaterThanOrEqual(10 * loads);
    });
  });

  it('follows a shift in popularity with few loads', async () => {
    const { whole, loads, p95Ms } = await played(shift());
    expect(whole).toBe(300);
    expect(loads).toBeLessThanOrEqual(8);
    expect(p95Ms).toBeLessThan(1_200);
  });

  it('gets over bursts for one model with a fifth of the loads of round robin, and sooner', async () => {
    const { whole, loads, p95Ms } = await played(bursts());
    expect(whole).toBe(200);
    const peer = await playThrough('round robin', bursts());
    expect(5 * loads).toBeLessThanOrEqual(loadsOf(peer.herd));
    expect(p95Ms).toBeLessThan(0.9 * figuresOf(peer.seen).p95Ms);
  });

  it('loads a busy model on an empty box while its calls go on where it is: hardly anybody but the first waits for a load', async () => {
    const random = createRandom(13);
    const box = { models: [small], keepAliveMs: 7_200_000 };
    let atMs = 0;
    const talks = Array.from({ length: 200 }, (_, at) => {
      atMs += at < 5 ? 20_000 : random.gapMs(0.6);
      return talk({ atMs: Math.round(atMs), turns: [turn({ outputTokens: 64 })] });
    });
    const { seen, loads, p95Ms } = await played({ ...traceOf(talks), boxes: [box, box, box] });
    expect(loads).toBeGreaterThanOrEqual(2);
    expect(loads).toBeLessThanOrEqual(3);
    expect(new Set(seen.map(({ headers }) => headers.get('x-corral-box'))).size).toBe(loads);
    // A load takes five seconds.
    expect(seen.filter(({ firstTokenMs = 0, startMs }) => firstTokenMs - startMs > 4_900).length).toBeLessThanOrEqual(4);
    expect(p95Ms).toBeLessThan(1_500);
  });
});

describe('T4: one box that goes', () => {
  it('fails no request when one of three boxes dies, and brings what it held home to the others at once', async () => {
    const { whole, failed, loads, p95Ms } = await played(dying());
    expect({ whole, failed }).toEqual({ whole: 300, failed: 0 });
    expect(loads).toBeLessThanOrEqual(7);
    expect(p95Ms).toBeLessThan(1_300);
  });

  it('costs others little when it becomes a black hole', async () => {
    const trace = dying();
    const silent = {
      ...trace,
      events: trace.events.map((event) => (event.what === 'dies' ? { ...event, what: 'falls silent' as const } : event)),
    };
    const { failed, seen, p95Ms } = await played(silent);
    // An answer that has begun is lost with its box; nobody else is.
    expect(failed).toBeLessThanOrEqual(2);
    expect(seen.filter(({ verdict }) => verdict === 'broken')).toEqual([]);
    // It is noticed within two seconds, and what it held takes up to nine to load elsewhere.
    expect(p95Ms).toBeLessThan(12_000);
  });
});

describe('T14: conversations stay where their beginning is in the cache', () => {
  const conversations = (random = createRandom(12)) =>
    Array.from({ length: 200 }, (_, at) =>
      talk({
        atMs: at * 9_000,
        system: textOf(random, 6_000),
        turns: Array.from({ length: 5 }, () => turn({ user: textOf(random, 300), thinkMs: random.whole(2_000, 5_000) })),
      }),
    );
  const box = { models: [small], parallel: 4, contextLength: 32_768, keepAliveMs: 7_200_000 };
  const boxes = [box, box, box];

  it('keeps 95 of 100 turns of 200 conversations on their box', async () => {
    const trace = { ...traceOf(conversations()), boxes };
    const stage = await openVirtual(trace);
    const seen = await stage.play(trace);
    let later = 0;
    let stayed = 0;
    for (const one of trace.talks) {
      const went = seen.filter((each) => each.talk === one).map(({ headers }) => headers.get('x-corral-box'));
      later += went.length - 1;
      for (const [at, name] of went.entries()) if (at > 0 && name === went[at - 1]) stayed++;
    }
    expect(seen.every(({ isExact }) => isExact)).toBe(true);
    expect(later).toBe(800);
    expect(stayed / later).toBeGreaterThanOrEqual(0.95);
  });

  it('has the first token of half of the turns of growing prompts in half the time of round robin, with four slots a box', async () => {
    const trace = chat();
    const wide = { ...trace, boxes: trace.boxes.map((one) => ({ ...one, parallel: 4 })) };
    const { whole, p50Ms } = await played(wide);
    expect(whole).toBe(300);
    expect(2 * p50Ms).toBeLessThan(figuresOf((await playThrough('round robin', wide)).seen).p50Ms);
  });

  it('lets no turn wait for a cache that is gone: with two slots a box half of the turns come in half the time, and the slowest sooner, too', async () => {
    const { whole, p50Ms, p95Ms } = await played(chat());
    expect(whole).toBe(300);
    for (const kind of ['round robin', 'least connections'] as const) {
      const peer = figuresOf((await playThrough(kind, chat())).seen);
      expect(2 * p50Ms).toBeLessThan(peer.p50Ms);
      expect(p95Ms).toBeLessThan(0.7 * peer.p95Ms);
    }
  });
});
