/// <reference types="node" />
/**
 * Answers on Node. Where the gateway's policies want a Response they get one that costs next to nothing; once it has come
 * through them all, the upstream's bytes are written to the socket directly, without a web stream in between.
 */
import type { ServerResponse } from 'node:http';
import type { Relay, StreamEnd, Tap } from '../platform.ts';
import { NodeBody } from './node-body.ts';

/** Takes the relay out of a Response that `respondNode` made. Undefined: an ordinary Response, or one already taken. */
export type TakeRelay = (response: Response) => Relay | undefined;

export function createNodeRespond(): { respond(relay: Relay): Response; takeRelay: TakeRelay } {
  // Made at first use: @hono/node-server replaces the global Response by its own, and only that one is cheap.
  let RelayResponse: ReturnType<typeof defineRelayResponse> | undefined;
  return {
    respond(relay) {
      const { status, headers, body, tap } = relay;
      if (relay.headersOnly) {
        body.cancel();
        tap.end();
        return new Response(null, { status, headers });
      }
      RelayResponse ??= defineRelayResponse();
      return new RelayResponse(relay);
    },
    takeRelay: (response) => (RelayResponse !== undefined && response instanceof RelayResponse ? response.take() : undefined),
  };
}

function defineRelayResponse() {
  return class extends Response {
    #relay: Relay | undefined;
    #stream: ReadableStream<Uint8Array<ArrayBuffer>> | undefined;

    constructor(relay: Relay) {
      super(null, { status: relay.status, headers: relay.headers });
      this.#relay = relay;
    }

    take(): Relay | undefined {
      const relay = this.#relay;
      this.#relay = undefined;
      return relay;
    }

    /** For a policy that wraps the response (`new Response(response.body, response)`): slower, and just as right. */
    override get body(): ReadableStream<Uint8Array<ArrayBuffer>> | null {
      const relay = this.take();
      if (relay !== undefined) this.#stream = streamOf(relay);
      return this.#stream ?? null;
    }
  };
}

/** Writes the relay's answer to the client, bytes as they come, back-pressure reaching the upstream. */
export function pipe({ status, headers, body, tap, onOpen }: Relay, outgoing: ServerResponse): void {
  const source = nodeBodyOf(body);
  if (outgoing.destroyed || outgoing.closed) {
    source.cancel();
    tap.gone();
    return;
  }
  const whole = source.whole;
  if (whole !== undefined) {
    pipeWhole(whole, status, headers, tap, outgoing);
    return;
  }
  outgoing.writeHead(status, rawHeadersOf(headers));
  let isOver = false;
  const finish = (end: StreamEnd) => {
    if (isOver) return;
    isOver = true;
    outgoing.off('close', onClose);
    finishWriting(outgoing, end);
  };
  const onClose = () => {
    if (isOver) return;
    isOver = true;
    source.cancel();
    tap.gone();
  };
  const resume = () => source.resume();
  outgoing.once('close', onClose);
  onOpen?.((bytes) => {
    if (isOver || outgoing.writableNeedDrain) return false;
    outgoing.write(bytes);
    return true;
  });
  source.take({
    data(chunk) {
      const bytes = tap.push(chunk);
      if (bytes.length === 0 || outgoing.write(bytes)) return true;
      // Several chunks may come before the parser obeys; one listener is enough.
      if (outgoing.listenerCount('drain', resume) === 0) outgoing.once('drain', resume);
      return false;
    },
    end: () => finish(tap.end()),
    fail: (cause) => finish(tap.fail(cause)),
  });
}

/** Everything is here: one write. */
function pipeWhole(whole: Uint8Array, status: number, headers: Headers, tap: Tap, outgoing: ServerResponse): void {
  const bytes = whole.length === 0 ? whole : tap.push(whole);
  const end = tap.end();
  // As it was announced, it would look whole to the client; and a tap may have changed the length.
  if (!end.complete || bytes.length + end.bytes.length !== whole.length) headers.delete('content-length');
  const raw = rawHeadersOf(headers);
  if (!end.complete || end.bytes.length > 0) {
    outgoing.writeHead(status, raw);
    if (bytes.length > 0) outgoing.write(bytes);
    finishWriting(outgoing, end);
    return;
  }
  if (!headers.has('content-length')) raw.push('content-length', String(bytes.length));
  outgoing.writeHead(status, raw);
  outgoing.end(bytes);
}

function finishWriting(outgoing: ServerResponse, end: StreamEnd): void {
  if (end.complete) {
    if (end.bytes.length > 0) outgoing.end(end.bytes);
    else outgoing.end();
    return;
  }
  // The last words must have left before the connection is cut; without any, the headers must have.
  if (end.bytes.length > 0) outgoing.write(end.bytes, () => outgoing.destroy());
  else {
    outgoing.flushHeaders();
    setImmediate(() => outgoing.destroy());
  }
}

/** Name, value, name, value: the form that Node writes without looking again. */
function rawHeadersOf(headers: Headers): string[] {
  const raw: string[] = [];
  for (const [name, value] of headers) raw.push(name, value);
  return raw;
}

function nodeBodyOf(body: Relay['body']): NodeBody {
  if (!(body instanceof NodeBody)) throw new TypeError('respond takes the body that send gave');
  return body;
}

function streamOf({ body, tap, onOpen }: Relay): ReadableStream<Uint8Array<ArrayBuffer>> {
  const source = nodeBodyOf(body);
  let isOver = false;
  return new ReadableStream<Uint8Array<ArrayBuffer>>({
    start(controller) {
      const finish = (end: StreamEnd) => {
        isOver = true;
        if (end.bytes.length > 0) controller.enqueue(end.bytes as Uint8Array<ArrayBuffer>);
        if (end.complete) controller.close();
        else setImmediate(() => controller.error(new Error('the upstream broke off')));
      };
      onOpen?.((bytes) => {
        if (isOver || (controller.desiredSize ?? 0) < 0) return false;
        controller.enqueue(bytes as Uint8Array<ArrayBuffer>);
        return true;
      });
      source.take({
        data(chunk) {
          const bytes = tap.push(chunk);
          if (bytes.length > 0) controller.enqueue(bytes as Uint8Array<ArrayBuffer>);
          return (controller.desiredSize ?? 0) > 0;
        },
        end: () => finish(tap.end()),
        fail: (cause) => finish(tap.fail(cause)),
      });
    },
    pull: () => source.resume(),
    cancel() {
      if (isOver) return;
      isOver = true;
      source.cancel();
      tap.gone();
    },
  });
}
