/**
 * Ollama's scheduler (server/sched.go; ollama.md sections 0 and 6): who is in memory, who is loaded next, who must go.
 *
 * - What is loaded and fits is used at once, past everybody who waits for a load.
 * - Loads are made one after the other, in the order in which they were asked for; one that must push out a busy model waits
 *   for it, and all others wait behind it. Meanwhile the busy model takes further requests.
 * - A load lives as long as the request that began it. Others that wait for the same model then begin anew.
 * - A client that leaves while it waits behind another load leaks a handler (`leaked`).
 */
import { digestOf, type FakeModel, isEmbedding, sizeOf } from '../fake-ollama/models.ts';
import { Runner } from './runner.ts';
import { type BoxSetting, type HerdModel, loadMsOf, type SimulationClock } from './setting.ts';

export interface Wish {
  readonly model: HerdModel;
  /** Undefined: as the runner has it, or the box's own. */
  readonly numCtx: number | undefined;
  /** Undefined: the runner's own stays. */
  readonly keepAliveMs: number | undefined;
  ready(runner: Runner, loadMs: number): void;
  failed(status: number, message: string): void;
}

interface Ticket {
  readonly wish: Wish;
  readonly askedMs: number;
  hasLeft: boolean;
  /** joined: it waits for a load that another one has begun. */
  state: 'queued' | 'active' | 'joined' | 'over';
}

export interface SchedulerFaults {
  /** Every load ends in Ollama's out-of-memory words. */
  outOfMemory: boolean;
  /** 3: the disk takes three times as long. */
  slowness: number;
}

export const busyText = 'server busy, please try again.  maximum pending requests exceeded';
export const memoryText = 'model requires more system memory (5.3 GiB) than is available (3.9 GiB)';

export class Scheduler {
  readonly runners = new Map<string, Runner>();
  readonly loads = { started: 0, completed: 0, aborted: 0 };
  /** Models by the order of their loads, for tests and tables. */
  readonly loaded: string[] = [];
  readonly faults: SchedulerFaults = { outOfMemory: false, slowness: 1 };
  /** Sockets that Ollama would never close again. */
  leaked = 0;
  readonly #setting: BoxSetting;
  readonly #clock: SimulationClock;
  #pending: Ticket[] = [];
  #active: Ticket | undefined;
  #starting: Runner | undefined;
  #waitsFor: Runner | undefined;
  readonly #joined = new Map<Runner, Ticket[]>();
  readonly #timers = new Set<() => void>();

  constructor(setting: BoxSetting, clock: SimulationClock) {
    this.#setting = setting;
    this.#clock = clock;
  }

  get waiting(): number {
    return this.#pending.length + (this.#active === undefined ? 0 : 1);
  }

  /** Asks for a runner of the model; the returned function is the client's leaving. */
  acquire(wish: Wish): () => void {
    const ticket: Ticket = { wish, askedMs: this.#clock.now(), hasLeft: false, state: 'queued' };
    this.#place(ticket);
    return () => this.#leave(ticket);
  }

  /** The request is over: the runner stays for its keep_alive. */
  release(runner: Runner): void {
    runner.users--;
    if (runner.users > 0 || this.runners.get(runner.key) !== runner) return;
    if (runner.sessionMs <= 0) this.#unload(runner);
    else this.#arm(runner);
  }

  /** keep_alive: 0 without a prompt. */
  expire(key: string): void {
    const runner = this.runners.get(key);
    if (runner === undefined || runner.isLoading) return;
    runner.sessionMs = 0;
    if (runner.users === 0) this.#unload(runner);
  }

  /** The process is gone, with all that it knew. */
  reset(): void {
    for (const cancel of [...this.#timers]) cancel();
    this.#timers.clear();
    this.runners.clear();
    this.#joined.clear();
    this.#pending = [];
    this.#active = undefined;
    this.#starting = undefined;
    this.#waitsFor = undefined;
  }

  #place(ticket: Ticket): void {
    const runner = this.runners.get(keyOf(ticket.wish.model));
    if (runner !== undefined && this.#serves(runner, ticket.wish)) {
      if (!runner.isLoading) {
        this.#use(runner, ticket);
        return;
      }
      ticket.state = 'joined';
      this.#joined.set(runner, [...(this.#joined.get(runner) ?? []), ticket]);
      return;
    }
    ticket.state = 'queued';
    if (this.#pending.length >= this.#setting.maxQueue) {
      ticket.state = 'over';
      ticket.wish.failed(503, busyText);
      return;
    }
    this.#pending.push(ticket);
    this.#pump();
  }

  #leave(ticket: Ticket): void {
    ticket.hasLeft = true;
    if (ticket.state === 'joined') ticket.state = 'over';
    if (ticket.state !== 'active' || this.#starting === undefined) return;
    // The load dies with the client that began it.
    const runner = this.#starting;
    this.#starting = undefined;
    this.#active = undefined;
    ticket.state = 'over';
    this.loads.aborted++;
    this.runners.delete(runner.key);
    const joined = this.#joinedOf(runner);
    this.#later(this.#setting.unloadMs, () => this.#pump());
    for (const other of joined) this.#place(other);
  }

  #joinedOf(runner: Runner): Ticket[] {
    const joined = this.#joined.get(runner) ?? [];
    this.#joined.delete(runner);
    return joined.filter(({ state }) => state === 'joined');
  }

  #pump(): void {
    while (this.#active === undefined) {
      const ticket = this.#pending.shift();
      if (ticket === undefined) return;
      if (ticket.hasLeft) {
        // sched.go drops it without an answer: its handler waits for ever.
        this.leaked++;
        ticket.state = 'over';
        continue;
      }
      ticket.state = 'active';
      this.#active = ticket;
      this.#step(ticket);
    }
  }

  #step(ticket: Ticket): void {
    const { model } = ticket.wish;
    const runner = this.runners.get(keyOf(model));
    if (runner !== undefined && this.#serves(runner, ticket.wish)) {
      this.#active = undefined;
      this.#use(runner, ticket);
      return;
    }
    const mustGo = runner ?? (this.#hasRoomFor(ticket.wish) ? undefined : this.#victim());
    if (mustGo === undefined) {
      this.#load(ticket);
      return;
    }
    mustGo.sessionMs = 0;
    this.#waitsFor = mustGo;
    if (mustGo.users === 0) this.#unload(mustGo);
  }

  /** A different num_ctx is another load, and none stands for the box's own (sched.go needsReload). */
  #serves(runner: Runner, { numCtx = this.#setting.contextLength }: Wish): boolean {
    return !runner.hasCrashed && runner.contextLength === numCtx;
  }

  #hasRoomFor(wish: Wish): boolean {
    if (this.runners.size >= this.#setting.maxLoaded) return false;
    if (this.runners.size === 0) return true;
    let used = 0;
    for (const { bytes } of this.runners.values()) used += bytes;
    return used + this.#bytesOf(wish) <= this.#setting.vramBytes;
  }

  /** Idle first, then the smallest keep_alive, then by the path of its file (sched.go findRunnerToUnload, ByDurationAndName). */
  #victim(): Runner | undefined {
    const sorted = [...this.runners.values()].sort((a, b) => a.sessionMs - b.sessionMs || (a.key < b.key ? -1 : 1));
    return sorted.find(({ users }) => users === 0) ?? sorted[0];
  }

  #bytesOf({ model, numCtx }: Wish): number {
    const { parallel, contextLength } = this.#setting;
    const slots = isEmbedding(model) ? 1 : parallel;
    return sizeOf(model) + (model.kvBytesPerToken ?? 0) * (numCtx ?? contextLength) * slots;
  }

  #load(ticket: Ticket): void {
    const { wish } = ticket;
    if (this.faults.outOfMemory) {
      this.#active = undefined;
      ticket.state = 'over';
      wish.failed(500, memoryText);
      return;
    }
    const runner = new Runner({
      key: keyOf(wish.model),
      model: wish.model,
      contextLength: wish.numCtx ?? this.#setting.contextLength,
      bytes: this.#bytesOf(wish),
      slots: isEmbedding(wish.model) ? 1 : this.#setting.parallel,
      sessionMs: wish.keepAliveMs ?? this.#setting.keepAliveMs,
    });
    this.loads.started++;
    this.runners.set(runner.key, runner);
    this.#starting = runner;
    if (ticket.hasLeft) {
      // Whoever left while room was made: the load begins and dies at once.
      this.#leave(ticket);
      return;
    }
    this.#later(loadMsOf(this.#setting, sizeOf(wish.model), this.faults.slowness), () => this.#loadedNow(runner, ticket));
  }

  #loadedNow(runner: Runner, ticket: Ticket): void {
    if (this.#starting !== runner) return;
    this.#starting = undefined;
    this.#active = undefined;
    this.loads.completed++;
    this.loaded.push(runner.model.name);
    runner.isLoading = false;
    this.#use(runner, ticket);
    for (const other of this.#joinedOf(runner)) this.#use(runner, other);
    this.#pump();
  }

  #use(runner: Runner, ticket: Ticket): void {
    const { wish, askedMs } = ticket;
    ticket.state = 'over';
    runner.users++;
    runner.cancelExpiry?.();
    runner.cancelExpiry = undefined;
    if (wish.keepAliveMs !== undefined) runner.sessionMs = wish.keepAliveMs;
    wish.ready(runner, this.#clock.now() - askedMs);
  }

  #arm(runner: Runner): void {
    runner.expiresAtMs = this.#clock.wallTime() + runner.sessionMs;
    if (runner.sessionMs > 10 * 365 * 86_400_000) return;
    runner.cancelExpiry = this.#later(runner.sessionMs, () => {
      if (runner.users === 0 && this.runners.get(runner.key) === runner) this.#unload(runner);
    });
  }

  #unload(runner: Runner): void {
    runner.cancelExpiry?.();
    this.runners.delete(runner.key);
    this.#later(this.#setting.unloadMs, () => {
      const ticket = this.#active;
      if (this.#waitsFor !== runner || ticket === undefined) return;
      this.#waitsFor = undefined;
      this.#step(ticket);
      this.#pump();
    });
  }

  #later(delayMs: number, task: () => void): () => void {
    const cancel = this.#clock.after(delayMs, () => {
      this.#timers.delete(cancel);
      task();
    });
    this.#timers.add(cancel);
    return () => {
      this.#timers.delete(cancel);
      cancel();
    };
  }
}

/** Names of one blob share a runner. */
export function keyOf(model: FakeModel): string {
  return digestOf(model);
}
