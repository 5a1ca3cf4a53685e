/**
 * An answer that begins before it is known: how a relay keeps a tunnel from giving up. Tunnels and CDNs cut what is silent for
 * 100 s or less, and a model may take longer to load. So after a moment the relay sends headers at once, then a sign of life
 * every few seconds, then one line that says what the answer is, and then its bytes as they are:
 *
 *     HTTP/1.1 200 OK
 *     content-type: text/event-stream
 *     x-corral-early: 1
 *
 *     :⏎⏎                                    as often as needed
 *     data: {"status":503,"headers":[…]}⏎⏎    once
 *     …the answer's body
 *
 * The Corral in front undoes it: it sees the true status, headers and body, and may still ask another box. Nobody else gets such an
 * answer. It calls itself an event stream because that is what proxies hand on without gathering it first.
 */
import { GatewayError } from '../errors.ts';
import type { Clock, Platform, UpstreamBody, UpstreamResponse } from '../platform.ts';
import { endToEndHeaders } from './hop-headers.ts';
import { callerHeader } from './signed-caller.ts';

export const earlyHeader = 'x-corral-early';

export interface EarlyOptions {
  readonly clock: Clock;
  readonly runtime: Platform['runtime'];
  /** An answer that is there by then goes out as it is. */
  readonly afterMs: number;
  readonly heartbeatMs: number;
  /** Asked when that time is over. False: whoever asks would not understand it. */
  readonly mayBegin: () => boolean;
  /** The client has left before the answer was there. */
  readonly onGone: () => void;
}

const heartbeat = new TextEncoder().encode(':\n\n');
const earlyHeaders = {
  'content-type': 'text/event-stream',
  'cache-control': 'no-cache, no-transform',
  'x-accel-buffering': 'no',
  [earlyHeader]: '1',
} as const;

/** The answer itself where it comes in time, and else one that holds it. Rejects as `answer` does before that. */
export function answerEarly(answer: Promise<Response>, options: EarlyOptions): Promise<Response> {
  const { clock, afterMs, mayBegin } = options;
  return new Promise((resolve, reject) => {
    const cancel = clock.after(afterMs, () => {
      if (mayBegin()) resolve(new Response(earlyStream(answer, options), { status: 200, headers: earlyHeaders }));
    });
    answer.then(
      (response) => {
        cancel();
        resolve(response);
      },
      (thrown) => {
        cancel();
        reject(thrown);
      },
    );
  });
}

type Bytes = Uint8Array<ArrayBuffer>;
type Reader = ReadableStreamDefaultReader<Uint8Array>;

function earlyStream(answer: Promise<Response>, options: EarlyOptions): ReadableStream<Bytes> {
  const { clock, heartbeatMs, onGone } = options;
  let isOver = false;
  let reader: Reader | undefined;
  let cancelBeat: () => void = () => undefined;
  const begin = async (controller: ReadableStreamDefaultController<Bytes>): Promise<void> => {
    const response = await answer;
    cancelBeat();
    if (isOver) return void response.body?.cancel().catch(() => undefined);
    controller.enqueue(headOf(response));
    reader = response.body?.getReader();
    if (reader === undefined) controller.close();
  };
  return new ReadableStream<Bytes>(
    {
      start(controller) {
        const beat = (): void => {
          controller.enqueue(heartbeat.slice());
          cancelBeat = clock.after(heartbeatMs, beat);
        };
        beat();
        // An answer that fails has no status to tell: the connection is cut, and the other end knows what that means.
        void begin(controller).catch(() => {
          cancelBeat();
          isOver = true;
          controller.error(new Error('no answer'));
        });
      },
      async pull(controller) {
        await answer.catch(() => undefined);
        if (reader === undefined || isOver) return;
        try {
          const { done, value } = await reader.read();
          if (isOver) return;
          if (done) controller.close();
          else controller.enqueue(value as Bytes);
        } catch {
          isOver = true;
          // In a turn of its own: an error throws away what is queued.
          await new Promise<void>((resolve) => clock.after(0, resolve));
          controller.error(options.runtime === 'bun' ? undefined : new Error('cut: the upstream broke off'));
        }
      },
      cancel() {
        isOver = true;
        cancelBeat();
        if (reader === undefined) onGone();
        else reader.cancel().catch(() => undefined);
      },
    },
    { highWaterMark: 0 },
  );
}

function headOf({ status, headers }: Response): Bytes {
  return new TextEncoder().encode(`data: ${JSON.stringify({ status, headers: [...headers] })}\n\n`);
}

/**
 * Whether an answer is one that began early. `shown`: what the request carried for the leg. Only a relay that has proved to be one is
 * shown a caller, and only to that does it answer so: any other box would have its own words read as a status and headers.
 */
export function isEarly(
  { headers }: Pick<UpstreamResponse, 'headers'>,
  shown: Readonly<Record<string, string>> | undefined,
): boolean {
  return shown?.[callerHeader] !== undefined && headers.get(earlyHeader) === '1';
}

const maxHeadBytes = 64 * 1024;

/** Waits for what the answer is. Throws upstream_closed where it breaks off before that; reading ends when the try is aborted. */
export async function openEarly({ body }: UpstreamResponse, name: string): Promise<UpstreamResponse> {
  const reader = body.stream().getReader();
  try {
    let kept: Bytes = new Uint8Array(0);
    for (;;) {
      const { done, value } = await reader.read();
      if (done) throw new GatewayError('upstream_closed', `${name} ended its answer before it began`);
      kept = withoutBeats(kept.length === 0 ? (value as Bytes) : joinedTo(kept, value));
      const end = endOfHead(kept);
      if (end > 0) return { ...readHead(kept.subarray(0, end), name), body: new OpenedBody(reader, kept.subarray(end)) };
      if (kept.length > maxHeadBytes) throw unreadable(name);
    }
  } catch (thrown) {
    reader.cancel().catch(() => undefined);
    throw thrown instanceof GatewayError
      ? thrown
      : new GatewayError('upstream_closed', `${name} broke off before its answer began`, { cause: thrown });
  }
}

const colon = 58;
const newline = 10;

function withoutBeats(bytes: Bytes): Bytes {
  let at = 0;
  while (bytes[at] === colon && bytes[at + 1] === newline && bytes[at + 2] === newline) at += 3;
  return bytes.subarray(at);
}

/** Behind the empty line that ends it; 0 where it is not all there. */
function endOfHead(bytes: Bytes): number {
  if (bytes[0] === colon) return 0;
  for (let at = bytes.indexOf(newline); at >= 0; at = bytes.indexOf(newline, at + 1)) {
    if (bytes[at + 1] === newline) return at + 2;
  }
  return 0;
}

function readHead(bytes: Bytes, name: string): { status: number; headers: Headers } {
  try {
    const { status, headers } = JSON.parse(new TextDecoder().decode(bytes).replace(/^data: /, '')) as Record<string, unknown>;
    if (typeof status === 'number' && status >= 200 && status <= 599) {
      const told = endToEndHeaders(new Headers(headers as [string, string][]));
      // No connection has been held to this length: with another one behind it the next answer would begin where nobody expects it.
      told.delete('content-length');
      return { status, headers: told };
    }
  } catch {
    // Said below.
  }
  throw unreadable(name);
}

function unreadable(name: string): GatewayError {
  return new GatewayError('upstream_closed', `${name} began its answer in a way that this Corral does not understand`);
}

function joinedTo(first: Uint8Array, second: Uint8Array): Bytes {
  const whole = new Uint8Array(first.length + second.length);
  whole.set(first);
  whole.set(second, first.length);
  return whole;
}

/** The body of an answer whose beginning was read here. */
export class OpenedBody implements UpstreamBody {
  readonly #reader: Reader;
  #first: Uint8Array | undefined;

  constructor(reader: Reader, first: Uint8Array) {
    this.#reader = reader;
    this.#first = first.length === 0 ? undefined : first;
  }

  async read(maxBytes: number): Promise<Uint8Array> {
    const chunks: Uint8Array[] = [];
    let total = 0;
    for (;;) {
      const chunk = await this.#next();
      if (chunk === undefined) break;
      total += chunk.length;
      if (total > maxBytes) {
        this.cancel();
        throw new GatewayError('upstream_closed', `the answer is longer than ${maxBytes} bytes`);
      }
      chunks.push(chunk);
    }
    return chunks.reduce<Uint8Array>((whole, chunk) => (whole.length === 0 ? chunk : joinedTo(whole, chunk)), new Uint8Array(0));
  }

  stream(): ReadableStream<Uint8Array> {
    return new ReadableStream<Uint8Array>(
      {
        pull: async (controller) => {
          const chunk = await this.#next();
          if (chunk === undefined) controller.close();
          else controller.enqueue(chunk);
        },
        cancel: () => this.cancel(),
      },
      { highWaterMark: 0 },
    );
  }

  cancel(): void {
    this.#reader.cancel().catch(() => undefined);
  }

  async #next(): Promise<Uint8Array | undefined> {
    const first = this.#first;
    this.#first = undefined;
    if (first !== undefined) return first;
    const { done, value } = await this.#reader.read().catch((thrown: unknown) => {
      throw thrown instanceof GatewayError
        ? thrown
        : new GatewayError('upstream_closed', 'the answer broke off', { cause: thrown });
    });
    return done ? undefined : value;
  }
}
