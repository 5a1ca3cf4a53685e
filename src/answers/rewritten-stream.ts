/** A stream of bytes through a tap and then through rewrites, one chunk per pull: back-pressure reaches the upstream. */
import type { StreamRewrite } from '../exchange.ts';
import type { Clock, Platform, StreamEnd, Tap } from '../platform.ts';
import { joined } from '../streams/carry.ts';
import { FrameBoundary } from '../streams/heartbeat.ts';
import type { StreamWatch } from '../streams/idle.ts';

/** What is said while nothing comes out. */
export interface Beats {
  readonly framing: 'sse' | 'ndjson';
  readonly everyMs: number;
  readonly watch: StreamWatch;
  beat(): Uint8Array;
}

export interface RewrittenStreamOptions {
  readonly source: ReadableStream<Uint8Array>;
  readonly tap: Tap;
  readonly rewrites: readonly StreamRewrite[];
  readonly runtime: Platform['runtime'];
  readonly clock: Clock;
  readonly beats?: Beats | undefined;
  /** A comment that is to stand before whatever comes out next, where that begins a frame; undefined: there is none. */
  takeAside?(): Uint8Array | undefined;
  /** Called before the tap is told that the answer is given up: a rewrite has ended it, or failed. */
  onGivenUp(): void;
  /** The last event for the client when a rewrite throws; empty where there is no way to say it. */
  onFault(thrown: unknown): string;
}

type Controller = ReadableStreamDefaultController<Uint8Array>;
type Bytes = Uint8Array | Promise<Uint8Array>;

export function rewrittenStream(options: RewrittenStreamOptions): ReadableStream<Uint8Array> {
  const { source, tap, rewrites } = options;
  const reader = source.getReader();
  let isOver = false;
  let isCutNext = false;
  const beating = options.beats === undefined ? undefined : new Beating(options.beats);
  const give = (controller: Controller, bytes: Uint8Array): void => {
    const aside = options.takeAside?.();
    if (aside !== undefined && beating?.isBetweenFrames === true) controller.enqueue(aside);
    beating?.passed(bytes);
    controller.enqueue(bytes);
  };
  const close = (controller: Controller): void => {
    beating?.stop();
    controller.close();
  };

  const leave = (): void => {
    isOver = true;
    beating?.stop();
    options.onGivenUp();
    tap.gone();
    reader.cancel().catch(() => undefined);
  };
  const giveUp = (controller: Controller, thrown: unknown): void => {
    const last = options.onFault(thrown);
    leave();
    if (last !== '') controller.enqueue(new TextEncoder().encode(last));
    close(controller);
  };
  const finish = async (controller: Controller, end: StreamEnd): Promise<void> => {
    const passed = end.bytes.length === 0 ? end.bytes : await through(rewrites, end.bytes);
    const last = joined([passed, await endsOf(rewrites)]);
    if (isOver) return;
    isOver = true;
    beating?.stop();
    if (last.length > 0) give(controller, last);
    if (end.complete) close(controller);
    else if (last.length > 0) isCutNext = true;
    else await cut(controller, options);
  };

  const step = async (controller: Controller): Promise<boolean> => {
    let result: ReadableStreamReadResult<Uint8Array>;
    try {
      result = await reader.read();
    } catch (thrown) {
      if (!isOver) await finish(controller, tap.fail(thrown));
      return true;
    }
    if (isOver) return true;
    if (result.done) {
      await finish(controller, tap.end());
      return true;
    }
    const passing = through(rewrites, tap.push(result.value));
    let bytes = passing instanceof Promise ? await passing : passing;
    // The client may have left while a rewrite was asking somebody.
    if (isOver) return true;
    const ended = rewrites.findIndex((rewrite) => rewrite.isOver);
    if (ended >= 0) {
      bytes = joined([bytes, await endsOf(rewrites, ended + 1)]);
      if (isOver) return true;
      leave();
    }
    if (bytes.length > 0) give(controller, bytes);
    if (ended >= 0) close(controller);
    return bytes.length > 0 || ended >= 0;
  };

  return new ReadableStream<Uint8Array>(
    {
      start: (controller) => beating?.begin(controller),
      async pull(controller) {
        if (isCutNext) return cut(controller, options);
        try {
          // A pull that gave nothing would stall the stream.
          while (!isOver && !(await step(controller)));
        } catch (thrown) {
          if (!isOver) giveUp(controller, thrown);
        }
      },
      cancel() {
        if (isOver) return;
        isOver = true;
        beating?.stop();
        tap.gone();
        reader.cancel().catch(() => undefined);
      },
    },
    { highWaterMark: 0 },
  );
}

/** Heartbeats between the frames that come out. */
class Beating {
  readonly #beats: Beats;
  readonly #boundary: FrameBoundary;

  constructor(beats: Beats) {
    this.#beats = beats;
    this.#boundary = new FrameBoundary(beats.framing);
  }

  get isBetweenFrames(): boolean {
    return this.#boundary.isBetweenFrames;
  }

  begin(controller: Controller): void {
    const { watch, everyMs, beat } = this.#beats;
    watch.beat(everyMs, () => {
      // Less than nothing is wanted: the client has not even taken what is there.
      if (!this.#boundary.isBetweenFrames || (controller.desiredSize ?? 0) < 0) return false;
      controller.enqueue(beat());
      return true;
    });
  }

  passed(bytes: Uint8Array): void {
    this.#beats.watch.touch();
    this.#boundary.push(bytes);
  }

  stop(): void {
    this.#beats.watch.stop();
  }
}

/** Through the rewrites from `index` on. Waits only where one of them does. */
function through(rewrites: readonly StreamRewrite[], bytes: Uint8Array, index = 0): Bytes {
  let passed = bytes;
  for (let at = index; at < rewrites.length && passed.length > 0; at++) {
    const rewritten = rewrites[at]?.push(passed) ?? passed;
    if (rewritten instanceof Promise) return rewritten.then((later) => through(rewrites, later, at + 1));
    passed = rewritten;
  }
  return passed;
}

/** What the rewrites from `index` on still hold. What one of them gives passes those behind it, which are asked after it. */
async function endsOf(rewrites: readonly StreamRewrite[], index = 0): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for (let at = index; at < rewrites.length; at++) {
    const rewrite = rewrites[at];
    if (rewrite === undefined || rewrite.isOver) continue;
    parts.push(await through(rewrites, await rewrite.end(), at + 1));
  }
  return joined(parts);
}

const cutMessage = 'cut: the upstream broke off';

/**
 * Breaks the connection to the client, in a turn of its own: an error throws away what is queued. Runtimes print its reason
 * with its stack; Bun prints nothing only where there is none.
 */
async function cut(controller: Controller, { runtime, clock }: RewrittenStreamOptions): Promise<void> {
  await new Promise<void>((resolve) => clock.after(0, resolve));
  controller.error(runtime === 'bun' ? undefined : Object.assign(new Error(cutMessage), { stack: cutMessage }));
}
