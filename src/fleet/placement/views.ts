/** A box as the scoring function sees it: what is known and learnt of it, in numbers. Model names are canonical. */
import type { Ask } from '../../exchange.ts';
import type { Box } from '../box.ts';
import { roomOf } from '../rates/capacity.ts';
import { usualRates } from '../rates/rates.ts';
import { crowdOf, leftMsOf } from '../rates/under-way.ts';
import { type Occupant, victimsOf } from '../rates/victims.ts';
import { isWantedByOthers, withOthers } from './behind-relay.ts';
import { beliefsOf, loadMsOf } from './beliefs.ts';
import type { BoxView, VictimView } from './predict.ts';

/** A model of which nobody knows how big it is. */
const usualBytes = 5_000_000_000;
/** What a context takes up beside the weights, where it was never seen. */
const contextFactor = 1.15;
/** How long a load that a call has set off is believed in without a sign. */
const beliefMs = 600_000;

/** Undefined: nothing is known of the box that would tell it apart from others. */
export function viewOf(
  box: Box,
  model: string,
  { numCtx }: Pick<Ask, 'numCtx'>,
  others: readonly Box[],
  nowMs: number,
  conversation?: number,
): BoxView | undefined {
  const { rates, slots, upstream } = box;
  const known = rates.of(model);
  const held = isInMemory(box, model, numCtx);
  if (held === undefined && known === undefined) return undefined;
  const isResident = held === true;
  const busy = slots.busy(model);
  const beliefs = beliefsOf(box, model, others, nowMs);
  const { underWay } = rates;
  return {
    place: `${upstream.baseUrl}\n${model}`,
    weight: upstream.box?.weight ?? 1,
    isResident,
    ...withOthers(
      box,
      model,
      {
        busy,
        waiting: slots.waiting(model),
        slots: slots.limitOf(model) ?? Math.max(1, known?.mostSaying ?? 1),
        othersBusy: Math.max(0, slots.busy() - busy),
        crowd: underWay.length === 0 ? alone : crowdOf(underWay, model, nowMs, (name) => rates.of(name) ?? usualRates),
      },
      nowMs,
    ),
    leftMs: busy === 0 ? none : leftMsOf(underWay, model, nowMs, beliefs),
    conversationsSince: sinceOf(known?.recent, conversation),
    ...beliefs,
    ...(isResident ? noLoad : loadViewOf(box, model, others, nowMs)),
    callsPerSecond: rates.demandFor(model),
  };
}

const none: readonly number[] = [];
const alone = { reading: 0, saying: 0, sayingOthers: 0 };

/** How many other conversations were served since; undefined: this one never was. */
function sinceOf(recent: readonly number[] | undefined, conversation: number | undefined): number | undefined {
  if (recent === undefined || conversation === undefined) return undefined;
  const at = recent.lastIndexOf(conversation);
  return at < 0 ? undefined : recent.length - 1 - at;
}

type LoadView = Pick<BoxView, 'fullLoadMs' | 'loadAgeMs' | 'otherLoadsMs' | 'victims' | 'neighbours' | 'fits'>;

const noLoad: LoadView = { fullLoadMs: 0, loadAgeMs: undefined, otherLoadsMs: 0, victims: [], neighbours: 0, fits: true };

function loadViewOf(box: Box, model: string, others: readonly Box[], nowMs: number): LoadView {
  const loadAgeMs = loadAgeOf(box, model, nowMs);
  const occupants = occupantsOf(box, nowMs);
  const room = roomOf(box.upstream.box, box.memory.capacity.room);
  const needBytes = needOf(box, model);
  // The same model with less context goes by itself; while it is busy, that is no small thing.
  const victims = victimsOf(
    occupants.filter((one) => one.model !== model),
    needBytes,
    room,
  );
  const self = occupants.filter((one) => one.model === model && one.isBusy);
  return {
    fullLoadMs: loadMsOf(box, fileBytesOf(box, model), others),
    loadAgeMs,
    otherLoadsMs: otherLoadsMs(box, model, others, nowMs),
    victims: loadAgeMs === undefined ? [...victims, ...self].map((victim) => victimOf(box, victim, others)) : [],
    neighbours: occupants.length,
    fits: room.bytes === undefined || needBytes <= room.bytes,
  };
}

/** As the last look saw it, however long ago, or because the model has answered since. Undefined: nobody has looked. */
export function isInMemory(box: Box, model: string, numCtx: number | undefined): boolean | undefined {
  if (box.isLost(model)) return false;
  const { seenMs } = box.memory.capacity;
  const runner = box.runnerOf(model);
  if (runner !== undefined && seenMs > Number.NEGATIVE_INFINITY) {
    const { contextLength } = runner;
    // Older boxes do not tell how much context it has.
    return (
      numCtx === undefined || contextLength === undefined || contextLength >= numCtx || hasAllItCan(box, model, contextLength)
    );
  }
  if ((box.rates.of(model)?.shownMs ?? Number.NEGATIVE_INFINITY) > seenMs) return true;
  return seenMs > Number.NEGATIVE_INFINITY ? false : undefined;
}

/** More than it was made for no model gets, whoever asks. */
function hasAllItCan(box: Box, model: string, context: number): boolean {
  const most = /"context_length"\s*:\s*(\d+)/.exec(box.catalogue?.get(model)?.tag ?? '')?.[1];
  return most !== undefined && context >= Number(most);
}

/** For how long a load of the model has been under way there; undefined: it is not. */
function loadAgeOf({ loads, rates }: Box, model: string, nowMs: number): number | undefined {
  for (const load of loads.underWay()) if (load.model === model) return nowMs - load.startedMs;
  const sinceMs = rates.of(model)?.loadingSinceMs;
  return sinceMs === undefined || nowMs - sinceMs > beliefMs ? undefined : nowMs - sinceMs;
}

/** What is left of those before it. */
function otherLoadsMs(box: Box, model: string, others: readonly Box[], nowMs: number): number {
  let leftMs = 0;
  for (const load of box.loads.underWay()) {
    if (load.model !== model)
      leftMs += Math.max(loadMsOf(box, fileBytesOf(box, load.model), others) - (nowMs - load.startedMs), 0);
  }
  return leftMs;
}

function fileBytesOf({ catalogue }: Box, model: string): number {
  return catalogue?.get(model)?.sizeBytes || usualBytes;
}

function needOf(box: Box, model: string): number {
  return box.memory.capacity.bytesOf(model) ?? fileBytesOf(box, model) * contextFactor;
}

/** What is in memory, and what is on its way there. */
function occupantsOf(box: Box, nowMs: number): Occupant[] {
  const occupants: Occupant[] = [];
  const { running } = box.memory.capacity;
  for (const model of running.keys()) occupants.push(occupantOf(box, model, nowMs));
  for (const { model } of box.loads.underWay())
    if (!running.has(model)) occupants.push({ ...occupantOf(box, model, nowMs), isBusy: true });
  return occupants;
}

function occupantOf(box: Box, model: string, nowMs: number): Occupant {
  const usedMs = box.rates.of(model)?.usedMs;
  return {
    model,
    bytes: needOf(box, model),
    isBusy: box.slots.busy(model) + box.slots.waiting(model) > 0 || isWantedByOthers(box, model, nowMs),
    idleMs: usedMs === undefined ? undefined : nowMs - usedMs,
    keepAlive: box.memory.capacity.keepAlives.of(model),
    blob: box.blobOf(model),
  };
}

function victimOf(box: Box, { model, isBusy, idleMs }: Occupant, others: readonly Box[]): VictimView {
  return {
    model,
    reloadMs: loadMsOf(box, fileBytesOf(box, model), others),
    isBusy,
    idleMs,
    callsPerSecond: box.rates.demandFor(model),
    otherHomes: others.filter((other) => other !== box && other.isResident(model) === true).length,
  };
}
