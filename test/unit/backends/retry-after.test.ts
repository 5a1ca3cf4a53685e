import { expect, test } from 'vitest';
import { retryAfterMsOf } from '../../../src/backends/retry-after.ts';

/** Sun, 22 Nov 2026 00:00:00 GMT */
const wallMs = 1_795_305_600_000;

test.each<[Record<string, string>, number | undefined]>([
  [{}, undefined],
  [{ 'retry-after': '120' }, 120_000],
  [{ 'retry-after': '0' }, 0],
  [{ 'retry-after': '120s' }, undefined],
  [{ 'retry-after': '' }, undefined],
  [{ 'retry-after': '-5' }, undefined],
  [{ 'retry-after': '1e3' }, undefined],
  [{ 'retry-after': 'Sun, 22 Nov 2026 00:05:00 GMT' }, 300_000],
  [{ 'retry-after': 'Sat, 21 Nov 2026 00:00:00 GMT' }, undefined],
  [{ 'retry-after': 'tomorrow' }, undefined],
  [{ 'retry-after-ms': '1500', 'retry-after': '9' }, 1_500],
  [{ 'x-ratelimit-reset': '1234' }, 1_234_000],
  // More than 30 days: a time since the epoch.
  [{ 'x-ratelimit-reset': '1795305840' }, 240_000],
  [{ 'x-ratelimit-reset': '1795305000' }, undefined],
  [{ 'retry-after': '5', 'x-ratelimit-reset': '1234' }, 5_000],
  [{ 'x-ratelimit-reset-requests': '5m' }, 300_000],
  [{ 'x-ratelimit-reset-tokens': '2m30s' }, 150_000],
  [{ 'x-ratelimit-reset-requests': '120' }, 120_000],
  [{ 'x-ratelimit-reset-requests-day': '33011.38', 'x-ratelimit-reset-tokens-minute': '11.1' }, 11_100],
  [{ 'x-ratelimit-reset-requests': '2m', 'x-ratelimit-reset-tokens': '1m' }, 60_000],
  [{ 'x-ratelimit-reset-requests': 'soon', 'x-ratelimit-reset-tokens': '1m2x' }, undefined],
])('%j: %s', (headers, expected) => {
  expect(retryAfterMsOf(new Headers(headers), wallMs)).toBe(expected);
});
