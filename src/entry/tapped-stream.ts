/** Streams to the client where responses are web streams. */
import type { Relay, StreamEnd, Tap } from '../platform.ts';
import { networkErrorOf } from './network-errors.ts';
import { ignore, type Reading } from './web-body.ts';

type Controller = ReadableStreamDefaultController<Uint8Array>;

/**
 * The upstream's bytes through the tap, one chunk per pull: nothing is read that the client does not take, so back-pressure
 * reaches the box. Hand-written because a TransformStream costs more per chunk and reads one chunk ahead. `begun` are
 * readings of the same reader that come first; `onOpen` is the relay's.
 */
export function tappedStream(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  tap: Tap,
  begun: readonly Reading[] = [],
  onOpen?: Relay['onOpen'],
): ReadableStream<Uint8Array> {
  const waiting = [...begun];
  let isOver = false;
  let isCutNext = false;

  /** True when something was given to the client; otherwise the pull must go on, or the stream would stall. */
  const give = (controller: Controller, bytes: Uint8Array): boolean => {
    if (bytes.length === 0) return false;
    controller.enqueue(bytes);
    return true;
  };

  const finish = async (controller: Controller, end: StreamEnd): Promise<void> => {
    isOver = true;
    const hasLastWords = give(controller, end.bytes);
    if (end.complete) controller.close();
    // The client takes the last words first; its next pull brings the cut.
    else if (hasLastWords) isCutNext = true;
    else await cut(controller);
  };

  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        onOpen?.((bytes) => {
          // Less than nothing is wanted: the client has not even taken what is there.
          if (isOver || (controller.desiredSize ?? 0) < 0) return false;
          return give(controller, bytes);
        });
      },
      async pull(controller) {
        if (isCutNext) return cut(controller);
        while (!isOver) {
          let result: ReadableStreamReadResult<Uint8Array>;
          try {
            result = (await (waiting.length > 0 ? waiting.shift() : reader.read())) as ReadableStreamReadResult<Uint8Array>;
          } catch (thrown) {
            if (!isOver) await finish(controller, tap.fail(networkErrorOf(thrown)));
            return;
          }
          // The client may have left while this read was under way.
          if (isOver) return;
          if (result.done) return finish(controller, tap.end());
          if (give(controller, tap.push(result.value))) return;
        }
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

/** The bytes and then a broken connection, so that nobody takes them for a whole answer. */
export function cutStream(bytes: Uint8Array): ReadableStream<Uint8Array> {
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
 * last words get a turn of their own to leave.
 */
async function cut(controller: Controller): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 0));
  controller.error(cutReason);
}

/** Runtimes print the reason of a broken stream, with its stack: Bun all but undefined, the others even that. */
const cutMessage = 'cut: the upstream broke off';
const cutReason = 'Bun' in globalThis ? undefined : Object.assign(new Error(cutMessage), { stack: cutMessage });
