/**
 * THE scoring function: what each box would need to the first token of a call's answer, and which box is asked first. Pure: what
 * is known of the boxes comes in as plain numbers, an order comes out. The formula is explained in docs/placement.md.
 */
import type { Placing, Prediction } from '../../exchange.ts';
import { type Crowd, slownessOf } from '../rates/under-way.ts';
import { rendezvousScore } from './rendezvous.ts';

/** What one box is to one call. */
export interface BoxView {
  /** Tells boxes apart, and is the same in every gateway: its address and the model it is asked for. */
  readonly place: string;
  /** Of `fleet.boxes`; 1 unless said. */
  readonly weight: number;
  /** The model is in memory, with at least the context that is asked for. */
  readonly isResident: boolean;
  /** Calls to this model: under way, waiting, and how many are served at once. */
  readonly busy: number;
  readonly waiting: number;
  readonly slots: number;
  /** Calls under way to other models of the box: they share its chip. */
  readonly othersBusy: number;
  /** What is left of those that are under way, as far as known, in the order in which slots are theirs. */
  readonly leftMs: readonly number[];
  /** Who is at work there now, whatever the model. */
  readonly crowd: Crowd;
  /** Conversations that it has served since it served this one; undefined: it never did, as far as known. */
  readonly conversationsSince: number | undefined;
  /** How long a call to this model holds its slot there. */
  readonly callMs: number;
  /** A load from its beginning to its end. */
  readonly fullLoadMs: number;
  /** Since when a load of this model is under way there; undefined: none is. */
  readonly loadAgeMs: number | undefined;
  /** What is left of loads of other models: a box loads one at a time. */
  readonly otherLoadsMs: number;
  /** What a load would push out of the memory. */
  readonly victims: readonly VictimView[];
  /** What it might push out; undefined: nothing, or that is known already. */
  readonly doubtful: DoubtView | undefined;
  /** How many other models are in memory. */
  readonly neighbours: number;
  /** The memory for models takes it, once all else is pushed out. */
  readonly fits: boolean;
  readonly tokensPerSecond: number;
  /** To the first token of the shortest prompt. */
  readonly leastMs: number;
  /** By how much the box counts more tokens than was estimated. */
  readonly tokensFactor: number;
  /** Of what earlier turns brought, what its cache still has. */
  readonly hitShare: number;
  /** Of this model, there, lately. */
  readonly callsPerSecond: number;
}

/** A model that would have to go. */
export interface VictimView {
  readonly model: string;
  readonly reloadMs: number;
  /** Calls to it are under way or wait there. */
  readonly isBusy: boolean;
  /** Since it was used last; undefined: not by this gateway. */
  readonly idleMs: number | undefined;
  readonly callsPerSecond: number;
  /** Other boxes that have it in memory. */
  readonly otherHomes: number;
}

/** The one that would have to go if the memory were full, where nobody knows how much goes in. */
export interface DoubtView {
  readonly victim: VictimView;
  /** How likely that is: from 0 to 1. */
  readonly share: number;
}

/** What is asked, in numbers. */
export interface CallView {
  readonly promptTokens: number;
  /** Of these, what earlier turns of the conversation had already. */
  readonly earlierTokens: number;
  /** Sharer and conversation; undefined: the call stands by itself. */
  readonly key: string | undefined;
}

export interface PlacementRules {
  readonly secondHome: boolean;
  readonly affinity: boolean;
  readonly affinityMaxLoad: number;
}

/** With what the order goes by: the prediction, and what homes and spreading are worth. Milliseconds. */
export interface Placed extends Placing {
  readonly orderMs: number;
}

/** Nobody's busy model goes as long as any box can serve otherwise. */
const busyEvictionMs = 3_600_000;
/** A model that was used just now is worth its reload, one unused for this long half of it. */
const halfForgottenMs = 300_000;
/** Of a prompt whose conversation was served nowhere yet, as far as known, what home is worth: its next turn will find it in the cache. */
const firstTurnShare = 0.5;
const laterTurnShare = 0.9;
/** A model that is partly on the CPU reads this much slower. */
const misfitFactor = 4;
/** For whom a further home is loaded. */
const foreseenSeconds = 60;
/** Nobody waits for its load. But the box can load nothing else meanwhile. */
const furtherLoadCounts = 0.7;
/** A model that others have in memory is missed less than one whose last home goes: it pushes out the next when it is wanted again. */
const otherHomeCounts = 2;
const lastHomeCounts = 8;
/** Where it is not known whether the memory is full, it is found out at a price. */
const doubtCounts = 2;
/** While the homes keep up easily, this much of a load counts for the call that would wait for it. */
const mostSpreading = 1.5;
/** Predictions this near to each other are alike: what is learnt is not more exact. */
const alikeMs = 25;
const alikeShare = 0.1;
const mostAlikeMs = 500;
/** However long a load has been under way, some of it may be left. */
const leastLeftShare = 0.1;

/** What the box would need. `isCached`: earlier turns went there, so what they brought is in its cache. */
export function predictOne(view: BoxView, call: CallView, isCached: boolean): Prediction {
  const queueMs = queueMsOf(view);
  const loadMs = view.isResident ? 0 : loadMsOf(view);
  const evictionMs = loadMs === 0 || view.loadAgeMs !== undefined ? 0 : sum(view.victims, evictionMsOf);
  const perToken = perTokenMs(view) * slownessThen(view, queueMs);
  const promptMs = view.leastMs + call.promptTokens * view.tokensFactor * perToken;
  const cachedTokens = isCached && view.isResident ? Math.min(call.earlierTokens, call.promptTokens) * view.hitShare : 0;
  const cachedMs = cachedTokens * view.tokensFactor * perToken;
  return { totalMs: queueMs + loadMs + evictionMs + promptMs - cachedMs, queueMs, loadMs, evictionMs, promptMs, cachedMs };
}

/** Whether the box has in its cache what earlier turns brought: as long as not too many others came since; at home where nobody knows. */
function isCachedAt(view: BoxView, isHome: boolean, isKnown: boolean): boolean {
  if (view.conversationsSince === undefined) return isHome && !isKnown;
  return view.conversationsSince + view.waiting < view.slots;
}

/** One placing for each view, in the order of the views. */
export function placeCall(views: readonly BoxView[], call: CallView, rules: PlacementRules): readonly Placed[] {
  const home = rules.affinity ? homeOf(views, call, rules.affinityMaxLoad) : undefined;
  const isKnown = views.some(({ conversationsSince }) => conversationsSince !== undefined);
  const scored = views.map((view) => {
    const isHome = view === home;
    const prediction = predictOne(view, call, rules.affinity && isCachedAt(view, isHome, isKnown));
    return { view, prediction, isHome, orderMs: orderMsOf(view, prediction, views, call, isHome && !isKnown, rules) };
  });
  const bestMs = Math.min(...scored.map(({ orderMs }) => orderMs));
  const isAlike = (orderMs: number) => orderMs <= bestMs + alikeMs + Math.min(alikeShare * Math.abs(bestMs), mostAlikeMs);
  const sorted = [...scored].sort((first, second) => {
    if (isAlike(first.orderMs) && isAlike(second.orderMs)) return compareAlike(first, second, home !== undefined);
    return first.orderMs - second.orderMs;
  });
  return scored.map((one) => ({
    prediction: one.prediction,
    isHome: one.isHome,
    orderMs: one.orderMs,
    rank: sorted.indexOf(one),
  }));
}

/**
 * The box, by its place among the views, on which the model should be loaded beside the call, which goes where it is served first:
 * as soon as what callers of the next minute would wait, as long as this one, outweighs the load and what it evicts.
 */
export function furtherHomeFor(
  views: readonly BoxView[],
  placed: readonly Placed[],
  { promptTokens }: CallView,
  { secondHome }: PlacementRules,
): number | undefined {
  const at = placed.findIndex(({ rank }) => rank === 0);
  const [view, first] = [views[at], placed[at]];
  if (!secondHome || view === undefined || first === undefined || !view.isResident) return undefined;
  if (views.some(({ loadAgeMs }) => loadAgeMs !== undefined)) return undefined;
  const { promptMs, cachedMs, queueMs } = first.prediction;
  const aloneMs = view.leastMs + promptTokens * view.tokensFactor * perTokenMs(view);
  const waitMs = queueMs + Math.max(0, promptMs - aloneMs) * (1 - cachedMs / promptMs);
  const savedMs = sum(views, ({ callsPerSecond }) => callsPerSecond) * foreseenSeconds * waitMs;
  let best: number | undefined;
  let bestMs = savedMs;
  for (const [index, { prediction }] of placed.entries()) {
    if (views[index]?.isResident !== false || views[index].otherLoadsMs > 0) continue;
    const costMs = prediction.loadMs * furtherLoadCounts + lossMs(views[index]);
    if (costMs >= bestMs) continue;
    best = index;
    bestMs = costMs;
  }
  return best;
}

/** What others lose by a load that nobody waits for. */
function lossMs({ victims, doubtful }: BoxView): number {
  const lossOf = (victim: VictimView) => evictionMsOf(victim) * (victim.otherHomes > 0 ? otherHomeCounts : lastHomeCounts);
  return sum(victims, lossOf) + (doubtful === undefined ? 0 : lossOf(doubtful.victim) * doubtful.share * doubtCounts);
}

interface Scored {
  readonly view: BoxView;
  readonly isHome: boolean;
}

/** Among those that are as good as each other: home, who has less under way for its weight, who had less lately, the file's order. */
function compareAlike(first: Scored, second: Scored, hasHome: boolean): number {
  const [one, other] = [first.view, second.view];
  return (
    Number(second.isHome) - Number(first.isHome) ||
    one.neighbours * Number(!one.isResident) - other.neighbours * Number(!other.isResident) ||
    loadOf(one) / one.weight - loadOf(other) / other.weight ||
    (hasHome ? 0 : one.callsPerSecond / one.weight - other.callsPerSecond / other.weight)
  );
}

function loadOf({ busy, waiting, othersBusy }: BoxView): number {
  return busy + waiting + othersBusy;
}

/**
 * The box whose turn it is by the hash, among those that need no load; the next one while it has more than its share of what is
 * under way (Mirrokni, Thorup and Zadimoghaddam: consistent hashing with bounded loads).
 */
function homeOf(views: readonly BoxView[], { key }: CallView, maxLoad: number): BoxView | undefined {
  if (key === undefined) return undefined;
  let slots = 0;
  let load = 0;
  for (const view of views) {
    if (!view.isResident) continue;
    slots += view.slots;
    load += view.busy + view.waiting;
  }
  let home: BoxView | undefined;
  let best = Number.NEGATIVE_INFINITY;
  for (const view of views) {
    if (!view.isResident || view.busy + view.waiting >= (maxLoad * load * view.slots) / slots + 1) continue;
    const score = rendezvousScore(key, view.place, view.slots * view.weight);
    if (score > best) {
      best = score;
      home = view;
    }
  }
  return home;
}

function orderMsOf(
  view: BoxView,
  { totalMs, cachedMs, loadMs, evictionMs }: Prediction,
  views: readonly BoxView[],
  { earlierTokens, promptTokens }: CallView,
  isHome: boolean,
  rules: PlacementRules,
): number {
  if (isHome) {
    const worthMs = (view.leastMs + promptTokens * view.tokensFactor * perTokenMs(view)) * view.hitShare;
    return totalMs - Math.max(0, worthMs * (earlierTokens > 0 ? laterTurnShare : firstTurnShare) - cachedMs);
  }
  if (view.isResident || view.loadAgeMs !== undefined) return totalMs;
  return totalMs + spreadingMs(loadMs, evictionMs, views, rules);
}

/**
 * What a further home must be worth to the call that waits for it. It serves those to come as well: so while those boxes that have
 * the model cannot keep up with it, half of the load counts, and while they easily can, it counts half more: a burst is over when
 * it is loaded.
 */
function spreadingMs(loadMs: number, evictionMs: number, views: readonly BoxView[], { secondHome }: PlacementRules): number {
  let served = 0;
  let wanted = 0;
  let hasHome = false;
  for (const { isResident, loadAgeMs, slots, callMs, callsPerSecond } of views) {
    wanted += callsPerSecond;
    if (!isResident && loadAgeMs === undefined) continue;
    hasHome = true;
    served += (slots * 1_000) / callMs;
  }
  if (!hasHome) return 0;
  if (!secondHome) return busyEvictionMs;
  const factor = Math.min(mostSpreading, Math.max(0.5, wanted === 0 ? mostSpreading : served / wanted));
  return (loadMs + Math.min(evictionMs, busyEvictionMs)) * (factor - 1);
}

/** Until a slot is free: those under way take the slots in their order, then those who wait. */
function queueMsOf({ busy, waiting, slots, callMs, leftMs }: BoxView): number {
  if (busy + waiting < slots) return 0;
  const freeMs: number[] = new Array(slots).fill(0);
  for (let at = 0; at < Math.min(busy, 4 * slots + leftMs.length); at++) {
    const first = freeMs.indexOf(Math.min(...freeMs));
    freeMs[first] = (freeMs[first] ?? 0) + (leftMs[at] ?? callMs);
  }
  const rest = waiting + Math.max(0, busy - 4 * slots - leftMs.length);
  const sorted = freeMs.sort((first, second) => first - second);
  return (sorted[rest % slots] ?? 0) + Math.floor(rest / slots) * callMs;
}

function perTokenMs({ tokensPerSecond, fits }: BoxView): number {
  return (1_000 / tokensPerSecond) * (fits ? 1 : misfitFactor);
}

/** What runs beside the call when its turn has come: whoever waits comes when others are being answered. */
function slownessThen({ crowd, slots }: BoxView, queueMs: number): number {
  if (queueMs === 0) return slownessOf(crowd);
  return slownessOf({ ...crowd, reading: 0, saying: slots - 1 });
}

/** Whoever joins a load waits for what is left of it; one that begins waits for those before it. */
function loadMsOf({ fullLoadMs, loadAgeMs, otherLoadsMs }: BoxView): number {
  if (loadAgeMs === undefined) return otherLoadsMs + fullLoadMs;
  return Math.max(fullLoadMs - loadAgeMs, fullLoadMs * leastLeftShare);
}

/** What others lose by it: its reload, as likely as it will be wanted again, and less where others have it, too. */
function evictionMsOf({ reloadMs, isBusy, idleMs, callsPerSecond, otherHomes }: VictimView): number {
  if (isBusy) return busyEvictionMs;
  const recency = idleMs === undefined ? 0.5 : 0.5 ** (idleMs / halfForgottenMs);
  const demand = Math.min(1, (callsPerSecond * halfForgottenMs) / 1_000);
  return (reloadMs * Math.max(recency, demand)) / (1 + otherHomes);
}

function sum<Item>(items: readonly Item[], of: (item: Item) => number): number {
  let total = 0;
  for (const item of items) total += of(item);
  return total;
}
