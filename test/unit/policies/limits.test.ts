import { describe, expect, it } from 'vitest';
import { retry } from '../../../src/policies/retry.ts';
import { timeout } from '../../../src/policies/timeout.ts';
import { ask, fakeAttempt, fakeScope } from './fake-exchange.ts';

const scope = fakeScope();

describe('timeout', () => {
  const made = (options: unknown) => {
    const parsed = timeout.options.parse(options);
    const [onRequest, onAttempt] = [timeout.onRequest?.(parsed, scope), timeout.onAttempt?.(parsed, scope)];
    if (onRequest === undefined || onAttempt === undefined) throw new Error('a factory is missing');
    return { onRequest, onAttempt };
  };

  it('counts from the start of the request, not from when the policy ran', async () => {
    const { exchange, reached } = await ask(made({ requestTimeout: '1.5s' }).onRequest, { startedMs: 10_000, nowMs: 10_700 });
    expect(exchange.deadlineMs).toBe(11_500);
    expect(reached).toBe(true);
  });

  it('limits each try', () => {
    const attempt = fakeAttempt();
    made({ backendRequestTimeout: '300ms' }).onAttempt(attempt);
    expect(attempt.timeoutMs).toBe(300);
  });

  it('limits nothing when nothing is given', async () => {
    const { onRequest, onAttempt } = made({});
    const { exchange } = await ask(onRequest);
    expect(exchange.deadlineMs).toBeUndefined();
    const attempt = fakeAttempt();
    onAttempt(attempt);
    expect(attempt.timeoutMs).toBeUndefined();
  });

  it.each([['5'], [5], ['-1s'], ['soon']])('refuses %o', (requestTimeout) => {
    expect(timeout.options.safeParse({ requestTimeout }).success).toBe(false);
  });
});

describe('retry', () => {
  const ruleOf = async (options: unknown) => {
    const middleware = retry.onRequest?.(retry.options.parse(options), scope);
    if (middleware === undefined) throw new Error('no middleware');
    return (await ask(middleware)).exchange.retry;
  };

  it('reads attempts as further tries, as agentgateway was seen to do', async () => {
    expect(await ruleOf({ attempts: 3, backoff: '500ms', codes: [429, 500, 503] })).toEqual({
      attempts: 3,
      statuses: new Set([429, 500, 503]),
      backoffMs: 500,
    });
  });

  it('tries once more and at once unless told otherwise', async () => {
    expect(await ruleOf({ codes: [503] })).toEqual({ attempts: 1, statuses: new Set([503]), backoffMs: 0 });
  });

  it.each([
    ['no codes', { attempts: 2 }, 'array'],
    ['attempts: 0', { attempts: 0, codes: [503] }, 'attempts'],
    ['more than a hundred', { attempts: 101, codes: [503] }, 'attempts'],
    ['codes that are none', { codes: [5030] }, 'codes'],
    ['a precondition', { codes: [503], precondition: 'true' }, 'known to agentgateway, not supported yet'],
    ['a condition', { codes: [503], condition: 'true' }, 'known to agentgateway, not supported yet'],
  ])('refuses %s', (_, options, message) => {
    const result = retry.options.safeParse(options);
    expect(result.success).toBe(false);
    expect(JSON.stringify(result.error?.issues)).toContain(message);
  });
});
