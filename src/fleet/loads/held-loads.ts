/**
 * Requests that go on without their client. A client that leaves while a box loads a model kills the load, and the next one
 * starts it anew: with impatient clients a large model never gets loaded (Ollama llm/llama_server.go; ollama.md §0.2). One that
 * leaves while its request waits behind another load is never let go of: Ollama keeps its socket for ever (server/sched.go;
 * ollama.md §0.3). So every try whose client leaves before the first byte is held until the model is loaded, and only then ended.
 */
import type { Fleet, Upstream } from '../../exchange.ts';
import { canonicalModel } from '../../fields/model-name.ts';
import type { Clock } from '../../platform.ts';

export interface HeldLoadsSetting {
  readonly fleet: Pick<Fleet, 'isBox' | 'checkResident'> & Partial<Pick<Fleet, 'isResident'>>;
  readonly clock: Clock;
  /** The longest that a try is held. */
  readonly loadTimeoutMs: number;
  /** How many are held at once, over all boxes. */
  readonly maxHeld?: number;
}

/** A try whose client has left before the first byte. */
export interface OrphanedTry {
  readonly upstream: Upstream;
  readonly model: string | undefined;
  /** When its exchange began, on the clock: of two, the earlier one is the one that began the load. */
  readonly startedMs: number;
  /** Ends the try: the box learns that nobody waits any more. Safe to call late and often. */
  abort(): void;
  /** Settles when the try has its headers, or has failed. */
  readonly settled: Promise<unknown>;
  waitUntil(work: Promise<unknown>): void;
}

export interface HeldLoads {
  /**
   * Ends the try at once when nothing would be lost: the model is in memory, the upstream is no box, or too many are held.
   * Otherwise holds it until the box has the model in memory, the try settles, or the load timeout is over. Only the request that
   * began a load keeps it alive, so where too many are held, an earlier try takes the place of a later one for the same model.
   */
  onClientGone(orphan: OrphanedTry): void;
  /** How many are held now. */
  readonly count: number;
}

/** A held try that does not stream gets its headers only with its whole answer; asking tells earlier that the load is over. */
const recheckMs = 5_000;

interface Hold {
  /** Box and model. */
  readonly key: string;
  readonly startedMs: number;
  end(): void;
}

/** `setting` is looked at for each try, so that a reload may change its time limit. */
export function createHeldLoads(setting: HeldLoadsSetting): HeldLoads {
  const { fleet, clock, maxHeld = 64 } = setting;
  const holds = new Set<Hold>();

  const hold = (key: string, model: string, orphan: OrphanedTry): void => {
    let cancelRecheck: () => void = () => undefined;
    let tellDone: () => void = () => undefined;
    let isOver = false;
    const self: Hold = {
      key,
      startedMs: orphan.startedMs,
      end() {
        if (isOver) return;
        isOver = true;
        cancelLimit();
        cancelRecheck();
        holds.delete(self);
        orphan.abort();
        tellDone();
      },
    };
    const cancelLimit = clock.after(setting.loadTimeoutMs, self.end);
    const check = async (): Promise<void> => {
      const isResident = await fleet.checkResident(orphan.upstream, model).catch(() => undefined);
      if (isOver) return;
      // A runner that has crashed stays listed until its model is loaded anew.
      if (isResident === true && fleet.isResident?.(orphan.upstream, model) !== false) self.end();
      else cancelRecheck = clock.after(recheckMs, () => void check());
    };
    holds.add(self);
    orphan.waitUntil(
      new Promise<void>((resolve) => {
        tellDone = resolve;
      }),
    );
    orphan.settled.then(self.end, self.end);
    void check();
  };

  return {
    onClientGone(orphan) {
      if (orphan.model === undefined || !fleet.isBox(orphan.upstream)) return orphan.abort();
      const model = canonicalModel(orphan.model);
      const key = `${orphan.upstream.baseUrl} ${model}`;
      if (holds.size >= maxHeld) {
        const later = [...holds].find((one) => one.key === key && one.startedMs > orphan.startedMs);
        if (later === undefined) return orphan.abort();
        later.end();
      }
      hold(key, model, orphan);
    },
    get count() {
      return holds.size;
    },
  };
}
