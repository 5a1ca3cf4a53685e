import { describe, expect, it } from 'vitest';
import { retry } from '../../../src/policies/retry.ts';
import { createMemoryState } from '../../../src/state/memory.ts';
import { ask, type FakeRequest, fakeExchange, fakeScope } from './fake-exchange.ts';

function middlewareOf(options: object, scope = fakeScope()) {
  const middleware = retry.onRequest?.(retry.options.parse(options), scope);
  if (middleware === undefined) throw new Error('no middleware');
  return middleware;
}

async function ruleOf(options: object, request: FakeRequest = {}) {
  return (await ask(middlewareOf(options), request)).exchange.retry;
}

describe('retry', () => {
  it('counts the first try as one', async () => {
    expect(await ruleOf({ attempts: 3, backoff: '500ms', codes: [429, 500, 503] })).toMatchObject({
      attempts: 3,
      statuses: new Set([429, 500, 503]),
      backoffMs: 500,
    });
  });

  it('pauses nothing and asks nothing unless told to', async () => {
    expect(await ruleOf({ attempts: 2, codes: [] })).toMatchObject({ backoffMs: 0, condition: undefined });
  });

  it('says that a single try is no retry, and keeps no body for it', async () => {
    const warnings: string[] = [];
    const middleware = middlewareOf({ codes: [503] }, fakeScope({ warn: (message) => warnings.push(message) }));
    expect((await ask(middleware)).exchange.retry).toBeUndefined();
    expect(warnings).toEqual([expect.stringContaining('attempts is 1')]);
    const none: string[] = [];
    middlewareOf({ attempts: 2, codes: [503] }, fakeScope({ warn: (message) => none.push(message) }));
    expect(none).toEqual([]);
  });

  it('retries only requests of which the precondition is true; what cannot be evaluated is not', async () => {
    const options = { attempts: 2, codes: [503], precondition: 'request.headers["x-again"] == "yes"' };
    expect(await ruleOf(options, { headers: { 'x-again': 'yes' } })).toBeDefined();
    expect(await ruleOf(options, { headers: { 'x-again': 'no' } })).toBeUndefined();
    expect(await ruleOf(options)).toBeUndefined();
  });

  it('reads the body for a precondition that asks for it, and not otherwise', async () => {
    const about = (precondition: string) => ask(middlewareOf({ attempts: 2, codes: [503], precondition }), { body: '{"a":1}' });
    const read = await about('json(request.body).a == 1');
    expect([read.exchange.retry !== undefined, read.exchange.heldBody !== undefined]).toEqual([true, true]);
    expect((await about('request.method == "POST"')).exchange.heldBody).toBeUndefined();
  });

  it('shows the condition the answer', async () => {
    const rule = await ruleOf({ attempts: 2, codes: [], condition: 'response.headers["x-busy"] == "1" || response.code == 418' });
    const holds = (status: number, headers: Record<string, string> = {}) =>
      rule?.condition?.(fakeExchange(), { status, headers: new Headers(headers) });
    expect([holds(418), holds(200, { 'x-busy': '1' }), holds(200), holds(503, { 'x-busy': '0' })]).toEqual([
      true,
      true,
      false,
      false,
    ]);
  });

  it('has one budget for the route, over reloads too', async () => {
    const scope = fakeScope({ state: createMemoryState(), stateKey: 'gateway/route/retry' });
    const options = { attempts: 2, codes: [503] };
    const budgets = await Promise.all(
      [scope, scope, { ...scope, stateKey: 'gateway/other/retry' }].map(
        async (one) => (await ask(middlewareOf(options, one))).exchange.retry?.budget,
      ),
    );
    expect(budgets[0]).toBe(budgets[1]);
    expect(budgets[0]).not.toBe(budgets[2]);
  });

  it.each([
    ['no codes', { attempts: 2 }, 'array'],
    ['attempts: 0', { attempts: 0, codes: [503] }, 'attempts'],
    ['more attempts than agentgateway takes', { attempts: 256, codes: [503] }, 'attempts'],
    ['codes that are none', { codes: [5030] }, 'codes'],
    ['a condition on the body of the answer', { codes: [503], condition: 'response.body == b""' }, 'response.code'],
    ['a condition that is no expression', { codes: [503], condition: 'response.code ==' }, 'column'],
  ])('refuses %s', (_, options, message) => {
    const result = retry.options.safeParse(options);
    expect(result.success).toBe(false);
    expect(JSON.stringify(result.error?.issues)).toContain(message);
  });
});
