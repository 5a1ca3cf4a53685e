/**
 * What a relay, or the owner of a box, has told last of the queue there, as far as others fill it: placement knows what this process
 * sends there itself, and nothing of what others do.
 */
import type { CheckLoad, RelayLoad } from '../../http/relay-load.ts';
import { readLoad, runnerHash } from '../../http/relay-load.ts';

/** What others have at one runner of the relay. */
export interface Others {
  /** Their calls, under way and waiting. */
  readonly calls: number;
  /** Their calls under way at its other runners. */
  readonly elsewhere: number;
  /** What the relay serves at once, for everybody; undefined: it does not know. */
  readonly slots: number | undefined;
}

/** What this process has under way there, by what tells runners apart. */
export type OwnLoad = () => readonly { readonly key: string; readonly busy: number }[];

/** Calls take seconds: what is older says nothing of who waits now. Looks and answers tell it anew more often than that. */
const lastsMs = 30_000;

const noneRests: ReadonlyMap<string, number> = new Map();

interface Share {
  readonly calls: number;
  readonly underWay: number;
  readonly slots: number | undefined;
}

interface Told {
  readonly atMs: number;
  readonly heardMs: number;
  readonly byHash: ReadonlyMap<string, Share>;
}

export class ToldLoad {
  readonly #own: OwnLoad;
  #told: Told | undefined;
  #asOf = 0;
  /** Until when models rest, by name. */
  #resting: ReadonlyMap<string, number> = noneRests;

  constructor(own: OwnLoad) {
    this.#own = own;
  }

  /** Of another relay than before, or of none. */
  forget(): void {
    this.#told = undefined;
    this.#resting = noneRests;
    this.#asOf++;
  }

  /** From whom everything is believed. */
  heard(load: RelayLoad, nowMs: number): void {
    this.#take(this.#without(load, nowMs));
  }

  /** These models are better not asked for just now, and no others. */
  heardResting(resting: readonly { readonly model: string; readonly forMs: number }[], nowMs: number): void {
    this.#resting = resting.length === 0 ? noneRests : new Map(resting.map(({ model, forMs }) => [model, nowMs + forMs]));
  }

  isResting(model: string, nowMs: number): boolean {
    return this.#resting.size > 0 && nowMs < (this.#resting.get(model) ?? Number.NEGATIVE_INFINITY);
  }

  /** `value`: in the answer to the request that carried `token`. What nobody has signed, and what is older than what is known, counts not. */
  async hear(value: string, token: string, nowMs: number, check: CheckLoad): Promise<void> {
    const load = readLoad(value);
    if (load === undefined) return;
    // Now, because it was told of this moment: checking takes another.
    const told = this.#without(load, nowMs);
    const asOf = this.#asOf;
    if (!(await check(value, token))) return;
    if (asOf === this.#asOf) this.#take(told);
  }

  /** Undefined: nothing was told, or not lately. `key`: of `Slots`. */
  of(key: string, nowMs: number): Others | undefined {
    const told = this.#told;
    if (told === undefined || nowMs - told.heardMs > lastsMs) return undefined;
    const hash = runnerHash(key);
    const { calls, slots } = told.byHash.get(hash) ?? { calls: 0, slots: undefined };
    let elsewhere = 0;
    for (const [other, { underWay }] of told.byHash) if (other !== hash) elsewhere += underWay;
    return { calls, elsewhere, slots };
  }

  #take(told: Told): void {
    const known = this.#told;
    // What was started anew counts its time from the beginning.
    const isFresh = known !== undefined && told.heardMs - known.heardMs <= lastsMs;
    if (!isFresh || told.atMs >= known.atMs) this.#told = told;
  }

  #without({ atMs, runners }: RelayLoad, heardMs: number): Told {
    const own = new Map<string, number>();
    for (const { key, busy } of this.#own()) own.set(runnerHash(key), busy);
    const byHash = new Map<string, Share>();
    for (const { hash, busy, waiting, slots } of runners) {
      const calls = Math.max(0, busy + waiting - (own.get(hash) ?? 0));
      byHash.set(hash, { calls, underWay: Math.min(busy, calls), slots });
    }
    return { atMs, heardMs, byHash };
  }
}
