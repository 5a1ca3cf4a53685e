/** Gathers finished spans and sends them to a collector, in batches where something may run between requests. */
import type { SideCalls, SideServer } from '../http/side-calls.ts';
import type { Platform } from '../platform.ts';
import type { EncodeSpans } from './otlp.ts';
import type { SpanRecord } from './spans.ts';
import type { SpanSink } from './traces.ts';

export interface SpanSenderOptions {
  readonly server: SideServer;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly version: string;
  readonly platform: Pick<Platform, 'clock' | 'hasBackground' | 'report'>;
  readonly sideCalls: SideCalls;
  /** The encoder; loaded when the first span comes. */
  readonly load?: () => Promise<Pick<typeof import('./otlp.ts'), 'createEncoder'>>;
}

const maxBatch = 512;
/** Spans that wait, those of the batch under way not counted. Beyond them new ones are lost, and that is said. */
const maxWaiting = 4_096;
const batchEveryMs = 1_000;
const sendTimeoutMs = 10_000;
const complainEveryMs = 60_000;

export function createSpanSender(options: SpanSenderOptions): SpanSink {
  const { server, path, headers, version, platform, sideCalls } = options;
  const { clock, hasBackground, report } = platform;
  const load = options.load ?? (() => import('./otlp.ts'));
  let encode: Promise<EncodeSpans> | undefined;
  let waiting: SpanRecord[] = [];
  let sending: Promise<void> | undefined;
  let cancelTimer: (() => void) | undefined;
  let lost = 0;
  let complainedMs = Number.NEGATIVE_INFINITY;

  const lose = (count: number, why: string): void => {
    lost += count;
    if (clock.now() - complainedMs < complainEveryMs) return;
    complainedMs = clock.now();
    report('warn', `traces: ${lost} ${lost === 1 ? 'span was' : 'spans were'} lost: ${why}`);
    lost = 0;
  };

  /** Never rejects. An encoder that cannot be loaded is told with the spans that wait for it. */
  const send = async (spans: readonly SpanRecord[], encoder: Promise<EncodeSpans>): Promise<void> => {
    try {
      const body = (await encoder)(spans);
      const contentType = { 'content-type': 'application/x-protobuf' };
      const call = { server, method: 'POST', path, headers: { ...headers, ...contentType }, body, timeoutMs: sendTimeoutMs };
      const { status } = await sideCalls.call(call);
      if (status >= 300) lose(spans.length, `${server.name}${path} answered ${status}`);
    } catch (thrown) {
      lose(spans.length, thrown instanceof Error ? thrown.message : String(thrown));
    }
  };

  /** One batch after the other: a collector that is slow is not pressed. */
  const drain = (encoder: Promise<EncodeSpans>): Promise<void> => {
    sending ??= (async () => {
      while (waiting.length > 0) {
        const batch = waiting.slice(0, maxBatch);
        waiting = waiting.slice(maxBatch);
        await send(batch, encoder);
      }
      sending = undefined;
    })();
    return sending;
  };

  return {
    take(spans, exchange, resource) {
      encode ??= load().then(({ createEncoder }) => createEncoder(resource(), version));
      const encoder = encode;
      // Told by `send`, which may come to it a moment later.
      encoder.catch(() => undefined);
      // Isolates may not wait for one request's answer within another: each sends its own.
      if (!hasBackground) return exchange.peer.waitUntil(send(spans, encoder));
      if (waiting.length + spans.length > maxWaiting) return lose(spans.length, `${server.name} is too slow`);
      waiting.push(...spans);
      if (waiting.length >= maxBatch) void drain(encoder);
      cancelTimer ??= clock.after(batchEveryMs, () => {
        cancelTimer = undefined;
        void drain(encoder);
      });
    },
    async flush() {
      cancelTimer?.();
      cancelTimer = undefined;
      if (encode !== undefined) await drain(encode);
    },
  };
}
