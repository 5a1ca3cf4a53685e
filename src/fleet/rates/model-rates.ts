/** What is known of one model on one box, and of its use lately. Pure numbers: who learns them is in rates.ts and learning-run.ts. */
import type { Ask } from '../../exchange.ts';
import { hashOf } from '../../fields/hash.ts';

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

/** How long demand is remembered. */
const demandMs = 60_000;
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

/** Of a model that was never used here. */
export function freshRates(): ModelRates {
  return {
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
}

/** By which a box's recent conversations are known. */
export function conversationHash(sharer: string, conversation: string): number {
  return hashOf(`${sharer}\n${conversation}`);
}

/** It is the latest now. */
export function noteConversation(recent: number[], { work: { sharer, conversation } }: Ask): void {
  if (conversation === undefined) return;
  const hash = conversationHash(sharer, conversation);
  const at = recent.indexOf(hash);
  if (at >= 0) recent.splice(at, 1);
  else if (recent.length >= maxRecent) recent.shift();
  recent.push(hash);
}

/** Calls a second, lately. */
export function demandOf({ demand, demandAtMs }: ModelRates, nowMs: number): number {
  return demand * Math.exp((demandAtMs - nowMs) / demandMs);
}

/** One more call. */
export function noteDemand(model: ModelRates, nowMs: number): void {
  model.demand = demandOf(model, nowMs) + 1_000 / demandMs;
  model.demandAtMs = nowMs;
}

/** `seen` counts by this share of the difference. */
export function mixed(known: number, seen: number, share: number): number {
  return known + (seen - known) * share;
}
