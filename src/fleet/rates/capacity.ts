/**
 * How much goes into a box's memory. It is configured (`vram`, `maxLoaded`), or learnt: when models vanish from `/api/ps` while
 * another one comes, the memory was full.
 */
import type { BoxOptions } from '../../exchange.ts';
import { instantOf, type RunningModel } from '../asking/answers.ts';
import { KeepAlives } from './keep-alives.ts';
import type { Room } from './victims.ts';

/** What was configured before what was learnt; what the owner keeps counts as taken. */
export function roomOf(options: BoxOptions | undefined, learnt: Room): Room {
  const { vramBytes, reserveBytes = 0, maxLoaded } = options ?? {};
  const bytes = vramBytes ?? learnt.bytes;
  return {
    bytes: bytes === undefined ? undefined : Math.max(0, bytes - (vramBytes === undefined ? 0 : reserveBytes)),
    models: maxLoaded ?? learnt.models,
  };
}

/** Models whose size in memory is remembered. */
const maxSizes = 256;
/** A model whose time ends this soon may have gone by itself. */
const expiryDoubtMs = 5_000;
const tooManyDoubt = 0.8;
const nothing = { bytes: 0, models: 0 };

/** One box's memory, learnt from one look at `/api/ps` after the other. Model names are canonical. */
export class Capacity {
  /** What the last look saw. */
  running: ReadonlyMap<string, RunningModel> = new Map();
  /** On the clock; −∞: nobody has looked. */
  seenMs = Number.NEGATIVE_INFINITY;
  readonly keepAlives = new KeepAlives();
  /** The most that was seen in memory at once. */
  #heldBytes = 0;
  #heldModels = 0;
  #fullBytes: number | undefined;
  #fullModels: number | undefined;
  /** The fewest for which one had to go; more than were ever there at once. */
  #tooManyModels = Number.POSITIVE_INFINITY;
  /** What has gone for loads whose models have not come yet. */
  #gone: { readonly bytes: number; readonly models: number } = nothing;
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

  /** From 0 to 1: how likely it is that so much at once does not fit, where it is not known to be too much. */
  doubtOf(bytes: number, models: number): number {
    if (bytes <= this.#heldBytes && models <= this.#heldModels) return 0;
    // What was too much for the memory may have been too many models for it.
    return models >= this.#tooManyModels ? tooManyDoubt : (models - 1) / (models + 1);
  }

  /** `isLoading`: a load is under way, so that what has gone before its time has gone for it; the model is listed when it is there. */
  saw(running: ReadonlyMap<string, RunningModel>, nowMs: number, wallMs: number, isLoading = false): void {
    let bytes = 0;
    let hasCome = false;
    for (const [model, one] of running) {
      const size = memoryOf(one);
      bytes += size;
      if (!this.running.has(model)) hasCome = true;
      if (this.#sizes.has(model) || this.#sizes.size < maxSizes) this.#sizes.set(model, size);
    }
    let { bytes: goneBytes, models: gone } = this.#gone;
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
    if (this.#tooManyModels <= this.#heldModels) this.#tooManyModels = Number.POSITIVE_INFINITY;
    if (hasCome && gone > 0) this.#learnFull(bytes + goneBytes, running.size + gone);
    this.#gone = isLoading && !hasCome ? { bytes: goneBytes, models: gone } : nothing;
    this.keepAlives.saw(running, wallMs);
    this.running = running;
    this.seenMs = nowMs;
  }

  /** So much was too much. */
  #learnFull(wantedBytes: number, wantedModels: number): void {
    if (wantedModels > this.#heldModels) this.#tooManyModels = Math.min(this.#tooManyModels, wantedModels);
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
