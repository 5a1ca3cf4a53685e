/**
 * Reads OTLP with OpenTelemetry's own protobuf definitions: an older exporter carries them as code (newer ones write the bytes
 * by hand, so they could not contradict themselves).
 */
import definitions from 'otlp-definitions/build/src/generated/root.js';

export interface DecodedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string;
  readonly traceState: string;
  readonly name: string;
  readonly kind: string;
  readonly startMs: number;
  readonly endMs: number;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly status: { readonly code?: string; readonly message?: string };
}

export interface DecodedTraces {
  readonly resource: Readonly<Record<string, unknown>>;
  readonly scope: string;
  readonly spans: readonly DecodedSpan[];
}

// biome-ignore lint/suspicious/noExplicitAny: what the definitions make of a message has their shape
type Message = any;

const request = (definitions as Message).opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest;

/** Throws for bytes that are no `ExportTraceServiceRequest`, or that hold fields which the definitions do not know. */
export function decodeTraces(bytes: Uint8Array): DecodedTraces {
  const message = request.decode(bytes);
  const problem = request.verify(message);
  if (problem !== null) throw new Error(problem);
  const plain: Message = request.toObject(message, { bytes: String, longs: String, enums: String, defaults: true });
  const [resourceSpans] = plain.resourceSpans;
  const [scopeSpans] = resourceSpans.scopeSpans;
  return {
    resource: attributesOf(resourceSpans.resource.attributes),
    scope: scopeSpans.scope.name,
    spans: scopeSpans.spans.map(spanOf),
  };
}

function spanOf(span: Message): DecodedSpan {
  return {
    traceId: hexOf(span.traceId),
    spanId: hexOf(span.spanId),
    parentSpanId: hexOf(span.parentSpanId),
    traceState: span.traceState,
    name: span.name,
    kind: span.kind,
    startMs: Number(BigInt(span.startTimeUnixNano) / 1_000n) / 1_000,
    endMs: Number(BigInt(span.endTimeUnixNano) / 1_000n) / 1_000,
    attributes: attributesOf(span.attributes),
    status: span.status ?? {},
  };
}

function attributesOf(pairs: readonly Message[]): Record<string, unknown> {
  return Object.fromEntries(
    pairs.map(({ key, value }) => {
      const [kind] = ['stringValue', 'boolValue', 'intValue', 'doubleValue'].filter((name) => value[name] != null);
      const told = value[kind ?? ''];
      return [key, kind === 'intValue' ? Number(told) : told];
    }),
  );
}

function hexOf(base64: string): string {
  return Buffer.from(base64 ?? '', 'base64').toString('hex');
}
