/**
 * Spans as OTLP over HTTP, encoded by OpenTelemetry's own packages. This file is loaded only where traces are configured:
 * nothing else may import it but by `import()`.
 */
import { createTraceState, type HrTime, ROOT_CONTEXT, SpanKind, SpanStatusCode, TraceFlags, trace } from '@opentelemetry/api';
import { ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { type ReadableSpan, TracerProvider } from '@opentelemetry/sdk-trace';
import type { SpanRecord } from './spans.ts';

/** Encodes spans: an `ExportTraceServiceRequest` in protobuf. */
export type EncodeSpans = (spans: readonly SpanRecord[]) => Uint8Array;

/** `resource`: what is said of this Corral; `service.name` is `corral` unless it says otherwise. */
export function createEncoder(resource: Readonly<Record<string, string | number | boolean>>, version: string): EncodeSpans {
  const finished: ReadableSpan[] = [];
  let spanId = '';
  let traceId = '';
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ 'service.name': 'corral', 'service.version': version, ...resource }),
    // Spans are made from records whose ids went out already.
    idGenerator: { generateTraceId: () => traceId, generateSpanId: () => spanId },
    spanLimits: { attributeCountLimit: 256, attributeValueLengthLimit: 65_536 },
    spanProcessors: [
      {
        onStart: () => undefined,
        onEnd: (span) => finished.push(span),
        forceFlush: () => Promise.resolve(),
        shutdown: () => Promise.resolve(),
      },
    ],
  });
  const tracer = provider.getTracer('corral', version);

  const finish = (record: SpanRecord): void => {
    ({ spanId, traceId } = record);
    const parent =
      record.parentSpanId === undefined
        ? ROOT_CONTEXT
        : trace.setSpanContext(ROOT_CONTEXT, {
            traceId: record.traceId,
            spanId: record.parentSpanId,
            traceFlags: TraceFlags.SAMPLED,
            isRemote: record.kind === 'server',
            ...(record.traceState === undefined ? {} : { traceState: createTraceState(record.traceState) }),
          });
    const kind = record.kind === 'server' ? SpanKind.SERVER : SpanKind.CLIENT;
    const startTime = hrTimeOf(record.startedMs);
    const span = tracer.startSpan(record.name, { kind, startTime, attributes: { ...record.attributes } }, parent);
    if (record.failure !== undefined) span.setStatus({ code: SpanStatusCode.ERROR, message: record.failure });
    span.end(hrTimeOf(record.endedMs));
  };

  return (spans) => {
    finished.length = 0;
    for (const record of spans) finish(record);
    return ProtobufTraceSerializer.serializeRequest(finished.splice(0)) ?? new Uint8Array(0);
  };
}

/** Seconds and nanoseconds: a Date would cut fractions of a millisecond. */
function hrTimeOf(wallMs: number): HrTime {
  const seconds = Math.floor(wallMs / 1_000);
  return [seconds, Math.min(999_999_999, Math.round((wallMs - seconds * 1_000) * 1_000_000))];
}
