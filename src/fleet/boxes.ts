/**
 * Every box that some plan knows, each once. A box is where it is and how it is reached, whatever a configuration calls it:
 * so what is known of it, what is under way there and its next look survive a reload. A plan takes its boxes when it comes
 * into force and gives them back when its last exchange has ended; a box that nobody has taken is asked no more.
 */
import type { Upstream } from '../exchange.ts';
import type { Platform } from '../platform.ts';
import { createStop } from './asking/ask.ts';
import { createShows, type Shows } from './asking/shows.ts';
import { Box } from './box.ts';
import { createDriftWatch, driftOf } from './drift.ts';
import type { OwnerOf } from './owner.ts';
import { createRounds } from './rounds.ts';
import type { BoxWanted } from './wanted.ts';

export type { BoxWanted } from './wanted.ts';

export interface Boxes {
  /** The box behind this upstream: the one that is there already, which from now on goes by this upstream's name, or a new one. */
  take(wanted: BoxWanted): Box;
  /** As often as it was taken. */
  giveBack(box: Box): void;
  /** The box that this upstream, of whatever plan, was taken for. */
  boxOf(upstream: Upstream): Box | undefined;
  /** This upstream means that box, too: two names for one place. */
  alias(upstream: Upstream, box: Box): void;
  /** Starts looking at boxes in the background, where the runtime allows that; also at those that come later. */
  start(): void;
  /** Ends all asking, for good. What is known stays readable. */
  stop(): void;
  /** The box is due at another time than planned. */
  replan(box: Box): void;
  /** What models can do, by digest. */
  readonly shows: Shows;
  readonly isStopped: boolean;
  /** How many there are: a leak shows here. */
  readonly size: number;
}

export interface BoxesSetting {
  readonly platform: Platform;
  /** What this gateway writes into `x-corral-instance`: a box that answers with it is the gateway itself. */
  readonly instanceId: string;
  /** From 0 up to 1; Math.random unless a test says otherwise. */
  readonly jitter?: () => number;
  /** Left out: this process owns all boxes. */
  readonly ownerOf?: OwnerOf;
}

interface Entry {
  readonly place: string;
  readonly box: Box;
  readonly stop: () => void;
  takers: number;
}

export function createBoxes({ platform, instanceId, jitter = Math.random, ownerOf }: BoxesSetting): Boxes {
  const entries = new Map<string, Entry>();
  const byBox = new Map<Box, Entry>();
  // Old plans' upstreams find their boxes as long as anybody holds them.
  const byUpstream = new WeakMap<Upstream, Box>();
  // A request asks some fifteen times in a row, and nearly always about one box.
  let lastUpstream: Upstream | undefined;
  let lastBox: Box | undefined;
  const name = (upstream: Upstream, box: Box): void => {
    byUpstream.set(upstream, box);
    lastUpstream = undefined;
  };
  const rounds = createRounds(platform);
  const shows = createShows(platform.clock);
  const tellDrift = createDriftWatch((level, message) => platform.report(level, message));
  const lookForDrift = (): void => {
    tellDrift(driftOf([...byBox.keys()].map(({ upstream: { name }, catalogue }) => ({ name, catalogue }))));
  };
  let isStopped = false;

  const open = (place: string, wanted: BoxWanted): Entry => {
    const stop = createStop();
    const now = (): BoxWanted => {
      const { upstream, tuning } = box;
      return { ...wanted, upstream, tuning, headers: { ...wanted.headers, ...upstream.box?.headers } };
    };
    const owner = ownerOf?.(wanted, now, (told) => {
      box.others.heard(told, platform.clock.now());
      box.others.heardResting(told.resting, platform.clock.now());
    });
    const box = new Box({ ...wanted, platform, instanceId, jitter, stop, shows, onChange: lookForDrift, owner });
    const entry: Entry = { place, box, stop: stop.stop, takers: 0 };
    entries.set(place, entry);
    byBox.set(box, entry);
    if (isStopped) stop.stop();
    else if (wanted.upstream.kind === 'box') rounds.add(box);
    return entry;
  };

  return {
    take(wanted) {
      const place = placeOf(wanted);
      const known = entries.get(place);
      if (known !== undefined) known.box.adopt(wanted);
      const entry = known ?? open(place, wanted);
      entry.takers++;
      name(wanted.upstream, entry.box);
      return entry.box;
    },
    giveBack(box) {
      const entry = byBox.get(box);
      if (entry === undefined || --entry.takers > 0) return;
      lastUpstream = undefined;
      lastBox = undefined;
      entries.delete(entry.place);
      byBox.delete(box);
      rounds.drop(box);
      entry.stop();
      lookForDrift();
    },
    boxOf(upstream) {
      if (upstream !== lastUpstream) {
        lastBox = byUpstream.get(upstream);
        lastUpstream = upstream;
      }
      return lastBox;
    },
    alias: name,
    start: rounds.start,
    stop() {
      isStopped = true;
      rounds.stop();
      for (const { stop } of entries.values()) stop();
    },
    replan: rounds.replan,
    shows,
    get isStopped() {
      return isStopped;
    },
    get size() {
      return entries.size;
    },
  };
}

/**
 * Upstreams that reach the same place in the same way are one box. Of the headers only Host tells places apart: another
 * credential is no other box.
 */
export function placeOf({ upstream, headers }: Pick<BoxWanted, 'upstream' | 'headers'>): string {
  return JSON.stringify([upstream.kind, upstream.baseUrl, upstream.tls ?? null, headers.host ?? null]);
}
