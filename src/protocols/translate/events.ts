/** Bytes of a stream as events, whatever the chunks; and what a translation of streams is made of. */
import { GatewayError } from '../../errors.ts';
import type { StreamRewrite } from '../../exchange.ts';
import { Carry } from '../../streams/carry.ts';
import type { Framing } from '../../streams/lines.ts';
import { sse } from '../../streams/sse.ts';

/** A longer event is no event of any of these protocols: the rest of it is not kept, and it cannot be read. */
const maxEventBytes = 4_194_304;

/** Translates one stream, event by event. What it gives is sent. */
export interface EventTranslation {
  event(data: string, name: string | undefined): string;
  /** A comment came: the upstream lives. */
  alive(): string;
  /** There is nothing more to come. */
  end(): string;
  /** Why it gave up; what it gave last was the error for the client. Undefined while it has not, whatever the upstream says. */
  readonly failure: string | undefined;
}

const encoder = new TextEncoder();
const nothing = new Uint8Array(0);

/** One stream of server-sent events made of another, or of lines. Throws unreadable_answer, with the last words for the client. */
export function createStreamTranslation(events: EventTranslation, framing: Framing = sse): StreamRewrite {
  const splitter = framing.createSplitter();
  const carry = new Carry(maxEventBytes);

  const read = (frame: Uint8Array): string => {
    const { data, event } = framing.read(frame);
    if (data !== undefined && data !== '') return events.event(data, event);
    // `data:` with nothing behind it keeps connections alive, like a comment; a lone line end is nothing at all.
    return frame.length > 2 ? events.alive() : '';
  };
  const sent = (text: string): Uint8Array => {
    const { failure } = events;
    if (failure !== undefined)
      throw new GatewayError('unreadable_answer', failure, { verbatim: { text, contentType: undefined } });
    return text === '' ? nothing : encoder.encode(text);
  };

  return {
    contentType: 'text/event-stream; charset=utf-8',
    isOver: false,
    push(chunk) {
      let text = '';
      let from = 0;
      for (let to = splitter.endOf(chunk, 0); to >= 0 && events.failure === undefined; to = splitter.endOf(chunk, to)) {
        if (carry.length === 0) {
          text += read(chunk.subarray(from, to));
        } else {
          carry.append(chunk.subarray(from, to));
          text += read(carry.bytes);
          carry.clear();
        }
        from = to;
      }
      if (from < chunk.length) carry.append(chunk.subarray(from));
      return sent(text);
    },
    end() {
      // A last event may lack only its line end, as some servers leave it.
      const last = carry.length === 0 ? '' : readLast(carry.bytes, events, framing);
      carry.clear();
      return sent(last + (events.failure === undefined ? events.end() : ''));
    },
  };
}

/** What broke off within its data says nothing. */
function readLast(frame: Uint8Array, events: EventTranslation, framing: Framing): string {
  const { data, event } = framing.read(frame);
  if (data === undefined || data === '') return '';
  try {
    if (data.trim() !== '[DONE]') JSON.parse(data);
  } catch {
    return '';
  }
  return events.event(data, event);
}
