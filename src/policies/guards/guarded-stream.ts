/**
 * A stream whose texts pass the guards. Events keep their order, their ids and everything that is no text; a text leaves in the
 * events that it came in, later ones carrying what earlier ones had to hold back. What is still held when a text ends leaves in
 * an event of its own before the event that ends it.
 */
import { GatewayError, gatewayErrorOf } from '../../errors.ts';
import type {
  OpenedEvent,
  Protocol,
  ProtocolTexts,
  StreamPiece,
  StreamRewrite,
  StreamSeen,
  StreamWhole,
} from '../../exchange.ts';
import { joined } from '../../streams/carry.ts';
import { Frames, FrameTooLong } from '../../streams/frames.ts';
import { drive, Lane } from './lane.ts';
import type { Stage } from './stage.ts';

/** Texts of one stream that are under way at once. A model that calls hundreds of tools in one answer does not exist. */
const maxLanes = 1_024;

export interface GuardedStreamOptions {
  readonly protocol: Protocol;
  readonly texts: ProtocolTexts;
  readonly exchangeId: string;
  /** The stages of a new text; `isMain`: the answer itself. */
  stagesFor(isMain: boolean): readonly Stage[];
  /** Once, when the stream is over, with the rejection that ended it. */
  onEnd(rejection: GatewayError | undefined): void;
}

type Steps<Result> = Generator<Promise<string>, Result, string>;

interface OpenLane {
  readonly lane: Lane;
  readonly group: string;
  /** An event of that text, to make another one of. */
  piece: StreamPiece;
}

export class GuardedStream implements StreamRewrite {
  isOver = false;
  readonly #options: GuardedStreamOptions;
  readonly #frames: Frames;
  readonly #lanes = new Map<string, OpenLane>();
  /** By group, the lane that came last. */
  readonly #current = new Map<string, string>();
  /** Events that were added: those behind them are numbered on. */
  #added = 0;
  #events = 0;
  #seen: StreamSeen = {};

  constructor(options: GuardedStreamOptions) {
    this.#options = options;
    this.#frames = new Frames(options.protocol.stream?.framing ?? 'sse');
  }

  push(chunk: Uint8Array): Uint8Array | Promise<Uint8Array> {
    return drive(this.#guarded(this.#frames.cut(chunk)));
  }

  end(): Uint8Array | Promise<Uint8Array> {
    const rest = this.#frames.rest();
    return drive(this.#guarded(rest.length === 0 ? [] : [rest], true));
  }

  /** Frames in, bytes out. Whatever a guard throws becomes the stream's last event. */
  *#guarded(frames: Iterable<Uint8Array>, isEnd = false): Steps<Uint8Array> {
    const out: Uint8Array[] = [];
    let rejection: GatewayError | undefined;
    try {
      for (const frame of frames) for (const bytes of yield* this.#frame(frame)) out.push(bytes);
      if (isEnd) out.push(encoder.encode(yield* this.#flush('all', undefined)));
    } catch (thrown) {
      rejection = thrown instanceof FrameTooLong ? tooLong() : gatewayErrorOf(thrown);
      const { protocol, exchangeId } = this.#options;
      const seen = { ...this.#seen, events: this.#events };
      out.push(encoder.encode(protocol.errorInStream(rejection, exchangeId, seen)));
      this.isOver = true;
    }
    if (rejection !== undefined || isEnd) this.#options.onEnd(rejection);
    return joined(out);
  }

  *#frame(frame: Uint8Array): Steps<readonly Uint8Array[]> {
    const { data, event } = this.#frames.read(frame);
    if (data === undefined) return [frame];
    const opened = this.#options.texts.openEvent(data);
    // Not JSON: the mark at the end of OpenAI's streams, or something that no client reads as text.
    if (opened === undefined) return [encoder.encode(yield* this.#flush('all', undefined)), frame];
    this.#learn(data, event);
    const before = yield* this.#guardEvent(opened);
    if (opened.sequence !== undefined) opened.sequence += this.#added;
    this.#events++;
    const written = opened.write();
    return [encoder.encode(before), written === data ? frame : encoder.encode(this.#frames.withData(frame, written))];
  }

  /** Gives the frames that must come before the event. */
  *#guardEvent(opened: OpenedEvent): Steps<string> {
    let before = '';
    for (const piece of opened.pieces) {
      const open = this.#laneOf(piece);
      before += yield* this.#flush(this.#overtaken(piece), opened.sequence);
      piece.text = yield* open.lane.push(piece.text);
      open.piece = piece;
    }
    before += yield* this.#flush(opened.ends, opened.sequence, opened.pieces);
    for (const whole of opened.wholes) {
      const lane = whole.lane === undefined ? undefined : this.#lanes.get(whole.lane)?.lane;
      whole.text = lane?.sent !== undefined && whole.text !== '' ? lane.sent : yield* this.#guardWhole(whole);
    }
    return before;
  }

  *#guardWhole({ text, isMain = false }: StreamWhole): Steps<string> {
    if (text === '') return '';
    const lane = new Lane(() => this.#options.stagesFor(isMain), false);
    return (yield* lane.push(text)) + (yield* lane.end());
  }

  #laneOf(piece: StreamPiece): OpenLane {
    let open = this.#lanes.get(piece.lane);
    if (open === undefined) {
      if (this.#lanes.size >= maxLanes)
        throw new GatewayError('guard_failed', 'the answer has more texts at once than can be guarded');
      const lane = new Lane(() => this.#options.stagesFor(piece.isMain), this.#options.texts.repeatsLanes);
      open = { lane, group: piece.group, piece };
      this.#lanes.set(piece.lane, open);
    }
    return open;
  }

  /** The lanes that end because another one of their group begins. */
  #overtaken(piece: StreamPiece): readonly string[] {
    const last = this.#current.get(piece.group);
    if (piece.text === '' && last !== undefined) return [];
    this.#current.set(piece.group, piece.lane);
    return last === undefined || last === piece.lane ? [] : [last];
  }

  /** What ended texts still hold: into the event's own piece of that text, or in frames before it. */
  *#flush(ends: readonly string[] | 'all', sequence: number | undefined, own: readonly StreamPiece[] = []): Steps<string> {
    let frames = '';
    if (ends !== 'all' && ends.length === 0) return frames;
    for (const [name, { lane, group, piece }] of this.#lanes) {
      if (ends !== 'all' && !ends.includes(name) && !ends.includes(group)) continue;
      const rest = yield* lane.end();
      if (rest === '') continue;
      const ownPiece = own.find((one) => one.lane === name);
      if (ownPiece !== undefined) {
        ownPiece.text += rest;
        continue;
      }
      const added = piece.alone(rest, sequence === undefined ? undefined : sequence + this.#added);
      if (sequence !== undefined) this.#added++;
      this.#events++;
      frames += this.#frames.frameOf(added.event, added.data);
    }
    return frames;
  }

  /** What the error of a stream must repeat stands in its first events. */
  #learn(data: string, event: string | undefined): void {
    if (this.#events > 2) return;
    const facts = this.#options.protocol.stream?.factsOf(data, event);
    this.#seen = { answerId: this.#seen.answerId ?? facts?.answerId, model: this.#seen.model ?? facts?.model };
  }
}

const encoder = new TextEncoder();

function tooLong(): GatewayError {
  return new GatewayError('answer_too_large', 'an event of the stream is larger than can be looked through');
}
