/** Which models Ollama pushes out for a load: what its scheduler does (server/sched.go, findRunnerToUnload), with what is known here. */
import type { KeepAlive } from './keep-alives.ts';

/** A model in memory. */
export interface Occupant {
  readonly model: string;
  readonly bytes: number;
  readonly isBusy: boolean;
  /** Since it was used last; undefined: not known. */
  readonly idleMs: number | undefined;
  readonly keepAlive: KeepAlive;
  /** Digest of its weights' file; undefined: not known (yet). */
  readonly blob: string | undefined;
}

/** What goes into the memory, as far as known. */
export interface Room {
  /** Undefined: it has never been full. */
  readonly bytes: number | undefined;
  readonly models: number | undefined;
}

/** keep_alives that differ by less are one: clocks and answers are not more exact. */
const alikeMs = 1_000;
/** Nothing is known of its use: somebody else's, so perhaps just now, perhaps long ago. */
const usualIdleMs = 60_000;

/** Those that go for `needBytes` more, one after the other, until it fits. */
export function victimsOf(occupants: readonly Occupant[], needBytes: number, { bytes, models }: Room): readonly Occupant[] {
  let taken = 0;
  for (const occupant of occupants) taken += occupant.bytes;
  let left = occupants;
  const victims: Occupant[] = [];
  while ((bytes !== undefined && taken + needBytes > bytes) || (models !== undefined && left.length + 1 > models)) {
    const next = firstToGo(left);
    if (next === undefined) break;
    victims.push(next);
    left = left.filter((one) => one !== next);
    taken -= next.bytes;
  }
  return victims;
}

/**
 * Idle ones before busy ones, then the shortest keep_alive, then the path of the weights' file: when something was used last plays
 * no part. It is what is left to guess by where the files are not known.
 */
export function firstToGo(occupants: readonly Occupant[]): Occupant | undefined {
  const idle = occupants.filter(({ isBusy }) => !isBusy);
  const able = idle.length > 0 ? idle : occupants;
  const shortestMs = able.reduce((least, { keepAlive }) => Math.min(least, keepAlive.mostMs), Number.POSITIVE_INFINITY);
  const soonest = able.filter(({ keepAlive }) => keepAlive.leastMs <= shortestMs + alikeMs);
  const isSorted = soonest.every(({ blob }) => blob !== undefined);
  return soonest.reduce<Occupant | undefined>((first, one) => {
    if (first === undefined) return one;
    return (isSorted ? (one.blob ?? '') < (first.blob ?? '') : idleOf(one) > idleOf(first)) ? one : first;
  }, undefined);
}

function idleOf({ idleMs = usualIdleMs }: Occupant): number {
  return idleMs;
}
