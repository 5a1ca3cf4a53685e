/** Hostname patterns: exact names, `*.example.com` (any depth below, not the apex), and `*` or nothing for any host. */

/** `.example.com` for `*.example.com`, the empty string for `*` and nothing, undefined for an exact name. */
export function suffixOf(pattern: string): string | undefined {
  if (pattern === '' || pattern === '*') return '';
  return pattern.startsWith('*') ? pattern.slice(1).toLowerCase() : undefined;
}

export function suffixHolds(suffix: string, host: string): boolean {
  return host.length > suffix.length && host.endsWith(suffix);
}

export function longestSuffixFirst(first: string, second: string): number {
  return second.length - first.length;
}

/** Of several listeners on one port, the one a host belongs to: exact name, longest suffix, then the one for any host. */
export function createHostTable<Listener>(
  listeners: readonly { hostname: string; listener: Listener }[],
): (host: string) => Listener | undefined {
  const exact = new Map<string, Listener>();
  const bySuffix = new Map<string, Listener>();
  for (const { hostname, listener } of listeners) {
    const suffix = suffixOf(hostname);
    const table = suffix === undefined ? exact : bySuffix;
    const key = suffix ?? hostname.toLowerCase();
    if (!table.has(key)) table.set(key, listener);
  }
  const anyHost = bySuffix.get('');
  bySuffix.delete('');
  const suffixes = [...bySuffix.keys()].sort(longestSuffixFirst);
  if (exact.size + suffixes.length === 0) return () => anyHost;
  return (host) => {
    const named = exact.get(host);
    if (named !== undefined) return named;
    const suffix = suffixes.find((candidate) => suffixHolds(candidate, host));
    return (suffix === undefined ? undefined : bySuffix.get(suffix)) ?? anyHost;
  };
}
