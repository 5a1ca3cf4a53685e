/**
 * What is believed of a box's speed. What it has shown itself counts; where it has shown nothing it is taken for as good as the best
 * of the others: otherwise a box that nobody has tried would never be tried.
 */
import type { Box } from '../box.ts';
import { usualRates } from '../rates/model-rates.ts';

export interface Beliefs {
  readonly callMs: number;
  readonly sayMs: number;
  readonly tokensPerSecond: number;
  readonly leastMs: number;
  readonly tokensFactor: number;
  readonly hitShare: number;
}

/** What was learnt long ago may have changed: it moves half-way to the best of the others, half of that in this time. */
const fadingMs = 600_000;

export function beliefsOf(box: Box, model: string, others: readonly Box[], nowMs: number): Beliefs {
  const own = box.rates.of(model);
  let bestRead: number | undefined;
  let bestCallMs: number | undefined;
  let bestLeastMs: number | undefined;
  let bestSayMs: number | undefined;
  for (const other of others) {
    const known = other === box ? undefined : other.rates.of(model);
    if (known?.hasRead === true) {
      bestRead = Math.max(bestRead ?? 0, known.tokensPerSecond);
      bestLeastMs = Math.min(bestLeastMs ?? known.leastMs, known.leastMs);
    }
    if (known?.hasCalled === true) {
      bestCallMs = Math.min(bestCallMs ?? known.callMs, known.callMs);
      bestSayMs = Math.min(bestSayMs ?? known.sayMs, known.sayMs);
    }
  }
  const fade = own === undefined ? 0 : 0.5 * (1 - 0.5 ** ((nowMs - own.usedMs) / fadingMs));
  const tokensPerSecond = own?.hasRead === true ? own.tokensPerSecond : undefined;
  return {
    callMs: own?.hasCalled === true ? own.callMs : (bestCallMs ?? usualRates.callMs),
    sayMs: own?.hasCalled === true ? own.sayMs : (bestSayMs ?? usualRates.sayMs),
    tokensPerSecond:
      tokensPerSecond === undefined
        ? (bestRead ?? usualRates.tokensPerSecond)
        : tokensPerSecond + Math.max(0, (bestRead ?? 0) - tokensPerSecond) * fade,
    leastMs: own?.hasRead === true ? own.leastMs : (bestLeastMs ?? own?.leastMs ?? usualRates.leastMs),
    tokensFactor: own?.tokensFactor ?? usualRates.tokensFactor,
    hitShare: own?.hitShare ?? usualRates.hitShare,
  };
}

/** A whole load of so many bytes. */
export function loadMsOf(box: Box, bytes: number, others: readonly Box[]): number {
  const seen = box.rates.seenBytesPerSecond;
  if (seen !== undefined) return box.rates.loadMsFor(bytes);
  let best: number | undefined;
  for (const { rates } of others) {
    const theirs = rates.seenBytesPerSecond;
    if (theirs !== undefined) best = Math.max(best ?? 0, theirs);
  }
  return box.rates.loadMsFor(bytes, best);
}
