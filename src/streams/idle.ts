/** Watches streams that may fall silent. A model may compose a tool call for minutes without a byte; a dead box is silent too. */
import type { Clock } from '../platform.ts';

export interface IdleLimits {
  readonly clock: Clock;
  /** How often all streams are looked at. Silence is measured to this precision. */
  readonly sweepMs: number;
  /** After this long a silence the box is asked whether it is still there, and again after each further such time. */
  readonly maxSilentMs: number;
  /** True: each stream is looked at by a timer of its own, as on Workers, where timers end with the request that set them. */
  readonly isEachAlone?: boolean;
}

export interface WatchedStream {
  /** Asked while the stream is silent. As long as it says true, silence is no fault. A rejection counts as false. */
  isStillAlive(): Promise<boolean>;
  /** Called once, when it was false and no byte came meanwhile; the stream is not watched any more. */
  onDead(): void;
}

export interface StreamWatch {
  /** A byte came. Costs nothing but setting a field. */
  touch(): void;
  /** Calls `listener` at the first look after `silentMs` of silence. In place of what was asked for before. */
  once(silentMs: number, listener: () => void): void;
  /**
   * Calls `listener` often enough that no silence is longer than `everyMs` (two looks at least). In place of what was asked for
   * before. False: not now, at the next look.
   */
  beat(everyMs: number, listener: () => boolean): void;
  stop(): void;
}

export interface IdleWatch {
  /** Without `stream` nobody is asked whether it lives. */
  watch(stream?: WatchedStream): StreamWatch;
  /** Streams under watch: as many as are open. */
  readonly size: number;
}

/** One timer for all streams; none while there are no streams. */
export function createIdleWatch(limits: IdleLimits): IdleWatch {
  const shared = new Sweep(limits);
  let alone = 0;
  return {
    watch(stream) {
      if (limits.isEachAlone !== true) return shared.add(stream);
      alone++;
      return new Sweep(limits, () => alone--).add(stream);
    },
    get size() {
      return shared.size + alone;
    },
  };
}

class Sweep {
  readonly #limits: IdleLimits;
  readonly #onEmpty: (() => void) | undefined;
  /** In no order; each knows its place. Not a Set: one that gains and loses an entry with each answer costs more than all else here. */
  readonly #entries: WatchEntry[] = [];
  readonly #look = () => this.#sweep();
  #cancel: (() => void) | undefined;

  constructor(limits: IdleLimits, onEmpty?: () => void) {
    this.#limits = limits;
    this.#onEmpty = onEmpty;
  }

  get size(): number {
    return this.#entries.length;
  }

  add(stream: WatchedStream | undefined): StreamWatch {
    const entry = new WatchEntry(stream, this, this.#limits);
    entry.place = this.#entries.push(entry) - 1;
    this.#schedule();
    return entry;
  }

  remove(entry: WatchEntry): void {
    const { place } = entry;
    if (place < 0) return;
    entry.place = -1;
    const last = this.#entries.pop();
    if (last !== undefined && last !== entry) {
      this.#entries[place] = last;
      last.place = place;
    }
    if (this.#entries.length > 0) return;
    this.#cancel?.();
    this.#cancel = undefined;
    this.#onEmpty?.();
  }

  #schedule(): void {
    this.#cancel ??= this.#limits.clock.after(this.#limits.sweepMs, this.#look);
  }

  #sweep(): void {
    this.#cancel = undefined;
    const { clock, maxSilentMs } = this.#limits;
    const nowMs = clock.now();
    let failure: { readonly thrown: unknown } | undefined;
    // From the end: whoever leaves meanwhile is replaced by one that was looked at already.
    for (let at = this.#entries.length - 1; at >= 0; at--) {
      const entry = this.#entries[at];
      if (entry === undefined) continue;
      // A listener that throws keeps nobody else from being looked at, now or later.
      try {
        entry.look(nowMs);
      } catch (thrown) {
        failure ??= { thrown };
      }
      if (entry.isSilentFor(maxSilentMs, nowMs)) void this.#ask(entry);
    }
    if (this.#entries.length > 0) this.#schedule();
    if (failure !== undefined) throw failure.thrown;
  }

  async #ask(entry: WatchEntry): Promise<void> {
    const isAlive = await entry.ask();
    if (isAlive || entry.hasMoved || entry.place < 0) return entry.trust(this.#limits.clock.now());
    this.remove(entry);
    entry.stream?.onDead();
  }
}

interface Alarm {
  readonly silentMs: number;
  /** True: heard, and silence is counted anew. */
  ring(): boolean;
}

class WatchEntry implements StreamWatch {
  readonly stream: WatchedStream | undefined;
  /** Where its sweep holds it; −1: nowhere. */
  place = -1;
  /** Since the last sweep. A flag and not a time: reading the clock at every chunk costs more than the rest of the tap. */
  hasMoved = false;
  readonly #sweep: Sweep;
  readonly #limits: IdleLimits;
  /** Since it moved, or was found to live. */
  #silentSinceMs: number;
  /** Since it moved, or its alarm was heard. */
  #quietSinceMs: number;
  #isAsking = false;
  #alarm: Alarm | undefined;

  constructor(stream: WatchedStream | undefined, sweep: Sweep, limits: IdleLimits) {
    this.stream = stream;
    this.#sweep = sweep;
    this.#limits = limits;
    this.#silentSinceMs = limits.clock.now();
    this.#quietSinceMs = this.#silentSinceMs;
  }

  touch(): void {
    this.hasMoved = true;
  }

  once(silentMs: number, listener: () => void): void {
    const ring = () => {
      this.#alarm = undefined;
      listener();
      return true;
    };
    this.#alarm = { silentMs, ring };
  }

  beat(everyMs: number, listener: () => boolean): void {
    const { sweepMs, clock } = this.#limits;
    // A byte is noticed up to one look late, and so is the time to beat.
    this.#alarm = { silentMs: Math.max(sweepMs, everyMs - 2 * sweepMs), ring: listener };
    this.#quietSinceMs = clock.now();
  }

  stop(): void {
    this.#alarm = undefined;
    this.#sweep.remove(this);
  }

  look(nowMs: number): void {
    if (this.hasMoved) {
      this.hasMoved = false;
      this.#silentSinceMs = nowMs;
      this.#quietSinceMs = nowMs;
    }
    const alarm = this.#alarm;
    if (alarm !== undefined && nowMs - this.#quietSinceMs >= alarm.silentMs && alarm.ring()) this.#quietSinceMs = nowMs;
  }

  isSilentFor(maxSilentMs: number, nowMs: number): boolean {
    return this.stream !== undefined && !this.#isAsking && nowMs - this.#silentSinceMs >= maxSilentMs;
  }

  trust(nowMs: number): void {
    if (this.hasMoved) this.#quietSinceMs = nowMs;
    this.hasMoved = false;
    this.#silentSinceMs = nowMs;
  }

  async ask(): Promise<boolean> {
    this.#isAsking = true;
    try {
      return (await this.stream?.isStillAlive()) ?? true;
    } catch {
      return false;
    } finally {
      this.#isAsking = false;
    }
  }
}
