/**
 * Watches a stream of events. Bytes pass unchanged and at once. The one exception: where Corral asked for usage that the client
 * did not ask for, the event that carries it is taken out again; as it may be split anywhere, the frame that a chunk leaves
 * unfinished then waits for its rest (no client can act upon half a frame anyway).
 */
import type { StreamEnd, Tap } from '../platform.ts';
import { Carry, joined } from './carry.ts';
import type { FrameSplitter, Framing } from './lines.ts';
import { ndjson } from './ndjson.ts';
import { createNeedleSearch, type NeedleSearch } from './needles.ts';
import { brokeOff, noBytes, stoppedShort, type TapListeners, type TapReport } from './report.ts';
import type { StreamSeen, StreamShape } from './shape.ts';
import { sse } from './sse.ts';

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
}

/**
 * A stream without its terminator is broken, even where the connection ended cleanly: that is how a crashed runner looks on /v1
 * (Ollama middleware/openai.go). The client then gets `errorEvent`, never an invented terminator, and the answer ends cleanly:
 * the error says more than a cut connection, which would often lose it. Where the box told of its failure itself, nothing is
 * added. A terminator that lacks only its line end counts: some servers leave that out.
 */
export function createEventTap(options: EventTapOptions): Tap {
  return new EventTap(options);
}

class EventTap implements Tap {
  readonly #options: EventTapOptions;
  readonly #shape: StreamShape;
  readonly #framing: Framing;
  readonly #splitter: FrameSplitter;
  readonly #isTelling: NeedleSearch;
  /** What came of the frame that is not finished. */
  readonly #carry = new Carry(maxFrameBytes);
  /** Nothing of that frame was sent yet. */
  #isHeld = false;
  #bytes = 0;
  #hasBegun = false;
  #isOver = false;
  #isTerminated = false;
  #events = 0;
  #known: { usage?: TapReport['usage']; failed?: string; model?: string; answerId?: string } = {};

  constructor(options: EventTapOptions) {
    this.#options = options;
    this.#shape = options.shape;
    this.#framing = options.shape.framing === 'sse' ? sse : ndjson;
    this.#splitter = this.#framing.createSplitter();
    this.#isTelling = searchOf(options.shape);
  }

  push(chunk: Uint8Array): Uint8Array {
    if (chunk.length === 0) return chunk;
    if (!this.#hasBegun) this.#options.onFirstByte();
    this.#hasBegun = true;
    this.#options.onBytes?.();
    const sent = this.#options.removeUsageOnly ? this.#sift(chunk) : this.#watch(chunk);
    this.#bytes += sent.length;
    return sent;
  }

  end(): StreamEnd {
    return this.#close(stoppedShort, undefined);
  }

  fail(cause: unknown): StreamEnd {
    return this.#close(brokeOff, cause);
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
        this.#carry.append(chunk.subarray(from, to));
        const isUsageOnly = this.#read(this.#carry.bytes, 0, this.#carry.length);
        if (this.#isHeld) {
          if (!isUsageOnly) sent.push(this.#carry.bytes.slice());
          passedTo = to;
        }
        this.#carry.clear();
      }
      from = to;
    }
    if (from < chunk.length) {
      if (this.#carry.length === 0) this.#isHeld = true;
      this.#carry.append(chunk.subarray(from));
      if (this.#isHeld) {
        sent.push(chunk.subarray(passedTo, from));
        passedTo = chunk.length;
        if (this.#carry.length > maxHeldBytes) {
          sent.push(this.#carry.bytes.slice());
          this.#isHeld = false;
        }
      }
    }
    if (passedTo === 0) return chunk;
    sent.push(chunk.subarray(passedTo));
    return joined(sent);
  }

  /** Learns from one whole frame. True: it only exists because Corral asked for usage. */
  #read(bytes: Uint8Array, from: number, to: number): boolean {
    if (!this.#isTelling(bytes, from, to)) {
      if (this.#framing.isEvent(bytes, from, to)) this.#events++;
      return false;
    }
    const { data, event } = this.#framing.read(bytes.subarray(from, to));
    return data !== undefined && this.#learn(data, event);
  }

  #learn(data: string, event: string | undefined): boolean {
    const isTerminator = this.#shape.isTerminator(data, event);
    if (isTerminator) this.#isTerminated = true;
    const facts = this.#shape.factsOf(data, event);
    const known = this.#known;
    if (facts.usage !== undefined) known.usage = facts.usage;
    if (facts.model !== undefined) known.model = facts.model;
    if (facts.answerId !== undefined) known.answerId = facts.answerId;
    if (facts.failed !== undefined) known.failed ??= facts.failed;
    const isUsageOnly = facts.isUsageOnly === true;
    if (!isTerminator && !isUsageOnly && facts.usage === undefined && facts.failed === undefined) this.#events++;
    return isUsageOnly;
  }

  #close(failure: string, cause: unknown): StreamEnd {
    if (this.#isOver) return { bytes: noBytes, complete: true };
    this.#readUnfinished();
    let last = this.#isHeld ? this.#carry.bytes.slice() : noBytes;
    const isExplained = this.#isTerminated || this.#known.failed !== undefined;
    if (!isExplained) {
      // A held half frame is left out: at the end of a stream no client would act upon it.
      const closing = this.#isHeld || this.#carry.length === 0 ? '' : this.#framing.closingOf(this.#carry.bytes);
      const { answerId, model } = this.#known;
      const error = this.#options.errorEvent(failure, { answerId, model, events: this.#events });
      last = new TextEncoder().encode(closing + error);
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
    if (this.#learn(data, event) && this.#isHeld) this.#carry.clear();
  }

  /** `how` and `failure` stand unless the stream itself said how it ended. */
  #report(how: TapReport['how'], failure: string | undefined, cause: unknown): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const { usage, model, failed } = this.#known;
    const ending = failed !== undefined ? 'broken' : this.#isTerminated ? 'completed' : how;
    const reason = failed ?? (ending === 'broken' ? failure : undefined);
    this.#options.onEnd({
      how: ending,
      bytes: this.#bytes,
      events: this.#events,
      ...(usage !== undefined && { usage }),
      ...(model !== undefined && { model }),
      ...(reason !== undefined && { failure: reason }),
      ...(cause !== undefined && { cause }),
    });
  }
}

/** One search per shape, made once: shapes live as long as the process. */
function searchOf(shape: StreamShape): NeedleSearch {
  const known = searches.get(shape);
  if (known !== undefined) return known;
  const search = createNeedleSearch(shape.telling);
  searches.set(shape, search);
  return search;
}

const searches = new WeakMap<StreamShape, NeedleSearch>();

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
