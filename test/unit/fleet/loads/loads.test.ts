import { beforeEach, describe, expect, it } from 'vitest';
import { GatewayError } from '../../../../src/errors.ts';
import type { Ask, Wait } from '../../../../src/exchange.ts';
import type { Answer, Stop } from '../../../../src/fleet/asking/ask.ts';
import { LoadFailed } from '../../../../src/fleet/loads/load-answer.ts';
import { createLoads, type Loaded, type LoadingPlace, type Loads } from '../../../../src/fleet/loads/loads.ts';
import { usualTuning } from '../../../../src/fleet/tuning.ts';
import { createFakeClock, type FakeClock } from '../../../support/fake-clock.ts';
import { plainWork } from '../../../support/work.ts';
import { knownModel } from '../../answers/fake-herd.ts';
import { upstreamNamed } from '../scripted-boxes.ts';

const work = plainWork({ promptTokens: 0 });
const ask = (model = 'llama3.2', more: Partial<Ask> = {}): Ask => ({ model, numCtx: undefined, work, ...more });

interface Posted {
  readonly path: string;
  readonly json: unknown;
  readonly limitMs: number;
  readonly atMs: number;
  isStopped: boolean;
  answer(answer: Partial<Answer> | GatewayError): void;
}

let clock: FakeClock;
let posted: Posted[];
let resident: Map<string, number>;
let isKnown: boolean;
let isAlive: boolean;
let aliveChecks: number;
let residentChecks: string[];
let noted: unknown[];
let tuning: { -readonly [Name in keyof typeof usualTuning]: (typeof usualTuning)[Name] };
let loads: Loads;

const models = [
  'llama3.2:latest',
  'mistral:latest',
  'nomic:latest',
  ...Array.from({ length: 20 }, (_, index) => `m${index}:latest`),
];

function createPlace(): LoadingPlace {
  return {
    upstream: upstreamNamed('gpu1', 'http://gpu1:11434'),
    tuning,
    isBox: true,
    catalogue: new Map([
      ...models.map((name) => [name, knownModel(name)] as const),
      ['far:latest', knownModel('far:latest', true)],
    ]),
    holds(model, numCtx) {
      if (!isKnown) return undefined;
      const has = resident.get(model);
      return has !== undefined && has >= (numCtx ?? 0);
    },
    async checkAlive() {
      aliveChecks++;
      return isAlive;
    },
    async checkResident(model) {
      residentChecks.push(model);
      return true;
    },
    noteLoad: (model, durationMs) => noted.push([model, durationMs]),
    post(path, json, limitMs, stop: Stop) {
      return new Promise((resolve) => {
        const one: Posted = {
          path,
          json: JSON.parse(json),
          limitMs,
          atMs: clock.now(),
          isStopped: false,
          answer: (given) =>
            resolve(given instanceof GatewayError ? given : { status: 200, headers: new Headers(), text: '{}', ...given }),
        };
        stop.onStop(() => {
          one.isStopped = true;
          one.answer(new GatewayError('upstream_silent', 'stopped'));
        });
        posted.push(one);
      });
    },
  };
}

/** Somebody who waits, and may leave. */
function waiter() {
  const leaving: (() => void)[] = [];
  const waits: Wait[] = [];
  const kept: Promise<unknown>[] = [];
  return {
    deadlineMs: undefined,
    onGone: (listener: () => void) => void leaving.push(listener),
    waitUntil: (work: Promise<unknown>) => void kept.push(work),
    onWait: (wait: Wait) => void waits.push(wait),
    leave: () => {
      for (const listener of leaving) listener();
    },
    waits,
    kept,
  };
}

/** What became of a promise, without waiting for it: milliseconds, and the context that was loaded. */
function fateOf(promise: Promise<Loaded> | undefined): { is: unknown; numCtx: number | undefined } {
  const fate: { is: unknown; numCtx: number | undefined } = { is: 'pending', numCtx: undefined };
  promise?.then(
    ({ waitedMs, numCtx }) => {
      fate.is = waitedMs;
      fate.numCtx = numCtx;
    },
    (thrown) => {
      fate.is = thrown;
    },
  );
  return fate;
}

function thrownBy(work: () => unknown): unknown {
  try {
    return work();
  } catch (thrown) {
    return thrown;
  }
}

beforeEach(() => {
  clock = createFakeClock();
  posted = [];
  resident = new Map();
  isKnown = true;
  isAlive = true;
  aliveChecks = 0;
  residentChecks = [];
  noted = [];
  tuning = { ...usualTuning };
  loads = createLoads(createPlace(), { clock, hasBackground: true });
});

describe('whether a load is needed', () => {
  it('not where the model is in memory, nothing is known, or Corral owns no loads', () => {
    resident.set('llama3.2:latest', 4096);
    expect(loads.ready(ask('LLAMA3.2'), waiter())).toBeUndefined();
    isKnown = false;
    expect(loads.ready(ask('mistral'), waiter())).toBeUndefined();
    isKnown = true;
    tuning.ownsLoads = false;
    expect(loads.ready(ask('mistral'), waiter())).toBeUndefined();
    expect(posted).toEqual([]);
  });

  it('not for what the box has not got, and not for what it would hand on to the cloud: the call gets its words', () => {
    expect(loads.ready(ask('gpt-4o'), waiter())).toBeUndefined();
    expect(loads.ready(ask('far'), waiter())).toBeUndefined();
    expect(posted).toEqual([]);
  });

  it('D16: more context than asked for is used as it is, less is loaded anew with num_ctx', () => {
    resident.set('llama3.2:latest', 8192);
    expect(loads.ready(ask('llama3.2', { numCtx: 4096 }), waiter())).toBeUndefined();
    expect(loads.ready(ask('llama3.2', { numCtx: 16384 }), waiter())).toBeDefined();
    expect(posted.map(({ path, json }) => [path, json])).toEqual([
      ['/api/generate', { model: 'llama3.2', stream: false, options: { num_ctx: 16384 } }],
    ]);
  });
});

describe('one load for all', () => {
  it('T1: who joins waits for the rest of it, who leaves takes nothing along', async () => {
    const first = waiter();
    const left = fateOf(loads.ready(ask(), first));
    await clock.advance(10_000);
    first.leave();
    await clock.advance(10_000);
    const second = waiter();
    const joined = fateOf(loads.ready(ask('llama3.2:latest'), second));
    await clock.advance(160_000);
    expect(joined.is).toBe('pending');
    posted[0]?.answer({});
    await clock.settle();
    expect([left.is, joined.is]).toEqual(['pending', 160_000]);
    expect(posted).toHaveLength(1);
    expect(posted[0]).toMatchObject({
      path: '/api/generate',
      json: { model: 'llama3.2', stream: false },
      limitMs: 900_000,
      isStopped: false,
    });
    expect(second.waits).toEqual([{ for: 'load', boxName: 'gpu1', position: 0 }]);
    expect(clock.pending).toBe(0);
  });

  it('goes on when all have left, and is known at once when it is done', async () => {
    const only = waiter();
    loads.ready(ask(), only);
    only.leave();
    await clock.advance(60_000);
    expect(loads.underWay()).toEqual([{ model: 'llama3.2:latest', startedMs: 0 }]);
    posted[0]?.answer({});
    await clock.settle();
    expect(residentChecks).toEqual(['llama3.2:latest']);
    expect(noted).toEqual([['llama3.2:latest', 60_000]]);
    expect(loads.underWay()).toEqual([]);
    // The probe has not seen it yet.
    expect(loads.ready(ask(), waiter())).toBeUndefined();
    await clock.advance(5_000);
    expect(loads.ready(ask(), waiter())).toBeDefined();
    expect(only.kept).toHaveLength(1);
  });

  it('other models and larger contexts load beside it, smaller contexts join', () => {
    loads.ready(ask('llama3.2', { numCtx: 8192 }), waiter());
    loads.ready(ask('llama3.2', { numCtx: 4096 }), waiter());
    loads.ready(ask('llama3.2'), waiter());
    loads.ready(ask('llama3.2', { numCtx: 16384 }), waiter());
    loads.ready(ask('mistral'), waiter());
    expect(posted.map(({ json }) => json)).toEqual([
      { model: 'llama3.2', stream: false, options: { num_ctx: 8192 } },
      { model: 'llama3.2', stream: false, options: { num_ctx: 16384 } },
      { model: 'mistral', stream: false },
    ]);
  });

  it('D16: who would use what is in memory joins a larger load of the same model, which is about to take its place', async () => {
    resident.set('llama3.2:latest', 4096);
    const larger = fateOf(loads.ready(ask('llama3.2', { numCtx: 16384 }), waiter()));
    const smaller = fateOf(loads.ready(ask('llama3.2', { numCtx: 4096 }), waiter()));
    const any = fateOf(loads.ready(ask(), waiter()));
    posted[0]?.answer({});
    await clock.settle();
    expect([larger, smaller, any]).toEqual([
      { is: 0, numCtx: 16384 },
      { is: 0, numCtx: 16384 },
      { is: 0, numCtx: 16384 },
    ]);
    expect(posted).toHaveLength(1);
  });

  it('embedding models are loaded by an embedding of nothing', () => {
    loads.ready(ask('nomic', { work: { ...work, use: 'embed' } }), waiter());
    expect(posted.map(({ path, json }) => [path, json])).toEqual([['/api/embed', { model: 'nomic' }]]);
  });

  it('at most 16 of one box are under way; the next one gets 503 with Retry-After', () => {
    for (let index = 0; index < 16; index++) loads.ready(ask(`m${index}`), waiter());
    expect(posted).toHaveLength(16);
    expect(thrownBy(() => loads.ready(ask('m16'), waiter()))).toMatchObject({
      code: 'load_failed',
      status: 503,
      retryable: true,
      headers: { 'retry-after': '5' },
    });
    expect(loads.ready(ask('m3'), waiter())).toBeDefined();
    expect(posted).toHaveLength(16);
  });
});

describe('loads that may push each other out', () => {
  const clashing = () => createLoads({ ...createPlace(), mayClash: () => true }, { clock, hasBackground: true });

  it('are made one after the other, each when the calls of the one before are on their way', async () => {
    loads = clashing();
    const fates = ['llama3.2', 'mistral'].map((model) => fateOf(loads.ready(ask(model), waiter())));
    expect(posted.map(({ json }) => json)).toEqual([{ model: 'llama3.2', stream: false }]);
    expect(loads.underWay().map(({ model }) => model)).toEqual(['llama3.2:latest', 'mistral:latest']);
    await clock.advance(5_000);
    posted[0]?.answer({});
    await clock.settle();
    expect(fates.map(({ is }) => is)).toEqual([5_000, 'pending']);
    await clock.advance(99);
    expect(posted).toHaveLength(1);
    await clock.advance(1);
    expect(posted.map(({ json }) => json)).toEqual([
      { model: 'llama3.2', stream: false },
      { model: 'mistral', stream: false },
    ]);
    await clock.advance(5_000);
    posted[1]?.answer({});
    await clock.settle();
    expect(fates.map(({ is }) => is)).toEqual([5_000, 10_100]);
    expect(clock.pending).toBe(0);
  });

  it('D16: whoever wants more context waits for the load of the same model that is under way; all who do get one load, of the most', async () => {
    loads = clashing();
    const first = fateOf(loads.ready(ask(), waiter()));
    const more = [16384, 32768, 8192].map((numCtx) => fateOf(loads.ready(ask('llama3.2', { numCtx }), waiter())));
    const gone = waiter();
    loads.ready(ask('llama3.2', { numCtx: 65536 }), gone);
    gone.leave();
    expect(posted).toHaveLength(1);
    await clock.advance(5_000);
    resident.set('llama3.2:latest', 4096);
    posted[0]?.answer({});
    await clock.settle();
    await clock.advance(100);
    expect([first, ...more.map(({ is }) => is)]).toEqual([{ is: 5_000, numCtx: undefined }, 'pending', 'pending', 'pending']);
    expect(posted.map(({ json }) => json)).toEqual([
      { model: 'llama3.2', stream: false },
      { model: 'llama3.2', stream: false, options: { num_ctx: 32768 } },
    ]);
    await clock.advance(5_000);
    posted[1]?.answer({});
    await clock.settle();
    expect(more).toEqual([32768, 32768, 32768].map((numCtx) => ({ is: 10_100, numCtx })));
    expect(posted).toHaveLength(2);
    expect(clock.pending).toBe(0);
  });

  it('D16: less context that is asked for before a load is in the lists is not loaded in its place', async () => {
    let tell: () => void = () => undefined;
    const place = createPlace();
    const slowToTell = {
      ...place,
      mayClash: () => true,
      checkResident: () =>
        new Promise<true>((resolve) => {
          tell = () => {
            resident.set('llama3.2:latest', 32768);
            resolve(true);
          };
        }),
    };
    loads = createLoads(slowToTell, { clock, hasBackground: true });
    loads.ready(ask('llama3.2', { numCtx: 32768 }), waiter());
    posted[0]?.answer({});
    await clock.settle();
    const less = fateOf(loads.ready(ask('llama3.2', { numCtx: 4096 }), waiter()));
    await clock.advance(100);
    tell();
    await clock.advance(100);
    expect([less.is, posted.length, clock.pending]).toEqual([200, 1, 0]);
  });

  it('at most 16 models wait; the next one gets 503 with Retry-After', () => {
    loads = clashing();
    for (let index = 0; index < 17; index++) loads.ready(ask(`m${index}`), waiter());
    expect(posted).toHaveLength(1);
    expect(thrownBy(() => loads.ready(ask('m17'), waiter()))).toMatchObject({
      code: 'load_failed',
      status: 503,
      headers: { 'retry-after': '5' },
    });
    expect(loads.ready(ask('m3'), waiter())).toBeDefined();
  });
});

describe('a load that fails', () => {
  const oom = { status: 500, text: '{"error":"model requires more system memory (5.3 GiB) than is available (3.9 GiB)"}' };

  it('is told to each who waits, in the words of Ollama, and worth a try elsewhere', async () => {
    const fates = [fateOf(loads.ready(ask(), waiter())), fateOf(loads.ready(ask(), waiter()))];
    posted[0]?.answer(oom);
    await clock.settle();
    for (const { is } of fates) {
      expect(is).toBeInstanceOf(LoadFailed);
      expect(is).toMatchObject({
        code: 'load_failed',
        status: 500,
        retryable: true,
        message: 'gpu1 could not load llama3.2:latest: model requires more system memory (5.3 GiB) than is available (3.9 GiB)',
      });
    }
    expect(residentChecks).toEqual([]);
  });

  it('is not tried again for 5 s, by nobody', async () => {
    fateOf(loads.ready(ask(), waiter()));
    posted[0]?.answer(oom);
    await clock.advance(4_900);
    expect(thrownBy(() => loads.ready(ask(), waiter()))).toBeInstanceOf(LoadFailed);
    expect(posted).toHaveLength(1);
    await clock.advance(100);
    fateOf(loads.ready(ask(), waiter()));
    expect(posted).toHaveLength(2);
  });

  it('a box that is not there is asked again at once', async () => {
    const fate = fateOf(loads.ready(ask(), waiter()));
    posted[0]?.answer(new GatewayError('upstream_refused', 'refused'));
    await clock.settle();
    expect(fate.is).toMatchObject({ code: 'upstream_refused', retryable: true });
    fateOf(loads.ready(ask(), waiter()));
    expect(posted).toHaveLength(2);
  });

  it('busy keeps its status', async () => {
    const fate = fateOf(loads.ready(ask(), waiter()));
    posted[0]?.answer({ status: 503, text: '{"error":"server busy, please try again.  maximum pending requests exceeded"}' });
    await clock.settle();
    expect(fate.is).toMatchObject({ code: 'load_failed', status: 503 });
  });

  it.each([
    [400, '{"error":"\\"nomic\\" does not support generate"}'],
    [404, '{"error":"model \'nomic\' not found"}'],
    [403, ''],
    [501, '{"error":"This server does not support embeddings"}'],
  ])('%i lets the call itself get its answer, and those that follow', async (status, text) => {
    const fate = fateOf(loads.ready(ask('nomic'), waiter()));
    await clock.advance(1_000);
    posted[0]?.answer({ status, text });
    await clock.settle();
    expect(fate.is).toBe(1_000);
    expect(loads.ready(ask('nomic'), waiter())).toBeUndefined();
  });

  it('has a limit of its own', async () => {
    tuning.loadTimeoutMs = 120_000;
    const fate = fateOf(loads.ready(ask(), waiter()));
    expect(posted[0]?.limitMs).toBe(120_000);
    posted[0]?.answer(new GatewayError('upstream_silent', 'gpu1 did not answer within 120000 ms'));
    await clock.settle();
    expect(fate.is).toMatchObject({
      code: 'load_failed',
      status: 504,
      message: 'gpu1 has not loaded llama3.2:latest within 120 s (fleet.loadTimeout)',
    });
  });

  it('T4: a box that is gone without a word is noticed after 250 ms, and every 15 s from then on', async () => {
    const fate = fateOf(loads.ready(ask(), waiter()));
    await clock.advance(20_000);
    expect([aliveChecks, fate.is]).toEqual([2, 'pending']);
    isAlive = false;
    await clock.advance(15_000);
    expect(aliveChecks).toBe(3);
    expect(posted[0]?.isStopped).toBe(true);
    expect(fate.is).toMatchObject({ code: 'upstream_silent', message: 'gpu1 does not answer' });
    expect(clock.pending).toBe(0);
  });

  it('what has failed is forgotten: 300 failures keep 256 at most', async () => {
    tuning.loadTimeoutMs = 1_000;
    for (let index = 0; index < 300; index++) {
      fateOf(loads.ready(ask('mistral', { numCtx: 4096 + index }), waiter()));
      posted[index]?.answer(oom);
      await clock.settle();
    }
    // The first ones have made room: they are tried again.
    fateOf(loads.ready(ask('mistral', { numCtx: 4096 }), waiter()));
    expect(posted).toHaveLength(301);
    expect(thrownBy(() => loads.ready(ask('mistral', { numCtx: 4096 + 299 }), waiter()))).toBeInstanceOf(LoadFailed);
  });
});

describe('where nothing runs between requests', () => {
  beforeEach(() => {
    loads = createLoads(createPlace(), { clock, hasBackground: false });
  });

  it('T1: each looks with its own timer; the load belongs to the request that began it', async () => {
    const first = waiter();
    const left = fateOf(loads.ready(ask(), first));
    await clock.advance(10_000);
    first.leave();
    const second = waiter();
    const joined = fateOf(loads.ready(ask(), second));
    await clock.advance(170_000);
    posted[0]?.answer({});
    await clock.advance(250);
    expect([left.is, joined.is]).toEqual(['pending', 170_250]);
    expect([posted.length, first.kept.length, second.kept.length]).toEqual([1, 1, 0]);
    expect(clock.pending).toBe(0);
  });

  it('a load whose request has died with it is begun anew by one who waits', async () => {
    const silent = createFakeClock();
    // The first request's timers stand still, as on a request that is over.
    const dead = createLoads(createPlace(), { clock: { ...silent, now: clock.now }, hasBackground: false });
    fateOf(dead.ready(ask(), waiter()));
    expect(posted).toHaveLength(1);
    await clock.advance(6_000);
    const second = waiter();
    const fate = fateOf(dead.ready(ask(), second));
    expect(posted).toHaveLength(2);
    expect(second.kept).toHaveLength(1);
    posted[1]?.answer({});
    await silent.advance(1_000);
    expect(fate.is).toBe(0);
  });
});
