/** An upstream's answer becomes the client's where responses are web streams: Bun, Deno, Workers. */
import type { Relay, StreamEnd } from '../platform.ts';
import { cutStream, tappedStream } from './tapped-stream.ts';
import { concat, type Reading, WebBody } from './web-body.ts';

/** Whole answers up to this size go out in one piece: a stream costs several times as much as its bytes here. */
const smallBytes = 64 * 1024;

export function respondWeb(relay: Relay): Response | Promise<Response> {
  const { status, headers, body, tap } = relay;
  if (!(body instanceof WebBody)) throw new TypeError('respond takes the body that send gave');
  const { source } = body;
  if (relay.headersOnly || source === null) {
    body.cancel();
    tap.end();
    return new Response(null, { status, headers });
  }
  // Somebody has looked whether it begins well: only done with streams.
  if (body.begun !== undefined) return respondStream(relay, body.begun.reader, [body.begun.reading]);
  const reader = source.getReader();
  if (body.length !== undefined)
    return body.length <= smallBytes ? respondSmall(relay, reader, body.length) : respondStream(relay, reader);
  return headers.get('content-type')?.startsWith('application/json') === true
    ? respondJson(relay, reader)
    : respondStream(relay, reader);
}

type Reader = ReadableStreamDefaultReader<Uint8Array>;

function respondStream({ status, headers, tap, onOpen }: Relay, reader: Reader, begun: readonly Reading[] = []): Response {
  return new Response(tappedStream(reader, tap, begun, onOpen), { status, headers });
}

/**
 * A box that announces a length has its whole answer ready. When the first chunk is all of it, it leaves as plain bytes;
 * nothing is held back for that, the same chunk is what a stream would have sent first.
 */
async function respondSmall(relay: Relay, reader: Reader, length: number): Promise<Response> {
  const reading = reader.read();
  const first = await reading.catch(() => undefined);
  if (first?.done === false && first.value.length === length) return respondWhole(relay, first.value);
  return respondStream(relay, reader, [reading]);
}

/**
 * Ollama's whole answers above 2 KB come chunked, in one packet: on Bun their end is known a few microtasks after their
 * bytes. What is not known by then goes out as the stream that it is.
 */
async function respondJson(relay: Relay, reader: Reader): Promise<Response> {
  const reading = reader.read();
  const first = await settledSoon(reading);
  if (first === undefined || first.done) return respondStream(relay, reader, [reading]);
  const following = reader.read();
  const second = await settledSoon(following);
  return second?.done === true ? respondWhole(relay, first.value) : respondStream(relay, reader, [reading, following]);
}

/** What a reading brings, if it does so before anything else happens; undefined for later, and for failures. */
async function settledSoon(reading: Reading): Promise<ReadableStreamReadResult<Uint8Array> | undefined> {
  let result: ReadableStreamReadResult<Uint8Array> | undefined;
  let isSettled = false;
  reading.then(
    (settled) => {
      result = settled;
      isSettled = true;
    },
    () => {
      isSettled = true;
    },
  );
  for (let turn = 0; turn < soonTurns && !isSettled; turn++) await undefined;
  return result;
}

/** Bun was seen to need four. */
const soonTurns = 6;

function respondWhole({ status, headers, tap }: Relay, bytes: Uint8Array): Response {
  const passed = tap.push(bytes);
  return endedResponse(passed, tap.end(), status, headers);
}

function endedResponse(bytes: Uint8Array, end: StreamEnd, status: number, headers: Headers): Response {
  const whole = end.bytes.length === 0 ? bytes : concat([bytes, end.bytes], bytes.length + end.bytes.length);
  // The runtime counts: a tap may have changed the length.
  headers.delete('content-length');
  if (end.complete) return new Response(whole as Uint8Array<ArrayBuffer>, { status, headers });
  return new Response(cutStream(whole), { status, headers });
}
