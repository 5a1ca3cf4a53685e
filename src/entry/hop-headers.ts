/** Headers that belong to one connection and never travel on (RFC 9110 §7.6.1). */
const hopByHop = [
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
] as const;

const hopByHopSet: ReadonlySet<string> = new Set(hopByHop);

/** Whether a header stays behind. `name` in lower case; `connection` is that header's value, which may name further ones. */
export function staysBehind(name: string, connection: string | undefined): boolean {
  if (hopByHopSet.has(name)) return true;
  // Nearly always absent, "close" or "keep-alive": only then is the list worth reading.
  if (connection === undefined || connection === 'close' || connection === 'keep-alive') return false;
  return connection
    .toLowerCase()
    .split(',')
    .some((named) => named.trim() === name);
}

/** A copy that may be edited, without what belongs to the connection. */
export function endToEndHeaders(received: Headers): Headers {
  const headers = new Headers(received);
  const connection = headers.get('connection');
  if (connection !== null && connection !== 'close' && connection !== 'keep-alive') {
    for (const named of connection.split(',')) {
      // A name that is none would throw, and a box that writes nonsense is no reason to fail.
      if (/^[\w!#$%&'*+.^`|~-]+$/.test(named.trim())) headers.delete(named.trim());
    }
  }
  for (const name of hopByHop) headers.delete(name);
  return headers;
}

/** The body's length as announced, or undefined when there is none to trust. */
export function contentLengthOf(headers: Headers): number | undefined {
  const text = headers.get('content-length');
  return text !== null && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}
