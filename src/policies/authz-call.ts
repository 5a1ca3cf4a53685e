/**
 * One question to an authorization server over HTTP (agentgateway http/ext_authz.rs `check_http`): the request's own method and
 * path, some of its headers, and its body when asked for. 2xx lets the request pass; anything else is the answer to the client.
 */
import { type CelExpression, CelFailure } from '../cel/expression.ts';
import { plainOf, textOfValue } from '../cel/values.ts';
import { GatewayError } from '../errors.ts';
import type { Exchange } from '../exchange.ts';
import type { SideAnswer, SideCalls, SideServer } from '../http/side-calls.ts';
import type { Decision } from './authz-cache.ts';
import { isHeaderValue } from './header-edits.ts';

export interface AuthzQuestion {
  readonly path: CelExpression | undefined;
  readonly redirect: CelExpression | undefined;
  readonly body: CelExpression | undefined;
  /** Lower case, or `:path`, `:method` and `:authority`. */
  readonly requestHeaders: readonly string[];
  readonly addedHeaders: readonly (readonly [name: string, value: CelExpression])[];
  /** Lower case. */
  readonly responseHeaders: readonly string[];
  readonly metadata: readonly (readonly [name: string, value: CelExpression])[];
  readonly bodyLimit: { readonly maxBytes: number; readonly allowsPart: boolean } | undefined;
}

/** As agentgateway. Longer would be felt in every request while the server is away. */
const timeoutMs = 2_000;
const maxAnswerBytes = 256 * 1024;

/** Throws ext_authz_denied for what cannot be asked, and what the side call throws when nobody answers. */
export async function askServer(
  exchange: Exchange,
  question: AuthzQuestion,
  server: SideServer,
  sideCalls: SideCalls,
): Promise<SideAnswer> {
  const { clock, telemetry, trace } = exchange;
  const { body, part } = bodyFor(exchange, question);
  const headers: Record<string, string> = { ...trace?.headersOut(), ...headersFor(exchange, question) };
  if (part !== undefined) headers['x-envoy-auth-partial-body'] = part;
  const path = question.path === undefined ? exchange.path + exchange.query : pathOf(question.path, exchange);
  const { method } = exchange;
  const startedMs = clock.now();
  try {
    return await sideCalls.call({ server, method, path, headers, body, timeoutMs, maxBytes: maxAnswerBytes });
  } finally {
    telemetry.upstreamCall('ExtAuthz', (clock.now() - startedMs) / 1000, exchange);
  }
}

/** What an answer means. Throws ext_authz_denied where a redirect cannot be made. */
export function decisionOf(exchange: Exchange, question: AuthzQuestion, { status, headers, bytes }: SideAnswer): Decision {
  if (status >= 200 && status < 300) {
    return {
      kind: 'allowed',
      headers: question.responseHeaders.map((name) => [name, headers.get(name) ?? undefined]),
      metadata: metadataOf(exchange, question, { status, headers, body: bytes }),
    };
  }
  if (question.redirect !== undefined && (status === 401 || status === 403)) {
    const location = question.redirect.textOf(exchange);
    if (location === undefined || !isHeaderValue(location)) throw denied('the redirect cannot be made');
    return { kind: 'denied', status: 302, headers: new Headers({ location }), bytes: new Uint8Array() };
  }
  const kept = new Headers(headers);
  for (const name of ['content-length', 'date', 'connection', 'keep-alive', 'transfer-encoding']) kept.delete(name);
  return { kind: 'denied', status, headers: kept, bytes };
}

function metadataOf(
  exchange: Exchange,
  { metadata }: AuthzQuestion,
  answer: { status: number; headers: Headers; body: Uint8Array },
): Readonly<Record<string, unknown>> | undefined {
  if (metadata.length === 0) return undefined;
  const found: Record<string, unknown> = {};
  for (const [name, expression] of metadata) {
    try {
      found[name] = plainOf(expression.evaluate(exchange, { answer }));
    } catch (thrown) {
      // What is not there is left out: rules that read it find nothing.
      if (!(thrown instanceof CelFailure)) throw thrown;
    }
  }
  return found;
}

function bodyFor(exchange: Exchange, { body, bodyLimit }: AuthzQuestion): { body: Uint8Array | undefined; part?: string } {
  if (body !== undefined) return { body: bytesOf(body, exchange) };
  if (bodyLimit === undefined) return { body: undefined };
  const { maxBytes, allowsPart } = bodyLimit;
  const held = exchange.heldBody ?? new Uint8Array();
  if (held.length <= maxBytes) return { body: held, part: 'false' };
  if (allowsPart) return { body: held.subarray(0, maxBytes), part: 'true' };
  throw denied(`the body is longer than includeRequestBody.maxRequestBytes (${maxBytes})`, 413);
}

function bytesOf(expression: CelExpression, exchange: Exchange): Uint8Array {
  try {
    const value = expression.evaluate(exchange);
    if (value instanceof Uint8Array) return value;
    return new TextEncoder().encode(textOfValue(value) ?? 'null');
  } catch (thrown) {
    if (!(thrown instanceof CelFailure)) throw thrown;
    throw denied('its body expression cannot be evaluated', 403, thrown);
  }
}

function pathOf(expression: CelExpression, exchange: Exchange): string {
  const path = expression.textOf(exchange);
  if (path === undefined || !/^\/[\x21-\x7e]*$/.test(path)) throw denied('its path expression gives no path');
  return path;
}

function headersFor(
  exchange: Exchange,
  { requestHeaders, addedHeaders, bodyLimit, body }: AuthzQuestion,
): Record<string, string> {
  const sent: Record<string, string> = {};
  for (const name of requestHeaders) {
    // What a policy has used up was this gateway's own key. A body that was read has no coding and another length.
    if (exchange.consumedHeaders.has(name) || name === 'content-length') continue;
    if (name === 'content-encoding' && (bodyLimit !== undefined || body !== undefined)) continue;
    const value = name.startsWith(':') ? pseudoOf(exchange, name) : exchange.headers.get(name);
    if (value !== null) sent[name.startsWith(':') ? 'host' : name] = value;
  }
  for (const [name, expression] of addedHeaders) {
    const value = expression.textOf(exchange);
    if (value !== undefined && isHeaderValue(value)) sent[name] = value;
    else delete sent[name];
  }
  return sent;
}

/** `:method` and `:path` are the question's own already. */
function pseudoOf(exchange: Exchange, name: string): string | null {
  return name === ':authority' ? (exchange.headers.get('host') ?? exchange.host) : null;
}

/** `why` is for whoever runs the gateway: the client hears no more than that it failed. */
export function denied(why: string, status = 403, cause?: unknown): GatewayError {
  const message = 'external authorization failed';
  return new GatewayError('ext_authz_denied', status === 413 ? `${message}: ${why}` : message, {
    status,
    cause: new Error(cause instanceof Error ? `${why}: ${cause.message}` : why, { cause }),
  });
}
