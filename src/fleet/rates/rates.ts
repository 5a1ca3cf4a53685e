/**
 * How fast one box is, learnt from the calls that it served: bytes of models that it loads a second, tokens of prompts that each
 * model reads a second, how long a call holds its slot, how often each model is wanted. A few additions per call; lives as long
 * as the box.
 */
import type { Ask, LeaseSeen } from '../../exchange.ts';
import { hashOf } from '../../fields/hash.ts';
import { crowdOf, slownessOf, type UnderWay } from './under-way.ts';

/** What is believed of a model as long as nothing was seen. */
export const usualRates = {
  callMs: 3_000,
  sayMs: 2_000,
  tokensPerSecond: 600,
  leastMs: 50,
  bytesPerSecond: 500_000_000,
  tokensFactor: 1,
  /** Of what earlier turns brought, what the cache of their box still has. */
  hitShare: 0.9,
} as const;

/** Before the first byte of a model's file is read, and after its last. */
export const loadStartMs = 1_000;
/** No runner starts sooner: what is answered before had the model in memory already, whatever was believed. */
const leastLoadMs = 250;
/** Models that are kept apart; beyond them the one that was used longest ago is forgotten. */
const maxModels = 256;
/** How long demand is remembered. */
const demandMs = 60_000;
/** What fewer tokens take says more of the way there than of reading. */
const leastTokensToJudge = 64;
/** A prompt is read slower than believed: that counts. Faster: perhaps it was in the cache. */
const slowerCounts = 0.4;
const fasterCounts = 0.05;
const usualCounts = 0.2;
/** One call changes what is believed of reading by so much at most: a median is wanted, not a mean. */
const mostChange = 1.5;
/** Conversations that a box has served last with one model. */
const maxRecent = 64;

/** What is known of one model on one box. Times on the clock, in milliseconds. */
export interface ModelRates {
  callMs: number;
  /** From the first token to the last. */
  sayMs: number;
  /** Of prompts, with nothing else on the chip. */
  tokensPerSecond: number;
  /** Until the first token of the shortest prompt. */
  leastMs: number;
  /** Tokens as the box counts them for one by estimate. */
  tokensFactor: number;
  hitShare: number;
  /** Calls answered at once, at most. */
  mostSaying: number;
  saying: number;
  /** Hashes of the conversations that were served last, the latest at the end. */
  readonly recent: number[];
  /** When it was used last; −∞: never. */
  usedMs: number;
  /** When it last showed that it is in memory; −∞: never. */
  shownMs: number;
  /** Since when a call waits for it to be loaded; undefined: none does. */
  loadingSinceMs: number | undefined;
  /** Whether anything was learnt of its reading. */
  hasRead: boolean;
  hasCalled: boolean;
  demand: number;
  demandAtMs: number;
}

/** One call that was granted its slot. */
export interface Run {
  /** The first byte is there. */
  began(): void;
  /** What it came to; undefined: nobody knows. */
  end(seen: LeaseSeen | undefined): void;
}

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

export class Rates {
  bytesPerSecond: number = usualRates.bytesPerSecond;
  /** Calls that have their slot, in the order in which they were let in. An array: a Set that gains and loses one with each call costs Bun a fifth of a request. */
  readonly underWay: UnderWay[] = [];
  readonly #models = new Map<string, ModelRates>();
  readonly #now: () => number;
  /** Told that a call has ended a load that it had set off: the memory holds other models than before. */
  readonly #onLoaded: () => void;
  #hasLoaded = false;
  /** Loads are Corral's own, which tell how long they took: whoever waits may have waited for other models' loads. */
  #isTold = false;
  #loadEndedMs = Number.NEGATIVE_INFINITY;

  constructor(now: () => number, onLoaded: () => void = () => undefined) {
    this.#now = now;
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
    return known === undefined ? 0 : demandOf(known, this.#now());
  }

  /** A whole load of this many bytes. */
  loadMsFor(bytes: number, bytesPerSecond = this.bytesPerSecond): number {
    return loadStartMs + (bytes * 1_000) / bytesPerSecond;
  }

  /** A call to a model was let in. */
  granted({ model: name, ask, loadMs, isCold, sizeBytes }: Granted): Run {
    const nowMs = this.#now();
    const model = this.#modelOf(name);
    model.demand = demandOf(model, nowMs) + 1_000 / demandMs;
    model.demandAtMs = nowMs;
    model.usedMs = nowMs;
    // Of those that waited for one load the first has seen all of it.
    if (loadMs > 0 && nowMs - loadMs >= this.#loadEndedMs && !this.#isTold) this.learnLoad(sizeBytes, loadMs);
    if (loadMs > 0) this.#loaded(model, nowMs);
    else if (isCold) model.loadingSinceMs ??= nowMs;
    const isFirst = isCold && loadMs === 0 && model.loadingSinceMs === nowMs;
    // Where nobody chooses, nobody reads prompts to find out what else is going on, and which conversation this is.
    const slowness = ask.predicted === undefined ? 1 + this.underWay.length : this.slownessFor(name);
    if (ask.predicted !== undefined) noteConversation(model.recent, ask);
    const run = new LearningRun(
      this,
      name,
      model,
      ask,
      nowMs,
      isFirst ? sizeBytes : 0,
      isCold && loadMs === 0,
      slowness,
      this.#now,
    );
    this.underWay.push(run);
    return run;
  }

  /** By how much a prompt is read more slowly now, beside what the box works at. */
  slownessFor(model: string): number {
    if (this.underWay.length === 0) return 1;
    return slownessOf(crowdOf(this.underWay, model, this.#now(), (name) => this.#models.get(name) ?? usualRates));
  }

  /** A load of Corral's own is over. Those who waited for it may have seen its end only: from them nothing is learnt then. */
  loadEnded(sizeBytes: number, durationMs: number): void {
    this.#isTold = true;
    this.learnLoad(sizeBytes, durationMs);
    this.#loadEndedMs = this.#now();
  }

  /** A model of so many bytes was loaded in this time. */
  learnLoad(sizeBytes: number, durationMs: number): void {
    if (sizeBytes <= 0 || durationMs < leastLoadMs) return;
    const bytesPerSecond = (sizeBytes * 1_000) / Math.max(durationMs - loadStartMs, durationMs / 4);
    this.bytesPerSecond = this.#hasLoaded ? mixed(this.bytesPerSecond, bytesPerSecond, slowerCounts) : bytesPerSecond;
    this.#hasLoaded = true;
  }

  /** The model has answered, so it is in memory. */
  shown(model: ModelRates): void {
    const nowMs = this.#now();
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
    const model: ModelRates = {
      callMs: usualRates.callMs,
      sayMs: usualRates.sayMs,
      tokensPerSecond: usualRates.tokensPerSecond,
      leastMs: usualRates.leastMs,
      tokensFactor: usualRates.tokensFactor,
      hitShare: usualRates.hitShare,
      mostSaying: 0,
      saying: 0,
      recent: [],
      usedMs: Number.NEGATIVE_INFINITY,
      shownMs: Number.NEGATIVE_INFINITY,
      loadingSinceMs: undefined,
      hasRead: false,
      hasCalled: false,
      demand: 0,
      demandAtMs: 0,
    };
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

class LearningRun implements Run, UnderWay {
  readonly name: string;
  readonly ask: Ask;
  readonly grantedMs: number;
  beganMs: number | undefined;
  readonly #rates: Rates;
  readonly #model: ModelRates;
  /** Of the model that this call made the box load; 0: it did not, or nothing is known of its size. */
  readonly #loadBytes: number;
  readonly #isCold: boolean;
  /** By what else the box worked at when it began. */
  readonly #slowness: number;
  readonly #now: () => number;

  constructor(
    rates: Rates,
    name: string,
    model: ModelRates,
    ask: Ask,
    grantedMs: number,
    loadBytes: number,
    isCold: boolean,
    slowness: number,
    now: () => number,
  ) {
    this.name = name;
    this.#rates = rates;
    this.#model = model;
    this.ask = ask;
    this.grantedMs = grantedMs;
    this.#loadBytes = loadBytes;
    this.#isCold = isCold;
    this.#slowness = slowness;
    this.#now = now;
  }

  began(): void {
    if (this.beganMs === undefined) {
      this.beganMs = this.#now();
      const model = this.#model;
      if (++model.saying > model.mostSaying) model.mostSaying = model.saying;
    }
    this.#rates.shown(this.#model);
  }

  end(seen: LeaseSeen | undefined): void {
    const model = this.#model;
    const { underWay } = this.#rates;
    const at = underWay.indexOf(this);
    if (at >= 0) underWay.splice(at, 1);
    if (at >= 0 && this.beganMs !== undefined) model.saying--;
    // Its load has come to nothing, or goes on without anybody here knowing.
    if (this.beganMs === undefined) {
      model.loadingSinceMs = undefined;
      return;
    }
    if (seen === undefined) return;
    const nowMs = this.#now();
    if (seen.how !== 'failed') {
      model.callMs = learnt(model.callMs, Math.max(1, nowMs - this.beganMs + this.#waitedMs), model.hasCalled);
      if (seen.how === 'completed') model.sayMs = learnt(model.sayMs, Math.max(1, nowMs - this.beganMs), model.hasCalled);
      model.hasCalled = true;
    }
    if (seen.promptTokens !== undefined && seen.promptTokens > 0) this.#learnReading(seen, seen.promptTokens, nowMs);
  }

  /** From the slot to the first token; a load is no part of what a call takes. */
  get #waitedMs(): number {
    return this.#isCold ? 0 : (this.beganMs ?? this.grantedMs) - this.grantedMs;
  }

  #learnReading({ outputTokens = 0 }: LeaseSeen, promptTokens: number, nowMs: number): void {
    const model = this.#model;
    const beganMs = this.beganMs ?? nowMs;
    // An answer that came as a whole says nothing of when its first token was there.
    if (outputTokens > 8 && nowMs - beganMs < outputTokens / 4) return;
    const { predicted, work } = this.ask;
    if (predicted !== undefined && work.promptTokens > 0)
      model.tokensFactor = mixed(model.tokensFactor, within(promptTokens / work.promptTokens, 0.1, 10), usualCounts);
    const tookMs = beganMs - this.grantedMs;
    if (this.#isCold) {
      const readingMs = model.leastMs + (promptTokens * 1_000) / model.tokensPerSecond;
      if (this.#loadBytes > 0 && tookMs > 2 * readingMs) this.#rates.learnLoad(this.#loadBytes, tookMs - readingMs);
      return;
    }
    if (promptTokens < leastTokensToJudge) {
      model.leastMs = mixed(model.leastMs, Math.min(tookMs, 10_000), model.leastMs < tookMs ? fasterCounts : slowerCounts);
      return;
    }
    const readMs = Math.max(1, (tookMs - model.leastMs) / this.#slowness);
    const cached = predicted !== undefined && predicted.cachedMs > 0 ? (work.earlierTokens ?? 0) * model.tokensFactor : 0;
    // What was taken for cached says how much of it was, and nothing of how fast the box reads.
    if (cached > 0) {
      const hit = within((promptTokens - (readMs * model.tokensPerSecond) / 1_000) / cached, 0, 1);
      model.hitShare = mixed(model.hitShare, hit, usualCounts);
      return;
    }
    learnSpeed(model, (promptTokens * 1_000) / readMs);
  }
}

function learnSpeed(model: ModelRates, tokensPerSecond: number): void {
  const known = model.tokensPerSecond;
  const counts = tokensPerSecond < known ? slowerCounts : fasterCounts;
  const bounded = within(tokensPerSecond, known / mostChange, known * mostChange);
  model.tokensPerSecond = within(model.hasRead ? mixed(known, bounded, counts) : tokensPerSecond, 1, 1e6);
  model.hasRead = true;
}

/** By which a box's recent conversations are known. */
export function conversationHash(sharer: string, conversation: string): number {
  return hashOf(`${sharer}\n${conversation}`);
}

function noteConversation(recent: number[], { work: { sharer, conversation } }: Ask): void {
  if (conversation === undefined) return;
  const hash = conversationHash(sharer, conversation);
  const at = recent.indexOf(hash);
  if (at >= 0) recent.splice(at, 1);
  else if (recent.length >= maxRecent) recent.shift();
  recent.push(hash);
}

function demandOf({ demand, demandAtMs }: ModelRates, nowMs: number): number {
  return demand * Math.exp((demandAtMs - nowMs) / demandMs);
}

function learnt(known: number, seen: number, hasSeen: boolean): number {
  return hasSeen ? mixed(known, seen, usualCounts) : seen;
}

function mixed(known: number, seen: number, share: number): number {
  return known + (seen - known) * share;
}

function within(value: number, least: number, most: number): number {
  return Math.min(most, Math.max(least, value));
}
