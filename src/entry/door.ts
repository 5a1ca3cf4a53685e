/** What the command line asks of a runtime that opens its own ports: Node and Bun. */
import type { Peer, ServerTls } from '../platform.ts';
import { systemClock } from './clock.ts';

export type Answer = (request: Request, peer: Peer) => Response | Promise<Response>;

export interface DoorOptions {
  readonly hostname: string;
  /** 0: any free port. */
  readonly port: number;
  /** What `Peer.port` says: the configuration's port, even when another one was opened for it. A reload may change it. */
  readonly bind: { readonly port: number | undefined };
  /** Undefined: plain HTTP. */
  readonly tls?: ServerTls | undefined;
  readonly answer: Answer;
}

export interface Door {
  readonly hostname: string;
  readonly port: number;
  /** No new connections from now on; requests under way, and those on open connections, are still answered. */
  stopAccepting(): void;
  /** Cuts what is left. */
  close(): void;
  /** New connections get these certificates; open ones go on as they are. Only where the door was opened with TLS. */
  renewTls(tls: ServerTls): void | Promise<void>;
}

/** Rejects with the system's error: `code` EADDRINUSE, EACCES, EADDRNOTAVAIL … */
export type OpenDoor = (options: DoorOptions) => Promise<Door>;

/** `::ffff:127.0.0.1` is how a dual-stack socket spells an IPv4 client. */
export function plainAddress(address: string | undefined): string | undefined {
  return address?.startsWith('::ffff:') === true ? address.slice(7) : address;
}

/** The same limits wherever Corral opens the port itself. */
export const doorLimits = {
  /** Headers must be there by then: a slow-loris never gets further. */
  headersTimeoutMs: 60_000,
  /** agentgateway's; nobody waits longer for a client that does not say hello. */
  handshakeTimeoutMs: 15_000,
  /** Last resort only, the gateway's own body timeout is shorter. */
  requestTimeoutMs: 15 * 60_000,
  /** Longer than the 60 s of common load balancers, which must be the side that closes. */
  keepAliveTimeoutMs: 75_000,
} as const;

/** For requests that no URL can be made of; there is no gateway to ask what the client would understand. */
export function malformed(): Response {
  return new Response('{"error":{"message":"the request target or Host header makes no URL","type":"invalid_request_error"}}', {
    status: 400,
    headers: { 'content-type': 'application/json' },
  });
}

const reopenEveryMs = 5;
const reopenTries = 200;

/** Opens a port that was closed a moment ago: the system, or the runtime, may need some milliseconds to let go of it. */
export async function openAgain<Opened>(open: () => Promise<Opened>): Promise<Opened> {
  for (let left = reopenTries; ; left--) {
    try {
      return await open();
    } catch (thrown) {
      if (left === 0) throw thrown;
      await new Promise<void>((resolve) => systemClock.after(reopenEveryMs, resolve));
    }
  }
}
