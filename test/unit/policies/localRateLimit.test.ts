import type { MiddlewareHandler } from 'hono';
import { describe, expect, it } from 'vitest';
import { GatewayError } from '../../../src/errors.ts';
import type { Exchange, GatewayEnv, Usage } from '../../../src/exchange.ts';
import { localRateLimit } from '../../../src/policies/localRateLimit.ts';
import { createMemoryState } from '../../../src/state/memory.ts';
import type { BucketStore, State } from '../../../src/state/state.ts';
import { type Asked, ask, type FakeRequest, fakeAttempt, fakeScope } from './fake-exchange.ts';

const minute = { maxTokens: 2, tokensPerFill: 1, fillInterval: '60s' };

interface World {
  readonly state: State;
  readonly warnings: string[];
  /** One request, at this time. */
  ask(request?: FakeRequest): Promise<Asked>;
  /** One try at an upstream; the code of the refusal, if there was one. */
  try(exchange: Exchange, promptTokens?: number): Promise<string | undefined>;
  /** The same, with the whole refusal. */
  refusal(exchange: Exchange, promptTokens?: number): Promise<GatewayError | undefined>;
}

function world(options: unknown, state: State = createMemoryState()): World {
  const warnings: string[] = [];
  const scope = fakeScope({ state, stateKey: 'route0/localRateLimit', warn: (message) => warnings.push(message) });
  const parsed = localRateLimit.options.parse(options);
  const middleware = localRateLimit.onRequest?.(parsed, scope) as MiddlewareHandler<GatewayEnv>;
  const edit = localRateLimit.onTranslated?.(parsed, scope);
  const refusal: World['refusal'] = async (exchange, promptTokens) => {
    try {
      await edit?.({ ...fakeAttempt(), exchange, promptTokens });
      return undefined;
    } catch (thrown) {
      if (thrown instanceof GatewayError) return thrown;
      throw thrown;
    }
  };
  return {
    state,
    warnings,
    ask: (request = {}) => ask(middleware, request),
    refusal,
    try: async (exchange, promptTokens) => (await refusal(exchange, promptTokens))?.code,
  };
}

function limitsIn(headers: Headers): (string | null)[] {
  return ['x-ratelimit-limit', 'x-ratelimit-remaining', 'x-ratelimit-reset', 'retry-after'].map((name) => headers.get(name));
}

/** As the gateway ends an exchange. */
function end(exchange: Exchange, usage: Partial<Usage> | undefined, nowMs = 0, status = 200): void {
  exchange.status = status;
  exchange.usage = usage === undefined ? undefined : { inputTokens: 0, outputTokens: 0, estimated: false, ...usage };
  for (const ending of exchange.endings ?? []) ending(exchange, nowMs);
}

describe('localRateLimit of requests', () => {
  it('tells every answer what is left, and refuses what is beyond', async () => {
    const { ask: send } = world([minute]);
    expect(limitsIn((await send()).response.headers)).toEqual(['2', '1', '60', null]);
    expect(limitsIn((await send({ startedMs: 1_500 })).response.headers)).toEqual(['2', '0', '59', null]);
    const { response, reached, code, message } = await send({ startedMs: 1_500 });
    expect([response.status, reached, code, message]).toEqual([429, false, 'rate_limited', 'rate limit exceeded']);
    expect(limitsIn(response.headers)).toEqual(['2', '0', '59', '59']);
    expect((await send({ startedMs: 59_999 })).response.status).toBe(429);
    expect(limitsIn((await send({ startedMs: 60_000 })).response.headers)).toEqual(['2', '0', '60', null]);
  });

  it('leaves headers that an answer has already', async () => {
    const scope = fakeScope();
    const middleware = localRateLimit.onRequest?.(localRateLimit.options.parse([minute]), scope);
    const { response } = await ask(
      middleware as MiddlewareHandler<GatewayEnv>,
      {},
      () => new Response('x', { headers: { 'x-ratelimit-limit': '7' } }),
    );
    expect(limitsIn(response.headers)).toEqual(['7', '1', '60', null]);
  });

  it('counts requests as its type unless told otherwise', () => {
    expect(localRateLimit.options.parse([{ fillInterval: '1s' }])).toEqual([
      { maxTokens: 0, tokensPerFill: 0, fillInterval: 1_000, type: 'requests' },
    ]);
  });

  it('of several limits all must let pass; the tightest one is told; a refusal takes from none', async () => {
    const { ask: send } = world([
      { maxTokens: 5, tokensPerFill: 5, fillInterval: '1s' },
      { maxTokens: 1, tokensPerFill: 1, fillInterval: '60s' },
      { maxTokens: 9, tokensPerFill: 9, fillInterval: '1s' },
    ]);
    expect(limitsIn((await send()).response.headers)).toEqual(['1', '0', '60', null]);
    for (let index = 0; index < 6; index++) {
      const { response } = await send();
      expect([response.status, ...limitsIn(response.headers)]).toEqual([429, '1', '0', '60', '60']);
    }
    // Seven requests were sent and one has passed: a bucket of five that had been charged for each would be empty.
    expect((await send({ startedMs: 60_000 })).response.status).toBe(200);
  });

  it('gives back what it took when a later limit refuses', async () => {
    const state = createMemoryState();
    const { ask: send } = world(
      [
        { maxTokens: 5, tokensPerFill: 1, fillInterval: '60s' },
        { maxTokens: 1, tokensPerFill: 1, fillInterval: '60s' },
      ],
      state,
    );
    for (let index = 0; index < 4; index++) await send();
    const left = state.buckets.take('route0/localRateLimit/0', { capacity: 5, perFill: 1, fillIntervalMs: 60_000 }, 0, 0);
    expect(left).toMatchObject({ remaining: 4 });
  });

  it('lets nothing pass without maxTokens, and tells nobody to wait', async () => {
    const { response } = await world([{ maxTokens: 0, tokensPerFill: 0, fillInterval: '1s' }]).ask();
    expect([response.status, ...limitsIn(response.headers)]).toEqual([429, '0', '0', '0', null]);
  });

  it('rounds waits up, to a second at least', async () => {
    const { ask: send } = world([{ maxTokens: 1, tokensPerFill: 1, fillInterval: '250ms' }]);
    await send();
    expect(limitsIn((await send()).response.headers)).toEqual(['1', '0', '1', '1']);
  });

  it('goes on where it was after a reload', async () => {
    const state = createMemoryState();
    await world([minute], state).ask();
    await world([minute], state).ask();
    expect((await world([minute], state).ask()).response.status).toBe(429);
  });

  it('waits for stores that answer later', async () => {
    const { buckets } = createMemoryState();
    const later: BucketStore = {
      take: async (...asked) => await buckets.take(...asked),
      settle: async (...asked) => await buckets.settle(...asked),
    };
    const state = { ...createMemoryState(), buckets: later };
    const { ask: send } = world([minute], state);
    const statuses = [await send(), await send(), await send()].map(({ response }) => response.status);
    expect(statuses).toEqual([200, 200, 429]);
  });

  it('says where limits hold per isolate only', () => {
    expect(world([minute], createMemoryState({}, true)).warnings).toEqual([
      'each isolate of the Worker counts for itself: the limits hold per isolate, not for all of them together',
    ]);
    expect(world([minute]).warnings).toEqual([]);
  });
});

describe('localRateLimit with a key', () => {
  const keyed = [{ ...minute, maxTokens: 1, key: 'request.headers["x-user"]' }];

  it('has a bucket for each value', async () => {
    const { ask: send } = world(keyed);
    const statusOf = async (user: string) => (await send({ headers: { 'x-user': user } })).response.status;
    expect([await statusOf('a'), await statusOf('b'), await statusOf('a'), await statusOf('b')]).toEqual([200, 200, 429, 429]);
  });

  it('has one for all that have none', async () => {
    const { ask: send } = world(keyed);
    expect([(await send()).response.status, (await send()).response.status]).toEqual([200, 429]);
    expect((await send({ headers: { 'x-user': '' } })).response.status).toBe(200);
  });

  it('keeps values apart however long and odd they are, and out of the store', async () => {
    const keys: string[] = [];
    const state = createMemoryState();
    const watched: BucketStore = {
      take: (key, ...rest) => {
        keys.push(key);
        return state.buckets.take(key, ...rest);
      },
      settle: state.buckets.settle,
    };
    const { ask: send } = world(keyed, { ...state, buckets: watched });
    await send({ headers: { 'x-user': 'x'.repeat(10_000) } });
    await send({ headers: { 'x-user': `${'x'.repeat(9_999)}y` } });
    await send({ headers: { 'x-user': 'secret' } });
    expect(new Set(keys).size).toBe(3);
    for (const key of keys) expect(key).toMatch(/^route0\/localRateLimit\/0#[0-9a-f]{32}$/);
  });

  it('reads the body where the key asks for it', async () => {
    const { ask: send } = world([{ ...minute, maxTokens: 1, key: 'json(request.body).user' }]);
    const statusOf = async (user: string) => (await send({ body: JSON.stringify({ user }) })).response.status;
    expect([await statusOf('a'), await statusOf('b'), await statusOf('a')]).toEqual([200, 200, 429]);
  });

  it('says what a key of requests can never know', () => {
    expect(world([{ ...minute, key: 'llm.requestModel' }]).warnings).toEqual([
      expect.stringMatching(
        /^\[0\]\.key: "llm" is not there before an ai backend is reached.* As it stands all requests share one bucket$/,
      ),
    ]);
    expect(world([{ ...minute, type: 'tokens', key: 'llm.requestModel' }]).warnings).toEqual([]);
  });
});

describe('localRateLimit of tokens', () => {
  const tokens = [{ maxTokens: 20, tokensPerFill: 5, fillInterval: '2s', type: 'tokens' }];

  it('lets pass while one is left, and charges what the answer tells', async () => {
    const { ask: send, try: attempt } = world(tokens);
    const remaining: (string | undefined)[] = [];
    for (let index = 0; index < 2; index++) {
      const { exchange } = await send();
      expect(await attempt(exchange)).toBeUndefined();
      remaining.push(exchange.answerHeaders?.['x-ratelimit-remaining']);
      end(exchange, { inputTokens: 11, outputTokens: 7 });
    }
    // As observed of agentgateway: two replies of 18 on a budget of 20.
    expect(remaining).toEqual(['20', '2']);
    expect(await attempt((await send()).exchange)).toBe('rate_limited');
    // No debt is carried over: the next fill gives five.
    const { exchange } = await send({ startedMs: 2_000 });
    expect(await attempt(exchange)).toBeUndefined();
    expect(exchange.answerHeaders?.['x-ratelimit-remaining']).toBe('5');
  });

  it.each<[string, number, (string | null)[]]>([
    ['until one is there', 0, ['20', '0', '2', '2']],
    ['for as many fills as an estimate needs', 12, ['20', '0', '2', '6']],
    ['not at all where it will never fit', 21, ['20', '0', '0', null]],
  ])('tells to wait %s', async (_, promptTokens, headers) => {
    const stage = world(tokens);
    const { exchange } = await stage.ask();
    await stage.try(exchange);
    end(exchange, { outputTokens: 100 });
    const refusal = await stage.refusal((await stage.ask({ startedMs: 500 })).exchange, promptTokens);
    expect(limitsIn(new Headers(refusal?.headers))).toEqual(headers);
  });

  it('counts an exchange once, however often it is tried, and checks it once', async () => {
    const { ask: send, try: attempt } = world([{ ...tokens[0], maxTokens: 10 }]);
    const { exchange } = await send();
    for (let index = 0; index < 3; index++) expect(await attempt(exchange, 6)).toBeUndefined();
    expect(exchange.endings).toHaveLength(1);
    expect(exchange.answerHeaders?.['x-ratelimit-remaining']).toBe('4');
  });

  describe('with an estimate of the prompt', () => {
    const left = async ({ state }: World) =>
      (await state.buckets.take('route0/localRateLimit/0', { capacity: 20, perFill: 5, fillIntervalMs: 2_000 }, 0, 0)).remaining;

    it('takes it up front, and settles with the truth', async () => {
      const stage = world(tokens);
      const { exchange } = await stage.ask();
      expect(await stage.try(exchange, 8)).toBeUndefined();
      expect(exchange.answerHeaders?.['x-ratelimit-remaining']).toBe('12');
      end(exchange, { inputTokens: 3, outputTokens: 2 });
      expect(await left(stage)).toBe(15);
    });

    it('refuses what will not fit, and takes nothing then', async () => {
      const stage = world(tokens);
      await stage.try((await stage.ask()).exchange, 12);
      expect(await stage.try((await stage.ask()).exchange, 9)).toBe('rate_limited');
      expect(await left(stage)).toBe(8);
    });

    it.each<[string, Partial<Usage> | undefined, number, Exchange['outcome'], number]>([
      [
        'a broken stream costs what was counted of it, beside the estimate',
        { outputTokens: 4, estimated: true },
        200,
        'broken',
        8,
      ],
      ['an answer that tells nothing keeps the estimate', undefined, 200, 'completed', 12],
      ['a client that leaves keeps it, too', undefined, 499, 'abandoned', 12],
      ['a failure costs nothing', undefined, 503, 'failed', 20],
      ['and less than nothing is never left', { inputTokens: 1_000 }, 200, 'completed', 0],
    ])('%s', async (_, usage, status, outcome, remaining) => {
      const stage = world(tokens);
      const { exchange } = await stage.ask();
      await stage.try(exchange, 8);
      exchange.outcome = outcome;
      end(exchange, usage, 0, status);
      expect(await left(stage)).toBe(remaining);
    });

    it('without one, an estimate of a broken stream is charged as it is', async () => {
      const stage = world(tokens);
      const { exchange } = await stage.ask();
      await stage.try(exchange);
      end(exchange, { outputTokens: 4, estimated: true });
      expect(await left(stage)).toBe(16);
    });
  });

  it('charges every bucket of the list, by key', async () => {
    const { ask: send, try: attempt } = world([
      { ...tokens[0], key: 'request.headers["x-user"]' },
      { ...tokens[0], maxTokens: 1_000 },
    ]);
    const { exchange } = await send({ headers: { 'x-user': 'a' } });
    await attempt(exchange);
    end(exchange, { outputTokens: 30 });
    expect(await attempt((await send({ headers: { 'x-user': 'a' } })).exchange)).toBe('rate_limited');
    const other = (await send({ headers: { 'x-user': 'b' } })).exchange;
    expect(await attempt(other)).toBeUndefined();
    expect(other.answerHeaders).toMatchObject({ 'x-ratelimit-limit': '20', 'x-ratelimit-remaining': '20' });
  });

  it('a store that fails at the end fails nobody', async () => {
    const { buckets, ...rest } = createMemoryState();
    const failing: BucketStore = { take: buckets.take, settle: () => Promise.reject(new Error('gone')) };
    const { ask: send, try: attempt } = world(tokens, { ...rest, buckets: failing });
    const { exchange } = await send();
    const waited: Promise<unknown>[] = [];
    const given = Object.assign(exchange, {
      peer: { ...exchange.peer, waitUntil: (work: Promise<unknown>) => waited.push(work) },
    });
    await attempt(given);
    end(given, { outputTokens: 5 });
    expect(waited).toHaveLength(1);
    await expect(Promise.all(waited)).resolves.toEqual([undefined]);
  });

  it('is nothing that requests wait for, and the other way round', () => {
    const scope = fakeScope();
    expect(localRateLimit.onTranslated?.(localRateLimit.options.parse([minute]), scope)).toBeUndefined();
    expect(localRateLimit.onTranslated?.(localRateLimit.options.parse(tokens), scope)).toBeDefined();
    expect(localRateLimit.onRequest?.(localRateLimit.options.parse([]), scope)).toBeUndefined();
  });
});

describe('localRateLimit in its conditional form', () => {
  it('takes the first entry that fits, each with a limit of its own', async () => {
    const { ask: send } = world({
      conditional: [
        { condition: 'request.headers["x-plan"] == "free"', maxTokens: 1, tokensPerFill: 1, fillInterval: '60s' },
        { maxTokens: 3, tokensPerFill: 1, fillInterval: '60s' },
      ],
    });
    const limitOf = async (plan: string) => {
      const { response } = await send({ headers: { 'x-plan': plan } });
      return [response.status, response.headers.get('x-ratelimit-limit')];
    };
    expect(await limitOf('free')).toEqual([200, '1']);
    expect(await limitOf('free')).toEqual([429, '1']);
    expect(await limitOf('paid')).toEqual([200, '3']);
  });

  it('mixes requests and tokens', async () => {
    const { ask: send, try: attempt } = world({
      conditional: [
        { condition: 'request.path == "/a"', type: 'tokens', maxTokens: 1, tokensPerFill: 1, fillInterval: '60s' },
        { maxTokens: 1, tokensPerFill: 1, fillInterval: '60s' },
      ],
    });
    const { exchange } = await send({ path: '/a' });
    await attempt(exchange);
    end(exchange, { outputTokens: 9 });
    expect((await send({ path: '/a' })).response.status).toBe(200);
    expect(await attempt((await send({ path: '/a' })).exchange)).toBe('rate_limited');
    const { exchange: other } = await send({ path: '/b' });
    expect(await attempt(other)).toBeUndefined();
    expect((await send({ path: '/b' })).response.status).toBe(429);
  });

  it.each([
    ['a list in an entry', { conditional: [[minute]] }],
    ['an entry without condition before another', { conditional: [minute, { ...minute, condition: 'true' }] }],
    ['more than the bucket holds, in an entry', { conditional: [{ maxTokens: 1, tokensPerFill: 2, fillInterval: '1s' }] }],
  ])('refuses %s', (_, options) => {
    expect(localRateLimit.options.safeParse(options).success).toBe(false);
  });
});

describe('the options of localRateLimit', () => {
  it.each([
    [
      'more than the bucket holds',
      { maxTokens: 1, tokensPerFill: 2, fillInterval: '1s' },
      'expected at most maxTokens, which is 1',
    ],
    ['no interval', { maxTokens: 1 }, 'fillInterval'],
    ['an interval of nothing', { maxTokens: 1, fillInterval: '0s' }, 'at least a millisecond'],
    ['an interval below a millisecond', { maxTokens: 1, fillInterval: '10us' }, 'at least a millisecond'],
    ['less than nothing', { maxTokens: -1, fillInterval: '1s' }, 'maxTokens'],
    ['halves', { maxTokens: 1.5, fillInterval: '1s' }, 'maxTokens'],
    ['another type', { maxTokens: 1, fillInterval: '1s', type: 'bytes' }, 'type'],
    ['a key that is no expression', { maxTokens: 1, fillInterval: '1s', key: 'a b' }, 'column'],
  ])('refuse %s', (_, limit, message) => {
    const result = localRateLimit.options.safeParse([limit]);
    expect(result.success).toBe(false);
    expect(JSON.stringify(result.error?.issues)).toContain(message);
  });

  it('take 64 limits at most', () => {
    expect(localRateLimit.options.safeParse(Array.from({ length: 64 }, () => minute)).success).toBe(true);
    expect(localRateLimit.options.safeParse(Array.from({ length: 65 }, () => minute)).success).toBe(false);
  });
});
