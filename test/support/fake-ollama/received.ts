import type { RawHeaders } from '../recordings.ts';
import type { Outcome } from './writer.ts';

/** One request as the box saw it. */
export interface ReceivedRequest {
  readonly method: string;
  /** Path and query exactly as they came. */
  readonly path: string;
  readonly httpVersion: string;
  /** In the order and casing they came. */
  readonly headers: RawHeaders;
  /** Empty until the whole body is there. */
  readonly body: string;
  readonly bodyBytes: Buffer;
  /** Milliseconds, `performance.now()`. */
  readonly startedAt: number;
  /** When the client closed the connection before the answer was whole; undefined while it has not. */
  readonly closedByClientAt: number | undefined;
  /** Client's port: equal for requests on the same connection. */
  readonly remotePort: number | undefined;
  /** Resolves when the exchange is over, one way or the other. */
  readonly over: Promise<Outcome>;
  /** The first header of that name (any casing). */
  header(name: string): string | undefined;
  /** The body as JSON, undefined when it is none. */
  json(): unknown;
}

/** A request that is still growing; only the server writes to it. */
export class GrowingRequest implements ReceivedRequest {
  readonly method: string;
  readonly path: string;
  readonly httpVersion: string;
  readonly headers: RawHeaders;
  readonly startedAt = performance.now();
  readonly remotePort: number | undefined;
  bodyBytes: Buffer = Buffer.alloc(0);
  closedByClientAt: number | undefined;
  readonly over: Promise<Outcome>;
  settle: (outcome: Outcome) => void = () => {};

  constructor(head: {
    method: string;
    path: string;
    httpVersion: string;
    rawHeaders: readonly string[];
    remotePort: number | undefined;
  }) {
    this.method = head.method;
    this.path = head.path;
    this.httpVersion = head.httpVersion;
    this.remotePort = head.remotePort;
    const pairs: [string, string][] = [];
    for (let at = 0; at + 1 < head.rawHeaders.length; at += 2)
      pairs.push([head.rawHeaders[at] ?? '', head.rawHeaders[at + 1] ?? '']);
    this.headers = pairs;
    this.over = new Promise((resolve) => {
      this.settle = resolve;
    });
  }

  get body(): string {
    return this.bodyBytes.toString('utf8');
  }

  header(name: string): string | undefined {
    return this.headers.find(([key]) => key.toLowerCase() === name.toLowerCase())?.[1];
  }

  json(): unknown {
    try {
      return JSON.parse(this.body);
    } catch {
      return undefined;
    }
  }
}
