/** Where something may be put into a stream of frames: between two of them, and nowhere else. */
import type { FrameSplitter } from './lines.ts';
import { ndjson } from './ndjson.ts';
import { sse } from './sse.ts';

/** Follows the bytes of a stream as they leave. Keeps a few flags, never bytes. */
export class FrameBoundary {
  readonly #splitter: FrameSplitter;
  #isBetween = true;

  constructor(framing: 'sse' | 'ndjson') {
    this.#splitter = (framing === 'sse' ? sse : ndjson).createSplitter();
  }

  /** No frame has begun that has not ended. */
  get isBetweenFrames(): boolean {
    return this.#isBetween;
  }

  push(chunk: Uint8Array): void {
    let from = 0;
    for (let to = this.#splitter.endOf(chunk, 0); to >= 0; to = this.#splitter.endOf(chunk, to)) from = to;
    if (chunk.length > 0) this.#isBetween = from === chunk.length;
  }
}
