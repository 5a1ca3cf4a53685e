/** Cloudflare Workers: `fetch` both ways. Nothing runs between requests, and addresses of a local network are out of reach. */
import type { Peer, Platform, UpstreamTls } from '../platform.ts';
import { refusedByWorkers } from './server-tls.ts';
import { ignore } from './web-body.ts';
import { createWebPlatform } from './web-platform.ts';

export interface ExecutionContext {
  waitUntil(work: Promise<unknown>): void;
}

/** A binding that takes requests: a VPC service, or another Worker. */
interface Fetcher {
  fetch: typeof fetch;
}

/** `bindingOf`: the Worker's bindings by name, as the request that is being answered brings them. */
export function createWorkersPlatform(bindingOf: (name: string) => unknown = () => undefined): Platform {
  const fetcherFor = (name: string): Fetcher | undefined => {
    const bound = bindingOf(name);
    return isFetcher(bound) ? bound : undefined;
  };
  return createWebPlatform({
    runtime: 'workerd',
    hasBackground: false,
    acceptsEncodings: false,
    fetchOptions: () => ({}),
    fetcherOf({ binding }) {
      const fetcher = binding === undefined ? undefined : fetcherFor(binding);
      return fetcher === undefined ? fetch : (input, init) => fetcher.fetch(input, init);
    },
    refuses: (need) => (need.binding === undefined ? refusalOf(need) : missingBinding(need.binding, fetcherFor)),
    refusesServer: refusedByWorkers,
    // The console is the log there (`wrangler tail`, Workers Logs).
    // biome-ignore lint/suspicious/noConsole: the console is a Worker's only way to say something.
    print: (line) => console.log(line),
    // biome-ignore lint/suspicious/noConsole: the same.
    report: (level, message) => console[level](message),
  });
}

function isFetcher(bound: unknown): bound is Fetcher {
  return typeof bound === 'object' && bound !== null && typeof (bound as { fetch?: unknown }).fetch === 'function';
}

function missingBinding(name: string, fetcherFor: (name: string) => Fetcher | undefined): string | undefined {
  if (fetcherFor(name) !== undefined) return undefined;
  return `this Worker has no binding ${name} that takes requests: bind the VPC service under that name in wrangler.toml ([[vpc_services]])`;
}

function refusalOf({
  host,
  url,
  tls,
}: {
  host?: string | undefined;
  url: string;
  tls?: UpstreamTls | undefined;
}): string | undefined {
  const dialled = new URL(url).host;
  if (host !== undefined && host !== dialled) {
    return `Workers always send the dialled name (${dialled}) as Host, never "${host}": rewrite it in the tunnel (cloudflared: originRequest.httpHostHeader)`;
  }
  if (tls !== undefined && (Object.values(tls) as unknown[]).some((value) => value !== undefined)) {
    return 'Workers use their own TLS settings: certificates, names and checks cannot be chosen per upstream';
  }
  return undefined;
}

/**
 * `CF-Connecting-IP` is written by Cloudflare's edge, and by anybody on a bare workerd or under `wrangler dev`. So it is good
 * for the log, but never proves that a client sits on this machine: on the edge nobody does.
 */
export function workersPeer(port: number | undefined, request: Request, execution: ExecutionContext): Peer {
  const claimed = request.headers.get('cf-connecting-ip') ?? undefined;
  const address = claimed === undefined || !/^[0-9a-f.:]{2,45}$/i.test(claimed) || isLoopback(claimed) ? undefined : claimed;
  return {
    port,
    address: () => address,
    onGone(listener) {
      // A signal that has been given says nothing any more.
      if (request.signal.aborted) queueMicrotask(listener);
      else request.signal.addEventListener('abort', listener, { once: true });
    },
    waitUntil: (work) => execution.waitUntil(work.catch(ignore)),
  };
}

/** Wider than loopback is, on purpose: every spelling that might be read as one. */
function isLoopback(address: string): boolean {
  return /^127\.|^::1$|^0*:[0:]*:0*1$|^::ffff:|^0\.0\.0\.0$|^::$/i.test(address);
}
