/** Watches streams that may fall silent. A model may compose a tool call for minutes without a byte; a dead box is silent too. */
import type { Clock } from '../platform.ts';

export interface IdleLimits {
  readonly clock: Clock;
  /** How often all streams are looked at. Silence is measured to this precision. */
  readonly sweepMs: number;
  /** After this long a silence the box is asked whether it is still there, and again after each further such time. */
  readonly maxSilentMs: number;
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
  stop(): void;
}

export interface IdleWatch {
  watch(stream: WatchedStream): StreamWatch;
  /** Streams under watch: as many as are open. */
  readonly size: number;
}

/** One timer for all streams; none while there are no streams. */
export function createIdleWatch(limits: IdleLimits): IdleWatch {
  const { clock, sweepMs, maxSilentMs } = limits;
  const entries = new Set<WatchEntry>();
  let cancelSweep: (() => void) | undefined;

  const schedule = (): void => {
    cancelSweep ??= clock.after(sweepMs, sweep);
  };
  const sweep = (): void => {
    cancelSweep = undefined;
    const nowMs = clock.now();
    for (const entry of entries) {
      if (entry.isSilentFor(maxSilentMs, nowMs)) void ask(entry);
    }
    if (entries.size > 0) schedule();
  };
  const ask = async (entry: WatchEntry): Promise<void> => {
    const isAlive = await entry.ask();
    if (isAlive || entry.hasMoved || !entries.has(entry)) return entry.restart(clock.now());
    remove(entry);
    entry.stream.onDead();
  };
  const remove = (entry: WatchEntry): void => {
    entries.delete(entry);
    if (entries.size > 0) return;
    cancelSweep?.();
    cancelSweep = undefined;
  };

  return {
    watch(stream) {
      const entry = new WatchEntry(stream, clock.now());
      entries.add(entry);
      schedule();
      return {
        touch: () => {
          entry.hasMoved = true;
        },
        stop: () => remove(entry),
      };
    },
    get size() {
      return entries.size;
    },
  };
}

class WatchEntry {
  readonly stream: WatchedStream;
  /** Since the last sweep. A flag and not a time: reading the clock at every chunk costs more than the rest of the tap. */
  hasMoved = false;
  #silentSinceMs: number;
  #isAsking = false;

  constructor(stream: WatchedStream, nowMs: number) {
    this.stream = stream;
    this.#silentSinceMs = nowMs;
  }

  isSilentFor(maxSilentMs: number, nowMs: number): boolean {
    if (this.hasMoved) this.restart(nowMs);
    return !this.#isAsking && nowMs - this.#silentSinceMs >= maxSilentMs;
  }

  restart(nowMs: number): void {
    this.hasMoved = false;
    this.#silentSinceMs = nowMs;
  }

  async ask(): Promise<boolean> {
    this.#isAsking = true;
    try {
      return await this.stream.isStillAlive();
    } catch {
      return false;
    } finally {
      this.#isAsking = false;
    }
  }
}
