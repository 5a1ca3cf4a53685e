/**
 * The guard of routes without a lock (design decision 6): programs on this machine only, and of web pages only those that
 * Ollama itself would let in. No YAML key: the compiler puts it on every such route, outside the route's own policies.
 *
 * Loopback alone is no proof: a tunnel or proxy on this machine connects from there for the whole world, a foreign page in
 * this machine's browser does so too, and DNS can give any name this machine's address. Hence the four checks.
 */
import type { MiddlewareHandler } from 'hono';
import { GatewayError } from '../errors.ts';
import type { Exchange, GatewayEnv } from '../exchange.ts';
import { compileGlob } from './glob.ts';
import { isLocalHost, isLoopbackAddress } from './local-address.ts';
import { addVary, compileCorsOrigins, compileOllamaOrigins } from './origins.ts';

export interface LocalGuardOptions {
  /** `--allow-anonymous`: anybody may come, from anywhere. Host and Origin are checked all the same. */
  readonly allowAnonymous: boolean;
  /** `--allow-host`: further Host names, without port; `*.example.com` is understood. */
  readonly allowedHosts: readonly string[];
  /** OLLAMA_ORIGINS, split at its commas. */
  readonly originPatterns: readonly string[];
  /** `allowOrigins` of the cors policies that stand on the route or its listener: those answer their pages themselves. */
  readonly corsOrigins?: readonly string[];
  /** `additionalOrigins` of the route's csrf policy: those pages may send requests; whether they may read answers is for cors to say. */
  readonly csrfOrigins?: readonly string[];
}

/** Ollama envconfig/config.go `AllowedOrigins`: these on any port. */
const builtInOrigins = [
  ...['http://localhost', 'https://localhost', 'http://127.0.0.1', 'https://127.0.0.1', 'http://0.0.0.0', 'https://0.0.0.0'],
  ...['app://*', 'file://*', 'tauri://*', 'vscode-webview://*', 'vscode-file://*'],
].flatMap((origin) => (origin.endsWith('*') ? [origin] : [origin, `${origin}:*`]));

/** As Ollama answers a preflight (server/routes.go `GenerateRoutes`), and what Anthropic's SDK needs in browsers. */
const preflightHeaders = {
  'access-control-allow-methods': 'GET,POST,PUT,PATCH,DELETE,HEAD,OPTIONS',
  'access-control-allow-headers': [
    ...['Authorization', 'Content-Type', 'User-Agent', 'Accept', 'X-Requested-With', 'OpenAI-Beta'],
    ...['Arch', 'Async', 'Custom-Poll-Interval', 'Helper-Method', 'Lang', 'OS', 'Package-Version', 'Poll-Helper'].map(stainless),
    ...['Retry-Count', 'Runtime', 'Runtime-Version', 'Timeout'].map(stainless),
    ...['X-Api-Key', 'Anthropic-Version', 'Anthropic-Beta', 'Anthropic-Dangerous-Direct-Browser-Access'],
  ].join(','),
  'access-control-max-age': '43200',
  vary: 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers',
} as const;

function stainless(name: string): string {
  return `X-Stainless-${name}`;
}

export function createLocalGuard(options: LocalGuardOptions): MiddlewareHandler<GatewayEnv> {
  const { allowAnonymous, originPatterns } = options;
  const isNamed = compileHosts(options.allowedHosts);
  const isOllamaOrigin = compileOllamaOrigins([...builtInOrigins, ...originPatterns]);
  const isCorsOrigin = compileCorsOrigins(options.corsOrigins ?? []);
  const csrfOrigins = new Set(options.csrfOrigins);
  const allowsAll = originPatterns.some((pattern) => pattern.trim() === '*');

  const answerPage: MiddlewareHandler<GatewayEnv> = async (c, next) => {
    const exchange = c.env;
    const origin = exchange.request.headers.get('origin') ?? '';
    if (isOwnOrigin(origin, exchange) || isCorsOrigin(origin)) {
      await next();
      return undefined;
    }
    if (!isOllamaOrigin(origin)) {
      if (!csrfOrigins.has(origin.toLowerCase())) throw foreignOrigin(origin);
      await next();
      return undefined;
    }
    const allowed = allowsAll ? '*' : origin;
    if (exchange.method === 'OPTIONS') {
      return new Response(null, { status: 204, headers: { ...preflightHeaders, 'access-control-allow-origin': allowed } });
    }
    await next();
    // In place: a rebuilt Response would lose the bytes that some runtimes pipe to the client beside it.
    c.res.headers.set('access-control-allow-origin', allowed);
    addVary(c.res.headers, 'Origin');
    return undefined;
  };

  // Programs send no Origin, and this stands on their every request: for them it looks, waits for nothing and steps aside.
  return (c, next) => {
    const exchange = c.env;
    if (!allowAnonymous) refuseForeignClient(exchange);
    const host = sentHostOf(exchange);
    if (!isLocalHost(host) && !isNamed(host)) throw foreignHost(host);
    return exchange.request.headers.has('origin') ? answerPage(c, next) : (next() as Promise<undefined>);
  };
}

/** Throws foreign_client unless a program on this machine asks on its own behalf. */
function refuseForeignClient({ peer, request }: Exchange): void {
  const address = peer.address();
  if (address === undefined || !isLoopbackAddress(address)) {
    throw foreignClient(`this request came from ${address ?? 'an unknown address'}`);
  }
  const header = forwardingHeaderIn(request.headers);
  if (header !== undefined) throw foreignClient(`this request was handed on by a proxy or tunnel (it carries ${header})`);
}

/** The first header that proxies, tunnels and CDNs add on their way. One walk over what is there beats asking for each name. */
export function forwardingHeaderIn(headers: Headers): string | undefined {
  let found: string | undefined;
  headers.forEach((_, name) => {
    if (found === undefined && isForwarding(name)) found = name;
  });
  return found;
}

/** First letters first: almost every header of a local client is told apart by them. */
function isForwarding(name: string): boolean {
  return forwardingInitials.has(name.charCodeAt(0)) && (forwardingNames.has(name) || forwardingPrefix.test(name));
}

const forwardingNames = new Set([
  ...['forwarded', 'via', 'cdn-loop', 'true-client-ip', 'client-ip', 'x-real-ip', 'x-client-ip', 'x-cluster-client-ip'],
  ...['x-original-host', 'x-original-url', 'x-host', 'x-envoy-external-address', 'x-original-forwarded-for'],
]);
const forwardingPrefix = /^(?:x-forwarded|cf-|ngrok-|tailscale-|fly-|fastly-|x-vercel-|x-amzn-|x-appengine-|x-azure-)/;
const forwardingInitials = new Set([...'fvctxn'].map((letter) => letter.charCodeAt(0)));

/** A page that Corral's own address served. Whether that address may be used is the Host check's business. */
function isOwnOrigin(origin: string, { request }: Exchange): boolean {
  const host = request.headers.get('host')?.toLowerCase();
  if (host === undefined) return false;
  const lower = origin.toLowerCase();
  return lower === `http://${host}` || lower === `https://${host}`;
}

/** As the client sent it: a listener's transformations may have put another name in its place, which proves nothing. */
export function sentHostOf({ headers, host, request }: Exchange): string {
  if (headers === request.headers) return host;
  return hostNameOf((request.headers.get('host') ?? new URL(request.url).host).toLowerCase());
}

function compileHosts(hosts: readonly string[]): (host: string) => boolean {
  const matches = hosts.map((host) => compileGlob(hostNameOf(host.trim().toLowerCase())));
  return (host) => matches.some((isHost) => isHost(host));
}

/** People copy names out of address bars: the port is not part of the name. An IPv6 address keeps the brackets it has in a Host. */
function hostNameOf(text: string): string {
  if (text.split(':').length > 2) return text.startsWith('[') ? text.slice(0, text.indexOf(']') + 1) : `[${text}]`;
  return text.split(':', 1)[0] ?? text;
}

const unlocked = 'This route has no lock, so it serves programs on this machine only';

function foreignClient(fact: string): GatewayError {
  const mend =
    'give the route an apiKey policy, set CORRAL_API_KEY, or start Corral with --allow-anonymous (CORRAL_ALLOW_ANONYMOUS=1)';
  return new GatewayError('foreign_client', `${unlocked}; ${fact}. To open it: ${mend}`);
}

function foreignHost(host: string): GatewayError {
  const name = host.slice(0, 100);
  const mend = `start Corral with --allow-host ${name} if the name is yours, send Host: localhost from your proxy or tunnel, or lock the route with an apiKey policy or CORRAL_API_KEY`;
  return new GatewayError('foreign_host', `${unlocked}; this request asked for the host "${name}". To open it: ${mend}`);
}

function foreignOrigin(origin: string): GatewayError {
  const page = origin.slice(0, 100);
  const mend = `name the origin in OLLAMA_ORIGINS or in a cors policy, or lock the route with an apiKey policy or CORRAL_API_KEY`;
  return new GatewayError('foreign_origin', `${unlocked}; this request comes from a web page of "${page}". To open it: ${mend}`);
}
