/**
 * What a load would push out of a box's memory. How much goes in is configured (`vram`, `maxLoaded`), or learnt: when models
 * vanish from `/api/ps` while another one comes, the memory was full.
 */
import type { BoxOptions } from '../../exchange.ts';
import { instantOf, type RunningModel } from '../asking/answers.ts';

/** A model in memory. */
export interface Occupant {
  readonly model: string;
  readonly bytes: number;
  readonly isBusy: boolean;
  /** Since it was used last; undefined: not known. */
  readonly idleMs: number | undefined;
}

/** What goes into the memory, as far as known. */
export interface Room {
  /** Undefined: it has never been full. */
  readonly bytes: number | undefined;
  readonly models: number | undefined;
}

/** What was configured before what was learnt; what the owner keeps counts as taken. */
export function roomOf(options: BoxOptions | undefined, learnt: Room): Room {
  const { vramBytes, reserveBytes = 0, maxLoaded } = options ?? {};
  const bytes = vramBytes ?? learnt.bytes;
  return {
    bytes: bytes === undefined ? undefined : Math.max(0, bytes - (vramBytes === undefined ? 0 : reserveBytes)),
    models: maxLoaded ?? learnt.models,
  };
}

/**
 * Those that go for `needBytes` more, in Ollama's order: idle ones first (server/sched.go, findRunnerToUnload). Which of the idle
 * ones it takes depends on keep_alive, which is nearly always the same; here it is the one that was used longest ago.
 */
export function victimsOf(occupants: readonly Occupant[], needBytes: number, { bytes, models }: Room): readonly Occupant[] {
  let taken = 0;
  for (const occupant of occupants) taken += occupant.bytes;
  let count = occupants.length;
  const isFull = () => (bytes !== undefined && taken + needBytes > bytes) || (models !== undefined && count + 1 > models);
  if (!isFull()) return none;
  const left = [...occupants].sort(
    (first, second) =>
      Number(first.isBusy) - Number(second.isBusy) || idleOf(second) - idleOf(first) || first.model.localeCompare(second.model),
  );
  const victims: Occupant[] = [];
  for (const occupant of left) {
    if (!isFull()) break;
    victims.push(occupant);
    taken -= occupant.bytes;
    count--;
  }
  return victims;
}

const none: readonly Occupant[] = [];

/** Nothing is known of its use: somebody else's, so perhaps just now, perhaps long ago. */
function idleOf({ idleMs = 60_000 }: Occupant): number {
  return idleMs;
}

/** Models whose size in memory is remembered. */
const maxSizes = 256;
/** A model whose time ends this soon may have gone by itself. */
const expiryDoubtMs = 5_000;

/** One box's memory, learnt from one look at `/api/ps` after the other. Model names are canonical. */
export class Capacity {
  /** What the last look saw. */
  running: ReadonlyMap<string, RunningModel> = new Map();
  /** On the clock; −∞: nobody has looked. */
  seenMs = Number.NEGATIVE_INFINITY;
  /** The most that was seen in memory at once. */
  #heldBytes = 0;
  #heldModels = 0;
  #fullBytes: number | undefined;
  #fullModels: number | undefined;
  readonly #sizes = new Map<string, number>();

  get room(): Room {
    return { bytes: this.#fullBytes, models: this.#fullModels };
  }

  /** What the model took up when it was seen last: weights and context. Undefined: it never was. */
  bytesOf(model: string): number | undefined {
    return this.#sizes.get(model);
  }

  /** Whether so much at once is known to fit: as configured, or because as much was seen. */
  isKnownToHold(bytes: number, models: number, room: Room): boolean {
    if (room.models !== undefined && models > room.models) return false;
    return bytes <= (room.bytes ?? this.#heldBytes);
  }

  saw(running: ReadonlyMap<string, RunningModel>, nowMs: number, wallMs: number): void {
    let bytes = 0;
    let hasCome = false;
    for (const [model, one] of running) {
      const size = memoryOf(one);
      bytes += size;
      if (!this.running.has(model)) hasCome = true;
      if (this.#sizes.has(model) || this.#sizes.size < maxSizes) this.#sizes.set(model, size);
    }
    let goneBytes = 0;
    let gone = 0;
    for (const [model, one] of this.running) {
      if (running.has(model) || hasExpired(one, wallMs)) continue;
      goneBytes += memoryOf(one);
      gone++;
    }
    this.#heldBytes = Math.max(this.#heldBytes, bytes);
    this.#heldModels = Math.max(this.#heldModels, running.size);
    // More than what was taken for full has been seen to fit.
    if (this.#fullBytes !== undefined && this.#fullBytes < this.#heldBytes) this.#fullBytes = this.#heldBytes;
    if (this.#fullModels !== undefined && this.#fullModels < this.#heldModels) this.#fullModels = undefined;
    if (hasCome && gone > 0) this.#learnFull(bytes + goneBytes, running.size + gone);
    this.running = running;
    this.seenMs = nowMs;
  }

  /** So much was too much. */
  #learnFull(wantedBytes: number, wantedModels: number): void {
    if (wantedBytes > this.#heldBytes)
      this.#fullBytes = Math.max(this.#heldBytes, Math.min(wantedBytes - 1, this.#fullBytes ?? wantedBytes));
    else if (wantedModels > this.#heldModels) this.#fullModels = this.#heldModels;
  }
}

/** Of the GPU's memory where the model is there, of the machine's where it is not. */
function memoryOf({ vramBytes, sizeBytes }: RunningModel): number {
  return vramBytes > 0 ? vramBytes : sizeBytes;
}

function hasExpired({ expiresAt }: RunningModel, wallMs: number): boolean {
  const expiresMs = instantOf(expiresAt);
  return expiresMs > 0 && expiresMs - expiryDoubtMs <= wallMs;
}
