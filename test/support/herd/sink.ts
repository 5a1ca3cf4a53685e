/** Where a simulated box writes its answer. */
export interface Sink {
  /** With the first byte, as Ollama does: never before. */
  head(status: number, headers: Readonly<Record<string, string>>): void;
  chunk(text: string): void;
  /** clean: as HTTP ends a body. cut: the connection breaks, also where nothing has been said yet. */
  end(how: 'clean' | 'cut'): void;
}

export interface HerdRequest {
  readonly method: string;
  /** Without query. */
  readonly pathname: string;
  readonly body: string;
  readonly host: string;
}

/** One whole answer. */
export function answerWhole(sink: Sink, status: number, headers: Readonly<Record<string, string>>, text: string): void {
  sink.head(status, { ...headers, 'Content-Length': String(Buffer.byteLength(text)) });
  if (text !== '') sink.chunk(text);
  sink.end('clean');
}
