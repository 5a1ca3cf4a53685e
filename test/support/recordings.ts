import { readdirSync, readFileSync } from 'node:fs';

/** Header pairs in the order and the casing they had on the wire. */
export type RawHeaders = readonly (readonly [name: string, value: string])[];

/** One exchange with a real Ollama, as it was recorded. Times are milliseconds since the request was sent. */
export interface Recording {
  readonly name: string;
  readonly request: {
    readonly method: string;
    /** Path and query as sent. */
    readonly path: string;
    readonly headers: Readonly<Record<string, string>>;
    /** Parsed JSON, or text where it is none, or null: no body, or one that was not kept. */
    readonly body: unknown;
  };
  /** Missing when no answer came. */
  readonly status_line?: string;
  readonly status?: number;
  readonly response_headers?: RawHeaders;
  /** One entry per HTTP chunk. */
  readonly body: readonly { readonly t_ms: number; readonly text: string }[];
  readonly header_t_ms?: number;
  readonly end_t_ms?: number;
  /** The client closed by itself here; what came after is not in `body`. */
  readonly client_closed_at_ms?: number;
  /** The connection broke off instead of ending. */
  readonly error?: string;
  readonly note?: string;
}

const folder = new URL('../fixtures/recordings/', import.meta.url);
const loaded = new Map<string, Recording>();

/** The recording of that name; throws when there is none. */
export function recordingOf(name: string): Recording {
  const known = loaded.get(name);
  if (known !== undefined) return known;
  const recording = JSON.parse(readFileSync(new URL(`${name}.json`, folder), 'utf8')) as Recording;
  loaded.set(name, recording);
  return recording;
}

/** Names of all recordings, or of those that match. */
export function recordingNames(pattern = /./): string[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith('.json'))
    .map((file) => file.slice(0, -'.json'.length))
    .filter((name) => pattern.test(name))
    .sort();
}

/** The recorded body, all chunks put together. */
export function bodyTextOf(recording: Recording): string {
  return recording.body.map((chunk) => chunk.text).join('');
}
