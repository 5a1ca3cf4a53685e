/** One pull at one box: the lines of `/api/pull` (Ollama api/types.go ProgressResponse) become progress. */
import { GatewayError } from '../../errors.ts';
import { messageOf } from '../../fleet/asking/advice.ts';
import type { Clock } from '../../platform.ts';
import { plainText } from '../table.ts';
import type { BoxLine } from './box-line.ts';

export interface PullProgress {
  /** In the box's words, such as `pulling manifest`. */
  readonly status: string;
  /** Of all layers that were named so far. */
  readonly completedBytes: number;
  readonly totalBytes: number;
}

export interface PullSetting {
  readonly line: BoxLine;
  readonly model: string;
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly onProgress: (progress: PullProgress) => void;
}

/** A box tells of its progress many times a second; while it checks what it has fetched it may be silent for minutes. */
const silenceMs = 600_000;
const maxLineLength = 64 * 1024;
const maxLayers = 1_000;
const maxErrorBytes = 64 * 1024;

/** Undefined: done. A text is why not. Rejects with the signal's reason, and with nothing else. */
export async function pullModel({ line, model, signal, clock, onProgress }: PullSetting): Promise<string | undefined> {
  const silence = new AbortController();
  const both = AbortSignal.any([signal, silence.signal]);
  let cancel: () => void = () => undefined;
  const heard = () => {
    cancel();
    cancel = clock.after(silenceMs, () => silence.abort(new GatewayError('upstream_silent', 'nothing came for ten minutes')));
  };
  heard();
  try {
    const { status, body } = await line.stream('/api/pull', { model }, both);
    if (status !== 200) {
      const text = new TextDecoder().decode(await body.read(maxErrorBytes));
      return plainText(messageOf(text) ?? `it answered ${status}`);
    }
    return await readProgress(body.stream().getReader(), both, { heard, onProgress });
  } catch (thrown) {
    if (signal.aborted) throw signal.reason;
    const cause = silence.signal.aborted ? silence.signal.reason : thrown;
    return plainText(cause instanceof Error ? cause.message : String(cause));
  } finally {
    cancel();
  }
}

async function readProgress(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  signal: AbortSignal,
  { heard, onProgress }: { readonly heard: () => void; readonly onProgress: (progress: PullProgress) => void },
): Promise<string | undefined> {
  const decoder = new TextDecoder();
  const layers = new Map<string, { completed: number; total: number }>();
  const leave = () => void reader.cancel(signal.reason).catch(() => undefined);
  signal.addEventListener('abort', leave);
  let rest = '';
  let isDone = false;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (signal.aborted) throw signal.reason;
      heard();
      const lines = (rest + (value === undefined ? '\n' : decoder.decode(value, { stream: true }))).split('\n');
      rest = lines.pop() ?? '';
      if (rest.length > maxLineLength) return 'what came is no progress of a pull';
      for (const text of lines) {
        const told = toldIn(text);
        if (told === undefined) continue;
        if (told.error !== undefined) return plainText(told.error);
        if (told.digest !== undefined && (layers.has(told.digest) || layers.size < maxLayers))
          layers.set(told.digest, { completed: told.completed, total: told.total });
        isDone ||= told.status === 'success';
        onProgress({ status: plainText(told.status, 100), ...sumOf(layers) });
      }
      if (done) return isDone ? undefined : 'the box broke off before it was done';
    }
  } finally {
    signal.removeEventListener('abort', leave);
    void reader.cancel().catch(() => undefined);
  }
}

function sumOf(layers: ReadonlyMap<string, { completed: number; total: number }>) {
  let completedBytes = 0;
  let totalBytes = 0;
  for (const { completed, total } of layers.values()) {
    completedBytes += completed;
    totalBytes += total;
  }
  return { completedBytes, totalBytes };
}

interface Told {
  readonly status: string;
  readonly error: string | undefined;
  readonly digest: string | undefined;
  readonly completed: number;
  readonly total: number;
}

/** Undefined: no line that says anything. */
function toldIn(text: string): Told | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const { status, error, digest, completed, total } = value as Readonly<Record<string, unknown>>;
  return {
    status: typeof status === 'string' ? status : '',
    error: typeof error === 'string' ? error : undefined,
    digest: typeof digest === 'string' && typeof total === 'number' && total > 0 ? digest : undefined,
    completed: typeof completed === 'number' ? completed : 0,
    total: typeof total === 'number' ? total : 0,
  };
}
