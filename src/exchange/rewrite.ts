/** How answers are changed on their way to the client. */

/** Changes an answer's body on its way to the client: a translation, a guard. Made per try. */
export interface AnswerRewrite {
  /** A whole answer of text. `status` is the upstream's; what is returned goes on. May throw GatewayError instead. */
  whole(text: string, status: number): RewrittenAnswer | Promise<RewrittenAnswer>;
  /** One stream of events, whose bytes come in any chunking; undefined leaves streams alone. */
  stream(): StreamRewrite | undefined;
}

export interface RewrittenAnswer {
  readonly text: string;
  /** When it changes too. */
  readonly status?: number;
  readonly contentType?: string;
  /** For a rejection with headers of its own. Lower case. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** Bytes in, bytes out. What it holds back is bounded, and comes out at the end. */
export interface StreamRewrite {
  /** The content type that goes with what comes out, when it is another one. */
  readonly contentType?: string;
  push(chunk: Uint8Array): Uint8Array | Promise<Uint8Array>;
  /** The stream has ended, whole or with the error event that was the last chunk. */
  end(): Uint8Array | Promise<Uint8Array>;
  /** True once it has ended the stream itself: what came out was the last, the upstream is let go. */
  readonly isOver: boolean;
}
