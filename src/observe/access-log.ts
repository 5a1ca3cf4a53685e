/**
 * The access log: one line per exchange, field names and order as agentgateway's (crates/agentgateway/src/telemetry/log.rs),
 * with what Corral adds under `corral.`. Never a prompt, never a credential.
 */
import type { Exchange } from '../exchange.ts';

/** Told once per exchange, at its answer's last byte. */
export type Observer = (exchange: Exchange, endedMs: number) => void;

export interface AccessLogOptions {
  readonly format: 'text' | 'json';
  /** One finished line, without line end. */
  print(line: string): void;
}

type Field = readonly [name: string, value: string | number | boolean | undefined];

export function createAccessLog({ format, print }: AccessLogOptions): Observer {
  return format === 'json'
    ? (exchange, endedMs) => print(jsonLineOf(exchange, endedMs))
    : (exchange, endedMs) => print(textLineOf(exchange, endedMs));
}

function fieldsOf(exchange: Exchange, endedMs: number): readonly Field[] {
  const attempt = exchange.attempts.at(-1);
  const { protocol, usage } = exchange;
  const isLlm = protocol !== undefined;
  return [
    ['gateway', exchange.gatewayName],
    ['listener', exchange.listenerName],
    ['route', exchange.routeName],
    ['endpoint', attempt === undefined ? undefined : authorityOf(attempt.upstream.baseUrl)],
    ['src.addr', exchange.peer.address()],
    ['http.method', exchange.method],
    ['http.host', exchange.host],
    ['http.path', exchange.path],
    ['http.status', exchange.status],
    ['protocol', isLlm ? 'llm' : 'http'],
    ['gen_ai.operation.name', isLlm && protocol.operation !== 'none' ? protocol.operation : undefined],
    ['gen_ai.provider.name', attempt === undefined || !isLlm ? undefined : attempt.upstream.kind === 'box' ? 'ollama' : 'openai'],
    ['gen_ai.request.model', exchange.requestModel],
    ['gen_ai.response.model', exchange.responseModel],
    ['gen_ai.usage.input_tokens', usage?.inputTokens],
    ['gen_ai.usage.output_tokens', usage?.outputTokens],
    ['corral.usage.estimated', usage?.estimated === true ? true : undefined],
    ['agw.ai.time_to_first_token', isLlm ? milliseconds(exchange.firstByteMs, exchange.startedMs) : undefined],
    ['corral.box', attempt?.upstream.name],
    ['corral.attempts', exchange.attempts.length > 1 ? exchange.attempts.length : undefined],
    ['corral.key', exchange.identity?.name],
    ['corral.warning', exchange.warnings.length > 0 ? exchange.warnings.join('; ') : undefined],
    ['corral.outcome', exchange.outcome],
    ['error', exchange.error?.message],
    ['reason', exchange.error?.code],
    ['duration', milliseconds(endedMs, exchange.startedMs)],
  ];
}

function textLineOf(exchange: Exchange, endedMs: number): string {
  let line = `${new Date(exchange.clock.wallTime()).toISOString()}\tinfo\trequest`;
  for (const [name, value] of fieldsOf(exchange, endedMs)) {
    if (value !== undefined && value !== '') line += ` ${name}=${textOf(value)}`;
  }
  return line;
}

/** Quoted when a reader could not tell where the value ends; control characters never reach a terminal. */
function textOf(value: string | number | boolean): string {
  if (typeof value !== 'string') return String(value);
  return isPlain.test(value) ? value : JSON.stringify(value);
}

const isPlain = /^[\x21\x23-\x3c\x3e-\x7e]*$/;

function jsonLineOf(exchange: Exchange, endedMs: number): string {
  const line: Record<string, unknown> = {
    level: 'info',
    time: new Date(exchange.clock.wallTime()).toISOString(),
    scope: 'request',
  };
  for (const [name, value] of fieldsOf(exchange, endedMs)) if (value !== undefined && value !== '') line[name] = value;
  return JSON.stringify(line);
}

function milliseconds(atMs: number | undefined, startedMs: number): string | undefined {
  return atMs === undefined ? undefined : `${Math.round(atMs - startedMs)}ms`;
}

function authorityOf(baseUrl: string): string {
  return baseUrl.slice(baseUrl.indexOf('//') + 2);
}
