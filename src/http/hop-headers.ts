/** Headers that belong to one connection and never travel on (RFC 9110 §7.6.1), and the one that says how long a body is. */

/** In lower case. */
export const hopByHopHeaders = [
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
] as const;

const hopByHopSet: ReadonlySet<string> = new Set(hopByHopHeaders);

/** Whether a header stays behind. `name` in lower case; `connection` is that header's value, which may name further ones. */
export function staysBehind(name: string, connection: string | undefined): boolean {
  return hopByHopSet.has(name) || (connectionNames(connection)?.has(name) ?? false);
}

/** The headers that a Connection header names, in lower case; undefined where there is nothing to look for, as nearly always. */
export function connectionNames(connection: string | null | undefined): ReadonlySet<string> | undefined {
  if (connection === null || connection === undefined || connection === 'close' || connection === 'keep-alive') return undefined;
  return new Set(connection.toLowerCase().split(/\s*,\s*/));
}

/** A copy that may be edited, without what belongs to the connection. */
export function endToEndHeaders(received: Headers): Headers {
  const headers = new Headers(received);
  for (const named of connectionNames(headers.get('connection')) ?? []) {
    // A name that is none would throw, and a box that writes nonsense is no reason to fail.
    if (/^[\w!#$%&'*+.^`|~-]+$/.test(named)) headers.delete(named);
  }
  for (const name of hopByHopHeaders) headers.delete(name);
  return headers;
}

/** The body's length as announced, or undefined when there is none to trust. */
export function contentLengthOf(headers: Headers): number | undefined {
  const text = headers.get('content-length');
  return text !== null && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}
