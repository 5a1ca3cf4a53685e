/** One runner process: a model in memory, its slots, and what each slot has in its cache. */
import type { HerdModel } from './setting.ts';

/** One generation that runs or waits for a slot. */
export interface Job {
  readonly prompt: string;
  /** All that it will say: it is in the slot's cache afterwards, as far as it came. */
  readonly said: () => string;
  /** It has a slot now, which knows this many characters of its prompt already. */
  start(knownCharacters: number): void;
}

interface Slot {
  cache: string;
  job: Job | undefined;
  usedAt: number;
}

/** Below this share of the prompt a cache is not worth being looked for (llama.cpp slot_prompt_similarity). */
const leastSimilarity = 0.1;

export class Runner {
  readonly key: string;
  readonly model: HerdModel;
  readonly contextLength: number;
  /** RAM and VRAM, weights and context. */
  readonly bytes: number;
  isLoading = true;
  /** Its process has died; `/api/ps` lists it until the next request finds out. */
  hasCrashed = false;
  /** Requests that hold it, running or waiting for a slot. */
  users = 0;
  /** keep_alive. */
  sessionMs: number;
  /** Wall time; while a request runs it is the old value. */
  expiresAtMs = 0;
  cancelExpiry: (() => void) | undefined;
  readonly #slots: Slot[];
  #queue: Job[] = [];
  #uses = 0;

  constructor(born: {
    key: string;
    model: HerdModel;
    contextLength: number;
    bytes: number;
    slots: number;
    sessionMs: number;
  }) {
    this.key = born.key;
    this.model = born.model;
    this.contextLength = born.contextLength;
    this.bytes = born.bytes;
    this.sessionMs = born.sessionMs;
    this.#slots = Array.from({ length: born.slots }, () => ({ cache: '', job: undefined, usedAt: 0 }));
  }

  /** Generations at work. */
  get active(): number {
    return this.#slots.reduce((sum, { job }) => sum + (job === undefined ? 0 : 1), 0);
  }

  /** Who waits for a slot: first come, first served, without limit. */
  get queued(): number {
    return this.#queue.length;
  }

  run(job: Job): void {
    const slot = this.#freeSlotFor(job.prompt);
    if (slot === undefined) this.#queue.push(job);
    else this.#begin(slot, job);
  }

  /** The job is over, said or not; a slot that it had goes to the next. */
  end(job: Job): void {
    const slot = this.#slots.find((one) => one.job === job);
    if (slot === undefined) {
      this.#queue = this.#queue.filter((one) => one !== job);
      return;
    }
    slot.cache = job.prompt + job.said();
    slot.job = undefined;
    const next = this.#queue.shift();
    if (next !== undefined) this.run(next);
  }

  #begin(slot: Slot, job: Job): void {
    slot.job = job;
    slot.usedAt = ++this.#uses;
    job.start(commonLength(slot.cache, job.prompt));
  }

  /** The free slot whose cache has most of the prompt, else the one unused for longest. */
  #freeSlotFor(prompt: string): Slot | undefined {
    let best: Slot | undefined;
    let bestShare = leastSimilarity;
    let oldest: Slot | undefined;
    for (const slot of this.#slots) {
      if (slot.job !== undefined) continue;
      if (oldest === undefined || slot.usedAt < oldest.usedAt) oldest = slot;
      const share = commonLength(slot.cache, prompt) / Math.max(1, prompt.length);
      if (share > bestShare) {
        best = slot;
        bestShare = share;
      }
    }
    return best ?? oldest;
  }
}

/** Length of the longest common prefix. */
function commonLength(a: string, b: string): number {
  const end = Math.min(a.length, b.length);
  let at = 0;
  // In strides first: prompts are long and mostly equal.
  while (at + 256 <= end && a.slice(at, at + 256) === b.slice(at, at + 256)) at += 256;
  while (at < end && a.charCodeAt(at) === b.charCodeAt(at)) at++;
  return at;
}
