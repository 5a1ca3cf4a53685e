import type { RawHeaders } from '../recordings.ts';

/** A piece of body. `afterMs` is the silence before it; it leaves as one HTTP chunk of its own. */
export interface BodyPiece {
  readonly afterMs: number;
  readonly bytes: Uint8Array;
}

/** How the connection is left when all pieces are out. */
export type Ending =
  /** The body ends as HTTP says. */
  | 'clean'
  /** The socket is closed in the middle of the body (what a killed `ollama serve` does). */
  | 'cut'
  /** The socket is reset. */
  | 'reset'
  /** Nothing more comes, the connection stays open until the client leaves. */
  | 'held';

/** One answer, byte for byte: status line, headers in order and casing, and the body in the pieces it is to be written in. */
export interface Answer {
  readonly statusLine: string;
  readonly headers: RawHeaders;
  readonly pieces: Iterable<BodyPiece> | AsyncIterable<BodyPiece>;
  readonly ending: Ending;
  /** Called when the last piece is out or the client has left. */
  onOver?(): void;
}

const reasons: Readonly<Record<number, string>> = {
  200: 'OK',
  204: 'No Content',
  301: 'Moved Permanently',
  307: 'Temporary Redirect',
  400: 'Bad Request',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  431: 'Request Header Fields Too Large',
  500: 'Internal Server Error',
  501: 'Not Implemented',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
};

/** `HTTP/1.1 404 Not Found`. */
export function statusLineOf(status: number): string {
  return `HTTP/1.1 ${status} ${reasons[status] ?? 'Status'}`;
}

/** Go buffers this much before it gives up on a Content-Length (net/http bufferBeforeChunkingSize). */
const maxCountedBytes = 2048;
const encoder = new TextEncoder();

/** What Go's server adds: its headers sorted by name, then Date, then the framing. */
function goHeaders(headers: Readonly<Record<string, string>>, framing: RawHeaders): [string, string][] {
  const names = Object.keys(headers).sort();
  return [
    ...names.map((name): [string, string] => [name, headers[name] ?? '']),
    ['Date', new Date().toUTCString()],
    ...framing.map(([a, b]): [string, string] => [a, b]),
  ];
}

/** A whole answer: Content-Length up to 2048 bytes, one chunk above, as Go's server decides it. */
export function wholeAnswer(
  status: number,
  headers: Readonly<Record<string, string>>,
  body: string,
  options: { head?: boolean } = {},
): Answer {
  const bytes = encoder.encode(body);
  const counted = bytes.length <= maxCountedBytes;
  const framing: RawHeaders =
    status === 204
      ? []
      : counted
        ? [['Content-Length', String(bytes.length)]]
        : options.head === true
          ? []
          : [['Transfer-Encoding', 'chunked']];
  return {
    statusLine: statusLineOf(status),
    headers: goHeaders(headers, framing),
    pieces: options.head === true || bytes.length === 0 ? [] : [{ afterMs: 0, bytes }],
    ending: 'clean',
  };
}

/** A streamed answer, each piece a chunk. */
export function streamAnswer(headers: Readonly<Record<string, string>>, pieces: Answer['pieces'], ending: Ending): Answer {
  return { statusLine: statusLineOf(200), headers: goHeaders(headers, [['Transfer-Encoding', 'chunked']]), pieces, ending };
}

/** The answer with more of the box's own headers, in the place where Go writes them. */
export function withHeaders(answer: Answer, extra: Readonly<Record<string, string>>): Answer {
  const added = Object.entries(extra);
  if (added.length === 0) return answer;
  const date = answer.headers.findIndex(([name]) => name === 'Date');
  const own = [...answer.headers.slice(0, date), ...added].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return { ...answer, headers: [...own, ...answer.headers.slice(date)] };
}
