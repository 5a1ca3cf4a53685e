import { describe, expect, it } from 'vitest';
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
