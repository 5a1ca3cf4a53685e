/**
 * The loads of one box: a model is brought into memory by Corral itself, once for all who want it, and not by a client's
 * request, which would take the load with it when it leaves (Ollama llm/llama_server.go; ollama.md §0.2).
 */
import { GatewayError } from '../../errors.ts';
import type { Ask, KnownModel, Upstream, Waiter } from '../../exchange.ts';
import { canonicalModel } from '../../fields/model-name.ts';
import type { Clock, Platform } from '../../platform.ts';
import { type Answer, createStop, type Stop } from '../asking/ask.ts';
import type { FleetTuning } from '../tuning.ts';
import { loadRequestOf, type Outcome, outcomeOf } from './load-answer.ts';
import { Neighbours, type SharedMemory } from './load-neighbours.ts';
import { loadTries } from './load-tries.ts';

export interface Loads {
  /**
   * Undefined: the model is in memory as asked for, or nothing is known and the call itself may load it. Else resolves once it is
   * in memory; throws or rejects with GatewayError where the box could not load it. A waiter that goes leaves the load to the
   * others, and to itself: its promise never settles.
   */
  ready(ask: Ask, waiter: Waiter): Promise<Loaded> | undefined;
  /** Models that are being loaded now, or wait for others to be loaded, and since when on the clock. */
  underWay(): readonly { readonly model: string; readonly startedMs: number }[];
}

export interface Loaded {
  readonly waitedMs: number;
  /** The context that the load was made with; undefined: the box's own, or there was no load to be waited for. */
  readonly numCtx: number | undefined;
}

/** What a load must know of its box. Model names are canonical. */
export interface LoadingPlace {
  readonly upstream: Upstream;
  readonly tuning: FleetTuning;
  readonly isBox: boolean;
  /** Somebody else loads its models. */
  readonly isOwnedElsewhere?: boolean;
  /** The last list of models; undefined when there never was one. */
  readonly catalogue: ReadonlyMap<string, KnownModel> | undefined;
  /** Whether the model is in memory, with this many tokens of context or more. Undefined: not known. */
  holds(model: string, numCtx: number | undefined): boolean | undefined;
  /** Whether the box answers at all, 2 s at most. */
  checkAlive(): Promise<boolean>;
  /** Asks what is in memory now. */
  checkResident(model: string): Promise<boolean | undefined>;
  post(path: string, json: string, limitMs: number, stop: Stop): Promise<Answer | GatewayError>;
  /** A load has ended well, after this long. */
  noteLoad?(model: string, durationMs: number): void;
  /** The model's runner seems to have died, whatever was loaded lately. */
  isLost?(model: string): boolean;
  /** A load has shown whether the model is in memory: it is not lost any more. */
  noteFound?(model: string): void;
  /** Whether the memory may be too small for the model, those that are loaded now, and those that are in it. Left out: never. */
  mayClash?(model: string, loading: readonly string[]): boolean;
  /** Calls that have a slot of the model. */
  busyWith?(model: string): number;
}

/** Ollama loads one after the other; more than this of one box wait elsewhere. */
const maxUnderWay = 16;
/** As while a box owes headers: one that is gone without a word is noticed soon (backends/send.ts). */
const firstDoubtMs = 250;
const nextDoubtMs = 15_000;
/** Where loads live in requests: how often one says that it lives, when it counts as gone, and how often others look. */
const signOfLifeMs = 1_000;
const lostAfterMs = 5_000;
const lookMs = 250;

interface Load {
  readonly key: string;
  readonly model: string;
  readonly numCtx: number | undefined;
  readonly startedMs: number;
  aliveMs: number;
  outcome: Outcome | undefined;
  readonly listeners: Set<() => void>;
}

type Time = Pick<Platform, 'clock' | 'hasBackground'>;

export function createLoads(place: LoadingPlace, time: Time): Loads {
  return new BoxLoads(place, time);
}

class BoxLoads implements Loads {
  readonly #place: LoadingPlace;
  readonly #clock: Clock;
  readonly #hasBackground: boolean;
  readonly #underWay = new Map<string, Load>();
  readonly #past = loadTries();
  readonly #neighbours: Neighbours;

  constructor(place: LoadingPlace, { clock, hasBackground }: Time) {
    this.#place = place;
    this.#clock = clock;
    this.#hasBackground = hasBackground;
    this.#neighbours = new Neighbours({
      memory: memoryOf(place),
      clock,
      hasBackground,
      loads: () => this.#alive(),
    });
  }

  ready(ask: Ask, waiter: Waiter): Promise<Loaded> | undefined {
    const place = this.#place;
    if (!place.tuning.ownsLoads || !place.isBox || place.isOwnedElsewhere === true) return undefined;
    const model = canonicalModel(ask.model);
    const neighbours = this.#neighbours;
    const going =
      (this.#underWay.size > 0 || neighbours.isSettling) && this.#isHeld(model, ask)
        ? neighbours.hold(ask, model, waiter, () => this.#ready(model, ask, waiter))
        : this.#ready(model, ask, waiter);
    return going === undefined ? undefined : neighbours.count(model, waiter, going);
  }

  /** What nobody would load is not held either. */
  #isHeld(model: string, { numCtx }: Ask): boolean {
    const known = this.#place.catalogue?.get(model);
    if (known === undefined || known.remoteHost !== undefined || !this.#neighbours.isInTheWay(model, numCtx)) return false;
    const waiting = this.#neighbours.waiting();
    if (waiting.length >= maxUnderWay && !waiting.includes(model)) throw this.#tooMany(waiting.length);
    return true;
  }

  #tooMany(count: number): GatewayError {
    const message = `${this.#place.upstream.name} is loading ${count} models already; try again in a moment`;
    return new GatewayError('load_failed', message, { status: 503, headers: { 'retry-after': '5' } });
  }

  #ready(model: string, ask: Ask, waiter: Waiter): Promise<Loaded> | undefined {
    const place = this.#place;
    const running = this.#underWay.size === 0 ? undefined : this.#joinable(model, ask.numCtx);
    // What is in memory goes for a load of the same model, which is there for more context: whoever would use it meanwhile joins.
    if (running === undefined && place.holds(model, ask.numCtx) !== false) return undefined;
    // What the box has not got, or would hand on to Ollama's cloud, gets the box's own answer.
    const known = place.catalogue?.get(model);
    if (known === undefined || known.remoteHost !== undefined) return undefined;
    const key = keyOf(model, ask.numCtx);
    if (running === undefined) {
      const tried = this.#past.of(key, this.#clock.now());
      if (tried?.error !== undefined) throw tried.error;
      if (tried !== undefined && place.isLost?.(model) !== true) return undefined;
    }
    const load = running ?? this.#begin(this.#withMost(ask, model), model, waiter);
    waiter.onWait?.({ for: 'load', boxName: place.upstream.name, position: 0 });
    return this.#hasBackground ? this.#wait(load, waiter) : this.#watch(load, ask, waiter);
  }

  underWay(): readonly { readonly model: string; readonly startedMs: number }[] {
    const loads = [...this.#underWay.values()].map(({ model, startedMs }) => ({ model, startedMs }));
    if (this.#neighbours.held === 0) return loads;
    const startedMs = this.#clock.now();
    const waiting = this.#neighbours.waiting().filter((model) => !loads.some((load) => load.model === model));
    return [...loads, ...waiting.map((model) => ({ model, startedMs }))];
  }

  /** Without those whose request was ended by the runtime, where loads live in requests. */
  *#alive(): Iterable<Load> {
    const nowMs = this.#clock.now();
    for (const load of this.#underWay.values()) if (this.#hasBackground || nowMs - load.aliveMs <= lostAfterMs) yield load;
  }

  #joinable(model: string, numCtx: number | undefined): Load | undefined {
    for (const load of this.#underWay.values()) {
      if (load.model === model && (numCtx === undefined || (load.numCtx ?? 0) >= numCtx)) return load;
    }
    return undefined;
  }

  /** One load for all who wait until they may have theirs, and name a context: the largest. */
  #withMost(ask: Ask, model: string): Ask {
    return ask.numCtx === undefined ? ask : { ...ask, numCtx: Math.max(ask.numCtx, this.#neighbours.mostHeld(model)) };
  }

  #begin(ask: Ask, model: string, waiter: Waiter): Load {
    const { size } = this.#underWay;
    if (size >= maxUnderWay) throw this.#tooMany(size);
    const startedMs = this.#clock.now();
    const { numCtx } = ask;
    const key = keyOf(model, numCtx);
    const load: Load = { key, model, numCtx, startedMs, aliveMs: startedMs, outcome: undefined, listeners: new Set() };
    this.#past.forgetLoaded();
    this.#underWay.set(key, load);
    waiter.waitUntil(this.#run(load, ask));
    return load;
  }

  async #run(load: Load, ask: Ask): Promise<void> {
    const { upstream, tuning } = this.#place;
    const stop = createStop();
    let isDead = false;
    const endDoubts = this.#doubt(load, () => {
      isDead = true;
      stop.stop();
    });
    const { path, json } = loadRequestOf(ask);
    const answer = await this.#place.post(path, json, tuning.loadTimeoutMs, stop);
    endDoubts();
    const outcome = isDead
      ? new GatewayError('upstream_silent', `${upstream.name} does not answer`)
      : outcomeOf(answer, upstream, load.model, tuning.loadTimeoutMs);
    load.outcome = outcome;
    if (this.#underWay.get(load.key) === load) this.#underWay.delete(load.key);
    this.#past.note(load.key, outcome instanceof GatewayError ? outcome : undefined, this.#clock.now());
    if (!(outcome instanceof GatewayError)) this.#place.noteFound?.(load.model);
    if (outcome === 'loaded') this.#place.noteLoad?.(load.model, this.#clock.now() - load.startedMs);
    const tell = (): void => {
      for (const listener of load.listeners) listener();
      load.listeners.clear();
    };
    // Who has waited for it goes on once it is known how much context there is: the prompt may be too long for it.
    if (outcome !== 'loaded') tell();
    // Known at once, also to whoever chooses a box. A load that has failed may have pushed others out all the same.
    if (outcome === 'loaded' || this.#neighbours.held > 0)
      await this.#neighbours.ended(load, () => this.#place.checkResident(load.model).finally(tell));
  }

  /** Asks now and then whether the box is still there: a load may take minutes, and says nothing meanwhile. */
  #doubt(load: Load, onDead: () => void): () => void {
    let isOver = false;
    let askMs = load.startedMs + firstDoubtMs;
    let cancel: () => void = () => undefined;
    const arm = (nowMs: number): void => {
      cancel = this.#clock.after(this.#hasBackground ? askMs - nowMs : Math.min(askMs - nowMs, signOfLifeMs), look);
    };
    const look = (): void => {
      const nowMs = this.#clock.now();
      load.aliveMs = nowMs;
      if (nowMs >= askMs) {
        askMs = nowMs + nextDoubtMs;
        void this.#place.checkAlive().then((isAlive) => {
          if (!isAlive && !isOver) onDead();
        });
      }
      arm(nowMs);
    };
    arm(load.startedMs);
    return () => {
      isOver = true;
      cancel();
    };
  }

  #wait(load: Load, waiter: Waiter): Promise<Loaded> {
    const fromMs = this.#clock.now();
    return new Promise((resolve, reject) => {
      const tell = (): void => {
        if (load.outcome instanceof GatewayError) reject(load.outcome);
        else resolve({ waitedMs: this.#clock.now() - fromMs, numCtx: load.numCtx });
      };
      load.listeners.add(tell);
      waiter.onGone(() => load.listeners.delete(tell));
    });
  }

  /** On Workers no request may settle another one's promise, and a load dies with the request that carries it: each looks itself. */
  #watch(first: Load, ask: Ask, waiter: Waiter): Promise<Loaded> {
    const fromMs = this.#clock.now();
    return new Promise((resolve, reject) => {
      let load = first;
      let isGone = false;
      waiter.onGone(() => {
        isGone = true;
      });
      const look = (): void => {
        if (isGone) return;
        try {
          if (load.outcome instanceof GatewayError) throw load.outcome;
          if (load.outcome === undefined && this.#clock.now() - load.aliveMs > lostAfterMs)
            load = this.#takeOver(load, ask, waiter);
        } catch (thrown) {
          reject(thrown);
          return;
        }
        const { outcome, model, numCtx } = load;
        const goOn = (): void => resolve({ waitedMs: this.#clock.now() - fromMs, numCtx });
        if (outcome === undefined) this.#clock.after(lookMs, look);
        else if (outcome !== 'loaded' || this.#place.holds(model, numCtx) === true) goOn();
        else void this.#place.checkResident(model).then(goOn, goOn);
      };
      look();
    });
  }

  #takeOver(lost: Load, ask: Ask, waiter: Waiter): Load {
    if (this.#underWay.get(lost.key) === lost) this.#underWay.delete(lost.key);
    return this.#joinable(lost.model, ask.numCtx) ?? this.#begin(this.#withMost(ask, lost.model), lost.model, waiter);
  }
}

function keyOf(model: string, numCtx: number | undefined): string {
  return `${model} ${numCtx ?? ''}`;
}

function memoryOf(place: LoadingPlace): SharedMemory {
  return {
    get name() {
      return place.upstream.name;
    },
    runnerKeyOf: (model) => place.catalogue?.get(model)?.digest || model,
    holds: (model, numCtx) => place.holds(model, numCtx),
    mayClash: (model, loading) => place.mayClash?.(model, loading) ?? false,
    busyWith: (model) => place.busyWith?.(model) ?? 0,
    checkResident: (model) => place.checkResident(model),
  };
}
