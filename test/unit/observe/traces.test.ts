import { describe, expect, test } from 'vitest';
import type { SpanRecord } from '../../../src/observe/spans.ts';
import { ExchangeTrace, randomId, traceParentOf } from '../../../src/observe/trace-context.ts';
import { createTraces, type TraceSetting } from '../../../src/observe/traces.ts';
import { fakeExchange } from '../policies/fake-exchange.ts';

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
const spanId = '00f067aa0ba902b7';

describe('traceparent', () => {
  test.each([
    [`00-${traceId}-${spanId}-01`, { traceId, spanId, isSampled: true }],
    [`00-${traceId}-${spanId}-00`, { traceId, spanId, isSampled: false }],
    [` 00-${traceId}-${spanId}-03 `, { traceId, spanId, isSampled: true }],
    // A later version may say more at the end.
    [`cc-${traceId}-${spanId}-01-more`, { traceId, spanId, isSampled: true }],
  ])('%s', (header, parent) => {
    expect(traceParentOf(header)).toEqual(parent);
  });

  test.each([
    null,
    '',
    `00-${traceId}-${spanId}`,
    `00-${traceId}-${spanId}-01-more`,
    `ff-${traceId}-${spanId}-01`,
    `00-${traceId.toUpperCase()}-${spanId}-01`,
    `00-${'0'.repeat(32)}-${spanId}-01`,
    `00-${traceId}-${'0'.repeat(16)}-01`,
  ])('%s is none', (header) => {
    expect(traceParentOf(header)).toBeUndefined();
  });
});

test('a trace of its own has new ids; each try is told another span', () => {
  const attempts: unknown[] = [];
  const trace = new ExchangeTrace(attempts, undefined, 'vendor=1');
  expect(trace.traceId).toMatch(/^[0-9a-f]{32}$/);
  expect(trace.state).toBeUndefined();
  const first = trace.headersOut().traceparent;
  expect(trace.headersOut().traceparent).toBe(first);
  attempts.push({});
  expect(trace.headersOut().traceparent).not.toBe(first);
  expect(first).toBe(`00-${trace.traceId}-${trace.clientSpanIdOf(0)}-01`);
});

test('a state that is too long, and notes without end, are dropped', () => {
  const parent = { traceId, spanId, isSampled: true };
  expect(new ExchangeTrace([], parent, 'x'.repeat(2_048)).state).toHaveLength(2_048);
  const trace = new ExchangeTrace([], parent, 'x'.repeat(2_049));
  expect(trace.headersOut()).not.toHaveProperty('tracestate');
  for (let count = 0; count < 100; count++) trace.noteSideCall({ kind: 'Mirror', seconds: 1, endedMs: 1 });
  expect(trace.sideCalls).toHaveLength(32);
});

test('ids are random', () => {
  expect(new Set(Array.from({ length: 100 }, () => randomId(8))).size).toBe(100);
});

test('a part of the requests is traced', () => {
  const setting: TraceSetting = {
    server: { name: 'c', baseUrl: 'http://c', tls: undefined, headers: {} },
    path: '/',
    headers: {},
    randomSampling: 0.25,
    clientSampling: 0.5,
    filter: undefined,
    added: [],
    removed: [],
    resources: [],
    standard: { user: undefined, group: undefined },
    sensitiveHeaders: [],
  };
  let random = 0;
  const taken: SpanRecord[] = [];
  const sink = { take: (spans: readonly SpanRecord[]) => taken.push(...spans), flush: () => Promise.resolve() };
  const traces = createTraces(setting, sink, () => random);
  const isTraced = (headers = {}) => traces.start(fakeExchange({ headers })) !== undefined;
  const parent = { traceparent: `00-${traceId}-${spanId}-01` };
  expect([isTraced(), isTraced(parent)]).toEqual([true, true]);
  random = 0.3;
  expect([isTraced(), isTraced(parent)]).toEqual([false, true]);
  random = 0.5;
  expect([isTraced(), isTraced(parent)]).toEqual([false, false]);
  traces.observe(fakeExchange(), 1);
  expect(taken).toEqual([]);
});
