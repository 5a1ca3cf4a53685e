/**
 * THE scoring function: what each box would need to the first token of a call's answer, and which box is asked first. Pure: what
 * is known of the boxes comes in as plain numbers, an order comes out. The formula is explained in docs/placement.md.
 */
import type { Placing, Prediction } from '../exchange.ts';
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
  /** How many other models are in memory. */
  readonly neighbours: number;
  /** The memory for models takes it, once all else is pushed out. */
  readonly fits: boolean;
  readonly tokensPerSecond: number;
  /** To the first token of the shortest prompt. */
  readonly leastMs: number;
  /** By how much the box counts more tokens than was estimated. */
  readonly tokensFactor: number;
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
/** Of a prompt whose conversation is at home there, what its next turn will find in the cache: worth staying for from the first turn. */
const firstTurnShare = 0.5;
const laterTurnShare = 0.9;
/** A model that is partly on the CPU reads this much slower. */
const misfitFactor = 4;
/** Predictions this near to each other are alike: what is learnt is not more exact. */
const alikeMs = 25;
const alikeShare = 0.1;
/** However long a load has been under way, some of it may be left. */
const leastLeftShare = 0.1;

/** What the box would need. `isHome`: earlier turns went there, so what they brought is in its cache. */
export function predictOne(view: BoxView, call: CallView, isHome: boolean): Prediction {
  const queueMs = queueMsOf(view);
  const loadMs = view.isResident ? 0 : loadMsOf(view);
  const evictionMs = loadMs === 0 || view.loadAgeMs !== undefined ? 0 : sum(view.victims, evictionMsOf);
  const perToken = (1_000 / view.tokensPerSecond) * crowdOf(view) * (view.fits ? 1 : misfitFactor);
  const promptMs = view.leastMs + call.promptTokens * view.tokensFactor * perToken;
  const isCached = isHome && view.isResident;
  const cachedMs = isCached ? Math.min(call.earlierTokens, call.promptTokens) * view.tokensFactor * perToken : 0;
  return { totalMs: queueMs + loadMs + evictionMs + promptMs - cachedMs, queueMs, loadMs, evictionMs, promptMs, cachedMs };
}

/** One placing for each view, in the order of the views. */
export function placeCall(views: readonly BoxView[], call: CallView, rules: PlacementRules): readonly Placed[] {
  const home = rules.affinity ? homeOf(views, call, rules.affinityMaxLoad) : undefined;
  const scored = views.map((view) => {
    const prediction = predictOne(view, call, view === home);
    return { view, prediction, isHome: view === home, orderMs: orderMsOf(view, prediction, views, call, view === home, rules) };
  });
  const bestMs = Math.min(...scored.map(({ orderMs }) => orderMs));
  const isAlike = (orderMs: number) => orderMs <= bestMs + alikeMs + alikeShare * Math.abs(bestMs);
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
  { totalMs, promptMs, cachedMs, loadMs, evictionMs }: Prediction,
  views: readonly BoxView[],
  { earlierTokens }: CallView,
  isHome: boolean,
  rules: PlacementRules,
): number {
  if (isHome) return totalMs - Math.max(0, promptMs * (earlierTokens > 0 ? laterTurnShare : firstTurnShare) - cachedMs);
  if (view.isResident || view.loadAgeMs !== undefined) return totalMs;
  return totalMs + spreadingMs(loadMs, evictionMs, views, rules);
}

/**
 * What a further home must be worth. It serves those to come as well as this call: so while those boxes that have the model
 * cannot keep up with it, half of the load counts, and while they easily can, it counts twice: a burst is over when it is loaded.
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
  const factor = Math.min(2, Math.max(0.5, wanted === 0 ? 2 : served / wanted));
  return (loadMs + Math.min(evictionMs, busyEvictionMs)) * (factor - 1);
}

/** Until a slot is free: those ahead leave one by one, `slots` of them at a time. */
function queueMsOf({ busy, waiting, slots, callMs }: BoxView): number {
  const ahead = busy + waiting - slots + 1;
  return ahead <= 0 ? 0 : (ahead * callMs) / slots;
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

/** Everything that runs on the chip at once, the call included. */
function crowdOf({ busy, slots, othersBusy }: BoxView): number {
  return 1 + Math.min(busy, slots - 1) + othersBusy;
}

function sum<Item>(items: readonly Item[], of: (item: Item) => number): number {
  let total = 0;
  for (const item of items) total += of(item);
  return total;
}
