/**
 * How fast one box is, learnt from the calls that it served: bytes of models that it loads a second, tokens of prompts that each
 * model reads a second, how long a call holds its slot, how often each model is wanted. A few additions per call; lives as long
 * as the box.
 */
import type { Ask } from '../../exchange.ts';
import { type Learner, LearningRun, type Run } from './learning-run.ts';
import { demandOf, freshRates, type ModelRates, mixed, noteConversation, noteDemand, usualRates } from './model-rates.ts';
import { crowdOf, slownessOf, type UnderWay } from './under-way.ts';

/** Before the first byte of a model's file is read, and after its last. */
export const loadStartMs = 1_000;
/** No runner starts sooner: what is answered before had the model in memory already, whatever was believed. */
const leastLoadMs = 250;
/** Models that are kept apart; beyond them the one that was used longest ago is forgotten. */
const maxModels = 256;
/** One load among others. */
const loadCounts = 0.4;

/** A call as it is let in. */
export interface Granted {
  /** Canonical. */
  readonly model: string;
  readonly ask: Ask;
  /** How long a load was waited for before; 0: none was seen. */
  readonly loadMs: number;
  /** The model was not in memory when the call was let in, so that the box loads it now. */
  readonly isCold: boolean;
  /** Of the model's file; 0: not known. */
  readonly sizeBytes: number;
}

export class Rates implements Learner {
  bytesPerSecond: number = usualRates.bytesPerSecond;
  /** Calls that have their slot, in the order in which they were let in. An array: a Set that gains and loses one with each call costs Bun a fifth of a request. */
  readonly underWay: UnderWay[] = [];
  readonly #models = new Map<string, ModelRates>();
  readonly now: () => number;
  /** Told that a call has ended a load that it had set off: the memory holds other models than before. */
  readonly #onLoaded: () => void;
  #hasLoaded = false;
  /** Loads are Corral's own, which tell how long they took: whoever waits may have waited for other models' loads. */
  #isTold = false;
  #loadEndedMs = Number.NEGATIVE_INFINITY;

  constructor(now: () => number, onLoaded: () => void = () => undefined) {
    this.now = now;
    this.#onLoaded = onLoaded;
  }

  /** Undefined: the model was never used here. */
  of(model: string): ModelRates | undefined {
    return this.#models.get(model);
  }

  get size(): number {
    return this.#models.size;
  }

  /** Bytes a second as seen in loads; undefined: there was none. */
  get seenBytesPerSecond(): number | undefined {
    return this.#hasLoaded ? this.bytesPerSecond : undefined;
  }

  /** Calls a second, lately. */
  demandFor(model: string): number {
    const known = this.#models.get(model);
    return known === undefined ? 0 : demandOf(known, this.now());
  }

  /** A whole load of this many bytes. */
  loadMsFor(bytes: number, bytesPerSecond = this.bytesPerSecond): number {
    return loadStartMs + (bytes * 1_000) / bytesPerSecond;
  }

  /** A call to a model was let in. */
  granted({ model: name, ask, loadMs, isCold, sizeBytes }: Granted): Run {
    const nowMs = this.now();
    const model = this.#modelOf(name);
    noteDemand(model, nowMs);
    model.usedMs = nowMs;
    // Of those that waited for one load the first has seen all of it.
    if (loadMs > 0 && nowMs - loadMs >= this.#loadEndedMs && !this.#isTold) this.learnLoad(sizeBytes, loadMs);
    if (loadMs > 0) this.#loaded(model, nowMs);
    else if (isCold) model.loadingSinceMs ??= nowMs;
    const isFirst = isCold && loadMs === 0 && model.loadingSinceMs === nowMs;
    // Where nobody chooses, nobody reads prompts to find out what else is going on, and which conversation this is.
    const slowness = ask.predicted === undefined ? 1 + this.underWay.length : this.slownessFor(name);
    if (ask.predicted !== undefined) noteConversation(model.recent, ask);
    const run = new LearningRun(this, {
      name,
      model,
      ask,
      grantedMs: nowMs,
      loadBytes: isFirst ? sizeBytes : 0,
      isCold: isCold && loadMs === 0,
      slowness,
    });
    this.underWay.push(run);
    return run;
  }

  /** By how much a prompt is read more slowly now, beside what the box works at. */
  slownessFor(model: string): number {
    if (this.underWay.length === 0) return 1;
    return slownessOf(crowdOf(this.underWay, model, this.now(), (name) => this.#models.get(name) ?? usualRates));
  }

  /** A load of Corral's own is over. Those who waited for it may have seen its end only: from them nothing is learnt then. */
  loadEnded(sizeBytes: number, durationMs: number): void {
    this.#isTold = true;
    this.learnLoad(sizeBytes, durationMs);
    this.#loadEndedMs = this.now();
  }

  /** A model of so many bytes was loaded in this time. */
  learnLoad(sizeBytes: number, durationMs: number): void {
    if (sizeBytes <= 0 || durationMs < leastLoadMs) return;
    const bytesPerSecond = (sizeBytes * 1_000) / Math.max(durationMs - loadStartMs, durationMs / 4);
    this.bytesPerSecond = this.#hasLoaded ? mixed(this.bytesPerSecond, bytesPerSecond, loadCounts) : bytesPerSecond;
    this.#hasLoaded = true;
  }

  /** The model has answered, so it is in memory. */
  shown(model: ModelRates, nowMs: number): void {
    if (model.loadingSinceMs === undefined) model.shownMs = nowMs;
    else {
      this.#loaded(model, nowMs);
      this.#onLoaded();
    }
  }

  #loaded(model: ModelRates, nowMs: number): void {
    model.loadingSinceMs = undefined;
    model.shownMs = nowMs;
    this.#loadEndedMs = nowMs;
  }

  #modelOf(name: string): ModelRates {
    const known = this.#models.get(name);
    if (known !== undefined) return known;
    if (this.#models.size >= maxModels) this.#forgetOldest();
    const model = freshRates();
    this.#models.set(name, model);
    return model;
  }

  #forgetOldest(): void {
    let oldest: string | undefined;
    let oldestMs = Number.POSITIVE_INFINITY;
    for (const [name, { usedMs }] of this.#models) {
      if (usedMs >= oldestMs) continue;
      oldest = name;
      oldestMs = usedMs;
    }
    if (oldest !== undefined) this.#models.delete(oldest);
  }
}
