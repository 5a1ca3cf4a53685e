import { describe, expect, it } from 'vitest';
import type { Ask, LeaseSeen, Prediction } from '../../../../src/exchange.ts';
import { conversationHash } from '../../../../src/fleet/rates/model-rates.ts';
import { type Granted, Rates } from '../../../../src/fleet/rates/rates.ts';
import { plainWork } from '../../../support/work.ts';

const work = plainWork({ promptTokens: 1_000, earlierTokens: 0 });
const ask: Ask = { model: 'chat', numCtx: undefined, work };
const warm: Granted = { model: 'chat', ask, loadMs: 0, isCold: false, sizeBytes: 4e9 };

function createRates() {
  let nowMs = 1_000;
  let looks = 0;
  const rates = new Rates(
    () => nowMs,
    () => looks++,
  );
  return {
    rates,
    looks: () => looks,
    pass: (ms: number) => {
      nowMs += ms;
    },
    /** One call whose first byte comes after `firstMs` and the last after `restMs` more. */
    run(firstMs: number, restMs: number, seen: Partial<LeaseSeen> = {}, granted: Partial<Granted> = {}) {
      const run = rates.granted({ ...warm, ...granted });
      nowMs += firstMs;
      run.began();
      nowMs += restMs;
      run.end({ how: 'completed', promptTokens: 1_000, outputTokens: 50, ...seen });
    },
  };
}

describe('what calls teach', () => {
  it('knows nothing of a model that was never used', () => {
    const { rates } = createRates();
    expect(rates.of('chat')).toBeUndefined();
    expect(rates.demandFor('chat')).toBe(0);
    expect(rates.loadMsFor(5e9)).toBe(11_000);
  });

  it('learns how fast prompts are read, and how long a call takes', () => {
    const { rates, run } = createRates();
    run(1_050, 2_000);
    expect(rates.of('chat')).toMatchObject({ tokensPerSecond: 1_000, callMs: 3_050 });
    // Slower than believed counts more than faster, which may have been the cache.
    run(2_050, 2_000);
    expect(rates.of('chat')?.tokensPerSecond).toBeCloseTo(866.67);
    run(150, 2_000);
    expect(rates.of('chat')?.tokensPerSecond).toBeCloseTo(888.33);
  });

  it('learns from a call that was taken for cached how much of it was, and nothing of how fast the box reads', () => {
    const predicted: Prediction = { totalMs: 0, queueMs: 0, loadMs: 0, evictionMs: 0, promptMs: 1_000, cachedMs: 500 };
    const { rates, run } = createRates();
    run(1_050, 2_000);
    expect(rates.of('chat')).toMatchObject({ tokensPerSecond: 1_000, hitShare: 0.9 });
    const later = { ...ask, work: { ...work, earlierTokens: 800 }, predicted };
    // All was read: nothing was in the cache.
    for (let call = 0; call < 10; call++) run(1_050, 2_000, {}, { ask: later });
    expect(rates.of('chat')).toMatchObject({ tokensPerSecond: 1_000 });
    expect(rates.of('chat')?.hitShare).toBeCloseTo(0.0966, 3);
    // 200 of 1,000 tokens were read: all of the earlier 800 were there.
    for (let call = 0; call < 20; call++) run(250, 2_000, {}, { ask: later });
    expect(rates.of('chat')?.hitShare).toBeGreaterThan(0.98);
    expect(rates.of('chat')).toMatchObject({ tokensPerSecond: 1_000 });
  });

  it('reckons with what ran beside it: prompts in full, answers of its own model a little, of others by half', () => {
    const predicted: Prediction = { totalMs: 0, queueMs: 0, loadMs: 0, evictionMs: 0, promptMs: 60_000, cachedMs: 0 };
    const speedBeside = (beside: (rates: Rates) => void, firstMs: number) => {
      const { rates, run } = createRates();
      beside(rates);
      run(firstMs, 2_000, {}, { ask: { ...ask, predicted } });
      return rates.of('chat')?.tokensPerSecond;
    };
    const reads = (model: string) => (rates: Rates) => rates.granted({ ...warm, model, ask: { ...ask, predicted } });
    const says = (model: string) => (rates: Rates) => reads(model)(rates).began();
    expect(speedBeside(() => undefined, 1_050)).toBeCloseTo(1_000);
    expect(speedBeside(reads('other'), 2_050)).toBeCloseTo(1_000);
    expect(speedBeside(says('chat'), 1_200)).toBeCloseTo(1_000);
    expect(speedBeside(says('other'), 1_550)).toBeCloseTo(1_000);
  });

  it('remembers the 64 conversations that were served last, and only where there was a choice', () => {
    const predicted: Prediction = { totalMs: 0, queueMs: 0, loadMs: 0, evictionMs: 0, promptMs: 0, cachedMs: 0 };
    const { rates } = createRates();
    const serve = (conversation: string, more: Partial<Ask> = { predicted }) =>
      rates.granted({ ...warm, ask: { ...ask, work: { ...work, conversation }, ...more } });
    serve('nobody chose', {});
    expect(rates.of('chat')?.recent).toEqual([]);
    for (let number = 0; number < 100; number++) serve(`talk ${number}`);
    serve('talk 50');
    const recent = rates.of('chat')?.recent;
    expect(recent).toHaveLength(64);
    expect(recent?.at(-1)).toBe(conversationHash('', 'talk 50'));
    expect(recent?.filter((one) => one === conversationHash('', 'talk 50'))).toHaveLength(1);
    expect(recent).not.toContain(conversationHash('', 'talk 35'));
  });

  it('forgets calls that have ended, however they ended', () => {
    const { rates } = createRates();
    const runs = [rates.granted(warm), rates.granted(warm), rates.granted(warm)];
    runs[0]?.began();
    expect([rates.underWay.length, rates.of('chat')?.saying]).toEqual([3, 1]);
    runs[0]?.end({ how: 'completed', promptTokens: 10 });
    runs[1]?.end({ how: 'failed' });
    runs[2]?.end(undefined);
    runs[2]?.end(undefined);
    expect([rates.underWay.length, rates.of('chat')?.saying, rates.of('chat')?.mostSaying]).toEqual([0, 0, 1]);
  });

  it('learns how its estimate of tokens is off, where it predicted', () => {
    const predicted: Prediction = { totalMs: 0, queueMs: 0, loadMs: 0, evictionMs: 0, promptMs: 0, cachedMs: 0 };
    const { rates, run } = createRates();
    run(100, 2_000, { promptTokens: 2_000 }, { ask: { ...ask, predicted } });
    expect(rates.of('chat')?.tokensFactor).toBeCloseTo(1.2);
    run(100, 2_000, { promptTokens: 2_000 });
    expect(rates.of('chat')?.tokensFactor).toBeCloseTo(1.2);
  });

  it('takes no whole answer for a first token, and no failure for a call', () => {
    const { rates, run } = createRates();
    run(5_000, 1, { outputTokens: 400 });
    expect(rates.of('chat')).toMatchObject({ tokensPerSecond: 600, callMs: 5_001 });
    run(9_000, 1, { how: 'failed', promptTokens: undefined });
    expect(rates.of('chat')?.callMs).toBe(5_001);
  });

  it('learns what the shortest prompt takes, apart from reading', () => {
    const { rates, run } = createRates();
    run(550, 2_000, { promptTokens: 10 });
    expect(rates.of('chat')).toMatchObject({ tokensPerSecond: 600, hasRead: false });
    expect(rates.of('chat')?.leastMs).toBeGreaterThan(50);
  });
});

describe('what loads teach', () => {
  it('is learnt from the first of those that waited for one load', () => {
    const { rates, pass } = createRates();
    pass(20_000);
    rates.granted({ ...warm, loadMs: 11_000 });
    expect(rates.bytesPerSecond).toBeCloseTo(4e8);
    // This one came when half of it was done.
    rates.granted({ ...warm, loadMs: 5_000 });
    expect(rates.bytesPerSecond).toBeCloseTo(4e8);
    pass(30_000);
    rates.granted({ ...warm, loadMs: 5_000 });
    expect(rates.bytesPerSecond).toBeCloseTo(6.4e8);
  });

  it('learns nothing from a load that found the model in memory, as after a runner was killed and is back', () => {
    const { rates, pass } = createRates();
    pass(20_000);
    rates.granted({ ...warm, loadMs: 2 });
    expect([rates.bytesPerSecond, rates.seenBytesPerSecond]).toEqual([5e8, undefined]);
  });

  it('learns from the whole of a load of its own, not from one who came when its first client had left', () => {
    const { rates, pass } = createRates();
    pass(11_000);
    rates.loadEnded(4e9, 11_000);
    rates.granted({ ...warm, loadMs: 1_500 });
    expect(rates.bytesPerSecond).toBeCloseTo(4e8);
  });

  it("learns nothing from waiting where loads are Corral's own: what was waited for may have been the load of another model", () => {
    const { rates, pass } = createRates();
    pass(11_000);
    rates.loadEnded(4e9, 11_000);
    pass(60_000);
    rates.granted({ ...warm, loadMs: 1_500 });
    expect(rates.bytesPerSecond).toBeCloseTo(4e8);
  });

  it('is seen in a call that set the load off itself, and the memory is looked at then', () => {
    const { rates, run, looks } = createRates();
    const reading = 50 + 1_000 / 0.6;
    run(9_000 + reading, 2_000, {}, { isCold: true });
    expect(rates.bytesPerSecond).toBeCloseTo(5e8);
    expect([rates.of('chat')?.loadingSinceMs, rates.of('chat')?.tokensPerSecond, looks()]).toEqual([undefined, 600, 1]);
  });

  it('knows since when a load is under way, and that it is over when the call fails', () => {
    const { rates, pass } = createRates();
    const first = rates.granted({ ...warm, isCold: true });
    pass(3_000);
    rates.granted({ ...warm, isCold: true });
    expect(rates.of('chat')?.loadingSinceMs).toBe(1_000);
    first.end({ how: 'failed' });
    expect(rates.of('chat')?.loadingSinceMs).toBeUndefined();
  });
});

describe('demand', () => {
  it('is calls a second, forgotten within minutes', () => {
    const { rates, pass } = createRates();
    for (let second = 0; second < 600; second++) {
      rates.granted(warm);
      rates.granted(warm);
      pass(1_000);
    }
    expect(rates.demandFor('chat')).toBeCloseTo(2, 1);
    pass(60_000);
    expect(rates.demandFor('chat')).toBeCloseTo(2 / Math.E, 1);
    pass(600_000);
    expect(rates.demandFor('chat')).toBeLessThan(0.001);
  });
});

it('remembers 256 models: beyond them the one that was used longest ago is forgotten', () => {
  const { rates, pass } = createRates();
  for (let number = 0; number < 256; number++) {
    rates.granted({ ...warm, model: `m${number}` });
    pass(1);
  }
  rates.granted({ ...warm, model: 'm0' });
  pass(1);
  rates.granted({ ...warm, model: 'new' });
  expect(rates.size).toBe(256);
  expect([rates.of('m0'), rates.of('new')].every((one) => one !== undefined)).toBe(true);
  expect(rates.of('m1')).toBeUndefined();
});
