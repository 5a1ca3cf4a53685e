import { networkInterfaces } from 'node:os';
import { type Answer, statusLineOf, wholeAnswer } from './answer.ts';
import type { ReceivedRequest } from './received.ts';

export interface GuardOptions {
  /** False: as if bound to 0.0.0.0, where Ollama does not look at the Host at all. */
  readonly checkHost: boolean;
  /** OLLAMA_ORIGINS, e.g. `https://app.example.com` or `*`. One `*` per entry. */
  readonly origins: readonly string[];
}

const builtInOrigins = ['app://', 'file://', 'tauri://', 'vscode-webview://', 'vscode-file://'];
const localHosts = ['localhost', '127.0.0.1', '0.0.0.0'];

const allowedHeaders =
  'Authorization,Content-Type,User-Agent,Accept,X-Requested-With,Openai-Beta,X-Stainless-Arch,X-Stainless-Async,' +
  'X-Stainless-Custom-Poll-Interval,X-Stainless-Helper-Method,X-Stainless-Lang,X-Stainless-Os,X-Stainless-Package-Version,' +
  'X-Stainless-Poll-Helper,X-Stainless-Retry-Count,X-Stainless-Runtime,X-Stainless-Runtime-Version,X-Stainless-Timeout';

export interface Verdict {
  /** The answer, when the request ends here. */
  readonly answer?: Answer;
  /** CORS headers for whatever is answered. */
  readonly headers: Readonly<Record<string, string>>;
}

/** Origin first, then Host, as Ollama's middlewares run (Ollama server/routes.go GenerateRoutes, recordings cors-*, host-*). */
export function guard(request: ReceivedRequest, options: GuardOptions, allow: string | undefined): Verdict {
  const host = request.header('host') ?? '';
  const origin = request.header('origin');
  const headers: Record<string, string> = {};
  if (origin !== undefined && origin !== '' && origin !== `http://${host}` && origin !== `https://${host}`) {
    const extra: Record<string, string> = request.method === 'OPTIONS' && allow !== undefined ? { Allow: allow } : {};
    if (!originAllowed(origin, options.origins)) return { answer: wholeAnswer(403, extra, ''), headers };
    const any = options.origins.includes('*');
    if (request.method === 'OPTIONS') return { answer: preflight(any ? '*' : origin, allow), headers };
    headers['Access-Control-Allow-Origin'] = any ? '*' : origin;
    if (!any) headers.Vary = 'Origin';
  }
  if (options.checkHost && !hostAllowed(host)) return { answer: wholeAnswer(403, {}, ''), headers };
  return { headers };
}

function preflight(origin: string, allow: string | undefined): Answer {
  const headers: [string, string][] = [
    ['Access-Control-Allow-Headers', allowedHeaders],
    ['Access-Control-Allow-Methods', 'GET,POST,PUT,PATCH,DELETE,HEAD,OPTIONS'],
    ['Access-Control-Allow-Origin', origin],
    ['Access-Control-Max-Age', '43200'],
  ];
  if (allow !== undefined) headers.push(['Allow', allow]);
  if (origin !== '*')
    for (const name of ['Origin', 'Access-Control-Request-Method', 'Access-Control-Request-Headers'])
      headers.push(['Vary', name]);
  headers.push(['Date', new Date().toUTCString()]);
  return { statusLine: statusLineOf(204), headers, pieces: [], ending: 'clean' };
}

function originAllowed(origin: string, listed: readonly string[]): boolean {
  if (builtInOrigins.some((scheme) => origin.startsWith(scheme))) return true;
  const local = /^https?:\/\/([^/:]+)(?::\d+)?$/.exec(origin)?.[1];
  if (local !== undefined && localHosts.includes(local)) return true;
  return listed.some((entry) => {
    const [before, ...after] = entry.split('*');
    if (after.length === 0) return origin === entry;
    return origin.length >= entry.length - 1 && origin.startsWith(before ?? '') && origin.endsWith(after.join('*'));
  });
}

/** Which Host names a loopback-bound Ollama takes (Ollama server/routes.go allowedHost). */
function hostAllowed(host: string): boolean {
  // Go's SplitHostPort; `[::1]` without a port stays in its brackets and is no IP then (recording host-ipv6-loopback-noport).
  const name = (/^\[(.*)\]:\d*$/.exec(host)?.[1] ?? /^([^:]*):\d*$/.exec(host)?.[1] ?? host).toLowerCase();
  if (name === '' || name === 'localhost') return true;
  if (/^\d+\.\d+\.\d+\.\d+$/.test(name) || (name.includes(':') && !name.startsWith('['))) return ipAllowed(name);
  return ['.localhost', '.local', '.internal'].some((end) => name.endsWith(end));
}

function ipAllowed(ip: string): boolean {
  if (/^(127\.|10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.)/.test(ip) || ip === '0.0.0.0') return true;
  if (ip === '::1' || ip === '::' || /^f[cd]/.test(ip)) return true;
  return Object.values(networkInterfaces()).some((list) => list?.some((each) => each.address === ip));
}
