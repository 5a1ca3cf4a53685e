/** Deno: its own `fetch` with a client of Corral's making, its own server. */
import type { Peer, Platform, UpstreamRequest, UpstreamTls } from '../platform.ts';
import { certificateTrouble } from './certificates.ts';
import { type DenoClientOptions, deno, type ServeInfo } from './deno-runtime.ts';
import { plainAddress } from './door.ts';
import { createLineWriter } from './line-writer.ts';
import { noBindings } from './no-bindings.ts';
import { reportLine } from './process-console.ts';
import { refusedByDeno } from './server-tls.ts';
import { createTlsClients } from './tls-clients.ts';
import { ignore } from './web-body.ts';
import { createWebPlatform } from './web-platform.ts';

export function createDenoPlatform(): Platform {
  const encoder = new TextEncoder();
  const lines = createLineWriter({ write: (text) => writeAll(deno.stdout, encoder.encode(text)) });
  const plain = deno.createHttpClient(clientOptions(undefined));
  // Closing a client also ends what is under way with it: nobody has asked for one this old for long.
  const byTls = createTlsClients(
    (tls) => deno.createHttpClient(clientOptions(tls)),
    (client) => client.close(),
  );

  return createWebPlatform({
    runtime: 'deno',
    hasBackground: true,
    // Deno's fetch inflates what was asked for in gzip or brotli and leaves the headers as if it had not.
    acceptsEncodings: false,
    fetchOptions: ({ tls }: UpstreamRequest) => ({ client: tls === undefined ? plain : byTls.clientFor(tls) }),
    refuses: (need) => (need.binding === undefined ? refusalOf(need) : noBindings),
    refusesServer: (tls) => refusedByDeno(tls) ?? certificateTrouble(tls),
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
