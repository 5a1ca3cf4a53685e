/** What all boxes together have to do now: what a relay tells Corrals in front. */
import { canonicalModel } from '../fields/model-name.ts';
import { type RelayLoad, type RunnerLoad, runnerHash } from '../http/relay-load.ts';
import type { Box } from './box.ts';

/** Boxes that have the same model in memory are one to whoever asks from outside. */
export function loadOfAll(boxes: readonly Box[], atMs: number): RelayLoad {
  const byKey = new Map<string, RunnerLoad>();
  for (const box of boxes) for (const { key, ...load } of box.slots.load()) add(byKey, key, load);
  // Those that are idle serve the next call.
  if (boxes.length > 1 && byKey.size > 0) for (const box of boxes) addIdle(byKey, box);
  return { atMs, runners: [...byKey.values()] };
}

function add(byKey: Map<string, RunnerLoad>, key: string, { busy, waiting, slots }: Omit<RunnerLoad, 'hash'>): void {
  const sum = byKey.get(key);
  byKey.set(key, {
    hash: sum?.hash ?? runnerHash(key),
    busy: busy + (sum?.busy ?? 0),
    waiting: waiting + (sum?.waiting ?? 0),
    slots: sum === undefined ? slots : (slots ?? Math.max(1, busy)) + (sum.slots ?? Math.max(1, sum.busy)),
  });
}

function addIdle(byKey: Map<string, RunnerLoad>, box: Box): void {
  const { running, slots } = box;
  for (const { name } of running) {
    const model = canonicalModel(name);
    const key = box.runnerKeyOf(model);
    if (byKey.has(key) && slots.busy(model) + slots.waiting(model) === 0)
      add(byKey, key, { busy: 0, waiting: 0, slots: slots.limitOf(model) });
  }
}
