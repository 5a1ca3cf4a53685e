import { describe, expect, it } from 'vitest';
import { http } from '../../../src/policies/http.ts';
import { fakeAttempt, fakeScope } from './fake-exchange.ts';

function timeoutAfter(options: unknown, before: number | undefined): number | undefined {
  const attempt = fakeAttempt();
  attempt.timeoutMs = before;
  http.onBackendAttempt?.(http.options.parse(options), fakeScope())?.(attempt);
  return attempt.timeoutMs;
}

describe('http', () => {
  it('limits a try; of two limits the shorter one counts', () => {
    expect(timeoutAfter({ requestTimeout: '2s' }, undefined)).toBe(2_000);
    expect(timeoutAfter({ requestTimeout: '2s' }, 1_000)).toBe(1_000);
    expect(timeoutAfter({ requestTimeout: '2s' }, 3_000)).toBe(2_000);
    expect(timeoutAfter({ requestTimeout: null }, 3_000)).toBe(3_000);
  });

  it.each(['1.1', 'HTTP/1.1', 'auto', null])('takes version %s, and makes nothing of it', (version) => {
    expect(http.onBackendAttempt?.(http.options.parse({ version }), fakeScope())).toBeUndefined();
  });

  it.each(['2', 'HTTP/2', 'h2', '3', ''])('refuses version %o by name', (version) => {
    const message = http.options.safeParse({ version }).error?.issues[0]?.message;
    expect(message).toMatch(/^known to agentgateway, not supported: Corral speaks HTTP\/1\.1 .* write "1\.1", or leave it out$/);
  });
});
