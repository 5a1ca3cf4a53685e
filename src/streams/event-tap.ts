/**
 * Watches a stream of events. Bytes pass unchanged and at once. The one exception: where Corral asked for usage that the client
 * did not ask for, the event that carries it is taken out again; as it may be split anywhere, the frame that a chunk leaves
 * unfinished then waits for its rest (no client can act upon half a frame anyway).
 */
import type { StreamEnd, Tap } from '../platform.ts';
import { Carry, joined } from './carry.ts';
import type { FrameSplitter, Framing } from './lines.ts';
import { ndjson } from './ndjson.ts';
import { type NeedleSearch, searchOf } from './needles.ts';
import { brokeOff, noBytes, stoppedShort, type TapListeners, type TapReport } from './report.ts';
import type { StreamSeen, StreamShape } from './shape.ts';
import { sse } from './sse.ts';
import { StreamStory } from './story.ts';

/** A longer frame is passed on unfinished rather than held. No usage-only event is near as long. */
const maxHeldBytes = 16_384;
/** Of a longer frame only the beginning is read. The last line of /api/generate holds the context: 7 bytes a token. */
const maxFrameBytes = 4_194_304;

export interface EventTapOptions extends TapListeners {
  readonly shape: StreamShape;
  /** True: events that are `isUsageOnly` do not reach the client. */
  readonly removeUsageOnly: boolean;
  /** The event that tells the client that its answer is broken; complete frames, `\n` ended. */
  errorEvent(message: string, seen: StreamSeen): string;
  /**
   * Asked once, when the box has said how its answer ended and the client has not been told yet: a comment that is put before
   * that, whole frames of the client's framing. Left out, undefined: nothing is put in.
   */
  readonly asideAtEnd?: ((report: TapReport) => Uint8Array | undefined) | undefined;
}

/**
 * A stream without its terminator is broken, even where the connection ended cleanly: that is how a crashed runner looks on /v1
 * (Ollama middleware/openai.go). The client then gets `errorEvent`, never an invented terminator, and the answer ends cleanly:
 * the error says more than a cut connection, which would often lose it. Where the box told of its failure itself, nothing is
 * added. A last frame that lacks only its line end, as some servers leave it, counts and gets one.
 */
export function createEventTap(options: EventTapOptions): Tap {
  return new EventTap(options);
}

class EventTap implements Tap {
  readonly #options: EventTapOptions;
  readonly #framing: Framing;
  readonly #splitter: FrameSplitter;
  readonly #isTelling: NeedleSearch;
  readonly #story: StreamStory;
  /** What came of the frame that is not finished. */
  readonly #carry = new Carry(maxFrameBytes);
  /** Nothing of that frame was sent yet. */
  #isHeld = false;
  /** Rarely. By itself, as it is looked at with each chunk. */
  readonly #hasAside: boolean;
  #bytes = 0;
  #hasBegun = false;
  #isOver = false;

  constructor(options: EventTapOptions) {
    this.#options = options;
    this.#hasAside = options.asideAtEnd !== undefined;
    this.#framing = options.shape.framing === 'sse' ? sse : ndjson;
    this.#splitter = this.#framing.createSplitter();
    this.#isTelling = searchOf(options.shape.telling);
    this.#story = new StreamStory(options.shape);
  }

  get isBetweenFrames(): boolean {
    return !this.#isOver && !this.#story.isEnded && (this.#carry.length === 0 || this.#isHeld);
  }

  push(chunk: Uint8Array): Uint8Array {
    if (chunk.length === 0) return chunk;
    if (!this.#hasBegun) this.#options.onFirstByte();
    this.#hasBegun = true;
    this.#options.onBytes?.();
    const sent = this.#hasAside ? this.#withAside(chunk) : this.#pass(chunk);
    this.#bytes += sent.length;
    return sent;
  }

  #pass(chunk: Uint8Array): Uint8Array {
    return this.#options.removeUsageOnly ? this.#sift(chunk) : this.#watch(chunk);
  }

  /** What ends the answer may stand anywhere in its chunk, and clients read no further: the comment comes before all of it. */
  #withAside(chunk: Uint8Array): Uint8Array {
    const wasBetweenFrames = this.isBetweenFrames;
    const wasEnded = this.#story.isEnded;
    const sent = this.#pass(chunk);
    if (wasEnded || !this.#story.isEnded) return sent;
    const aside = this.#options.asideAtEnd?.(this.#story.report('completed', undefined, undefined, this.#bytes));
    if (aside === undefined) return sent;
    if (wasBetweenFrames) return joined([aside, sent]);
    return this.#carry.length === 0 ? joined([sent, aside]) : sent;
  }

  end(): StreamEnd {
    return this.#close(stoppedShort(this.#options.server), undefined);
  }

  fail(cause: unknown): StreamEnd {
    return this.#close(brokeOff(this.#options.server), cause);
  }

  gone(): void {
    // Clients hang up as soon as they have read the terminator: nothing was abandoned then.
    this.#report('abandoned', undefined, undefined);
  }

  #watch(chunk: Uint8Array): Uint8Array {
    let from = 0;
    for (let to = this.#splitter.endOf(chunk, 0); to >= 0; to = this.#splitter.endOf(chunk, to)) {
      if (this.#carry.length === 0) {
        this.#read(chunk, from, to);
      } else {
        this.#carry.append(chunk.subarray(from, to));
        this.#read(this.#carry.bytes, 0, this.#carry.length);
        this.#carry.clear();
      }
      from = to;
    }
    if (from < chunk.length) this.#carry.append(chunk.subarray(from));
    return chunk;
  }

  /** As `#watch`, but usage-only frames are left out and an unfinished frame is held. */
  #sift(chunk: Uint8Array): Uint8Array {
    const sent: Uint8Array[] = [];
    let from = 0;
    let passedTo = 0; // Up to here the chunk was sent, held or left out.
    for (let to = this.#splitter.endOf(chunk, 0); to >= 0; to = this.#splitter.endOf(chunk, to)) {
      if (this.#carry.length === 0) {
        if (this.#read(chunk, from, to)) {
          sent.push(chunk.subarray(passedTo, from));
          passedTo = to;
        }
      } else {
        const heldBytes = this.#carry.length;
        this.#carry.append(chunk.subarray(from, to));
        const isUsageOnly = this.#read(this.#carry.bytes, 0, this.#carry.length);
        if (this.#isHeld && isUsageOnly) passedTo = to;
        else if (this.#isHeld) sent.push(this.#carry.bytes.slice(0, heldBytes));
        this.#carry.clear();
      }
      from = to;
    }
    if (from < chunk.length) {
      const heldBytes = this.#carry.length;
      if (heldBytes === 0) this.#isHeld = true;
      this.#carry.append(chunk.subarray(from));
      if (this.#isHeld && this.#carry.length > maxHeldBytes) {
        this.#isHeld = false;
        sent.push(this.#carry.bytes.slice(0, heldBytes));
      } else if (this.#isHeld) {
        sent.push(chunk.subarray(passedTo, from));
        passedTo = chunk.length;
      }
    }
    if (passedTo === 0 && sent.length === 0) return chunk;
    sent.push(chunk.subarray(passedTo));
    return joined(sent);
  }

  /** Learns from one whole frame. True: it only exists because Corral asked for usage. */
  #read(bytes: Uint8Array, from: number, to: number): boolean {
    if (!this.#isTelling(bytes, from, to)) {
      if (this.#framing.isEvent(bytes, from, to)) this.#story.events++;
      return false;
    }
    const { data, event } = this.#framing.read(bytes.subarray(from, to));
    return data !== undefined && this.#story.learn(data, event);
  }

  #close(failure: string, cause: unknown): StreamEnd {
    if (this.#isOver) return { bytes: noBytes, complete: true };
    const wasEnded = this.#story.isEnded;
    this.#readUnfinished();
    const held = this.#isHeld ? this.#carry.bytes.slice() : noBytes;
    const closing = this.#carry.length === 0 ? '' : this.#framing.closingOf(this.#carry.bytes);
    let last: Uint8Array = held;
    if (!this.#story.isEnded) {
      // A held half frame is left out: at the end of a stream no client would act upon it.
      const error = this.#options.errorEvent(failure, this.#story.seen());
      last = encoder.encode(this.#isHeld ? error : closing + error);
    } else if (!wasEnded) {
      last = joined([held, encoder.encode(closing)]);
    }
    this.#bytes += last.length;
    this.#report('broken', failure, cause);
    return { bytes: last, complete: true };
  }

  /** The last frame may lack only its line end. What broke off within its data says nothing. */
  #readUnfinished(): void {
    if (this.#carry.length === 0 || !this.#isTelling(this.#carry.bytes, 0, this.#carry.length)) return;
    const { data, event } = this.#framing.read(this.#carry.bytes);
    if (data === undefined || data === '' || (data.startsWith('{') && !isJson(data))) return;
    if (this.#story.learn(data, event) && this.#isHeld) this.#carry.clear();
  }

  #report(how: TapReport['how'], failure: string | undefined, cause: unknown): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#options.onEnd(this.#story.report(how, failure, cause, this.#bytes));
  }
}

const encoder = new TextEncoder();

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
