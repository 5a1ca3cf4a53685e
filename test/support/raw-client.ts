import { connect, type Socket } from 'node:net';
import { clearTimeout, setTimeout } from 'node:timers';
import type { RawHeaders } from './recordings.ts';

/** One answer as it stood on the wire. */
export interface RawReply {
  readonly statusLine: string;
  readonly status: number;
  /** In order and casing as received. */
  readonly headers: RawHeaders;
  /** The body with chunk framing taken off. */
  readonly body: Buffer;
  readonly text: string;
  /** HTTP chunks (one for a body with Content-Length). `atMs` counts from the opening of the connection. */
  readonly chunks: readonly { readonly text: string; readonly bytes: Buffer; readonly atMs: number }[];
  /** Every byte of this answer, framing and all. */
  readonly raw: Buffer;
  /** When the head was there. */
  readonly headAtMs: number;
  /** False when the connection ended before the body did. */
  readonly complete: boolean;
  /** The first header of that name (any casing). */
  header(name: string): string | undefined;
}

export interface RawClient {
  readonly socket: Socket;
  /** Sends bytes as they are. */
  send(bytes: string | Uint8Array): Promise<void>;
  /** Waits until what was received matches; resolves with all received text. */
  until(pattern: string | RegExp | ((text: string) => boolean), timeoutMs?: number): Promise<string>;
  /** The next whole answer; what it consumed is not looked at again. `head`: the request was a HEAD. */
  reply(options?: { timeoutMs?: number; head?: boolean }): Promise<RawReply>;
  /** Everything received so far. */
  received(): Buffer;
  /** Ends the sending side; answers still arrive. */
  halfClose(): void;
  /** Closes with a reset. */
  reset(): void;
  close(): void;
  /** Stops and goes on reading: back-pressure. */
  pause(): void;
  resume(): void;
  /** Resolves when the other side is gone: a plain end, or a reset. */
  readonly closed: Promise<'end' | 'reset'>;
}

const defaultTimeoutMs = 10_000;

/** The bytes of a request. Content-Length is added where a body has none. */
export function requestBytes(request: {
  method?: string;
  path: string;
  headers?: RawHeaders;
  body?: string | Uint8Array;
  host?: string;
}): Buffer {
  const body = Buffer.from(request.body ?? '');
  const headers = request.headers ?? [];
  const has = (name: string) => headers.some(([key]) => key.toLowerCase() === name);
  const lines = [`${request.method ?? (request.body === undefined ? 'GET' : 'POST')} ${request.path} HTTP/1.1`];
  if (!has('host')) lines.push(`Host: ${request.host ?? '127.0.0.1'}`);
  for (const [name, value] of headers) lines.push(`${name}: ${value}`);
  if (request.body !== undefined && !has('content-length') && !has('transfer-encoding'))
    lines.push(`Content-Length: ${body.length}`);
  return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), body]);
}

/** Opens a connection to a base URL or a port of 127.0.0.1. */
export async function openRawClient(target: string | number): Promise<RawClient> {
  const url = new URL(typeof target === 'number' ? `http://127.0.0.1:${target}` : target);
  const socket = connect({
    port: Number(url.port || 80),
    host: url.hostname.replace(/^\[|\]$/g, ''),
    noDelay: true,
    allowHalfOpen: true,
  });
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
  return new Wire(socket);
}

class Wire implements RawClient {
  readonly socket: Socket;
  readonly closed: Promise<'end' | 'reset'>;
  readonly #openedAt = performance.now();
  readonly #segments: { readonly endsAt: number; readonly atMs: number }[] = [];
  /** Grows by doubling: tests receive tens of megabytes. */
  #buffer = Buffer.alloc(65_536);
  #length = 0;
  #consumed = 0;
  #over = false;
  readonly #watchers = new Set<() => void>();

  constructor(socket: Socket) {
    this.socket = socket;
    let how: 'end' | 'reset' = 'end';
    socket.on('data', (bytes: Buffer) => {
      this.#append(bytes);
      this.#segments.push({ endsAt: this.#length, atMs: performance.now() - this.#openedAt });
      this.#wake();
    });
    socket.on('error', () => {
      how = 'reset';
    });
    this.closed = new Promise((resolve) => {
      const over = () => {
        this.#over = true;
        this.#wake();
        resolve(how);
      };
      socket.once('end', over);
      socket.once('close', over);
    });
  }

  send(bytes: string | Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => this.socket.write(bytes, (error) => (error ? reject(error) : resolve())));
  }

  received(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  async until(pattern: string | RegExp | ((text: string) => boolean), timeoutMs = defaultTimeoutMs): Promise<string> {
    return this.#when(`${pattern}`, timeoutMs, (over) => {
      const text = this.received().toString('utf8');
      const found =
        typeof pattern === 'string' ? text.includes(pattern) : typeof pattern === 'function' ? pattern(text) : pattern.test(text);
      if (found) return text;
      if (over) throw new Error(`the connection ended before ${pattern} came; received: ${text.slice(-2000)}`);
      return undefined;
    });
  }

  async reply(options: { timeoutMs?: number; head?: boolean } = {}): Promise<RawReply> {
    const parsed = await this.#when('a whole answer', options.timeoutMs ?? defaultTimeoutMs, (over) =>
      parseReply(this.received().subarray(this.#consumed), options.head === true, over),
    );
    const start = this.#consumed;
    this.#consumed += parsed.length;
    const headers = parsed.headers;
    const body = Buffer.concat(parsed.chunks.map((chunk) => chunk.bytes));
    return {
      statusLine: parsed.statusLine,
      status: Number(parsed.statusLine.split(' ')[1]),
      headers,
      body,
      text: body.toString('utf8'),
      chunks: parsed.chunks.map(({ bytes, endsAt }) => ({
        text: bytes.toString('utf8'),
        bytes,
        atMs: this.#timeOf(start + endsAt),
      })),
      raw: this.#buffer.subarray(start, start + parsed.length),
      headAtMs: this.#timeOf(start + parsed.headLength),
      complete: parsed.complete,
      header: (name) => headers.find(([key]) => key.toLowerCase() === name.toLowerCase())?.[1],
    };
  }

  halfClose(): void {
    this.socket.end();
  }

  reset(): void {
    this.socket.resetAndDestroy();
  }

  close(): void {
    this.socket.destroy();
  }

  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  #append(bytes: Buffer): void {
    const length = this.#length + bytes.length;
    if (length > this.#buffer.length) {
      const larger = Buffer.alloc(Math.max(length, this.#buffer.length * 2));
      this.#buffer.copy(larger, 0, 0, this.#length);
      this.#buffer = larger;
    }
    bytes.copy(this.#buffer, this.#length);
    this.#length = length;
  }

  #timeOf(offset: number): number {
    return this.#segments.find(({ endsAt }) => endsAt >= offset)?.atMs ?? Number.NaN;
  }

  #wake(): void {
    for (const watcher of this.#watchers) watcher();
  }

  #when<T>(what: string, timeoutMs: number, look: (over: boolean) => T | undefined): Promise<T> {
    return new Promise((resolve, reject) => {
      const settle = (finish: () => void) => {
        clearTimeout(timer);
        this.#watchers.delete(watcher);
        finish();
      };
      const watcher = () => {
        try {
          const found = look(this.#over);
          if (found !== undefined) settle(() => resolve(found));
        } catch (error) {
          settle(() => reject(error));
        }
      };
      const timer = setTimeout(
        () =>
          settle(() =>
            reject(new Error(`waited ${timeoutMs} ms for ${what}; received: ${this.received().toString('utf8').slice(-2000)}`)),
          ),
        timeoutMs,
      );
      this.#watchers.add(watcher);
      watcher();
    });
  }
}

interface ParsedReply {
  readonly statusLine: string;
  readonly headers: [string, string][];
  readonly headLength: number;
  readonly chunks: { bytes: Buffer; endsAt: number }[];
  readonly length: number;
  readonly complete: boolean;
}

/** The first answer in `bytes`; undefined while more must come. Interim answers (1xx) count as answers without a body. */
function parseReply(bytes: Buffer, head: boolean, over: boolean): ParsedReply | undefined {
  const headEnd = bytes.indexOf('\r\n\r\n');
  if (headEnd < 0) {
    if (over) throw new Error(`the connection ended without an answer; received: ${bytes.toString('latin1')}`);
    return undefined;
  }
  const headLength = headEnd + 4;
  const [statusLine = '', ...lines] = bytes.toString('latin1', 0, headEnd).split('\r\n');
  const headers = lines.map((line): [string, string] => [
    line.slice(0, line.indexOf(':')),
    line.slice(line.indexOf(':') + 1).trim(),
  ]);
  const value = (name: string) => headers.find(([key]) => key.toLowerCase() === name)?.[1];
  const found = { statusLine, headers, headLength };
  if (head || / (1\d\d|204|304)( |$)/.test(statusLine)) return { ...found, chunks: [], length: headLength, complete: true };
  if (value('transfer-encoding')?.toLowerCase() === 'chunked') {
    const body = parseChunks(bytes, headLength);
    return body.complete || over ? { ...found, ...body } : undefined;
  }
  const counted = value('content-length');
  const wanted = counted === undefined ? Number.POSITIVE_INFINITY : headLength + Number(counted);
  if (bytes.length < wanted && !over) return undefined;
  const length = Math.min(wanted, bytes.length);
  const chunks = length > headLength ? [{ bytes: bytes.subarray(headLength, length), endsAt: length }] : [];
  return { ...found, chunks, length, complete: counted === undefined || length === wanted };
}

function parseChunks(bytes: Buffer, from: number): { chunks: ParsedReply['chunks']; length: number; complete: boolean } {
  const chunks: ParsedReply['chunks'] = [];
  let at = from;
  for (;;) {
    const lineEnd = bytes.indexOf('\r\n', at);
    if (lineEnd < 0) return { chunks, length: bytes.length, complete: false };
    const size = Number.parseInt(bytes.toString('latin1', at, lineEnd), 16);
    const end = lineEnd + 2 + size;
    if (!(size >= 0) || bytes.length < end + 2) return { chunks, length: bytes.length, complete: false };
    if (size === 0) return { chunks, length: end + 2, complete: true };
    chunks.push({ bytes: bytes.subarray(lineEnd + 2, end), endsAt: end });
    at = end + 2;
  }
}
