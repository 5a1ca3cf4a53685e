/** What a box has in its memory, as `/api/ps` told last, and what is known to fit into it. Model names are canonical. */
import type { BoxOptions, KnownModel } from '../exchange.ts';
import { canonicalModel } from '../fields/model-name.ts';
import type { Clock } from '../platform.ts';
import type { RunningModel } from './asking/answers.ts';
import { LostRunners } from './loads/lost-runners.ts';
import { Capacity, roomOf } from './rates/capacity.ts';

/** What is older than this is not known any more. */
const lastsMs = 30_000;
/** What a context takes up beside the weights, where it was never seen. */
const contextFactor = 1.15;

type Catalogue = ReadonlyMap<string, KnownModel>;

export class Memory {
  readonly capacity = new Capacity();
  /** Models that count as not in memory, whatever is listed. */
  readonly lost = new LostRunners();
  readonly #catalogue: () => Catalogue | undefined;
  readonly #clock: Clock;
  #running: ReadonlyMap<string, RunningModel> = new Map();
  #byDigest: ReadonlyMap<string, RunningModel> = new Map();
  #seenMs = Number.NEGATIVE_INFINITY;

  /** `catalogue`: the last list of the box's models. */
  constructor(catalogue: () => Catalogue | undefined, clock: Clock) {
    this.#catalogue = catalogue;
    this.#clock = clock;
  }

  get running(): readonly RunningModel[] {
    return [...this.#running.values()];
  }

  /** The box has listed these. `isLoading`: it loads another one now, as far as known. */
  saw(running: readonly RunningModel[], isLoading: boolean): void {
    const byName = new Map(running.map((one) => [canonicalModel(one.name), one]));
    const byDigest = new Map(running.map((one) => [one.digest, one]));
    this.#running = byName;
    this.#byDigest = byDigest;
    this.#seenMs = this.#clock.now();
    if (this.lost.size > 0) this.lost.listed((key) => byDigest.has(key) || byName.has(key));
    this.capacity.saw(byName, this.#seenMs, this.#clock.wallTime(), isLoading);
  }

  /** Undefined: nobody has asked lately. */
  isResident(model: string): boolean | undefined {
    if (this.isLost(model)) return false;
    if (this.#clock.now() - this.#seenMs > lastsMs) return undefined;
    return this.runnerOf(model) !== undefined;
  }

  /** Whether the model is in memory, with this many tokens of context or more. Undefined: not known. */
  holds(model: string, numCtx: number | undefined): boolean | undefined {
    const isResident = this.isResident(model);
    if (numCtx === undefined || isResident !== true) return isResident;
    // Older boxes do not tell how much it has.
    return (this.runnerOf(model)?.contextLength ?? numCtx) >= numCtx;
  }

  /**
   * The runner that would serve the model: by name, or by digest, because names of one blob share a runner that is listed
   * under the name that loaded it. A runner that has crashed stays listed, so this is a hint.
   */
  runnerOf(model: string): RunningModel | undefined {
    const byName = this.#running.get(model);
    if (byName !== undefined) return byName;
    const digest = this.#catalogue()?.get(model)?.digest;
    return digest === undefined || digest === '' ? undefined : this.#byDigest.get(digest);
  }

  /** Names of one blob share a runner; a list that does not tell them apart leaves the name. */
  runnerKeyOf(model: string): string {
    return this.#catalogue()?.get(model)?.digest || model;
  }

  /** Its runner seems to have died since it was seen. */
  isLost(model: string): boolean {
    return this.lost.size > 0 && this.lost.has(this.runnerKeyOf(model));
  }

  noteFound(model: string): void {
    if (this.lost.size > 0) this.lost.found(this.runnerKeyOf(model));
  }

  /** Whether the memory may be too small for the model, those that are loaded now, and those that are in it. */
  mayClash(model: string, loading: readonly string[], options: BoxOptions | undefined): boolean {
    // The same model with another context: one goes for the other.
    if (loading.includes(model)) return true;
    const models = new Set([...this.#running.keys(), ...loading, model]);
    let bytes = 0;
    for (const one of models) bytes += this.capacity.bytesOf(one) ?? this.#guessedBytesOf(one);
    return !this.capacity.isKnownToHold(bytes, models.size, roomOf(options, this.capacity.room));
  }

  #guessedBytesOf(model: string): number {
    return (this.#catalogue()?.get(model)?.sizeBytes || Number.POSITIVE_INFINITY) * contextFactor;
  }
}
