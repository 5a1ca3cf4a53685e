/** Deno: its own `fetch` with a client of Corral's making, its own server. */
import type { Peer, Platform, UpstreamRequest, UpstreamTls } from '../platform.ts';
import { type DenoClient, type DenoClientOptions, deno, type ServeInfo } from './deno-runtime.ts';
import { plainAddress } from './door.ts';
import { createLineWriter } from './line-writer.ts';
import { reportLine } from './process-console.ts';
import { refusedByDeno } from './server-tls.ts';
import { ignore } from './web-body.ts';
import { createWebPlatform } from './web-platform.ts';

/** Far above what configurations name; see node-agents. */
const maxTlsClients = 64;

export function createDenoPlatform(): Platform {
  const encoder = new TextEncoder();
  const lines = createLineWriter({ write: (text) => writeAll(deno.stdout, encoder.encode(text)) });
  const plain = deno.createHttpClient(clientOptions(undefined));
  const byTls = new WeakMap<UpstreamTls, DenoClient>();
  let tlsClients = 0;

  const clientFor = (tls: UpstreamTls): DenoClient => {
    let client = byTls.get(tls);
    if (client === undefined) {
      if (++tlsClients > maxTlsClients) throw new Error(`more than ${maxTlsClients} TLS settings`);
      client = deno.createHttpClient(clientOptions(tls));
      byTls.set(tls, client);
    }
    return client;
  };

  return createWebPlatform({
    runtime: 'deno',
    hasBackground: true,
    // Deno's fetch inflates what was asked for in gzip or brotli and leaves the headers as if it had not.
    acceptsEncodings: false,
    fetchOptions: ({ tls }: UpstreamRequest) => ({ client: tls === undefined ? plain : clientFor(tls) }),
    refuses: refusalOf,
    refusesServer: refusedByDeno,
    print: lines.print,
    report: (level, message) => writeAll(deno.stderr, encoder.encode(reportLine(level, message))),
  });
}

function clientOptions(tls: UpstreamTls | undefined): DenoClientOptions {
  return {
    poolMaxIdlePerHost: 1024,
    http2: tls?.alpn?.includes('h2') ?? false,
    // Without this a Host header of our own is dropped silently, and Ollama answers 403.
    allowHost: true,
    ...(tls?.root === undefined ? {} : { caCerts: [tls.root] }),
    ...(tls?.cert === undefined ? {} : { cert: tls.cert }),
    ...(tls?.key === undefined ? {} : { key: tls.key }),
  };
}

function refusalOf({ tls }: { tls?: UpstreamTls | undefined }): string | undefined {
  if (tls?.insecure === true || tls?.insecureHost === true) {
    return 'Deno cannot skip certificate checks per upstream: give the certificate as `root`, or start it with --unsafely-ignore-certificate-errors=NAME';
  }
  if (tls?.hostname !== undefined) return 'Deno cannot verify another name than the dialled one: leave `hostname` out';
  return undefined;
}

export function denoPeer(port: number | undefined, info: ServeInfo): Peer {
  const address = plainAddress(info.remoteAddr.hostname);
  return {
    port,
    address: () => address,
    // Deno's request signal also fires after success and not before it where it would count (design §8): there is no
    // trustworthy sign before the answer has begun.
    onGone: ignore,
    waitUntil: (work) => {
      work.catch(ignore);
    },
  };
}

/** A pipe may take less than it was given. */
function writeAll(output: { writeSync(bytes: Uint8Array): number }, bytes: Uint8Array): void {
  for (let written = 0; written < bytes.length; ) written += output.writeSync(bytes.subarray(written));
}
