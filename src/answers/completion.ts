/**
 * What the model said, kept for a log field or a span that asks for it (`llm.completion`): what the client is given, after
 * guards and translations, 64 KiB at most. Nothing of this runs where no expression reads it.
 */
import type { Exchange, Protocol, ProtocolTexts, StreamRewrite } from '../exchange.ts';
import type { Tap } from '../platform.ts';
import { Frames, FrameTooLong } from '../streams/frames.ts';
import { noBytes } from '../streams/report.ts';
import { isEventStream } from './watch.ts';

export const maxCompletionLength = 65_536;
/** A larger whole answer is not taken apart. */
const maxWholeLength = 1_048_576;

/** Takes the bytes of one answer, in any pieces, and writes into `exchange.completion` what they say. */
export interface CompletionReader {
  take(bytes: Uint8Array): void;
  /** The answer is over, however it ended. */
  end(): void;
}

/** Undefined where nobody wants to know, or the answer's protocol has no texts. `headers`: of the answer as the client gets it. */
export function completionReaderOf(exchange: Exchange, headers: Headers): CompletionReader | undefined {
  const { protocol, telemetry } = exchange;
  if (!telemetry.wantsCompletion || protocol?.texts === undefined) return undefined;
  return isEventStream(protocol, headers)
    ? createStreamReader(exchange, protocol, protocol.texts)
    : createWholeReader(exchange, protocol.texts);
}

function createStreamReader(exchange: Exchange, { stream }: Protocol, texts: ProtocolTexts): CompletionReader {
  const frames = new Frames(stream?.framing ?? 'sse');
  let isFull = false;
  return {
    take(bytes) {
      if (isFull) return;
      try {
        for (const frame of frames.cut(bytes)) isFull = !addText(exchange, textOfEvent(texts, frames.read(frame).data));
      } catch (thrown) {
        if (!(thrown instanceof FrameTooLong)) throw thrown;
        isFull = true;
      }
    },
    end: () => undefined,
  };
}

/** What comes whole may repeat what came in pieces; only what stands alone counts. */
function textOfEvent(texts: ProtocolTexts, data: string | undefined): string {
  const event = data === undefined ? undefined : texts.openEvent(data);
  if (event === undefined) return '';
  const alone = event.wholes.filter(({ lane, isMain }) => lane === undefined && isMain === true);
  return [...event.pieces.filter(({ isMain }) => isMain), ...alone].map(({ text }) => text).join('');
}

function createWholeReader(exchange: Exchange, texts: ProtocolTexts): CompletionReader {
  const decoder = new TextDecoder();
  let text = '';
  return {
    take(bytes) {
      if (text.length <= maxWholeLength) text += decoder.decode(bytes, { stream: true });
    },
    end() {
      if (text.length > maxWholeLength) return;
      const answer = texts.openAnswer(text + decoder.decode());
      addText(exchange, (answer?.texts ?? []).flatMap(({ isMain, text: said }) => (isMain ? [said] : [])).join('\n'));
    },
  };
}

/** False: there is no room for more. */
function addText(exchange: Exchange, text: string): boolean {
  if (text !== '') exchange.completion = `${exchange.completion ?? ''}${text}`.slice(0, maxCompletionLength);
  return (exchange.completion?.length ?? 0) < maxCompletionLength;
}

/** The tap, with a reader at what leaves it. The reader ends first: the tap ends the exchange. */
export function readAlong(tap: Tap, reader: CompletionReader): Tap {
  return {
    push(chunk) {
      const sent = tap.push(chunk);
      reader.take(sent);
      return sent;
    },
    end() {
      reader.end();
      return tap.end();
    },
    fail(cause) {
      reader.end();
      return tap.fail(cause);
    },
    gone() {
      reader.end();
      tap.gone();
    },
  };
}

/** The reader behind all rewrites of a stream. */
export function readBehind(reader: CompletionReader): StreamRewrite {
  return {
    push(chunk) {
      reader.take(chunk);
      return chunk;
    },
    end: () => noBytes,
    isOver: false,
  };
}
