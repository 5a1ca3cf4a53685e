import { contextOf, type FakeModel, sizeOf } from './models.ts';
import { pause, whenAborted } from './writer.ts';

/** What a load came to. */
export type LoadOutcome = 'loaded' | 'client left';

export interface ResidentModel {
  readonly model: FakeModel;
  readonly contextLength: number;
  /** Milliseconds since the epoch. */
  expiresAt: number;
  inFlight: number;
  /** Its process has died; `/api/ps` still lists it until the next request finds out. */
  crashed: boolean;
}

interface PendingLoad {
  readonly contextLength: number;
  readonly settled: Promise<LoadOutcome>;
}

/**
 * What is in memory. A load lives as long as the client that asked for it: when that one leaves it dies, and those who waited
 * with it start it anew (Ollama llm/llama_server.go, recordings coldload-*).
 */
export class Runners {
  /** Counts since the box started. `aborted`: the client that started it left. */
  readonly loads = { started: 0, completed: 0, aborted: 0 };
  readonly resident = new Map<string, ResidentModel>();
  readonly #pending = new Map<string, PendingLoad>();
  readonly #maxResident: number;

  constructor(maxResident: number) {
    this.#maxResident = maxResident;
  }

  /** Models that load right now; `/api/ps` does not list them. */
  get loading(): number {
    return this.#pending.size;
  }

  /** Makes sure that a model is in memory. A different context length is another load. */
  async load(
    key: string,
    model: FakeModel,
    options: { loadMs: number; contextLength: number | undefined; gone: AbortSignal },
  ): Promise<LoadOutcome> {
    for (;;) {
      const present = this.resident.get(key);
      if (present?.crashed === true || (present !== undefined && Date.now() > present.expiresAt && present.inFlight === 0))
        this.resident.delete(key);
      else if (present !== undefined && (options.contextLength ?? usualContext(model)) === present.contextLength) return 'loaded';
      const pending = this.#pending.get(key);
      if (pending === undefined) return this.#start(key, model, options);
      if (options.gone.aborted) return 'client left';
      await Promise.race([pending.settled, whenAborted(options.gone)]);
      if (options.gone.aborted) return 'client left';
    }
  }

  #start(
    key: string,
    model: FakeModel,
    options: { loadMs: number; contextLength: number | undefined; gone: AbortSignal },
  ): Promise<LoadOutcome> {
    this.loads.started++;
    const contextLength = options.contextLength ?? usualContext(model);
    const settled = (async (): Promise<LoadOutcome> => {
      this.resident.delete(key);
      await pause(options.loadMs, options.gone);
      this.#pending.delete(key);
      if (options.gone.aborted) {
        this.loads.aborted++;
        return 'client left';
      }
      this.loads.completed++;
      this.#makeRoom();
      this.resident.set(key, { model, contextLength, expiresAt: Date.now() + defaultKeepAliveMs, inFlight: 0, crashed: false });
      return 'loaded';
    })();
    this.#pending.set(key, { contextLength, settled });
    return settled;
  }

  #makeRoom(): void {
    for (const [key, { inFlight }] of this.resident) {
      if (this.resident.size < this.#maxResident) return;
      if (inFlight === 0) this.resident.delete(key);
    }
  }

  /** Puts a model into memory without a load. */
  place(key: string, model: FakeModel): void {
    this.resident.set(key, {
      model,
      contextLength: usualContext(model),
      expiresAt: Date.now() + defaultKeepAliveMs,
      inFlight: 0,
      crashed: false,
    });
  }

  /** Drops models from memory. */
  forget(isGone: (key: string) => boolean): void {
    for (const key of [...this.resident.keys()]) if (isGone(key)) this.resident.delete(key);
  }

  /** The items of `/api/ps`, latest expiry first. */
  listed(): ResidentModel[] {
    return [...this.resident.values()].sort((a, b) => b.expiresAt - a.expiresAt);
  }
}

/** What a call gets that names no context; a runner with another one is loaded anew for it (recording chat-numctx-back). */
function usualContext(model: FakeModel): number {
  return Math.min(4096, contextOf(model));
}

/** OLLAMA_KEEP_ALIVE. */
export const defaultKeepAliveMs = 300_000;

/** RAM and VRAM of a loaded model: the weights and something for the context. */
export function loadedBytes(model: FakeModel): number {
  return sizeOf(model) + 32_036_139;
}
