/** A port on Bun. */
import type { Peer } from '../platform.ts';
import { bun } from './bun-runtime.ts';
import { type Answer, malformed, type OpenDoor, plainAddress } from './door.ts';
import { ignore } from './web-body.ts';

export const openBunDoor: OpenDoor = async ({ hostname, port, bindPort, answer }) => {
  const server = bun.serve({
    hostname,
    port,
    // Bun would cut a silent stream after 10 s; a model that thinks is silent for longer.
    idleTimeout: 0,
    // The gateway has its own limit and answers 413 in the client's protocol.
    maxRequestBodySize: Number.MAX_SAFE_INTEGER,
    fetch(request, running) {
      const peer = new BunPeer(bindPort, plainAddress(running.requestIP(request)?.address), request);
      return request.url.startsWith('http') ? answer(request, peer) : answerHostless(request, peer, answer);
    },
    error: () => new Response('internal error', { status: 500 }),
  });
  return {
    hostname,
    port: server.port,
    stopAccepting() {
      void server.stop(false).catch(ignore);
    },
    close() {
      void server.stop(true).catch(ignore);
    },
  };
};

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
