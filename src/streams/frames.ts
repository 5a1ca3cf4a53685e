/** A stream cut into its frames, for those who change them: a frame is given when all of it is here. */
import { Carry, joined } from './carry.ts';
import type { FrameEvent, FrameSplitter, Framing } from './lines.ts';
import { ndjson } from './ndjson.ts';
import { sse } from './sse.ts';

/** No event that a box sends is near as long; the last line of /api/generate holds the context, 7 bytes a token. */
const maxFrameBytes = 4_194_304;

export class FrameTooLong extends Error {
  override readonly name = 'FrameTooLong';
}

export class Frames {
  readonly #framing: Framing;
  readonly #isSse: boolean;
  readonly #splitter: FrameSplitter;
  readonly #carry = new Carry(maxFrameBytes);

  constructor(framing: 'sse' | 'ndjson') {
    this.#isSse = framing === 'sse';
    this.#framing = this.#isSse ? sse : ndjson;
    this.#splitter = this.#framing.createSplitter();
  }

  /** The frames that this chunk completes. Throws FrameTooLong. */
  *cut(chunk: Uint8Array): Generator<Uint8Array, void, void> {
    let from = 0;
    for (let to = this.#splitter.endOf(chunk, 0); to >= 0; to = this.#splitter.endOf(chunk, to)) {
      const piece = chunk.subarray(from, to);
      from = to;
      if (this.#carry.length === 0) yield piece;
      else {
        const whole = joined([this.#carry.bytes, piece]).slice();
        this.#carry.clear();
        yield whole;
      }
    }
    if (this.#carry.length + chunk.length - from > maxFrameBytes) throw new FrameTooLong();
    this.#carry.append(chunk.subarray(from));
  }

  /** What came of a frame that was never finished; empty when there is none. */
  rest(): Uint8Array {
    const rest = this.#carry.bytes.slice();
    this.#carry.clear();
    return rest;
  }

  read(frame: Uint8Array): FrameEvent {
    return this.#framing.read(frame);
  }

  /** A frame of our own. */
  frameOf(event: string | undefined, data: string): string {
    if (!this.#isSse) return `${data}\n`;
    return `${event === undefined ? '' : `event: ${event}\n`}${dataLines(data)}\n`;
  }

  /** The frame with other data; its other lines stay. */
  withData(frame: Uint8Array, data: string): string {
    if (!this.#isSse) return `${data}\n`;
    const others = decoder
      .decode(frame)
      .split(/\r\n|\n|\r/)
      .filter((line) => line !== '' && !/^data(?::|$)/.test(line));
    return `${others.map((line) => `${line}\n`).join('')}${dataLines(data)}\n`;
  }
}

const decoder = new TextDecoder();

function dataLines(data: string): string {
  return data.includes('\n') ? data.replace(/^/gm, 'data: ').concat('\n') : `data: ${data}\n`;
}
