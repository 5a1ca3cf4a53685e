import { describe, expect, it } from 'vitest';
import { timeout } from '../../../src/policies/timeout.ts';
import { ask, fakeAttempt, fakeScope } from './fake-exchange.ts';

const scope = fakeScope();

describe('timeout', () => {
  const made = (options: unknown) => {
    const parsed = timeout.options.parse(options);
    return { onRequest: timeout.onRequest?.(parsed, scope), onAttempt: timeout.onAttempt?.(parsed, scope) };
  };

  it('counts from the start of the request, not from when the policy ran', async () => {
    const { exchange, reached } = await ask(made({ requestTimeout: '1.5s' }).onRequest ?? [], {
      startedMs: 10_000,
      nowMs: 10_700,
    });
    expect(exchange.deadlineMs).toBe(11_500);
    expect(reached).toBe(true);
  });

  it('limits each try', () => {
    const attempt = fakeAttempt();
    made({ backendRequestTimeout: '300ms' }).onAttempt?.(attempt);
    expect(attempt.timeoutMs).toBe(300);
  });

  it('costs nothing when nothing is given', () => {
    expect(made({})).toEqual({ onRequest: undefined, onAttempt: undefined });
    expect(made({ requestTimeout: '1s' }).onAttempt).toBeUndefined();
    expect(made({ backendRequestTimeout: '1s' }).onRequest).toBeUndefined();
  });

  it.each([['5'], [5], ['-1s'], ['soon']])('refuses %o', (requestTimeout) => {
    expect(timeout.options.safeParse({ requestTimeout }).success).toBe(false);
  });
});
