/** Which web pages' origins are meant by a list of patterns, and how an answer tells caches that it depends on them. */
import { compileGlob } from './glob.ts';

/** An Origin header is a scheme, a name of 253 letters at most, and a port. */
const maxOriginLength = 300;

export type OriginMatch = (origin: string) => boolean;

/**
 * `allowOrigins` of a `cors` policy (agentgateway http/cors.rs): `*`, or scheme, host and port, default ports understood, with
 * `*` in the host. An origin that is not http or https (`app://…`) matches when it is written just so.
 */
export function compileCorsOrigins(patterns: readonly string[]): OriginMatch {
  if (patterns.includes('*')) return () => true;
  const exact = new Set(patterns.map((pattern) => pattern.toLowerCase()));
  const compiled = patterns.flatMap((pattern) => {
    const parts = partsOf(pattern);
    return parts === undefined ? [] : [{ ...parts, matchesHost: compileGlob(parts.host) }];
  });
  return (origin) => {
    if (origin.length > maxOriginLength) return false;
    const lower = origin.toLowerCase();
    if (exact.has(lower)) return !lower.includes('*');
    const parts = partsOf(lower);
    if (parts === undefined || parts.host.includes('*')) return false;
    return compiled.some(
      ({ scheme, port, matchesHost }) => scheme === parts.scheme && port === parts.port && matchesHost(parts.host),
    );
  };
}

function partsOf(origin: string): { scheme: string; host: string; port: number } | undefined {
  const match = /^(https?):\/\/([^:/?#\s]+)(?::(\d{1,5}))?$/i.exec(origin);
  if (match === null) return undefined;
  const scheme = (match[1] ?? '').toLowerCase();
  const port = match[3] === undefined ? (scheme === 'https' ? 443 : 80) : Number(match[3]);
  return { scheme, host: (match[2] ?? '').toLowerCase(), port };
}

/** OLLAMA_ORIGINS (gin-contrib/cors): compared as text, one `*` in each stands for anything. */
export function compileOllamaOrigins(patterns: readonly string[]): OriginMatch {
  const globs = patterns.map((pattern) => compileGlob(pattern.trim().toLowerCase()));
  return (origin) => origin.length <= maxOriginLength && globs.some((matches) => matches(origin.toLowerCase()));
}

/** Adds a name to Vary unless it is there. */
export function addVary(headers: Headers, name: string): void {
  const vary = headers.get('vary');
  if (vary === null) headers.set('vary', name);
  else if (
    vary !== '*' &&
    !vary
      .toLowerCase()
      .split(/\s*,\s*/)
      .includes(name.toLowerCase())
  )
    headers.append('vary', name);
}
