/** Reads an answer as a client does, and judges it: whole, an explicit error in its protocol, or neither. */
import type { SurfacePath } from './trace.ts';

export interface ReadAnswer {
  readonly status: number;
  /** left: the client itself went away. broken: an end that no client could tell from a whole answer, or one that no protocol knows. */
  readonly verdict: 'whole' | 'error' | 'broken' | 'left';
  readonly text: string;
  /** What was wrong, where something was. */
  readonly error: string | undefined;
  /** On the clock; undefined: no token came. */
  readonly firstTokenMs: number | undefined;
  readonly endMs: number;
  readonly headers: Headers;
}

interface Progress {
  text: string;
  error: string | undefined;
  hasEnded: boolean;
}

/** `leaving` is aborted when the client goes. Never rejects. */
export async function readAnswer(
  response: Response,
  { surface, isStream, leaving, nowMs }: { surface: SurfacePath; isStream: boolean; leaving: AbortSignal; nowMs(): number },
): Promise<ReadAnswer> {
  const { status, headers } = response;
  const progress: Progress = { text: '', error: undefined, hasEnded: false };
  let firstTokenMs: number | undefined;
  const tell = (verdict: ReadAnswer['verdict'], error = progress.error): ReadAnswer => ({
    status,
    headers,
    verdict,
    text: progress.text,
    error,
    firstTokenMs: firstTokenMs ?? (verdict === 'whole' ? nowMs() : undefined),
    endMs: nowMs(),
  });
  const readsEvents = isStream && status === 200 && headers.get('content-type')?.startsWith('application/json') !== true;
  const reader = response.body?.getReader();
  const onLeaving = (): void => void reader?.cancel().catch(() => undefined);
  if (leaving.aborted) onLeaving();
  leaving.addEventListener('abort', onLeaving, { once: true });
  const decoder = new TextDecoder();
  let rest = '';
  try {
    for (;;) {
      const { done, value } = (await reader?.read()) ?? { done: true, value: undefined };
      if (done) break;
      rest += decoder.decode(value, { stream: true });
      if (!readsEvents) continue;
      const lines = rest.split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) readLine(line, surface, progress);
      if (progress.text !== '') firstTokenMs ??= nowMs();
    }
  } catch (thrown) {
    return leaving.aborted ? tell('left') : tell('broken', `the connection broke: ${String(thrown)}`);
  } finally {
    leaving.removeEventListener('abort', onLeaving);
  }
  if (leaving.aborted && !progress.hasEnded) return tell('left');
  if (!readsEvents) readWhole(rest, status, surface, progress);
  else if (rest.trim() !== '') return tell('broken', `half a line at the end: ${rest.slice(0, 100)}`);
  if (progress.error !== undefined) return tell('error');
  if (status !== 200) return tell('broken', `status ${status} without an error that the protocol knows: ${rest.slice(0, 200)}`);
  return progress.hasEnded ? tell('whole') : tell('broken', 'it ended without its terminator');
}

type Json = Readonly<Record<string, unknown>>;

function readLine(line: string, surface: SurfacePath, progress: Progress): void {
  const isNative = surface.startsWith('/api/');
  if (!isNative && !line.startsWith('data:')) return;
  const text = isNative ? line.trim() : line.slice(5).trim();
  if (text === '') return;
  if (text === '[DONE]') {
    progress.hasEnded = true;
    return;
  }
  let event: Json;
  try {
    event = JSON.parse(text) as Json;
  } catch {
    progress.error ??= `no JSON: ${text.slice(0, 100)}`;
    return;
  }
  const said = deltaOf(event, surface);
  if (said !== undefined) {
    if (progress.hasEnded) progress.error ??= 'more text after the end';
    progress.text += said;
  }
  const error = errorOf(event, surface);
  if (error !== undefined) progress.error ??= error;
  if (event.done === true || event.type === 'message_stop' || event.type === 'response.completed') progress.hasEnded = true;
}

function deltaOf(event: Json, surface: SurfacePath): string | undefined {
  const found =
    surface === '/v1/chat/completions'
      ? at(event, 'choices', 0, 'delta', 'content')
      : surface === '/v1/messages'
        ? at(event, 'delta', 'text')
        : surface === '/v1/responses'
          ? event.type === 'response.output_text.delta'
            ? event.delta
            : undefined
          : (at(event, 'message', 'content') ?? event.response);
  return typeof found === 'string' && found !== '' ? found : undefined;
}

/**
 * An error as the surface's clients look for it: a text on Ollama's own API, an object with a message elsewhere, told as
 * `type: error` on Messages, and as `response.failed` in streams of Responses.
 */
function errorOf(event: Json, surface: SurfacePath): string | undefined {
  const error = event.error ?? (event.type === 'response.failed' ? at(event, 'response', 'error') : undefined);
  if (error === undefined || error === null) return undefined;
  if (surface.startsWith('/api/')) return typeof error === 'string' ? error : undefined;
  if (surface === '/v1/messages' && event.type !== 'error') return undefined;
  const message = at(error, 'message');
  return typeof message === 'string' && message !== '' ? message : undefined;
}

function readWhole(text: string, status: number, surface: SurfacePath, progress: Progress): void {
  let body: Json;
  try {
    body = JSON.parse(text) as Json;
  } catch {
    return;
  }
  progress.error = errorOf(body, surface);
  if (progress.error !== undefined || status !== 200) return;
  if (surface === '/api/embed' || surface === '/v1/embeddings') {
    const vectors = body.embeddings ?? body.data;
    progress.hasEnded = Array.isArray(vectors);
    progress.text = Array.isArray(vectors) ? `${vectors.length} vectors` : '';
    return;
  }
  const said =
    at(body, 'choices', 0, 'message', 'content') ??
    at(body, 'content', 0, 'text') ??
    at(body, 'output', 0, 'content', 0, 'text') ??
    at(body, 'message', 'content') ??
    body.response;
  if (typeof said !== 'string') return;
  progress.text = said;
  progress.hasEnded = true;
}

function at(value: unknown, ...path: readonly (string | number)[]): unknown {
  let found = value;
  for (const step of path)
    found = typeof found === 'object' && found !== null ? (found as Record<string | number, unknown>)[step] : undefined;
  return found;
}
