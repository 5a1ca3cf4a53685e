/** What framings have in common. A frame is the smallest piece that a client acts upon: an SSE event, an NDJSON line. */

export const lineFeed = 0x0a;
export const carriageReturn = 0x0d;

/** Finds where frames end in bytes that come in any pieces. Keeps a few flags between calls, never bytes. */
export interface FrameSplitter {
  /**
   * Index after the end of the frame that `chunk` goes on with at `from`; -1 when that frame goes on in the next chunk. To be
   * called again with what it returned until it returns -1.
   */
  endOf(chunk: Uint8Array, from: number): number;
}

/** One frame taken apart. `data` is undefined where a client would see nothing: comments, blank lines. */
export interface FrameEvent {
  readonly data: string | undefined;
  readonly event: string | undefined;
}

export interface Framing {
  createSplitter(): FrameSplitter;
  read(frame: Uint8Array): FrameEvent;
  /** Whether the frame `bytes[from, to)` carries an event: a guess from how it begins, for counting. */
  isEvent(bytes: Uint8Array, from: number, to: number): boolean;
  /** What to send after a frame that broke off and was partly sent (at least one byte), so that the next begins cleanly. */
  closingOf(brokenFrame: Uint8Array): string;
}
