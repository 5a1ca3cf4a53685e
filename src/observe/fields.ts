/**
 * What a log line and a span tell of an exchange: names and order as agentgateway's (crates/agentgateway/src/telemetry/log.rs),
 * with what Corral adds under `corral.`. Never a prompt, never a credential, never a query string: keys are sent in those.
 */
import { GatewayError } from '../errors.ts';
import type { AttemptRecord, Exchange, Usage } from '../exchange.ts';
import { providerOf, secondsPerTokenOf } from './facts.ts';

export type FieldValue = string | number | boolean | undefined;
export type AddField = (name: string, value: FieldValue) => void;

/** Names every field that has a value, in order. A visitor and not a list: this runs for each request. */
export function tellExchange(exchange: Exchange, endedMs: number, add: AddField): void {
  const { protocol, attempts, trace } = exchange;
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
  if (trace !== undefined) {
    add('trace.id', trace.traceId);
    add('span.id', trace.spanId);
  }
  const subject = exchange.claims?.jwt?.sub;
  if (typeof subject === 'string') add('jwt.sub', subject);
  add('protocol', protocol === undefined ? 'http' : 'llm');
  if (protocol !== undefined) tellModel(exchange, protocol.operation, endedMs, add);
  tellTries(exchange, attempt, add);
  add('corral.key', exchange.identity?.name);
  if (exchange.warnings.length > 0) add('corral.warning', exchange.warnings.join('; '));
  add('corral.outcome', exchange.outcome);
  add('error', exchange.error?.message);
  add('corral.cause', causeOf(exchange.error));
  add('reason', exchange.error?.code);
}

/** What other servers were to decide; why they have not is nothing for clients. */
const decidedElsewhere: ReadonlySet<string> = new Set(['ext_authz_denied', 'guard_failed']);

/** In words of our own only: the messages of parsers quote what they have read. */
function causeOf(error: GatewayError | undefined): string | undefined {
  if (error === undefined || !decidedElsewhere.has(error.code)) return undefined;
  const { cause } = error;
  if (!(cause instanceof Error)) return undefined;
  const isOurs = cause instanceof GatewayError || Object.getPrototypeOf(cause) === Error.prototype;
  return isOurs ? cause.message : undefined;
}

function tellTries(exchange: Exchange, attempt: AttemptRecord | undefined, add: AddField): void {
  const { attempts, queuedMs, wait } = exchange;
  add('corral.box', attempt?.upstream.name ?? wait?.boxName);
  if (attempt?.predictedMs !== undefined) add('corral.predicted', secondsOf(attempt.predictedMs));
  if (queuedMs !== undefined) {
    add('corral.queued', secondsOf(queuedMs));
    add('corral.queue.position', exchange.queuePosition);
  }
  if (attempts.length > 1) add('retry.attempt', attempts.length - 1);
}

function tellModel(exchange: Exchange, operation: string, endedMs: number, add: AddField): void {
  const { usage, call } = exchange;
  if (operation !== 'none') add('gen_ai.operation.name', operation);
  add('gen_ai.provider.name', providerOf(exchange));
  add('gen_ai.request.model', exchange.requestModel);
  add('gen_ai.response.model', exchange.responseModel);
  if (usage !== undefined) tellUsage(usage, add);
  if (call === undefined) return;
  if (call.isStream && exchange.firstByteMs !== undefined) {
    add('agw.ai.time_to_first_token', secondsOf(exchange.firstByteMs - exchange.startedMs));
    const perToken = secondsPerTokenOf(exchange, endedMs);
    if (perToken !== undefined) add('agw.ai.time_per_output_token', secondsOf(perToken * 1_000));
  }
  tellParameters(exchange, add);
}

function tellUsage(usage: Usage, add: AddField): void {
  add('gen_ai.usage.input_tokens', usage.inputTokens);
  add('gen_ai.usage.cache_creation.input_tokens', usage.cacheCreationInputTokens);
  add('gen_ai.usage.cache_read.input_tokens', usage.cachedInputTokens);
  add('gen_ai.usage.output_tokens', usage.outputTokens);
  add('gen_ai.usage.reasoning_tokens', usage.reasoningTokens);
  if (usage.estimated) add('corral.usage.estimated', true);
}

/** What each API calls a parameter, beside the name under which it is told. Ollama has them under `options`. */
const parameters: readonly (readonly [field: string, ...members: string[]])[] = [
  ['gen_ai.request.temperature', 'temperature'],
  ['gen_ai.request.top_p', 'top_p'],
  ['gen_ai.request.max_tokens', 'max_tokens', 'max_completion_tokens', 'max_output_tokens', 'num_predict'],
  ['gen_ai.request.frequency_penalty', 'frequency_penalty'],
  ['gen_ai.request.presence_penalty', 'presence_penalty'],
  ['gen_ai.request.seed', 'seed'],
  ['gen_ai.request.encoding_formats', 'encoding_format'],
  ['gen_ai.embeddings.dimension.count', 'dimensions'],
];

const parameterMembers: ReadonlySet<string> = new Set(['options', ...parameters.flatMap(([, ...members]) => members)]);

function tellParameters({ call }: Exchange, add: AddField): void {
  const body = call?.body;
  if (body === undefined || !body.hasAny(parameterMembers)) return;
  const options = call?.protocol.family === 'ollama' ? body.get('options') : undefined;
  const inOptions = typeof options === 'object' && options !== null ? (options as Record<string, unknown>) : undefined;
  for (const [field, ...members] of parameters) {
    for (const member of members) {
      const value = inOptions?.[member] ?? (body.has(member) ? body.get(member) : undefined);
      if (typeof value !== 'number' && typeof value !== 'string') continue;
      add(field, typeof value === 'string' ? value.slice(0, maxParameterLength) : value);
      break;
    }
  }
}

const maxParameterLength = 64;

/** Seconds, as agentgateway tells times of tokens; to the microsecond. */
function secondsOf(durationMs: number): number {
  return Math.round(durationMs * 1_000) / 1_000_000;
}

function authorityOf(baseUrl: string): string {
  return baseUrl.slice(baseUrl.indexOf('//') + 2);
}
