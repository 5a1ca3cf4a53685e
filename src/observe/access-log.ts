/**
 * The access log: one line per exchange, field names and order as agentgateway's (crates/agentgateway/src/telemetry/log.rs),
 * with what Corral adds under `corral.`. Never a prompt, never a credential, never a query string: keys are sent in those.
 */
import type { AttemptRecord, Exchange } from '../exchange.ts';

/** Told once per exchange, at its answer's last byte. */
export type Observer = (exchange: Exchange, endedMs: number) => void;

export interface AccessLogOptions {
  readonly format: 'text' | 'json';
  /** One finished line, without line end. */
  print(line: string): void;
}

export function createAccessLog({ format, print }: AccessLogOptions): Observer {
  return format === 'json'
    ? (exchange, endedMs) => print(jsonLineOf(exchange, endedMs))
    : (exchange, endedMs) => print(textLineOf(exchange, endedMs));
}

type Value = string | number | true | undefined;

/** Names every field that has a value, in order. A visitor and not a list: this runs for each request. */
function tell(exchange: Exchange, endedMs: number, add: (name: string, value: Value) => void): void {
  const { protocol, attempts } = exchange;
  const attempt = attempts.at(-1);
  add('gateway', exchange.gatewayName);
  add('listener', exchange.listenerName);
  add('route', exchange.routeName);
  add('endpoint', attempt && authorityOf(attempt.upstream.baseUrl));
  add('src.addr', exchange.peer.address());
  add('http.method', exchange.method);
  add('http.host', exchange.host);
  add('http.path', exchange.path);
  add('http.status', exchange.status);
  add('protocol', protocol === undefined ? 'http' : 'llm');
  if (protocol !== undefined) tellModel(exchange, protocol.operation, attempt, add);
  add('corral.box', attempt?.upstream.name);
  if (attempts.length > 1) add('corral.attempts', attempts.length);
  add('corral.key', exchange.identity?.name);
  if (exchange.warnings.length > 0) add('corral.warning', exchange.warnings.join('; '));
  add('corral.outcome', exchange.outcome);
  add('error', exchange.error?.message);
  add('reason', exchange.error?.code);
  add('duration', millisecondsOf(endedMs - exchange.startedMs));
}

function tellModel(
  exchange: Exchange,
  operation: string,
  attempt: AttemptRecord | undefined,
  add: (name: string, value: Value) => void,
): void {
  const { usage } = exchange;
  if (operation !== 'none') add('gen_ai.operation.name', operation);
  add('gen_ai.provider.name', attempt && (attempt.upstream.kind === 'box' ? 'ollama' : 'openai'));
  add('gen_ai.request.model', exchange.requestModel);
  add('gen_ai.response.model', exchange.responseModel);
  if (usage !== undefined) {
    add('gen_ai.usage.input_tokens', usage.inputTokens);
    add('gen_ai.usage.output_tokens', usage.outputTokens);
    if (usage.estimated) add('corral.usage.estimated', true);
  }
  if (exchange.firstByteMs !== undefined)
    add('agw.ai.time_to_first_token', millisecondsOf(exchange.firstByteMs - exchange.startedMs));
}

function textLineOf(exchange: Exchange, endedMs: number): string {
  let line = `${timeOf(exchange.clock.wallTime())}\tinfo\trequest`;
  tell(exchange, endedMs, (name, value) => {
    if (value === undefined || value === '') return;
    line += typeof value !== 'string' || isPlain.test(value) ? ` ${name}=${value}` : ` ${name}=${quoted(value)}`;
  });
  return line;
}

/** What a reader can take for one value without quotes. */
const isPlain = /^[\x21\x23-\x3c\x3e-\x7e]*$/;

function jsonLineOf(exchange: Exchange, endedMs: number): string {
  let line = `{"level":"info","time":"${timeOf(exchange.clock.wallTime())}","scope":"request"`;
  tell(exchange, endedMs, (name, value) => {
    if (value === undefined || value === '') return;
    line += `,"${name}":${typeof value === 'string' ? quoted(value) : value}`;
  });
  return `${line}}`;
}

/** JSON's quotes, and no control character of any kind: terminals obey some that JSON leaves alone. */
function quoted(value: string): string {
  return JSON.stringify(value).replace(unsafe, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

const unsafe = /[\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

function millisecondsOf(durationMs: number): string {
  return `${Math.round(durationMs)}ms`;
}

/** Many lines are written in one millisecond, and writing the time costs as much as all the rest. */
let lastTimeMs = Number.NaN;
let lastTime = '';

function timeOf(wallTimeMs: number): string {
  if (wallTimeMs !== lastTimeMs) {
    lastTimeMs = wallTimeMs;
    lastTime = new Date(wallTimeMs).toISOString();
  }
  return lastTime;
}

function authorityOf(baseUrl: string): string {
  return baseUrl.slice(baseUrl.indexOf('//') + 2);
}
