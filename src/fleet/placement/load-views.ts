/** What a load on a box would take, and what it would push out, as far as known. Model names are canonical. */
import type { Box } from '../box.ts';
import { roomOf } from '../rates/capacity.ts';
import { firstToGo, type Occupant, victimsOf } from '../rates/victims.ts';
import { isWantedByOthers } from './behind-relay.ts';
import { loadMsOf } from './beliefs.ts';
import type { BoxView, DoubtView, VictimView } from './predict.ts';

/** A model of which nobody knows how big it is. */
const usualBytes = 5_000_000_000;
/** What a context takes up beside the weights, where it was never seen. */
const contextFactor = 1.15;
/** How long a load that a call has set off is believed in without a sign. */
const beliefMs = 600_000;

type LoadView = Pick<BoxView, 'fullLoadMs' | 'loadAgeMs' | 'otherLoadsMs' | 'victims' | 'doubtful' | 'neighbours' | 'fits'>;

export const noLoad: LoadView = {
  fullLoadMs: 0,
  loadAgeMs: undefined,
  otherLoadsMs: 0,
  victims: [],
  doubtful: undefined,
  neighbours: 0,
  fits: true,
};

export function loadViewOf(box: Box, model: string, others: readonly Box[], nowMs: number): LoadView {
  const loadAgeMs = loadAgeOf(box, model, nowMs);
  const occupants = occupantsOf(box, nowMs);
  const beside = occupants.filter((one) => one.model !== model);
  const room = roomOf(box.upstream.box, box.memory.capacity.room);
  const needBytes = needOf(box, model);
  const certain = victimsOf(beside, needBytes, room);
  // The same model with less context goes by itself; while it is busy, that is no small thing.
  const self = occupants.filter((one) => one.model === model && one.isBusy);
  const victims = loadAgeMs === undefined ? [...certain, ...self].map((victim) => victimOf(box, victim, others)) : [];
  return {
    fullLoadMs: loadMsOf(box, fileBytesOf(box, model), others),
    loadAgeMs,
    otherLoadsMs: otherLoadsMs(box, model, others, nowMs),
    victims,
    doubtful: certain.length > 0 ? undefined : doubtViewOf(box, beside, needBytes, others),
    neighbours: occupants.length,
    fits: room.bytes === undefined || needBytes <= room.bytes,
  };
}

/** A load that is under way pushes the model out, or has done so since the last look: then it only seems to be in memory. */
export function isLeaving(box: Box, model: string, nowMs: number): boolean {
  const loads = box.loads.underWay();
  if (loads.length === 0) return false;
  const { capacity } = box.memory;
  const room = roomOf(box.upstream.box, capacity.room);
  const held = [...capacity.running.keys()].map((name) => occupantOf(box, name, nowMs));
  return loads.some((load) => {
    if (load.model === model) return false;
    const beside = held.filter((one) => one.model !== load.model);
    const needBytes = needOf(box, load.model);
    const victims = victimsOf(beside, needBytes, room);
    if (victims.length > 0) return victims.some((victim) => victim.model === model);
    return doubtOf(box, beside, needBytes) > 0.5 && firstToGo(beside)?.model === model;
  });
}

function doubtViewOf(box: Box, beside: readonly Occupant[], needBytes: number, others: readonly Box[]): DoubtView | undefined {
  const share = doubtOf(box, beside, needBytes);
  const first = share === 0 ? undefined : firstToGo(beside);
  return first === undefined ? undefined : { share, victim: victimOf(box, first, others) };
}

/** From 0 to 1: how likely it is that one of these has to go for so many bytes more, where nothing is known that says so. */
function doubtOf({ upstream, memory }: Box, beside: readonly Occupant[], needBytes: number): number {
  // All that there is was configured: then nothing is left to be guessed.
  if (beside.length === 0 || (upstream.box?.vramBytes !== undefined && upstream.box.maxLoaded !== undefined)) return 0;
  const bytes = beside.reduce((sum, one) => sum + one.bytes, needBytes);
  return memory.capacity.doubtOf(bytes, beside.length + 1);
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
