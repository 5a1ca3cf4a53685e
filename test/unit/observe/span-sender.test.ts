import { describe, expect, test } from 'vitest';
import { createSpanSender } from '../../../src/observe/span-sender.ts';
import type { SpanRecord } from '../../../src/observe/spans.ts';
import { createFakeClock } from '../../support/fake-clock.ts';
import { fakeExchange } from '../policies/fake-exchange.ts';

const span: SpanRecord = {
  name: 'x',
  kind: 'server',
  traceId: 'a'.repeat(32),
  spanId: 'b'.repeat(16),
  parentSpanId: undefined,
  traceState: undefined,
  startedMs: 0,
  endedMs: 1,
  attributes: {},
  failure: undefined,
};

function sender(load: () => Promise<{ createEncoder: () => (spans: readonly SpanRecord[]) => Uint8Array }>, answers: boolean) {
  const clock = createFakeClock();
  const batches: number[] = [];
  const reports: string[] = [];
  const waiting: (() => void)[] = [];
  const sink = createSpanSender({
    server: { name: 'collector', baseUrl: 'http://collector', tls: undefined, headers: {} },
    path: '/v1/traces',
    headers: {},
    version: '1',
    platform: { clock, hasBackground: true, report: (level, message) => reports.push(`${level} ${message}`) },
    sideCalls: {
      async call({ body }) {
        batches.push(body?.length ?? 0);
        if (!answers) await new Promise<void>((resolve) => waiting.push(resolve));
        return { status: 200, headers: new Headers(), bytes: new Uint8Array(0) };
      },
    },
    load,
  });
  const take = (count: number) => sink.take(Array(count).fill(span), fakeExchange(), () => ({}));
  return { clock, batches, reports, waiting, sink, take };
}

/** As many bytes as there are spans. */
const counting = () => Promise.resolve({ createEncoder: () => (spans: readonly SpanRecord[]) => new Uint8Array(spans.length) });

describe('a sender of spans', () => {
  test('sends a full batch at once, the rest a second later, one batch after the other', async () => {
    const { clock, batches, sink, take } = sender(counting, true);
    take(500);
    await clock.settle();
    expect(batches).toEqual([]);
    take(100);
    await clock.settle();
    expect(batches).toEqual([512, 88]);
    take(3);
    await clock.advance(1_000);
    expect(batches).toEqual([512, 88, 3]);
    take(2);
    await sink.flush();
    expect(batches).toEqual([512, 88, 3, 2]);
    expect(clock.pending).toBe(0);
  });

  test('keeps 4096 spans for a collector that does not answer; then spans are lost instead of memory', async () => {
    const { clock, batches, reports, waiting, take } = sender(counting, false);
    take(512);
    await clock.settle();
    expect(batches).toEqual([512]);
    take(4_000);
    take(96);
    expect(reports).toEqual([]);
    take(1);
    take(1);
    expect(reports).toEqual(['warn traces: 1 span was lost: collector is too slow']);
    await clock.advance(60_000);
    take(1);
    expect(reports[1]).toBe('warn traces: 2 spans were lost: collector is too slow');
    while (waiting.length > 0) {
      waiting.shift()?.();
      await clock.settle();
    }
    expect(batches).toEqual(Array(9).fill(512));
  });

  test('an encoder that cannot be loaded loses the spans, says so, and rejects nothing', async () => {
    const { clock, reports, take } = sender(() => Promise.reject(new Error('no module')), true);
    take(2);
    await clock.advance(1_000);
    expect(reports).toEqual(['warn traces: 2 spans were lost: no module']);
  });
});
