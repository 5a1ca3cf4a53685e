import { goJson } from './go-json.ts';

/** What one request makes the model say, everything that shows on the wire decided beforehand. */
export interface Generation {
  /** As the client spelt it. */
  readonly model: string;
  readonly tokens: readonly string[];
  /** `load` and `unload` say nothing at all. */
  readonly finish: 'stop' | 'length' | 'load' | 'unload';
  readonly promptTokens: number;
  /** Running number that makes ids. */
  readonly serial: number;
  /** Milliseconds since the epoch. */
  readonly startedAtMs: number;
  readonly loadDurationMs: number;
  /** How long the prompt was read and the answer written; left out: as in the recordings. */
  readonly promptMs?: number;
  readonly outputMs?: number;
  /** /v1/chat/completions and /v1/completions: `stream_options.include_usage`. */
  readonly includeUsage: boolean;
  /** /v1/responses echoes these. */
  readonly maxOutputTokens: number | null;
  readonly temperature: number;
}

/** HTTP chunks of a stream: what goes out with the first token, what each token is, and how it ends. */
export interface StreamFraming {
  readonly headers: Readonly<Record<string, string>>;
  readonly open: readonly string[];
  readonly tokens: readonly string[];
  readonly close: readonly string[];
  /** Instead of `close` when the runner dies (recordings crash-*). */
  readonly crash: readonly string[];
}

/** One inference surface: how it words an answer, whole or as a stream. */
export interface Framing {
  readonly wholeHeaders: Readonly<Record<string, string>>;
  whole(generation: Generation): string;
  stream(generation: Generation): StreamFraming;
}

export const crashText = 'an error was encountered while running the model: unexpected EOF';

/** All tokens as one text. */
export function textOf(generation: Generation): string {
  return generation.tokens.join('');
}

/** One SSE event as /v1/chat and /v1/completions write it. */
export function dataEvent(value: unknown): string {
  return `data: ${goJson(value)}\n\n`;
}

/** One SSE event with a name, as /v1/responses and /v1/messages write it. */
export function namedEvent(name: string, value: unknown): string {
  return `event: ${name}\ndata: ${goJson(value)}\n\n`;
}

export function createdSeconds(generation: Generation): number {
  return Math.floor(generation.startedAtMs / 1000);
}

/** OpenAI's usage member, in Ollama's order. */
export function openaiUsage(generation: Generation): Record<string, number> {
  const completion = generation.tokens.length;
  return {
    prompt_tokens: generation.promptTokens,
    completion_tokens: completion,
    total_tokens: generation.promptTokens + completion,
  };
}

/** Go's time.Time as JSON. */
export function goTime(generation: Generation): string {
  return new Date(generation.startedAtMs).toISOString().replace('Z', '123456Z');
}
