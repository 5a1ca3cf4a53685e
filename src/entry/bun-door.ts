/** A port on Bun. */
import type { Peer, ServerTls } from '../platform.ts';
import { type BunServer, type BunServerTls, bun } from './bun-runtime.ts';
import { type Answer, type DoorOptions, malformed, type OpenDoor, openAgain, plainAddress } from './door.ts';
import { ignore } from './web-body.ts';

export const openBunDoor: OpenDoor = async (options) => {
  const { hostname, tls } = options;
  if (tls !== undefined && options.port !== 0) await checkFree(options);
  let server = listen(options, options.port, tls);
  const { port } = server;
  return {
    hostname,
    port,
    stopAccepting() {
      void server.stop(false).catch(ignore);
    },
    close() {
      void server.stop(true).catch(ignore);
    },
    async renewTls(other) {
      // Bun takes certificates when a port is opened, and then no more. Two servers may share a port that speaks TLS: the
      // next one is there before the one before it stops listening, whose connections go on.
      const before = server;
      try {
        server = listen(options, port, other);
        void before.stop(false).catch(ignore);
      } catch (thrown) {
        // Not where the system does not share ports.
        if (!/in use|EADDRINUSE/i.test(String(thrown))) throw thrown;
        void before.stop(false).catch(ignore);
        server = await openAgain(async () => listen(options, port, other));
      }
    },
  };
};

function listen({ hostname, bind, answer }: DoorOptions, port: number, tls: ServerTls | undefined): BunServer {
  return bun.serve({
    hostname,
    port,
    // Bun would cut a silent stream after 10 s; a model that thinks is silent for longer.
    idleTimeout: 0,
    // The gateway has its own limit and answers 413 in the client's protocol.
    maxRequestBodySize: Number.MAX_SAFE_INTEGER,
    ...(tls === undefined ? {} : { tls: tlsOptionsOf(tls), reusePort: true }),
    fetch(request, running) {
      const peer = new BunPeer(bind.port, plainAddress(running.requestIP(request)?.address), request);
      return request.url.startsWith('http') ? answer(request, peer) : answerHostless(request, peer, answer);
    },
    error: () => new Response('internal error', { status: 500 }),
  });
}

/** A port that may be shared would be shared with another Corral, too: so first it is opened alone. */
async function checkFree({ hostname, port }: DoorOptions): Promise<void> {
  const probe = bun.serve({
    hostname,
    port,
    idleTimeout: 0,
    maxRequestBodySize: 0,
    fetch: () => new Response(null, { status: 503 }),
    error: () => new Response(null, { status: 503 }),
  });
  await probe.stop(true).catch(ignore);
}

const versions = { 'TLSv1.2': 0x0303, 'TLSv1.3': 0x0304 } as const;

/** Without a name, or with one that nobody has, a client gets the first one. */
function tlsOptionsOf({ certificates, root, minVersion, maxVersion }: ServerTls): BunServerTls[] {
  const ordered = [...certificates].sort((a, b) => Number(a.hostname !== '') - Number(b.hostname !== ''));
  return ordered.map(({ hostname, cert, key }) => ({
    ...(hostname === '' ? {} : { serverName: hostname }),
    cert,
    key,
    ...(root === undefined ? {} : { ca: root, requestCert: true, rejectUnauthorized: true }),
    minVersion: versions[minVersion ?? 'TLSv1.2'],
    ...(maxVersion === undefined ? {} : { maxVersion: versions[maxVersion] }),
  }));
}

/** Without a Host that makes a URL, Bun's `url` is the bare path. HTTP/1.0 may come so; any other request may not. */
function answerHostless(request: Request, peer: Peer, answer: Answer): Response | Promise<Response> {
  if (request.headers.has('host') || !request.url.startsWith('/')) return malformed();
  return answer(new Request(`http://localhost${request.url}`, request), peer);
}

class BunPeer implements Peer {
  readonly port: number | undefined;
  readonly #address: string | undefined;
  readonly #request: Request;

  constructor(port: number | undefined, address: string | undefined, request: Request) {
    this.port = port;
    this.#address = address;
    this.#request = request;
  }

  address(): string | undefined {
    return this.#address;
  }

  onGone(listener: () => void): void {
    const { signal } = this.#request;
    if (signal.aborted) queueMicrotask(listener);
    else signal.addEventListener('abort', listener, { once: true });
  }

  waitUntil(work: Promise<unknown>): void {
    work.catch(ignore);
  }
}
