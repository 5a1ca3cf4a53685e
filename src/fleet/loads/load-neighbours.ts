/**
 * Models beside a load. Ollama makes room for a load by pushing idle models out, and whoever asks for one of them meanwhile waits in
 * Ollama's own queue: as soon as the load is over it pushes out what was loaded, before that has served anybody. So such calls
 * are held here until the load is over and it is known again what is in memory. What is in use, or is still listed when the load has
 * chosen its victims, goes on.
 */
import type { Ask, Waiter } from '../../exchange.ts';
import type { Clock } from '../../platform.ts';

/** A load, as its neighbours see it. */
export interface NeighbourLoad {
  readonly model: string;
  readonly numCtx: number | undefined;
  readonly startedMs: number;
}

export interface Held {
  readonly waitedMs: number;
  /** Of the load that it has waited for in the end, if that named one. */
  readonly numCtx: number | undefined;
}

/** The box that they share. Model names are canonical. */
export interface SharedMemory {
  readonly name: string;
  /** Names of one blob share a runner. */
  runnerKeyOf(model: string): string;
  holds(model: string, numCtx: number | undefined): boolean | undefined;
  /** Whether the memory may be too small for this model, those that are loaded now, and those that are in it. */
  mayClash(model: string, loading: readonly string[]): boolean;
  /** Calls that have a slot. */
  busyWith(model: string): number;
  /** Asks what is in memory now. */
  checkResident(model: string): Promise<boolean | undefined>;
}

export interface NeighbourSetting {
  readonly memory: SharedMemory;
  readonly clock: Clock;
  readonly hasBackground: boolean;
  /** All that are under way. */
  loads(): Iterable<NeighbourLoad>;
}

/** By then a load has pushed out what has to go first. */
const settledAfterMs = 1_000;
/** How often somebody looks for itself. */
const lookMs = 250;
/** By then the calls that have waited for a load are at the box, before the next load pushes it out. */
const aheadMs = 100;
/** Longer than it takes to ask what is in memory. */
const lookLimitMs = 3_000;

export class Neighbours {
  readonly #setting: NeighbourSetting;
  /** Loads that are over, until it is known what is in memory now, and when they ended. */
  readonly #settling = new Map<NeighbourLoad, number>();
  /** Calls that have a slot and have not gone to the box yet, by runner. */
  readonly #here = new Map<string, number>();
  /** Who is held, in the order in which they came. */
  readonly #held = new Map<() => void, { readonly model: string; readonly numCtx: number | undefined }>();

  constructor(setting: NeighbourSetting) {
    this.#setting = setting;
  }

  /** How many are held: a leak shows here. */
  get held(): number {
    return this.#held.size;
  }

  get isSettling(): boolean {
    return this.#settling.size > 0;
  }

  /** Models that wait for others before they are loaded themselves, each once. */
  waiting(): readonly string[] {
    const models = new Set<string>();
    for (const { model, numCtx } of this.#held.values())
      if (this.#setting.memory.holds(model, numCtx) !== true) models.add(model);
    return [...models];
  }

  /** The largest context that anybody asks for who is held here for this model; 0: nobody names one. */
  mostHeld(model: string): number {
    let most = 0;
    for (const held of this.#held.values()) if (held.model === model) most = Math.max(most, held.numCtx ?? 0);
    return most;
  }

  /** Whether a call should wait for loads of other models. `isHere`: it is counted already. */
  isInTheWay(model: string, numCtx: number | undefined, isHere = false): boolean {
    const { memory } = this.#setting;
    const loading = this.#othersThan(model, numCtx);
    if (loading.length === 0) return false;
    const held = memory.holds(model, numCtx);
    if (held === undefined) return false;
    const names = loading.map((load) => load.model);
    if (!memory.mayClash(model, names)) return false;
    const here = (this.#here.get(memory.runnerKeyOf(model)) ?? 0) + (isHere ? 0 : 1);
    return !held || memory.busyWith(model) <= here;
  }

  /** Counts a call until it goes to the box, or leaves. */
  count<Result>(model: string, waiter: Waiter, going: Promise<Result>): Promise<Result> {
    const key = this.#setting.memory.runnerKeyOf(model);
    this.#here.set(key, (this.#here.get(key) ?? 0) + 1);
    let isOver = false;
    const end = (): void => {
      if (isOver) return;
      isOver = true;
      const left = (this.#here.get(key) ?? 1) - 1;
      if (left > 0) this.#here.set(key, left);
      else this.#here.delete(key);
    };
    waiter.onGone(end);
    going.then(end, end);
    return going;
  }

  /** `go` is asked when nothing is in the way any more, and may load. Never settles after the waiter has gone. */
  hold({ numCtx }: Ask, model: string, waiter: Waiter, go: () => Promise<Held> | undefined): Promise<Held> {
    const { clock, memory } = this.#setting;
    const fromMs = clock.now();
    waiter.onWait?.({ for: 'load', boxName: memory.name, position: 0 });
    return new Promise((resolve, reject) => {
      let isOver = false;
      let isLooking = false;
      let lookedAtMs = Number.NEGATIVE_INFINITY;
      let cancel: () => void = () => undefined;
      const end = (): void => {
        isOver = true;
        cancel();
        this.#held.delete(again);
      };
      const pass = (load: Held | undefined): void => resolve({ waitedMs: clock.now() - fromMs, numCtx: load?.numCtx });
      const begin = (): void => {
        end();
        try {
          const going = go();
          if (going === undefined) pass(undefined);
          else going.then(pass, reject);
        } catch (thrown) {
          reject(thrown);
        }
      };
      /** Still listed: what is loaded has left it in peace. */
      const look = async (): Promise<void> => {
        isLooking = true;
        lookedAtMs = clock.now();
        await memory.checkResident(model).catch(() => undefined);
        isLooking = false;
        if (isOver || memory.holds(model, numCtx) !== true) return;
        end();
        pass(undefined);
      };
      const arm = (): void => {
        const settledMs = this.#newestMs(model, numCtx) + settledAfterMs;
        const leftMs = settledMs - clock.now();
        if (leftMs <= 0 && lookedAtMs < settledMs && !isLooking && memory.holds(model, numCtx) === true) void look();
        cancel = clock.after(leftMs > 0 ? Math.min(leftMs, lookMs) : lookMs, again);
      };
      const again = (): void => {
        cancel();
        if (isOver) return;
        if (this.isInTheWay(model, numCtx, true)) arm();
        else begin();
      };
      this.#held.set(again, { model, numCtx });
      waiter.onGone(end);
      arm();
    });
  }

  /** A load is over: nobody moves until `looked` tells what is in memory. */
  async ended(load: NeighbourLoad, looked: () => Promise<unknown>): Promise<void> {
    const { clock, hasBackground } = this.#setting;
    const pause = (pauseMs: number) => new Promise<void>((resolve) => void clock.after(pauseMs, resolve));
    this.#settling.set(load, clock.now());
    // Those who have waited for it go first. Where each looks for itself, they may see it as late as that.
    if (!hasBackground) await pause(lookMs);
    await looked().catch(() => undefined);
    if (this.held > 0) await pause(aheadMs);
    this.#settling.delete(load);
    // Where nobody may settle another one's promise, each looks for itself.
    if (hasBackground) for (const again of [...this.#held.keys()]) again();
  }

  #othersThan(model: string, numCtx: number | undefined): readonly NeighbourLoad[] {
    const others: NeighbourLoad[] = [];
    for (const load of this.#setting.loads())
      if (load.model !== model || (numCtx !== undefined && (load.numCtx ?? 0) < numCtx)) others.push(load);
    for (const [load, endedMs] of this.#settling) {
      if (this.#setting.clock.now() - endedMs > lookLimitMs) this.#settling.delete(load);
      // Until it is listed nobody knows that it has more than is asked for: it would be loaded anew with less.
      else if (load.model !== model || load.numCtx !== numCtx) others.push(load);
    }
    return others;
  }

  #newestMs(model: string, numCtx: number | undefined): number {
    return Math.max(...this.#othersThan(model, numCtx).map(({ startedMs }) => startedMs));
  }
}
