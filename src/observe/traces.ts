/**
 * Traces: which requests are traced, and the spans that are made of them once they have ended. Where nothing is configured,
 * none of this exists; where a request is not sampled, nothing but that is decided for it.
 */
import { type CelExpression, CelFailure } from '../cel/expression.ts';
import type { Exchange, Telemetry, Trace } from '../exchange.ts';
import type { SideServer } from '../http/side-calls.ts';
import type { Observer } from './access-log.ts';
import { type AddedField, createFieldReader, extrasOf, type StandardAttributes } from './added-fields.ts';
import { createSpanMaker, type SpanRecord } from './spans.ts';
import { ExchangeTrace, traceParentOf } from './trace-context.ts';

/** A part of the requests, 0 to 1, or an expression that says it for each. */
export type Sampling = number | CelExpression;

export interface TraceSetting {
  readonly server: SideServer;
  /** At the server, from `/` on. */
  readonly path: string;
  /** Lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly randomSampling: Sampling;
  readonly clientSampling: Sampling;
  readonly filter: CelExpression | undefined;
  readonly added: readonly AddedField[];
  readonly removed: readonly string[];
  /** Attributes of this Corral. */
  readonly resources: readonly AddedField[];
  readonly standard: StandardAttributes;
  readonly sensitiveHeaders: readonly string[];
}

/** Takes finished spans, and sends them some time. */
export interface SpanSink {
  /** `resource` is asked for once. */
  take(
    spans: readonly SpanRecord[],
    exchange: Exchange,
    resource: () => Readonly<Record<string, string | number | boolean>>,
  ): void;
  /** Sends what is there; settles when that has been tried. */
  flush(): Promise<void>;
}

export interface Traces {
  /** Undefined for a request that is not traced: its `traceparent` then passes as any header does. */
  start(exchange: Exchange): Trace | undefined;
  readonly observe: Observer;
  readonly upstreamCall: Telemetry['upstreamCall'];
  flush(): Promise<void>;
}

export function createTraces(setting: TraceSetting, sink: SpanSink, random: () => number = Math.random): Traces {
  const { randomSampling, clientSampling, filter, resources } = setting;
  const spansOf = createSpanMaker(setting);
  const read = createFieldReader(setting.sensitiveHeaders);
  return {
    start(exchange) {
      const parent = traceParentOf(exchange.headers.get('traceparent'));
      // A client that did not sample its trace wants no spans of it.
      if (parent !== undefined && !parent.isSampled) return undefined;
      if (!isSampled(parent === undefined ? randomSampling : clientSampling, exchange, random)) return undefined;
      return new ExchangeTrace(exchange.attempts, parent, exchange.headers.get('tracestate'));
    },
    observe(exchange, endedMs) {
      const { trace } = exchange;
      if (!(trace instanceof ExchangeTrace)) return;
      if (filter !== undefined && !filter.holds(exchange, extrasOf(exchange))) return;
      sink.take(spansOf(exchange, trace, endedMs), exchange, () => {
        const extras = extrasOf(exchange);
        const told = resources.map(({ name, value }) => [name, read(exchange, value, extras)] as const);
        return Object.fromEntries(told.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])));
      });
    },
    upstreamCall(kind, seconds, exchange) {
      const trace = exchange?.trace;
      if (trace instanceof ExchangeTrace) trace.noteSideCall({ kind, seconds, endedMs: exchange?.clock.now() ?? 0 });
    },
    flush: () => sink.flush(),
  };
}

function isSampled(sampling: Sampling, exchange: Exchange, random: () => number): boolean {
  const said = typeof sampling === 'number' ? sampling : evaluated(sampling, exchange);
  if (typeof said === 'boolean') return said;
  const ratio = Number(said);
  return ratio >= 1 || (ratio > 0 && random() < ratio);
}

/** What fails samples nothing. */
function evaluated(expression: CelExpression, exchange: Exchange): unknown {
  try {
    return expression.evaluate(exchange);
  } catch (thrown) {
    if (thrown instanceof CelFailure) return false;
    throw thrown;
  }
}
