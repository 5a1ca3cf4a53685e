import { describe, expect, test } from 'vitest';
import { createHealthState, createTargetHealth, type HealthState, type TargetHealth } from '../../../src/backends/health.ts';
import { GatewayError } from '../../../src/errors.ts';
import type { EvictionRule, Exchange } from '../../../src/exchange.ts';
import { createFakeClock, type FakeClock } from '../../support/fake-clock.ts';
import { fakeExchange } from '../policies/fake-exchange.ts';

interface Patient {
  readonly clock: FakeClock;
  readonly exchange: Exchange;
  readonly state: HealthState;
  readonly health: TargetHealth;
  /** Changes, as its listener was told of them. */
  readonly told: readonly string[];
  /** One try that is answered so, after so long. */
  answer(status: number, headers?: Record<string, string>, tookMs?: number): Promise<void>;
  fail(): void;
  readonly isEvicted: boolean;
  /** Until it is back; 0 when it is there. */
  readonly awayMs: number;
}

const usual: EvictionRule = {
  durationMs: undefined,
  restoreHealth: undefined,
  consecutiveFailures: undefined,
  healthThreshold: undefined,
  hasDefault: true,
};

/** null: no rule at all. */
function patient(eviction: Partial<EvictionRule> | null = {}, given: { state?: HealthState; backoffMs?: number } = {}): Patient {
  const clock = createFakeClock();
  const exchange = { ...fakeExchange(), clock };
  if (given.backoffMs !== undefined) exchange.retry = { attempts: 2, statuses: new Set(), backoffMs: given.backoffMs };
  const state = given.state ?? createHealthState();
  const told: string[] = [];
  const health = createTargetHealth(
    state,
    {
      isUnhealthy: (_, { status }) => status >= 429,
      eviction: eviction === null ? undefined : { ...usual, ...eviction },
    },
    {
      evicted: (forMs, failures, cause) => told.push(`${forMs} ${failures} ${'code' in cause ? cause.code : cause.status}`),
      returned: () => told.push('back'),
    },
  );
  return {
    clock,
    exchange,
    state,
    health,
    told,
    async answer(status, headers = {}, tookMs = 0) {
      const startedMs = clock.now();
      health.begin();
      await clock.advance(tookMs);
      health.answered(exchange, { status, headers: new Headers(headers) }, startedMs);
    },
    fail() {
      health.begin();
      health.failed(exchange, new GatewayError('upstream_refused', 'nobody there'));
    },
    get isEvicted() {
      return health.isEvicted(clock.now());
    },
    get awayMs() {
      return health.report(clock.now()).evictedForMs;
    },
  };
}

describe('when it is evicted', () => {
  test('without a rule never, however bad it is', () => {
    const one = patient(null);
    for (let times = 0; times < 50; times++) one.fail();
    expect(one.isEvicted).toBe(false);
  });

  test('by the first bad answer, where the rule asks for nothing more', async () => {
    const one = patient();
    await one.answer(200);
    expect(one.isEvicted).toBe(false);
    await one.answer(500);
    expect(one.isEvicted).toBe(true);
  });

  test('by so many in a row; a good one in between begins anew', async () => {
    const one = patient({ consecutiveFailures: 3 });
    await one.answer(500);
    one.fail();
    await one.answer(200);
    await one.answer(500);
    one.fail();
    expect(one.isEvicted).toBe(false);
    await one.answer(503);
    expect(one.isEvicted).toBe(true);
  });

  test('consecutiveFailures: 0 is never reached', () => {
    const one = patient({ consecutiveFailures: 0 });
    for (let times = 0; times < 20; times++) one.fail();
    expect(one.isEvicted).toBe(false);
  });

  test('below the threshold, as it was before the answer: 1, 0.7, 0.49', () => {
    const one = patient({ healthThreshold: 0.5 });
    one.fail();
    one.fail();
    expect(one.isEvicted).toBe(false);
    one.fail();
    expect(one.isEvicted).toBe(true);
  });

  test('by either, where both are set', () => {
    const early = patient({ healthThreshold: 0.1, consecutiveFailures: 2 });
    early.fail();
    early.fail();
    expect(early.isEvicted).toBe(true);
    const low = patient({ healthThreshold: 0.9, consecutiveFailures: 50 });
    low.fail();
    low.fail();
    expect(low.isEvicted).toBe(true);
  });
});

describe('for how long', () => {
  test('3 s unless told otherwise', async () => {
    const one = patient();
    one.fail();
    await one.clock.advance(2_999);
    expect(one.isEvicted).toBe(true);
    await one.clock.advance(1);
    expect(one.isEvicted).toBe(false);
  });

  test('the duration, times the evictions in a row; a good answer begins anew', async () => {
    const one = patient({ durationMs: 10_000 });
    const away: number[] = [];
    for (let times = 0; times < 3; times++) {
      one.fail();
      away.push(one.awayMs);
      await one.clock.advance(60_000);
    }
    await one.answer(200);
    one.fail();
    expect([...away, one.awayMs]).toEqual([10_000, 20_000, 30_000, 10_000]);
  });

  test('an hour at most, unless the duration itself is longer', async () => {
    const often = patient({ durationMs: 3_000_000 });
    often.fail();
    await often.clock.advance(3_000_000);
    often.fail();
    expect(often.awayMs).toBe(3_600_000);
    const long = patient({ durationMs: 7_200_000 });
    long.fail();
    expect(long.awayMs).toBe(7_200_000);
    const asked = patient();
    await asked.answer(429, { 'retry-after': '86400' });
    expect(asked.awayMs).toBe(3_600_000);
  });

  test('what a 429 asks for; other statuses are not heard', async () => {
    const one = patient();
    await one.answer(429, { 'retry-after': '7' });
    expect(one.awayMs).toBe(7_000);
    const other = patient();
    await other.answer(503, { 'retry-after': '7' });
    expect(other.awayMs).toBe(3_000);
    const told = patient({ durationMs: 1_000 });
    await told.answer(429, { 'retry-after': '7' });
    expect(told.awayMs).toBe(1_000);
  });

  test('a 429 with a time, or a backoff, evicts without an eviction block; others do not', async () => {
    const one = patient({ hasDefault: false });
    await one.answer(429);
    await one.answer(500, { 'retry-after': '7' });
    expect(one.isEvicted).toBe(false);
    await one.answer(429, { 'retry-after': '7' });
    expect(one.awayMs).toBe(7_000);
    const paused = patient({ hasDefault: false }, { backoffMs: 250 });
    paused.fail();
    expect(paused.awayMs).toBe(250);
  });

  test('what was under way when it was evicted does not evict it once more', async () => {
    const one = patient({ durationMs: 10_000 });
    one.fail();
    await one.clock.advance(4_000);
    one.fail();
    expect(one.awayMs).toBe(6_000);
    await one.clock.advance(6_000);
    one.fail();
    expect(one.awayMs).toBe(20_000);
  });
});

describe('the score', () => {
  test('is the average of the last answers, the newest counting 0.3', async () => {
    const one = patient(null);
    expect(one.health.scoreOf(0, 0)).toBe(1);
    one.fail();
    expect(one.health.scoreOf(0, 0)).toBeCloseTo(0.7, 10);
    await one.answer(200);
    expect(one.health.scoreOf(0, 0)).toBeCloseTo(0.79, 10);
  });

  test('falls with the time to headers and with what is under way', async () => {
    const one = patient(null);
    await one.answer(200, {}, 2_000);
    expect(one.health.scoreOf(0, 0)).toBeCloseTo(1 / 3, 10);
    expect(one.health.scoreOf(10, 0)).toBeCloseTo(1 / 5, 10);
    one.health.begin();
    expect(one.health.scoreOf(9, 0)).toBeCloseTo(1 / 5, 10);
    one.health.leave();
    await one.answer(200, {}, 4_000);
    expect(one.health.report(0).latencySeconds).toBeCloseTo(2.6, 10);
  });

  test('bad answers say nothing of the time; a client that leaves says nothing at all', async () => {
    const one = patient();
    await one.answer(500, {}, 9_000);
    expect(one.health.report(one.clock.now()).latencySeconds).toBe(0);
    const left = patient();
    left.health.begin();
    left.health.leave();
    expect(left.health.report(0)).toEqual({
      health: 1,
      latencySeconds: 0,
      consecutiveFailures: 0,
      isEvicted: false,
      evictedForMs: 0,
    });
  });

  test('is set when it comes back, where the rule says so, and stays otherwise', async () => {
    const set = patient({ restoreHealth: 0.2, durationMs: 1_000 });
    set.fail();
    expect(set.health.report(set.clock.now()).health).toBeCloseTo(0.7, 10);
    await set.clock.advance(1_000);
    expect(set.health.report(set.clock.now()).health).toBe(0.2);
    const kept = patient({ durationMs: 1_000 });
    kept.fail();
    await kept.clock.advance(1_000);
    expect(kept.health.report(kept.clock.now()).health).toBeCloseTo(0.7, 10);
  });
});

test('a new rule goes on with what is known: a reload forgets nothing', () => {
  const before = patient({ durationMs: 10_000 });
  before.fail();
  const after = createTargetHealth(before.state, { isUnhealthy: () => false, eviction: { ...usual, durationMs: 1 } });
  expect(after.report(before.clock.now())).toMatchObject({ isEvicted: true, evictedForMs: 10_000, consecutiveFailures: 1 });
});

describe('changes are told', () => {
  test('once each, however often it is looked at and whatever else comes meanwhile', async () => {
    const one = patient({ durationMs: 1_000, consecutiveFailures: 2 });
    await one.answer(500);
    expect(one.told).toEqual([]);
    one.fail();
    // These were under way.
    await one.answer(503);
    one.fail();
    expect([one.isEvicted, one.isEvicted, one.told]).toEqual([true, true, ['1000 2 upstream_refused']]);
    await one.clock.advance(1_000);
    expect([one.isEvicted, one.isEvicted, one.told.slice(1)]).toEqual([false, false, ['back']]);
    await one.answer(503);
    expect(one.told.slice(2)).toEqual(['2000 5 503']);
  });

  test('a good answer after its time tells of the return, where nobody has looked before', async () => {
    const one = patient({ durationMs: 1_000, restoreHealth: 0.5 });
    await one.answer(500);
    await one.clock.advance(1_000);
    await one.answer(200);
    expect(one.told).toEqual(['1000 1 500', 'back']);
    // 0.5 to come back with, and then a good one: 0.5 + 0.5 × 0.3.
    expect(one.state.health).toBeCloseTo(0.65);
  });
});
