/** One call that a box works at: what it comes to teaches how fast the box is with its model. */
import type { Ask, LeaseSeen } from '../../exchange.ts';
import { type ModelRates, mixed } from './model-rates.ts';
import type { UnderWay } from './under-way.ts';

/** What fewer tokens take says more of the way there than of reading. */
const leastTokensToJudge = 64;
/** A prompt is read slower than believed: that counts. Faster: perhaps it was in the cache. */
const slowerCounts = 0.4;
const fasterCounts = 0.05;
const usualCounts = 0.2;
/** One call changes what is believed of reading by so much at most: a median is wanted, not a mean. */
const mostChange = 1.5;

/** One call that was granted its slot. */
export interface Run {
  /** The first byte is there. */
  began(): void;
  /** What it came to; undefined: nobody knows. */
  end(seen: LeaseSeen | undefined): void;
}

/** Whom it tells what it has seen. */
export interface Learner {
  readonly underWay: UnderWay[];
  now(): number;
  /** The model has answered, so it is in memory. */
  shown(model: ModelRates, nowMs: number): void;
  /** A model of so many bytes was loaded in this time. */
  learnLoad(sizeBytes: number, durationMs: number): void;
}

/** How a call began. */
export interface Beginning {
  /** Canonical. */
  readonly name: string;
  readonly model: ModelRates;
  readonly ask: Ask;
  readonly grantedMs: number;
  /** Of the model that this call made the box load; 0: it did not, or nothing is known of its size. */
  readonly loadBytes: number;
  readonly isCold: boolean;
  /** By what else the box worked at when it began. */
  readonly slowness: number;
}

export class LearningRun implements Run, UnderWay {
  readonly name: string;
  readonly ask: Ask;
  readonly grantedMs: number;
  beganMs: number | undefined;
  readonly #learner: Learner;
  readonly #model: ModelRates;
  readonly #loadBytes: number;
  readonly #isCold: boolean;
  readonly #slowness: number;

  constructor(learner: Learner, { name, model, ask, grantedMs, loadBytes, isCold, slowness }: Beginning) {
    this.name = name;
    this.ask = ask;
    this.grantedMs = grantedMs;
    this.#learner = learner;
    this.#model = model;
    this.#loadBytes = loadBytes;
    this.#isCold = isCold;
    this.#slowness = slowness;
  }

  began(): void {
    const nowMs = this.#learner.now();
    const model = this.#model;
    if (this.beganMs === undefined) {
      this.beganMs = nowMs;
      if (++model.saying > model.mostSaying) model.mostSaying = model.saying;
    }
    this.#learner.shown(model, nowMs);
  }

  end(seen: LeaseSeen | undefined): void {
    const model = this.#model;
    const { underWay } = this.#learner;
    const at = underWay.indexOf(this);
    if (at >= 0) underWay.splice(at, 1);
    if (at >= 0 && this.beganMs !== undefined) model.saying--;
    // Its load has come to nothing, or goes on without anybody here knowing.
    if (this.beganMs === undefined) {
      model.loadingSinceMs = undefined;
      return;
    }
    if (seen === undefined) return;
    const nowMs = this.#learner.now();
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
      if (this.#loadBytes > 0 && tookMs > 2 * readingMs) this.#learner.learnLoad(this.#loadBytes, tookMs - readingMs);
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

function learnt(known: number, seen: number, hasSeen: boolean): number {
  return hasSeen ? mixed(known, seen, usualCounts) : seen;
}

function within(value: number, least: number, most: number): number {
  return Math.min(most, Math.max(least, value));
}
