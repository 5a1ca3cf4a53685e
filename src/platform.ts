/**
 * What the core asks of a runtime. `Platform` lives as long as the process, `Peer` as long as one request. The core never
 * names a runtime: entries hand these in, tests hand in fakes.
 */

/** Time, injected so that tests own it. */
export interface Clock {
  /** Milliseconds on a clock that never jumps. For durations. */
  now(): number;
  /** Milliseconds since the epoch. For log lines. */
  wallTime(): number;
  /** Runs `task` once after `delayMs`; the returned function cancels it. Never keeps a process alive by itself. */
  after(delayMs: number, task: () => void): () => void;
}

/** TLS towards an upstream. A runtime that cannot honour a field refuses it when the plan is compiled (`Platform.refuses`). */
export interface UpstreamTls {
  /** PEM texts. */
  readonly root?: string;
  readonly cert?: string;
  readonly key?: string;
  /** Name for SNI and verification when it differs from the dialled one. */
  readonly hostname?: string;
  /** True: the certificate is not verified at all. */
  readonly insecure?: boolean;
  /** True: the chain is verified, the name is not. */
  readonly insecureHost?: boolean;
  readonly alpn?: readonly string[];
}

export type TlsVersion = 'TLSv1.2' | 'TLSv1.3';

/** TLS towards clients, on one port. A runtime that cannot honour a field refuses it when the plan is compiled. */
export interface ServerTls {
  /** By the name that the client asks for (SNI), first that fits; who asks for none of them gets the first one. */
  readonly certificates: readonly ServerCertificate[];
  /** PEM: clients must show a certificate that one of these signed. */
  readonly root: string | undefined;
  readonly minVersion: TlsVersion | undefined;
  readonly maxVersion: TlsVersion | undefined;
  /** OpenSSL's names, in the order of preference. */
  readonly cipherSuites: readonly string[] | undefined;
  readonly keyExchangeGroups: readonly string[] | undefined;
}

export interface ServerCertificate {
  /** Exact, `*.example.com`, or empty for every name. Lower case. */
  readonly hostname: string;
  /** PEM texts. */
  readonly cert: string;
  readonly key: string;
}

export interface UpstreamRequest {
  readonly method: string;
  /** Absolute http or https URL, path and query as they go on the wire. */
  readonly url: string;
  /** Lower-case names. `host`, when present, differs from the URL's authority and must be sent as it stands. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | ReadableStream<Uint8Array> | undefined;
  /** Aborting closes the connection: that is how a box learns that nobody waits any more. */
  readonly signal: AbortSignal;
  readonly tls?: UpstreamTls | undefined;
  /** The binding that takes the request, on Workers: a VPC service, for instance. The URL then only says path and Host. */
  readonly binding?: string | undefined;
}

/**
 * The body of an upstream's answer. Either it is read here, whole and bounded, or as a stream, or it is given to
 * `Platform.respond`, or it is cancelled: exactly one of the four.
 */
export interface UpstreamBody {
  /**
   * The first chunk, as soon as it is there, and it stays: whoever takes the body afterwards gets it too. Undefined: the body
   * ended without one; rejects where it broke off before. Once at most, before anything else. Left out: nobody can look.
   */
  first?(): Promise<Uint8Array | undefined>;
  /** Reads everything; more than `maxBytes` rejects with GatewayError upstream_closed. */
  read(maxBytes: number): Promise<Uint8Array>;
  /** The bytes as they come, for whoever changes them; read no faster than they are taken. Cancelling closes the connection. */
  stream(): ReadableStream<Uint8Array>;
  /** Closes the connection without reading on. */
  cancel(): void;
}

export interface UpstreamResponse {
  readonly status: number;
  /** A copy that may be edited; hop-by-hop headers are gone. */
  readonly headers: Headers;
  readonly body: UpstreamBody;
}

/**
 * Watches the bytes of one answer on their way to the client. Driven by the platform, synchronously, so that Node can pipe
 * to the socket and the others pull. Exactly one of `end`, `fail` and `gone` is called, once, last.
 */
export interface Tap {
  /** One chunk came. Returns what goes on: usually the same array; may be empty when bytes are held or dropped. */
  push(chunk: Uint8Array): Uint8Array;
  /** The upstream closed cleanly. Returns the last bytes for the client: what was held, or an error in the stream. */
  end(): StreamEnd;
  /** The upstream broke off. */
  fail(cause: unknown): StreamEnd;
  /** The client left, or the answer was given up. */
  gone(): void;
  /** Nothing given on so far is a frame without its end, and more may come: here something may be put in. Left out: never. */
  readonly isBetweenFrames?: boolean;
}

export interface StreamEnd {
  /** Sent before the end; empty when there is nothing to say. */
  readonly bytes: Uint8Array;
  /** False: the connection to the client is cut, so that nobody takes the answer for a whole one. */
  readonly complete: boolean;
}

/** Puts bytes into an answer under way. True: they are sent. */
export type Inject = (bytes: Uint8Array) => boolean;

/** An answer on its way: status and headers already as the client shall see them. */
export interface Relay {
  readonly status: number;
  readonly headers: Headers;
  readonly body: UpstreamBody;
  readonly tap: Tap;
  /** True for HEAD and for statuses without a body: the platform sends headers only and cancels the body. */
  readonly headersOnly: boolean;
  /**
   * Called once when the bytes begin to flow, with what puts bytes of Corral's own between them, past the tap. False: not now,
   * the client has not taken what is there; or it is over.
   */
  readonly onOpen?: ((inject: Inject) => void) | undefined;
}

export interface Platform {
  readonly runtime: 'node' | 'bun' | 'deno' | 'workerd';
  readonly clock: Clock;
  /** False where nothing may run between requests (Workers): probes then run with requests, through `Peer.waitUntil`. */
  readonly hasBackground: boolean;
  /**
   * One try at an upstream. Resolves when its headers are there. Rejects with a GatewayError: upstream_refused,
   * upstream_unresolved, upstream_tls, upstream_closed, or the signal's own reason when aborted. No time limits of its own.
   * Never follows redirects, never decompresses.
   */
  send(request: UpstreamRequest): Promise<UpstreamResponse>;
  /** Turns an upstream's answer into the client's: bytes leave as they come, through the tap, back-pressure reaching the box. */
  respond(relay: Relay): Response | Promise<Response>;
  /** Why this runtime cannot do what an upstream needs, or undefined. Asked once per upstream when a plan is compiled. */
  refuses(need: {
    host?: string | undefined;
    url: string;
    tls?: UpstreamTls | undefined;
    binding?: string | undefined;
  }): string | undefined;
  /** Why this runtime cannot open a port with this TLS, and what would do instead; undefined when it can. Left out: it can. */
  refusesServer?(tls: ServerTls): string | undefined;
  /** One finished line for standard output (access log). */
  print(line: string): void;
  /** One line about the gateway's own affairs, for standard error. */
  report(level: 'info' | 'warn' | 'error', message: string): void;
}

/** What a runtime knows of one request's client. */
export interface Peer {
  /** The bind's port that took the request; undefined where there is just one door (Workers). */
  readonly port: number | undefined;
  /** The client's IP address, without port; undefined when the runtime does not know it. */
  address(): string | undefined;
  /** Calls `listener` once when the client leaves before its answer has begun, where the runtime can see that. */
  onGone(listener: () => void): void;
  /** Keeps the runtime from ending work that outlives the response. */
  waitUntil(work: Promise<unknown>): void;
}
