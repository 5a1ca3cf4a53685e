/** An upstream's answer becomes the client's where responses are web streams: Bun, Deno, Workers. */
import type { Relay, StreamEnd, Tap } from '../platform.ts';
import { networkErrorOf } from './network-errors.ts';
import { concat, ignore, WebBody } from './web-body.ts';

/** Whole answers up to this size go out in one piece: a stream costs several times as much as its bytes here. */
const smallBytes = 64 * 1024;

export function respondWeb(relay: Relay): Response | Promise<Response> {
  const { status, headers, body, tap } = relay;
  if (!(body instanceof WebBody)) throw new TypeError('respond takes the body that send gave');
  if (relay.headersOnly || body.stream === null) {
    body.cancel();
    tap.end();
    return new Response(null, { status, headers });
  }
  if (body.length !== undefined && body.length <= smallBytes) return respondWhole(relay, body);
  return new Response(tappedStream(body.stream.getReader(), tap), { status, headers });
}

/**
 * When the first chunk is already everything, it leaves as plain bytes. Nothing is held back for that: the same chunk is
 * what a stream would have sent first.
 */
async function respondWhole({ status, headers, tap }: Relay, body: WebBody): Promise<Response> {
  const reader = (body.stream as ReadableStream<Uint8Array>).getReader();
  let first: Uint8Array;
  try {
    const { done, value } = await reader.read();
    first = done ? new Uint8Array(0) : value;
  } catch (thrown) {
    return endedResponse(new Uint8Array(0), tap.fail(networkErrorOf(thrown)), status, headers);
  }
  if (first.length === body.length) return endedResponse(tap.push(first), tap.end(), status, headers);
  return new Response(tappedStream(reader, tap, first), { status, headers });
}

function endedResponse(bytes: Uint8Array, end: StreamEnd, status: number, headers: Headers): Response {
  const whole = end.bytes.length === 0 ? bytes : concat([bytes, end.bytes], bytes.length + end.bytes.length);
  headers.delete('content-length');
  if (end.complete) return new Response(whole as Uint8Array<ArrayBuffer>, { status, headers });
  return new Response(cutStream(whole), { status, headers });
}

/** The bytes and then a broken connection, so that nobody takes them for a whole answer. */
function cutStream(bytes: Uint8Array): ReadableStream<Uint8Array> {
  let isSent = bytes.length === 0;
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        if (isSent) return cut(controller);
        isSent = true;
        controller.enqueue(bytes);
      },
    },
    { highWaterMark: 0 },
  );
}

/**
 * Breaks the connection to the client. An error throws away what is queued, and Bun queues until the end of the turn: so the
 * last words get a turn of their own to leave. Bun prints every reason but undefined, Deno prints even that: it gets one line.
 */
async function cut(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 0));
  controller.error(cutReason);
}

const cutReason =
  'Deno' in globalThis
    ? Object.assign(new Error('cut: the upstream broke off'), { stack: 'cut: the upstream broke off' })
    : undefined;

/**
 * The upstream's bytes through the tap, one chunk per pull: nothing is read that the client does not take, so back-pressure
 * reaches the box. Hand-written because a TransformStream costs more per chunk and reads one chunk ahead.
 */
export function tappedStream(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  tap: Tap,
  first?: Uint8Array,
): ReadableStream<Uint8Array> {
  let isOver = false;
  let waiting = first;
  let isCutNext = false;
  let lastWords = 0;

  const finish = (controller: ReadableStreamDefaultController<Uint8Array>, end: StreamEnd) => {
    isOver = true;
    lastWords = end.bytes.length;
    if (lastWords > 0) controller.enqueue(end.bytes);
    if (end.complete) controller.close();
    else isCutNext = true;
  };

  /** False: these bytes were all held back, and the pull must go on or the stream would stall. */
  const pass = (controller: ReadableStreamDefaultController<Uint8Array>, chunk: Uint8Array): boolean => {
    const bytes = tap.push(chunk);
    if (bytes.length === 0) return false;
    controller.enqueue(bytes);
    return true;
  };

  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        if (isCutNext) return cut(controller);
        if (waiting !== undefined) {
          const chunk = waiting;
          waiting = undefined;
          if (pass(controller, chunk)) return;
        }
        while (!isOver) {
          let result: ReadableStreamReadResult<Uint8Array>;
          try {
            result = await reader.read();
          } catch (thrown) {
            if (!isOver) finish(controller, tap.fail(networkErrorOf(thrown)));
            break;
          }
          // The client may have left while this read was under way.
          if (isOver) return;
          if (result.done) finish(controller, tap.end());
          else if (pass(controller, result.value)) return;
        }
        // Nothing was said before the cut, so no further pull would come to make it.
        if (isCutNext && lastWords === 0) return cut(controller);
      },
      cancel() {
        if (isOver) return;
        isOver = true;
        tap.gone();
        reader.cancel().catch(ignore);
      },
    },
    { highWaterMark: 0 },
  );
}
