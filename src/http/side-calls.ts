/**
 * Calls that policies make beside the request itself: external authorization, guards, key sets, mirrors. Small answers, read
 * whole and bounded, always with a time limit.
 */
import { GatewayError } from '../errors.ts';
import type { Clock, Platform, UpstreamTls } from '../platform.ts';

/** A server that the configuration names beside the backends. */
export interface SideServer {
  /** For messages: as the YAML has it. */
  readonly name: string;
  /** Scheme and authority, no path, no trailing slash. */
  readonly baseUrl: string;
  readonly tls: UpstreamTls | undefined;
  /** Sent with every call: credentials and edits of the server's own policies. Lower case. */
  readonly headers: Readonly<Record<string, string>>;
}

export interface SideCall {
  readonly server: SideServer;
  readonly method: string;
  /** From `/` on, with its query. */
  readonly path: string;
  /** Lower case. They win over the server's own. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | undefined;
  readonly timeoutMs: number;
  /** Of the answer. Default 1 MiB. */
  readonly maxBytes?: number;
  /** Nobody reads the answer: it is let go as soon as its headers are there, and `bytes` is empty. */
  readonly ignoresBody?: boolean;
}

export interface SideAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly bytes: Uint8Array;
}

export interface SideCalls {
  /** Throws GatewayError: what `Platform.send` throws, upstream_timeout, upstream_closed for an answer that is too long. */
  call(call: SideCall): Promise<SideAnswer>;
}

const defaultMaxBytes = 1024 * 1024;
const nothing = new Uint8Array(0);

export function createSideCalls({ clock, send }: { readonly clock: Clock; readonly send: Platform['send'] }): SideCalls {
  return {
    async call({ server, method, path, headers, body, timeoutMs, maxBytes = defaultMaxBytes, ignoresBody = false }) {
      const controller = new AbortController();
      const stop = clock.after(timeoutMs, () =>
        controller.abort(new GatewayError('upstream_timeout', `${server.name} did not answer within ${timeoutMs} ms`)),
      );
      try {
        const response = await send({
          method,
          url: server.baseUrl + path,
          headers: { ...server.headers, ...headers },
          body,
          signal: controller.signal,
          tls: server.tls,
        });
        if (ignoresBody) response.body.cancel();
        const bytes = ignoresBody ? nothing : await response.body.read(maxBytes);
        return { status: response.status, headers: response.headers, bytes };
      } finally {
        stop();
      }
    },
  };
}
