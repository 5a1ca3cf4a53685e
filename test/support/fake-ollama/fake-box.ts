import type { Faults } from './faults.ts';
import type { FakeModel } from './models.ts';
import type { ReceivedRequest } from './received.ts';
import type { ReplayOptions } from './replay.ts';

export interface FakeOllamaOptions {
  /** Names, or more than names. Default: `llama3.2`. */
  readonly models?: readonly (string | FakeModel)[];
  /** 0 (the default) takes a free port. */
  readonly port?: number;
  readonly version?: string;
  /** Prompt tokens of every generation; completion tokens are the tokens sent. Default 19, as recorded. */
  readonly promptTokens?: number;
  /** OLLAMA_NUM_PARALLEL, for the whole box. Default: no limit (a real one has 1 per model). */
  readonly parallel?: number;
  /** OLLAMA_MAX_LOADED_MODELS. Default 3. */
  readonly maxLoaded?: number;
  /** OLLAMA_ORIGINS. */
  readonly origins?: readonly string[];
  /** False: as bound to 0.0.0.0, no Host check. Default true. */
  readonly checkHost?: boolean;
  /** What happens to `:cloud` names. Default `offline` (502); `disabled` is OLLAMA_NO_CLOUD=1 (403). */
  readonly cloud?: 'offline' | 'disabled';
  readonly faults?: Partial<Faults>;
}

export interface FakeOllama {
  /** Base URL without a trailing slash. */
  readonly url: string;
  readonly port: number;
  /** Everything that came, in order, answered or not. */
  readonly requests: readonly ReceivedRequest[];
  readonly loads: { readonly started: number; readonly completed: number; readonly aborted: number };
  /** Names of the models in memory, as `canonical:tag`. */
  readonly resident: readonly string[];
  /** How many generations wait for a slot. */
  readonly waiting: number;
  /** Open connections. */
  readonly connections: number;
  /** Changes faults for the requests to come; the others stay as they are. */
  set(faults: Partial<Faults>): void;
  /** A healthy box again, without replays. */
  clear(): void;
  setModels(models: readonly (string | FakeModel)[]): void;
  /** Answers requests that equal the recorded one with the recorded answer. Other requests go to the model. */
  replay(recordingName: string, options?: ReplayOptions): void;
  /** The next request that fits, whole; one that has come already counts unless it was handed out before. Fails after `timeoutMs` (5 s). */
  nextRequest(fits?: (request: ReceivedRequest) => boolean, timeoutMs?: number): Promise<ReceivedRequest>;
  /** Connections are refused from now on; those that stand are cut. The port stays reserved. */
  refuse(): Promise<void>;
  /** Listens again on the same port. */
  listen(): Promise<void>;
  stop(): Promise<void>;
}
