/**
 * Every runtime has its own words for "nobody listens there". They meet here and nowhere else: a thrown value becomes a
 * GatewayError whose code says what happened on the wire. The texts were observed on Node 24 (undici 8), Bun 1.4, Deno 2.9
 * and workerd 2026-11; the unit test lists them.
 */
import { type ErrorCode, GatewayError, gatewayErrorOf } from '../errors.ts';

const refused = new Set([
  'ECONNREFUSED',
  'ConnectionRefused',
  'FailedToOpenSocket',
  'ENETUNREACH',
  'EHOSTUNREACH',
  'EADDRNOTAVAIL',
  'EINVAL',
]);
const unresolved = new Set([
  'ENOTFOUND',
  'EAI_AGAIN',
  'EAI_FAIL',
  'EAI_NODATA',
  'EAI_NONAME',
  'DNSResolveFailed',
  'ENODATA',
  'ESERVFAIL',
]);
const silent = new Set(['UND_ERR_CONNECT_TIMEOUT', 'ETIMEDOUT', 'ConnectionTimeout']);
const closed = new Set([
  'ECONNRESET',
  'EPIPE',
  'ConnectionClosed',
  'UND_ERR_SOCKET',
  'UND_ERR_CLOSED',
  'UND_ERR_DESTROYED',
  'UND_ERR_RES_CONTENT_LENGTH_MISMATCH',
  'Malformed_HTTP_Response',
]);
const tls =
  /^(EPROTO|ERR_SSL_|ERR_TLS_|CERT_|UNABLE_TO_|DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|HOSTNAME_MISMATCH|INVALID_CA|PATH_LENGTH|CRL_)/;

/** Deno and workerd have no codes, only sentences. The first that fits decides. */
const sentences: readonly (readonly [RegExp, ErrorCode])[] = [
  [/dns error|failed to lookup address/i, 'upstream_unresolved'],
  [/certificate|corrupt message|TLS handshake|received fatal alert/i, 'upstream_tls'],
  [/timed out/i, 'upstream_silent'],
  [/tcp connect error|connection refused|requests to port \d+ are blocked|is not allowed/i, 'upstream_refused'],
  [/connection closed|connection reset|error reading a body|SendRequest|does not match the HTTP/i, 'upstream_closed'],
];

const messages = {
  upstream_refused: 'connection refused',
  upstream_unresolved: 'host name not found',
  upstream_silent: 'no connection within 2 s',
  upstream_closed: 'the connection was closed before the answer was complete',
  upstream_tls: 'no TLS connection',
  upstream_unavailable: 'could not be reached',
} satisfies Partial<Record<ErrorCode, string>>;

/** workerd has one sentence for a refused connection and for one that broke; a refusal comes at once, a crash mostly does not. */
const workerdLost = /network connection lost|disconnected/i;
const refusalMs = 500;

/**
 * What a runtime threw while talking to an upstream, as a GatewayError. `elapsedMs`: time since the request began; undefined
 * once headers have come, because from then on the connection can only have been closed.
 */
export function networkErrorOf(thrown: unknown, elapsedMs?: number): GatewayError {
  // A mistake of ours is no network error, and must not make a box look dead.
  if (thrown instanceof GatewayError || thrown instanceof ReferenceError || thrown instanceof RangeError)
    return gatewayErrorOf(thrown);
  const code = codeOf(thrown, elapsedMs);
  return new GatewayError(code, code === 'upstream_tls' ? tlsMessageOf(thrown) : messages[code], { cause: thrown });
}

function codeOf(thrown: unknown, elapsedMs: number | undefined): keyof typeof messages {
  if (elapsedMs === undefined) return 'upstream_closed';
  for (const { code } of chainOf(thrown)) {
    if (code === undefined) continue;
    if (refused.has(code)) return 'upstream_refused';
    if (unresolved.has(code)) return 'upstream_unresolved';
    if (silent.has(code)) return 'upstream_silent';
    if (closed.has(code)) return 'upstream_closed';
    if (tls.test(code)) return 'upstream_tls';
  }
  const text = chainOf(thrown)
    .map(({ message }) => message)
    .join('\n');
  if (workerdLost.test(text)) return elapsedMs < refusalMs ? 'upstream_refused' : 'upstream_closed';
  return (sentences.find(([sentence]) => sentence.test(text))?.[1] ?? 'upstream_unavailable') as keyof typeof messages;
}

interface Link {
  readonly code: string | undefined;
  readonly message: string;
}

/** The error, what caused it, and the first of an AggregateError's members (Node tries every address of a name). */
function chainOf(thrown: unknown): Link[] {
  const links: Link[] = [];
  let current = thrown;
  while (typeof current === 'object' && current !== null && links.length < 6) {
    const { code, message, cause, errors } = current as { code?: unknown; message?: unknown; cause?: unknown; errors?: unknown };
    links.push({ code: typeof code === 'string' ? code : undefined, message: typeof message === 'string' ? message : '' });
    current = cause ?? (Array.isArray(errors) ? errors[0] : undefined);
  }
  return links;
}

/** People need the reason here ("self-signed"), and it holds no secret. OpenSSL's own lines carry addresses: only the code is told. */
function tlsMessageOf(thrown: unknown): string {
  for (const { code, message } of chainOf(thrown)) {
    if (code !== undefined && tls.test(code)) return `${messages.upstream_tls} (${code})`;
    const reason = /invalid peer certificate: [\w() ]+|corrupt message/.exec(message)?.[0];
    if (reason !== undefined) return `${messages.upstream_tls} (${reason})`;
  }
  return messages.upstream_tls;
}
