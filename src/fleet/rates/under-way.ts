/** The calls that a box works at: how much they slow down another one, and what is left of them. Times in milliseconds. */
import type { Ask } from '../../exchange.ts';

/** A call that has its slot. */
export interface UnderWay {
  /** Canonical. */
  readonly name: string;
  readonly ask: Ask;
  readonly grantedMs: number;
  /** When its first byte came. */
  readonly beganMs: number | undefined;
}

/** What is known of the model of a call. */
export interface Pace {
  /** To the first token, with nothing else on the chip. */
  readonly leastMs: number;
  readonly tokensPerSecond: number;
  readonly tokensFactor: number;
  /** From the first token to the last. */
  readonly sayMs: number;
}

/** Who works beside a call. */
export interface Crowd {
  /** Prompts that are being read. */
  readonly reading: number;
  /** Answers of the same model, and of others, that are being written. */
  readonly saying: number;
  readonly sayingOthers: number;
}

/** What each of those takes of a chip, beside 1 for the call itself: answers of one model are written together, prompts take turns. */
const readingCost = 1;
const sayingCost = 0.15;
const sayingOthersCost = 0.5;
/** Whoever takes longer than expected has about this much left. */
const overdueShare = 0.25;

/** By how much a prompt is read more slowly beside those. */
export function slownessOf({ reading, saying, sayingOthers }: Crowd): number {
  return 1 + reading * readingCost + saying * sayingCost + sayingOthers * sayingOthersCost;
}

export function crowdOf(runs: Iterable<UnderWay>, model: string, nowMs: number, paceOf: (model: string) => Pace): Crowd {
  let reading = 0;
  let saying = 0;
  let sayingOthers = 0;
  for (const run of runs) {
    if (run.beganMs === undefined && nowMs - run.grantedMs <= 2 * readingMsOf(run, paceOf(run.name))) reading++;
    else if (run.name === model) saying++;
    else sayingOthers++;
  }
  return { reading, saying, sayingOthers };
}

/** What is left of each call to the model: first those that are being answered, then by the order in which they were let in. */
export function leftMsOf(runs: Iterable<UnderWay>, model: string, nowMs: number, pace: Pace): readonly number[] {
  const saying: number[] = [];
  const reading: number[] = [];
  for (const run of runs) {
    if (run.name !== model) continue;
    const { sayMs } = pace;
    if (run.beganMs !== undefined) saying.push(leftOf(sayMs, nowMs - run.beganMs));
    else reading.push(leftOf(readingMsOf(run, pace), nowMs - run.grantedMs) + sayMs);
  }
  return [...saying, ...reading];
}

function leftOf(wholeMs: number, pastMs: number): number {
  return Math.max(wholeMs - pastMs, wholeMs * overdueShare);
}

/** As it was foretold, or by itself. */
function readingMsOf({ ask: { predicted, work } }: UnderWay, { leastMs, tokensPerSecond, tokensFactor }: Pace): number {
  if (predicted !== undefined) return predicted.promptMs - predicted.cachedMs;
  return leastMs + (work.promptTokens * tokensFactor * 1_000) / tokensPerSecond;
}
