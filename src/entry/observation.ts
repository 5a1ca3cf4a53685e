/** What watches a plan's exchanges: metrics always, the access log, traces where they are configured. */
import type { TelemetryPlan } from '../compile/telemetry.ts';
import type { Exchange, Telemetry, Trace } from '../exchange.ts';
import type { SideCalls } from '../http/side-calls.ts';
import { createAccessLog, type Observer } from '../observe/access-log.ts';
import { createMetrics, type Metrics } from '../observe/metrics.ts';
import { createSpanSender } from '../observe/span-sender.ts';
import { createTraces } from '../observe/traces.ts';
import type { Platform } from '../platform.ts';
import type { State } from '../state/state.ts';
import { version } from './version.ts';

export interface Observation {
  /** Told once per exchange, at its last byte. */
  readonly observe: Observer;
  readonly telemetry: Telemetry;
  /** Undefined where nothing is traced. */
  readonly startTrace: ((exchange: Exchange) => Trace | undefined) | undefined;
  readonly metrics: Pick<Metrics, 'text'>;
  /** Sends what waits to be sent; settles when that has been tried. */
  flush(): Promise<void>;
}

export interface ObservationParts {
  readonly platform: Platform;
  readonly state: State;
  readonly sideCalls: SideCalls;
}

export function createObservation(plan: TelemetryPlan, { platform, state, sideCalls }: ObservationParts): Observation {
  // Counts outlive a reload, unless it changes what is counted.
  const metrics = state.kept(`metrics/${fingerprintOf(plan)}`, () => createMetrics(plan.metrics));
  const log = createAccessLog({ ...plan.log, print: platform.print });
  const telemetryOf = (upstreamCall: Telemetry['upstreamCall']): Telemetry => ({
    guardCheck: metrics.guardCheck,
    upstreamCall,
    retryRefused: () => metrics.retryRefused?.(),
    queueWait: (box, seconds) => metrics.queueWait?.(box, seconds),
    queueRejected: (box, reason) => metrics.queueRejected?.(box, reason),
    promptTruncated: (model, box) => metrics.promptTruncated?.(model, box),
    ...wantsOf(plan),
  });
  if (plan.traces === undefined) {
    return {
      observe(exchange, endedMs) {
        metrics.observe(exchange, endedMs);
        log(exchange, endedMs);
      },
      telemetry: telemetryOf(metrics.upstreamCall),
      startTrace: undefined,
      metrics,
      flush: () => Promise.resolve(),
    };
  }
  const traces = createTraces(plan.traces, createSpanSender({ ...plan.traces, version, platform, sideCalls }));
  return {
    observe(exchange, endedMs) {
      metrics.observe(exchange, endedMs);
      traces.observe(exchange, endedMs);
      log(exchange, endedMs);
    },
    telemetry: telemetryOf((kind, seconds, exchange) => {
      metrics.upstreamCall(kind, seconds);
      traces.upstreamCall(kind, seconds, exchange);
    }),
    startTrace: traces.start,
    metrics,
    flush: traces.flush,
  };
}

function fingerprintOf({ metrics: { removed, added } }: TelemetryPlan): string {
  return JSON.stringify([removed, added.map(({ name, value }) => [name, value.source])]);
}

/** Texts of prompts and answers are kept only where an expression reads them. */
function wantsOf({ log, metrics, traces }: TelemetryPlan): Pick<Telemetry, 'wantsPrompt' | 'wantsCompletion'> {
  const expressions = [
    ...(log.filter === undefined ? [] : [log.filter]),
    ...[...(log.added ?? []), ...metrics.added, ...(traces?.added ?? [])].map(({ value }) => value),
    ...(traces?.filter === undefined ? [] : [traces.filter]),
  ];
  return {
    wantsPrompt: expressions.some(({ needs }) => needs.prompt),
    wantsCompletion: expressions.some(({ needs }) => needs.completion),
  };
}
