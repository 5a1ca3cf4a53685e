import { expect, it } from 'vitest';
import type { Exchange } from '../../../src/exchange.ts';
import { predictionErrorOf } from '../../../src/observe/facts.ts';
import { fakeExchange } from '../policies/fake-exchange.ts';

function exchangeOf(given: {
  readonly predictedMs?: number;
  readonly isStream?: boolean;
  readonly firstByteMs?: number;
}): Exchange {
  const { predictedMs, isStream = true, firstByteMs = 1_500 } = given;
  const upstream = { name: 'a', baseUrl: 'http://a', kind: 'box', tls: undefined } as const;
  const attempt = { upstream, startedMs: 1_000, status: 200, error: undefined, predictedMs, waitedMs: 400 };
  return { ...fakeExchange(), attempts: [attempt], firstByteMs, call: { isStream } as Exchange['call'] };
}

it('reckons from when the box was chosen: what was waited for counts', () => {
  expect(predictionErrorOf(exchangeOf({ predictedMs: 700 }))).toBe(200);
  expect(predictionErrorOf(exchangeOf({ predictedMs: 1_000 }))).toBe(-100);
});

it('is nothing where nothing was predicted, or the first byte is not the first token', () => {
  expect(predictionErrorOf(exchangeOf({}))).toBeUndefined();
  expect(predictionErrorOf(exchangeOf({ predictedMs: 1, isStream: false }))).toBeUndefined();
  expect(predictionErrorOf({ ...exchangeOf({ predictedMs: 1 }), firstByteMs: undefined })).toBeUndefined();
});
