import { Hono, type MiddlewareHandler } from 'hono';
import { describe, expect, it } from 'vitest';
import { gatewayErrorOf } from '../../../src/errors.ts';
import type { Exchange, GatewayEnv } from '../../../src/exchange.ts';
import { delay } from '../../../src/policies/delay.ts';
import { createFakeClock } from '../../support/fake-clock.ts';
import { type FakeRequest, fakeExchange, fakeScope } from './fake-exchange.ts';

function middlewareOf(duration: unknown): MiddlewareHandler<GatewayEnv> | undefined {
  return delay.onRequest?.(delay.options.parse({ duration }), fakeScope());
}

/** One request whose clock a test moves. */
function start(duration: unknown, request: FakeRequest = {}, changes: Partial<Exchange> = {}) {
  const clock = createFakeClock({ nowMs: 1_000 });
  const leaves: (() => void)[] = [];
  const base = fakeExchange({ startedMs: 1_000, ...request });
  const peer = { ...base.peer, onGone: (listener: () => void) => leaves.push(listener) };
  const exchange: Exchange = Object.assign(base, { clock, peer, ...changes });
  const seen = { reachedMs: undefined as number | undefined, status: undefined as number | undefined, code: '' };
  const app = new Hono<GatewayEnv>();
  const middleware = middlewareOf(duration);
  app.onError((thrown) => {
    const error = gatewayErrorOf(thrown);
    seen.code = error.code;
    return new Response(null, { status: error.status });
  });
  if (middleware !== undefined) app.use('*', middleware);
  app.all('*', () => {
    seen.reachedMs = clock.now();
    return new Response('ok');
  });
  const answered = Promise.resolve(app.fetch(exchange.request, exchange)).then((response) => {
    seen.status = response.status;
  });
  return {
    seen,
    clock,
    exchange,
    answered,
    leave() {
      for (const listener of leaves) listener();
    },
  };
}

describe('delay', () => {
  it('lets a request wait, and no longer', async () => {
    const { clock, seen } = start('300ms');
    await clock.advance(299);
    expect(seen.reachedMs).toBeUndefined();
    await clock.advance(1);
    expect(seen).toMatchObject({ reachedMs: 1_300, status: 200 });
    expect(clock.pending).toBe(0);
  });

  it.each<[string, number]>([
    ['duration("1.5s")', 1_500],
    ['duration("2s") + duration("500ms")', 2_500],
    ['250', 250],
    ['"750ms"', 750],
    ['request.path == "/slow" ? 500 : 0', 500],
    ['2.5 * 100.0', 250],
  ])('%s waits %i ms', async (expression, waitedMs) => {
    const { clock, seen } = start(expression, { path: '/slow' });
    await clock.advance(10_000);
    expect(seen.reachedMs).toBe(1_000 + waitedMs);
  });

  it.each(['-5', '0', 'request.path == "/slow" ? 500 : 0', 'request.headers["not-there"]', '"soon"', 'null', 'duration("-3s")'])(
    '%s does not wait',
    async (expression) => {
      const { clock, seen } = start(expression);
      await clock.settle();
      expect(seen.reachedMs).toBe(1_000);
      expect(clock.pending).toBe(0);
    },
  );

  it('reads the body where the expression asks for it', async () => {
    const { clock, seen } = start('int(json(request.body).wait)', { body: '{"wait":40}' });
    await clock.advance(40);
    expect(seen.reachedMs).toBe(1_040);
  });

  it('waits an hour at most', async () => {
    const { clock, seen } = start('1e30');
    await clock.advance(3_599_999);
    expect(seen.reachedMs).toBeUndefined();
    await clock.advance(1);
    expect(seen.reachedMs).toBe(3_601_000);
  });

  it('ends when the client leaves, and goes no further', async () => {
    const { clock, seen, exchange, leave, answered } = start('1h');
    await clock.advance(100);
    leave();
    await answered;
    expect(seen).toMatchObject({ reachedMs: undefined, status: 499 });
    expect(exchange.outcome).toBe('abandoned');
    expect(clock.pending).toBe(0);
  });

  it('ends at the time limit of the request', async () => {
    const { clock, seen } = start('2s', {}, { deadlineMs: 1_500 });
    await clock.advance(499);
    expect(seen.status).toBeUndefined();
    await clock.advance(1);
    expect(seen).toMatchObject({ status: 504, code: 'request_timeout', reachedMs: undefined });
  });

  it('costs nothing where it is 0', () => {
    expect(middlewareOf('0s')).toBeUndefined();
    expect(middlewareOf('1ms')).toBeDefined();
  });

  it.each([
    ['a number', 5, 'expected a duration'],
    ['a unit that is none', '5 parsecs', 'expected a duration with a unit'],
    ['a negative duration', '-2s', 'cannot be negative'],
    ['no expression', 'duration(', 'column'],
    ['a variable that is none', 'nonsense.path', 'column'],
  ])('refuses %s', (_, duration, message) => {
    const result = delay.options.safeParse({ duration });
    expect(result.success).toBe(false);
    expect(JSON.stringify(result.error?.issues)).toContain(message);
  });
});
