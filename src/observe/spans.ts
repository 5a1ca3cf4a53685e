/** One exchange as spans: one for the request itself, one for each try at an upstream and each call that a policy made. */
import type { AttemptRecord, Exchange } from '../exchange.ts';
import { type AddedField, createFieldReader, extrasOf, type StandardAttributes, tellWho } from './added-fields.ts';
import { type AddField, type FieldValue, tellExchange } from './fields.ts';
import { type ExchangeTrace, randomId } from './trace-context.ts';

export interface SpanRecord {
  readonly name: string;
  readonly kind: 'server' | 'client';
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string | undefined;
  readonly traceState: string | undefined;
  /** Milliseconds since the epoch, with fractions. */
  readonly startedMs: number;
  readonly endedMs: number;
  readonly attributes: Readonly<Record<string, string | number | boolean>>;
  /** What went wrong; undefined where nothing did. */
  readonly failure: string | undefined;
}

export interface SpanSetting {
  readonly added: readonly AddedField[];
  readonly removed: readonly string[];
  readonly standard: StandardAttributes;
  readonly sensitiveHeaders: readonly string[];
}

/** They are the span's own. */
const notAttributes = ['trace.id', 'span.id'];

export function createSpanMaker({ added, removed, standard, sensitiveHeaders }: SpanSetting) {
  const read = createFieldReader(sensitiveHeaders);
  const left = new Set([...notAttributes, ...removed]);

  const serverAttributes = (exchange: Exchange, endedMs: number): SpanRecord['attributes'] => {
    const attributes: Record<string, string | number | boolean> = {};
    const set: AddField = (name, value) => {
      if (value !== undefined && value !== '') attributes[name] = value;
    };
    const add: AddField = (name, value) => {
      if (!left.has(name)) set(name, value);
    };
    tellExchange(exchange, endedMs, add);
    tellWho(exchange, standard, read, add);
    add('url.scheme', exchange.request.url.startsWith('https:') ? 'https' : 'http');
    const extras = extrasOf(exchange);
    for (const { name, value } of added) set(name, read(exchange, value, extras));
    return attributes;
  };

  return (exchange: Exchange, trace: ExchangeTrace, endedMs: number): readonly SpanRecord[] => {
    const { clock } = exchange;
    const wallAheadMs = clock.wallTime() - clock.now();
    const shared = { traceId: trace.traceId, traceState: trace.state };
    const server: SpanRecord = {
      ...shared,
      name: nameOf(exchange),
      kind: 'server',
      spanId: trace.spanId,
      parentSpanId: trace.parentSpanId,
      startedMs: exchange.startedMs + wallAheadMs,
      endedMs: endedMs + wallAheadMs,
      attributes: serverAttributes(exchange, endedMs),
      failure: failureOf(exchange),
    };
    const client = { ...shared, kind: 'client' as const, parentSpanId: trace.spanId };
    const tries = exchange.attempts.map(
      (attempt, index): SpanRecord => ({
        ...client,
        name: callNameOf(exchange),
        spanId: trace.clientSpanIdOf(index),
        startedMs: attempt.startedMs + wallAheadMs,
        endedMs: endOf(exchange, attempt, index, endedMs) + wallAheadMs,
        attributes: attemptAttributes(exchange, attempt),
        failure: attempt.error?.message,
      }),
    );
    const calls = trace.sideCalls.map(
      ({ kind, seconds, endedMs: calledMs }): SpanRecord => ({
        ...client,
        name: kind,
        spanId: randomId(8),
        startedMs: calledMs - seconds * 1_000 + wallAheadMs,
        endedMs: calledMs + wallAheadMs,
        attributes: {},
        failure: undefined,
      }),
    );
    return [server, ...tries, ...calls];
  };
}

/** `POST /v1/*`: by the route's prefix where it has one, else by the protocol's path. Never a path as it came: there are too many. */
function nameOf({ method, matchedPrefix, protocol }: Exchange): string {
  if (matchedPrefix !== undefined) return `${method} ${matchedPrefix.replace(/\/$/, '')}/*`;
  return protocol === undefined ? method : `${method} ${protocol.path}`;
}

/** OpenTelemetry's GenAI convention: `{operation} {model}`. */
function callNameOf({ method, protocol, requestModel }: Exchange): string {
  if (protocol === undefined || protocol.operation === 'none') return method;
  return requestModel === undefined ? protocol.operation : `${protocol.operation} ${requestModel}`;
}

/** The try that answered ends with the answer's last byte, the others with their failure. */
function endOf({ attempts }: Exchange, attempt: AttemptRecord, index: number, endedMs: number): number {
  const isAnswering = index === attempts.length - 1 && attempt.error === undefined;
  return isAnswering ? endedMs : (attempt.answeredMs ?? endedMs);
}

function attemptAttributes({ protocol, requestModel }: Exchange, { upstream, status, error }: AttemptRecord) {
  const { hostname, port, protocol: scheme } = new URL(upstream.baseUrl);
  const told: Record<string, FieldValue> = {
    'server.address': hostname,
    'server.port': port === '' ? (scheme === 'https:' ? 443 : 80) : Number(port),
    'corral.box': upstream.name,
    'http.response.status_code': status,
    'error.type': error?.code,
    'gen_ai.operation.name': protocol === undefined || protocol.operation === 'none' ? undefined : protocol.operation,
    'gen_ai.request.model': requestModel,
  };
  const attributes: Record<string, string | number | boolean> = {};
  for (const [name, value] of Object.entries(told)) if (value !== undefined) attributes[name] = value;
  return attributes;
}

function failureOf({ status, outcome, error }: Exchange): string | undefined {
  if (status < 500 && outcome !== 'failed' && outcome !== 'broken') return undefined;
  return error?.message ?? `status ${status}`;
}
