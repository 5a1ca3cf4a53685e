/// <reference types="node" />
/** A port on Node: `node:http`, requests and responses in the cheap forms of @hono/node-server. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { getRequestListener } from '@hono/node-server';
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import type { Peer, ServerTls } from '../platform.ts';
import { type Door, doorLimits, malformed, type OpenDoor, plainAddress } from './door.ts';
import { pipe, type TakeRelay } from './node-respond.ts';
import { createNodeTls } from './node-tls.ts';
import { ignore } from './web-body.ts';

/** The Node platform's doors. `takeRelay` is the platform's: its relays are piped to the socket here. */
export function nodeDoors(takeRelay: TakeRelay): OpenDoor {
  return async ({ hostname, port, bind, tls, answer }) => {
    let isDraining = false;

    const deliver = (response: Response, outgoing: ServerResponse): Response => {
      const relay = takeRelay(response);
      if (relay === undefined) {
        if (!response.headers.has('content-type')) leaveUntyped(outgoing);
        return response;
      }
      pipe(relay, outgoing);
      return RESPONSE_ALREADY_SENT;
    };

    const listener = getRequestListener(
      (request, bindings) => {
        const { incoming, outgoing } = bindings as { incoming: IncomingMessage; outgoing: ServerResponse };
        if (isDraining) outgoing.shouldKeepAlive = false;
        const response = answer(request, new NodePeer(bind.port, incoming.socket, outgoing));
        return response instanceof Promise ? response.then((settled) => deliver(settled, outgoing)) : deliver(response, outgoing);
      },
      // HTTP/1.0 may come without a Host header. The gateway never rejects: only a request that makes no URL is an error here.
      { hostname: 'localhost', errorHandler: malformed },
    );

    const limits = {
      headersTimeout: doorLimits.headersTimeoutMs,
      requestTimeout: doorLimits.requestTimeoutMs,
      keepAliveTimeout: doorLimits.keepAliveTimeoutMs,
    };
    const onStop = () => {
      isDraining = true;
    };
    if (tls === undefined) return listen(createServer(limits, listener), hostname, port, onStop);
    const { options, renew } = createNodeTls(tls);
    const server = createTlsServer({ ...options, ...limits, handshakeTimeout: doorLimits.handshakeTimeoutMs }, listener);
    const door = await listen(server, hostname, port, onStop);
    return { ...door, renewTls: (other: ServerTls) => renew(other, server) };
  };
}

/** @hono/node-server says text/plain of every body of which nothing is said; some are meant to be without a type. */
function leaveUntyped(outgoing: ServerResponse): void {
  const writeHead = outgoing.writeHead.bind(outgoing) as (status: number, headers?: Record<string, unknown>) => ServerResponse;
  const writeWithout = (status: number, headers: Record<string, unknown> = {}) => {
    const { 'content-type': _guessed, ...said } = headers;
    return writeHead(status, said);
  };
  outgoing.writeHead = writeWithout as ServerResponse['writeHead'];
}

function listen(server: Server, hostname: string, port: number, onStop: () => void): Promise<Door> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: hostname, port }, () => {
      server.off('error', reject);
      resolve({
        hostname,
        port: (server.address() as AddressInfo).port,
        stopAccepting() {
          onStop();
          server.close();
        },
        close() {
          server.close();
          server.closeAllConnections();
        },
        renewTls: ignore,
      });
    });
  });
}

const socketAddress = Symbol('address');
type KnownSocket = Socket & { [socketAddress]?: string };

class NodePeer implements Peer {
  readonly port: number | undefined;
  readonly #socket: KnownSocket;
  readonly #outgoing: ServerResponse;
  #listeners: (() => void)[] | undefined;

  constructor(port: number | undefined, socket: KnownSocket, outgoing: ServerResponse) {
    this.port = port;
    this.#socket = socket;
    this.#outgoing = outgoing;
    // Asked for once per connection, and while it lives: a closed socket knows no address, and the log comes last.
    socket[socketAddress] ??= plainAddress(socket.remoteAddress) ?? '';
  }

  address(): string | undefined {
    return this.#socket[socketAddress] || undefined;
  }

  onGone(listener: () => void): void {
    const outgoing = this.#outgoing;
    // Whoever asks when it is over already would wait for ever in a list that nobody looks at any more.
    if (outgoing.closed) queueMicrotask(listener);
    else if (this.#listeners !== undefined) this.#listeners.push(listener);
    else {
      const listeners = [listener];
      this.#listeners = listeners;
      outgoing.once('close', () => {
        // Every answer ends with 'close'; only a client that left gets none at all.
        if (!outgoing.headersSent) for (const each of listeners) each();
      });
    }
  }

  waitUntil(work: Promise<unknown>): void {
    work.catch(ignore);
  }
}
