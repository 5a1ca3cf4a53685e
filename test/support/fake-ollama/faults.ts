import type { Answer, BodyPiece, Ending } from './answer.ts';

/** What goes wrong in a box. All of it can be changed while the box runs; a request keeps what held when it came. */
export interface Faults {
  /** Silence before an inference answer's first byte, status line included. A cold load comes on top. */
  readonly startDelayMs: number;
  /** How long a model takes to load. The load dies when the client that started it leaves (Ollama llm/llama_server.go). */
  readonly loadMs: number;
  /** Pace of generation; 0 is as fast as possible. */
  readonly tokensPerSecond: number;
  /** Cuts the connection of an inference answer after so many chunks; 0 cuts after the headers. */
  readonly cutAfterChunks: number | undefined;
  /** With `cutAfterChunks`: the last bytes before the cut are the first half of the next character that is not ASCII. */
  readonly cutMidRune: boolean;
  /** With `cutAfterChunks`: a TCP reset instead of a plain close. */
  readonly cutByReset: boolean;
  /** After so many chunks nothing more comes, but the connection stays open. */
  readonly stallAfterChunks: number | undefined;
  /** Ends the body cleanly after so many chunks: no terminator of the protocol, no error, just a well-formed end. */
  readonly endAfterChunks: number | undefined;
  /** The runner dies after so many tokens; the answer then goes on as recorded in `crash-*`. 0 also spoils non-streams. */
  readonly crashAfterTokens: number | undefined;
  /** Every inference answers 503 in Ollama's words (OLLAMA_MAX_QUEUE reached). */
  readonly busy: boolean;
  /** Every load answers 500 with Ollama's out-of-memory text. */
  readonly outOfMemory: boolean;
  /** `all`: connections are taken, nothing is ever answered. `inference`: a frozen runner, lists and version still answer. */
  readonly hang: 'all' | 'inference' | undefined;
  /** Splits every chunk of an inference answer into pieces of so many bytes, `pauseMs` apart. */
  readonly slowBody: { readonly bytes: number; readonly pauseMs: number } | undefined;
  /** The box believes that every Host is foreign: 403 without a body. */
  readonly foreignHost: boolean;
  /** Inference answers this instead, whatever was asked (e.g. a tunnel's 502 page). */
  readonly failWith: { readonly status: number; readonly contentType: string; readonly body: string } | undefined;
  /** Only so many inference requests meet these faults, later ones meet none. */
  readonly times: number | undefined;
}

/** A healthy box. */
export const noFaults: Faults = {
  startDelayMs: 0,
  loadMs: 0,
  tokensPerSecond: 0,
  cutAfterChunks: undefined,
  cutMidRune: false,
  cutByReset: false,
  stallAfterChunks: undefined,
  endAfterChunks: undefined,
  crashAfterTokens: undefined,
  busy: false,
  outOfMemory: false,
  hang: undefined,
  slowBody: undefined,
  foreignHost: false,
  failWith: undefined,
  times: undefined,
};

/** The answer as it leaves a box with these faults on its wire. */
export function spoiled(answer: Answer, faults: Faults): Answer {
  const limit = faults.cutAfterChunks ?? faults.stallAfterChunks ?? faults.endAfterChunks;
  if (limit === undefined && faults.slowBody === undefined && faults.startDelayMs === 0) return answer;
  const ending: Ending =
    faults.cutAfterChunks !== undefined
      ? faults.cutByReset
        ? 'reset'
        : 'cut'
      : faults.stallAfterChunks !== undefined
        ? 'held'
        : answer.ending;
  return { ...answer, pieces: spoiledPieces(answer.pieces, faults, limit), ending };
}

async function* spoiledPieces(pieces: Answer['pieces'], faults: Faults, limit: number | undefined): AsyncGenerator<BodyPiece> {
  let sent = 0;
  // An empty piece is silence only: the writer sends headers with the first bytes, as Go does.
  if (faults.startDelayMs > 0) yield { afterMs: faults.startDelayMs, bytes: new Uint8Array() };
  for await (const piece of pieces) {
    if (limit !== undefined && sent >= limit) {
      if (faults.cutAfterChunks === undefined || !faults.cutMidRune) return;
      const lead = piece.bytes.findIndex((byte) => byte >= 0xc0);
      if (lead >= 0) {
        yield { afterMs: piece.afterMs, bytes: piece.bytes.subarray(0, lead + 1) };
        return;
      }
    }
    sent++;
    if (faults.slowBody === undefined) yield piece;
    else yield* slowly(piece, faults.slowBody.bytes, faults.slowBody.pauseMs);
  }
}

function* slowly(piece: BodyPiece, bytes: number, pauseMs: number): Generator<BodyPiece> {
  for (let from = 0; from < piece.bytes.length; from += bytes) {
    yield { afterMs: from === 0 ? piece.afterMs : pauseMs, bytes: piece.bytes.subarray(from, from + bytes) };
  }
}
