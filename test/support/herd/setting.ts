/** What a simulated box is made of. Bytes, tokens and milliseconds; nothing here is real time. */
import type { FakeModel } from '../fake-ollama/models.ts';

export interface HerdModel extends FakeModel {
  /** Memory of one token of context, of one slot. Default: none. */
  readonly kvBytesPerToken?: number;
  /** What it says when nobody limits it. Default 64 tokens. */
  readonly outputTokens?: number;
}

export interface BoxSetting {
  /** Where it answers, in the in-process herd: `http://one.herd:11434`. */
  readonly url: string;
  readonly models: readonly HerdModel[];
  readonly vramBytes: number;
  /** OLLAMA_MAX_LOADED_MODELS. */
  readonly maxLoaded: number;
  /** OLLAMA_NUM_PARALLEL; embedding models always have 1. */
  readonly parallel: number;
  /** OLLAMA_MAX_QUEUE. */
  readonly maxQueue: number;
  /** OLLAMA_KEEP_ALIVE. */
  readonly keepAliveMs: number;
  /** OLLAMA_CONTEXT_LENGTH. */
  readonly contextLength: number;
  readonly diskBytesPerSecond: number;
  /** From the start of the runner's process to the first byte read; and until the memory of one that ends is free again. */
  readonly startMs: number;
  readonly unloadMs: number;
  readonly promptTokensPerSecond: number;
  readonly tokensPerSecond: number;
  /** What each further answer that is written costs the others, of the same model and of another one; and each prompt that is read. */
  readonly sharedCost: number;
  readonly foreignCost: number;
  readonly readingCost: number;
  /** Tokens that leave in one go, so that hours of virtual time stay cheap. A real box sends each by itself. */
  readonly tokensPerWrite: number;
  readonly version: string;
  /** A tunnel in front that gives up after so much silence (Cloudflare: 100 s); undefined: none. */
  readonly tunnelSilenceMs: number | undefined;
}

/** A box with a 24 GiB card and a fast disk, as `ollama serve` runs it by itself. */
export const usualBox: Omit<BoxSetting, 'url'> = {
  models: [],
  vramBytes: 24 * 1024 ** 3,
  maxLoaded: 3,
  parallel: 1,
  maxQueue: 512,
  keepAliveMs: 300_000,
  contextLength: 4096,
  diskBytesPerSecond: 1_000_000_000,
  startMs: 1_000,
  unloadMs: 200,
  promptTokensPerSecond: 1_500,
  tokensPerSecond: 50,
  sharedCost: 0.15,
  foreignCost: 0.5,
  readingCost: 0.5,
  tokensPerWrite: 8,
  version: '0.99.0-sim',
  tunnelSilenceMs: undefined,
};

/** The runner is asked every 250 ms whether it is ready (recordings: load_duration is quantised). */
const readyPollMs = 250;

/** How long a load takes when nothing else happens. */
export function loadMsOf(setting: BoxSetting, weightBytes: number, slowness = 1): number {
  const readMs = ((weightBytes * slowness) / setting.diskBytesPerSecond) * 1_000;
  return Math.ceil((setting.startMs + readMs) / readyPollMs) * readyPollMs;
}

/** Text to tokens. Not what Corral's own estimate says, as no estimate ever meets a tokenizer exactly. */
export function tokensOf(text: string): number {
  return Math.max(1, Math.ceil(text.length / 3.6));
}

/** The part of `Clock` that the simulation lives by. */
export interface SimulationClock {
  now(): number;
  wallTime(): number;
  after(delayMs: number, task: () => void): () => void;
}
