import { isDeepStrictEqual } from 'node:util';
import { type Recording, recordingOf } from '../recordings.ts';
import type { Answer, BodyPiece, Ending } from './answer.ts';
import type { ReceivedRequest } from './received.ts';

export interface ReplayOptions {
  /** 1 replays at the recorded pace, 0 (the default) as fast as possible, still chunk by chunk. */
  readonly speed?: number;
  /** Match by method and path alone. */
  readonly anyBody?: boolean;
}

export interface Replay {
  readonly recording: Recording;
  readonly options: ReplayOptions;
  used: number;
}

/** A recording ready to be answered. Throws when there is no such recording or it holds no answer. */
export function openReplay(name: string, options: ReplayOptions): Replay {
  const recording = recordingOf(name);
  if (recording.status_line === undefined) throw new Error(`recording ${name} holds no answer`);
  return { recording, options, used: 0 };
}

/** The replay that fits a request, the least used first. */
export function replayFor(replays: readonly Replay[], request: ReceivedRequest): Replay | undefined {
  let best: Replay | undefined;
  for (const replay of replays) {
    if ((best === undefined || replay.used < best.used) && fits(replay, request)) best = replay;
  }
  return best;
}

function fits({ recording, options }: Replay, request: ReceivedRequest): boolean {
  const asked = recording.request;
  if (asked.method !== request.method || asked.path !== request.path) return false;
  for (const name of ['Host', 'Origin']) {
    const value = asked.headers[name];
    if (value !== undefined && !value.startsWith('127.0.0.1') && value !== request.header(name)) return false;
  }
  return options.anyBody === true || sameBody(asked.body, request);
}

function sameBody(asked: unknown, request: ReceivedRequest): boolean {
  if (asked === null || asked === undefined) return true;
  if (typeof asked === 'string') return asked === request.body;
  const { latin1 } = asked as { latin1?: string };
  if (latin1 !== undefined) return Buffer.from(latin1, 'latin1').equals(request.bodyBytes);
  const sent = request.json();
  if (isDeepStrictEqual(sent, asked)) return true;
  // A gateway may ask for usage on its own account.
  if (typeof sent !== 'object' || sent === null || 'stream_options' in (asked as object)) return false;
  const { stream_options: _, ...rest } = sent as Record<string, unknown>;
  return isDeepStrictEqual(rest, asked);
}

/** The recorded answer. A stream that was not asked for its usage when recorded, and now is, gets the usage chunk that Ollama adds. */
export function replayedAnswer(replay: Replay, request: ReceivedRequest, promptTokens: number): Answer {
  const { recording, options } = replay;
  replay.used++;
  const ending: Ending =
    recording.error !== undefined
      ? 'cut'
      : recording.client_closed_at_ms !== undefined && recording.status === 200
        ? 'held'
        : 'clean';
  return {
    statusLine: recording.status_line ?? '',
    headers: recording.response_headers ?? [],
    pieces: recordedPieces(recording, options.speed ?? 0, wantsUsage(recording, request) ? promptTokens : undefined),
    ending,
  };
}

function wantsUsage(recording: Recording, request: ReceivedRequest): boolean {
  if (recording.request.path !== '/v1/chat/completions' || recording.status !== 200) return false;
  const asked = recording.request.body as { stream?: boolean; stream_options?: unknown } | null;
  if (asked?.stream !== true || asked.stream_options !== undefined) return false;
  const sent = request.json() as { stream_options?: { include_usage?: boolean } } | undefined;
  return sent?.stream_options?.include_usage === true;
}

function* recordedPieces(recording: Recording, speed: number, promptTokens: number | undefined): Generator<BodyPiece> {
  const encoder = new TextEncoder();
  let beforeMs = 0;
  let tokens = 0;
  for (const chunk of recording.body) {
    const last = chunk.text.endsWith('data: [DONE]\n\n');
    const text = last && promptTokens !== undefined ? withUsage(chunk.text, promptTokens, tokens) : chunk.text;
    if (!last) tokens++;
    yield { afterMs: speed === 0 ? 0 : (chunk.t_ms - beforeMs) / speed, bytes: encoder.encode(text) };
    beforeMs = chunk.t_ms;
  }
}

/** Ollama sends finish, usage and [DONE] in one chunk (recording v1-chat-stream-usage). */
function withUsage(text: string, promptTokens: number, completionTokens: number): string {
  const usage = `"usage":{"prompt_tokens":${promptTokens},"completion_tokens":${completionTokens},"total_tokens":${promptTokens + completionTokens}}`;
  const event = text.slice(0, text.indexOf('\n\n') + 2).replace(/"choices":\[.*\]\}/, `"choices":[],${usage}}`);
  return text.replace('data: [DONE]\n\n', `${event}data: [DONE]\n\n`);
}
