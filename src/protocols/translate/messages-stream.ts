/** A stream of Anthropic's events as chunks of a chat completion. */
import { parseValue } from '../../json/parse.ts';
import { countOf, type JsonRecord, recordOf, textOf } from '../answer-text.ts';
import type { UpstreamError } from './answer-parts.ts';
import { chatUsageOf, finishReasonOf, noCounts, takeCounts } from './anthropic-reading.ts';
import { errorIn, openaiErrorText, ownError } from './errors.ts';
import type { EventTranslation } from './events.ts';
import { jsonOf, objectIn } from './exact-json.ts';
import { freshId, idAs, nowInSeconds } from './identity.ts';

const maxCalls = 256;

/** `wantsUsage`: the client has asked for a last chunk with the token counts. */
export function createMessagesStream(wantsUsage: boolean): EventTranslation {
  return new MessagesStream(wantsUsage);
}

interface OpenCall {
  readonly index: number;
  /** The input as the block began with it: what some servers send in place of any delta. */
  readonly input: string;
  hasDeltas: boolean;
}

class MessagesStream implements EventTranslation {
  failure: string | undefined;
  readonly #wantsUsage: boolean;
  readonly #created = nowInSeconds();
  readonly #counts = noCounts();
  /** Open calls of tools by Anthropic's index of the block. */
  readonly #calls = new Map<number, OpenCall>();
  #id = '';
  #model = '';
  #callCount = 0;
  #thoughts = 0;
  #isEnded = false;
  #stopReason: unknown;

  constructor(wantsUsage: boolean) {
    this.#wantsUsage = wantsUsage;
  }

  event(data: string): string {
    if (this.#isEnded) return '';
    const event = eventIn(data);
    if (event === undefined) return this.#giveUp('the upstream sent an event that cannot be read');
    switch (event.type) {
      case 'message_start':
        return this.#begin(recordOf(event.message));
      case 'content_block_start':
        return this.#open(countOf(event.index) ?? 0, recordOf(event.content_block), data);
      case 'content_block_delta':
        return this.#more(countOf(event.index) ?? 0, recordOf(event.delta));
      case 'content_block_stop':
        return this.#close(countOf(event.index) ?? 0);
      case 'message_delta':
        this.#stopReason = recordOf(event.delta)?.stop_reason ?? this.#stopReason;
        takeCounts(this.#counts, recordOf(event.usage));
        return '';
      case 'message_stop':
        return this.#finish();
      case 'ping':
        return this.alive();
      case 'error':
        return this.#fail(errorIn(event) ?? ownError('unknown error'));
      default:
        return '';
    }
  }

  alive(): string {
    return this.#isEnded ? '' : ': alive\n';
  }

  end(): string {
    return this.#isEnded ? '' : this.#giveUp('the upstream ended its answer before it was whole');
  }

  #begin(message: JsonRecord | undefined): string {
    this.#id = idAs('chatcmpl-', textOf(message?.id) ?? freshId());
    this.#model = textOf(message?.model) ?? '';
    takeCounts(this.#counts, recordOf(message?.usage));
    return this.#chunk({ role: 'assistant', content: '' });
  }

  #open(block: number, opened: JsonRecord | undefined, data: string): string {
    const text = textOf(opened?.text);
    if (opened?.type === 'thinking') this.#thoughts++;
    if (opened?.type === 'text' && text !== undefined) return this.#chunk({ content: text });
    if (opened?.type !== 'tool_use') return '';
    if (this.#callCount >= maxCalls) return this.#giveUp('the answer is too long to be translated');
    const index = this.#callCount++;
    this.#calls.set(block, { index, input: inputIn(data), hasDeltas: false });
    const called = { name: textOf(opened.name) ?? '', arguments: '' };
    return this.#chunk({ tool_calls: [{ index, id: textOf(opened.id) ?? '', type: 'function', function: called }] });
  }

  #more(block: number, delta: JsonRecord | undefined): string {
    switch (delta?.type) {
      case 'text_delta':
        return this.#chunk({ content: textOf(delta.text) ?? '' });
      case 'thinking_delta':
        return this.#chunk({ reasoning_content: textOf(delta.thinking) ?? '' });
      case 'signature_delta':
        // As in a whole answer: of several thoughts the client could give none back exactly.
        return this.#thoughts > 1 ? '' : this.#chunk({ reasoning_signature: textOf(delta.signature) ?? '' });
      case 'input_json_delta': {
        const call = this.#calls.get(block);
        const text = textOf(delta.partial_json);
        if (call === undefined || text === undefined) return '';
        call.hasDeltas = true;
        return this.#argumentsChunk(call, text);
      }
      default:
        return '';
    }
  }

  #close(block: number): string {
    const call = this.#calls.get(block);
    this.#calls.delete(block);
    return call === undefined || call.hasDeltas ? '' : this.#argumentsChunk(call, call.input);
  }

  #argumentsChunk({ index }: OpenCall, text: string): string {
    return this.#chunk({ tool_calls: [{ index, function: { arguments: text } }] });
  }

  #finish(): string {
    this.#isEnded = true;
    const finish = this.#chunk({}, finishReasonOf(this.#stopReason, this.#callCount > 0));
    const usage = this.#wantsUsage ? this.#frame({ choices: [], usage: chatUsageOf(this.#counts) }) : '';
    return `${finish}${usage}data: [DONE]\n\n`;
  }

  /** What is wrong with the answer itself. */
  #giveUp(message: string): string {
    this.failure = message;
    return this.#fail(ownError(message));
  }

  #fail(error: UpstreamError): string {
    this.#isEnded = true;
    return `data: ${openaiErrorText(error, undefined)}\n\n`;
  }

  #chunk(delta: object, finishReason: string | null = null): string {
    return this.#frame({ choices: [{ index: 0, delta, logprobs: null, finish_reason: finishReason }] });
  }

  #frame(members: object): string {
    const head = { id: this.#id, object: 'chat.completion.chunk', created: this.#created, model: this.#model };
    return `data: ${jsonOf({ ...head, ...members })}\n\n`;
  }
}

function eventIn(data: string): JsonRecord | undefined {
  try {
    return recordOf(parseValue(data));
  } catch {
    return undefined;
  }
}

/** The exact text of the block's input; `{}` where deltas are to bring it. */
function inputIn(data: string): string {
  const block = objectIn(objectIn(data)?.textOf('content_block') ?? '');
  return block?.textOf('input') ?? '{}';
}
