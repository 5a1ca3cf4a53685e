/** Brings a box's native answers back into the words of the client's protocol, whole or line by line, errors and all. */
import { GatewayError } from '../../errors.ts';
import type { AnswerRewrite, Protocol } from '../../exchange.ts';
import { ndjson } from '../../streams/ndjson.ts';
import { anthropicErrorType } from '../anthropic.ts';
import { openaiErrorText, readError } from './errors.ts';
import { createStreamTranslation, type EventTranslation } from './events.ts';
import { freshId } from './identity.ts';
import { isEmptyLine, type NativeLine, readNative } from './ollama-line.ts';

/** Events of one stream, written while the lines come. */
export interface LineWriter {
  /** A line that says something, or the last one. */
  line(line: NativeLine): string;
  /** The last event of a stream that has failed. */
  fail(error: GatewayError): string;
  /** The box lives, and has nothing to say yet. */
  alive(): string;
  /** More text than may be kept. */
  readonly isFull: boolean;
}

export interface NativeWords {
  whole(line: NativeLine): string;
  /** Undefined: the protocol has no streams. */
  writer(): LineWriter | undefined;
}

export interface AskedOf {
  readonly protocol: Protocol;
  readonly isStream: boolean;
}

const json = 'application/json';
const eventStream = 'text/event-stream';

export function nativeRewrite({ protocol, isStream }: AskedOf, words: NativeWords): AnswerRewrite {
  return {
    whole(text, status) {
      if (status >= 400) return errorAnswer(protocol, text, status);
      const line = readNative(text);
      if (line === undefined) throw new GatewayError('unreadable_answer', "the box gave an answer that is none of Ollama's");
      if (line.error !== undefined) return errorAnswer(protocol, text, 500);
      // What only loads a model comes whole, even where a stream was asked for (Ollama server/routes.go).
      const writer = isStream ? words.writer() : undefined;
      return writer === undefined
        ? { text: words.whole(line), contentType: json }
        : // There is no more to come, whether it says so or not: a stream without its last event is a broken one.
          { text: writer.line(line.isDone ? line : { ...line, isDone: true }), contentType: eventStream };
    },
    stream() {
      const writer = words.writer();
      return writer === undefined ? undefined : withType(createStreamTranslation(new LineStream(writer), ndjson));
    },
  };
}

function withType<Stream extends object>(stream: Stream): Stream & { readonly contentType: string } {
  return Object.assign(stream, { contentType: eventStream });
}

/** The box's words in the client's shape, as its own `/v1` gives them. */
export function errorAnswer(
  protocol: Protocol,
  said: string,
  status: number,
): { readonly text: string; readonly status: number; readonly contentType: string } {
  const error = readError(said, status);
  if (protocol.family !== 'anthropic') return { text: `${openaiErrorText(error, status)}\n`, status, contentType: json };
  const type = anthropicErrorType(status);
  const body = { type: 'error', error: { type, message: error.message }, request_id: `req_${freshId()}` };
  return { text: JSON.stringify(body), status, contentType: json };
}

class LineStream implements EventTranslation {
  failure: string | undefined;
  readonly #writer: LineWriter;
  #isEnded = false;

  constructor(writer: LineWriter) {
    this.#writer = writer;
  }

  event(data: string): string {
    if (this.#isEnded) return '';
    const line = readNative(data);
    if (line === undefined) return this.#giveUp('the box sent a line that cannot be read');
    if (line.error !== undefined) {
      this.#isEnded = true;
      return this.#writer.fail(new GatewayError('broken_stream', line.error));
    }
    // A relay in front of the box says so that it lives.
    if (!line.isDone && isEmptyLine(line)) return this.#writer.alive();
    this.#isEnded = line.isDone;
    const sent = this.#writer.line(line);
    return this.#writer.isFull && !line.isDone ? sent + this.#giveUp('the answer is too long to be translated') : sent;
  }

  alive(): string {
    return this.#isEnded ? '' : this.#writer.alive();
  }

  end(): string {
    return this.#isEnded ? '' : this.#giveUp('the box ended its answer before it was whole');
  }

  #giveUp(message: string): string {
    this.failure = message;
    this.#isEnded = true;
    return this.#writer.fail(new GatewayError('broken_stream', message));
  }
}
