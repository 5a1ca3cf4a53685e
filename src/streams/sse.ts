/**
 * Server-sent events (WHATWG HTML, "Parsing an event stream"): lines end with `\n`, `\r\n` or `\r`, a blank line dispatches what
 * stood before it, an event that the stream's end cuts off is not dispatched.
 */
import { carriageReturn, type FrameEvent, type FrameSplitter, type Framing, lineFeed } from './lines.ts';

// Not fatal: what cannot be decoded is the client's affair. Takes away a byte order mark, which may only come first.
const decoder = new TextDecoder();
const colon = 0x3a;

export const sse: Framing = {
  createSplitter: () => new SseSplitter(),
  read: readEvent,
  isEvent,
  closingOf,
};

class SseSplitter implements FrameSplitter {
  /** The line so far has no byte. */
  #isLineEmpty = true;
  /** The last byte was a `\r`: a `\n` right behind it belongs to the same line end, also across chunks. */
  #isAfterReturn = false;

  endOf(chunk: Uint8Array, from: number): number {
    const { length } = chunk;
    let at = from;
    if (this.#isAfterReturn && at < length) {
      this.#isAfterReturn = false;
      if (chunk[at] === lineFeed) at++;
    }
    let lineFrom = this.#isLineEmpty ? at : -1;
    for (; at < length; at++) {
      const byte = chunk[at] as number;
      // Nearly every byte stops here. A plain loop: on V8 a native search costs as much for chunks of this size.
      if (byte > carriageReturn || (byte !== lineFeed && byte !== carriageReturn)) continue;
      const isBlank = at === lineFrom;
      if (byte === carriageReturn) {
        if (at + 1 === length) this.#isAfterReturn = true;
        else if (chunk[at + 1] === lineFeed) at++;
      }
      lineFrom = at + 1;
      if (isBlank) break;
    }
    this.#isLineEmpty = lineFrom === Math.min(at + 1, length);
    return at < length ? at + 1 : -1;
  }
}

function isEvent(bytes: Uint8Array, from: number, to: number): boolean {
  // The `\n` of a `\r\n` that two chunks shared comes first in the next frame.
  const at = bytes[from] === lineFeed ? from + 1 : from;
  return at < to && bytes[at] !== colon && bytes[at] !== lineFeed && bytes[at] !== carriageReturn;
}

/** `data` lines joined with `\n`, the last `event` name; comments and other fields are passed over. */
function readEvent(frame: Uint8Array): FrameEvent {
  let data: string | undefined;
  let event: string | undefined;
  for (const line of decoder.decode(frame).split(/\r\n|\n|\r/)) {
    const nameEnd = line.indexOf(':');
    const name = nameEnd < 0 ? line : line.slice(0, nameEnd);
    if (name !== 'data' && name !== 'event') continue;
    const valueFrom = line.charAt(nameEnd + 1) === ' ' ? nameEnd + 2 : nameEnd + 1;
    const value = nameEnd < 0 ? '' : line.slice(valueFrom);
    if (name === 'event') event = value;
    else data = data === undefined ? value : `${data}\n${value}`;
  }
  return { data, event };
}

/**
 * A half event cannot be called back: whatever is sent next either continues its data or dispatches it. Dispatching wins. The
 * openai and anthropic SDKs throw on data that is no JSON, which ends the stream as failed; clients that skip such data read
 * the error event behind it. Continuing the data would hide the error for both, and cutting the connection instead loses it in
 * the socket's buffers as often as not.
 */
function closingOf(brokenFrame: Uint8Array): string {
  const last = brokenFrame.at(-1);
  if (last === lineFeed) return '\n';
  if (last === carriageReturn) return '\n\n';
  const lineFrom = Math.max(brokenFrame.lastIndexOf(lineFeed), brokenFrame.lastIndexOf(carriageReturn)) + 1;
  // A line that stops before its colon may read `data`, and that alone would dispatch an empty event: spoil the name.
  return brokenFrame.indexOf(colon, lineFrom) < 0 ? '-\n\n' : '\n\n';
}
