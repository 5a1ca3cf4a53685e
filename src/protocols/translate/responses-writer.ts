/** An answer in the words of OpenAI's Responses: whole, and event by event. */
import type { ObjectText } from '../../json/object-text.ts';
import type { AnswerEnd, AnswerHead, AnswerPart, AnswerWriter, UpstreamError } from './answer-parts.ts';
import type { ChatAnswer } from './chat-answer.ts';
import { jsonOf } from './exact-json.ts';
import { freshId, nowInSeconds } from './identity.ts';
import {
  contentPart,
  echoOf,
  type ItemStatus,
  incompleteReason,
  itemId,
  itemOf,
  type ResponseState,
  responseObject,
} from './responses-object.ts';

/** An answer repeats all its text at the end; beyond this length it breaks off instead. */
const maxTextLength = 33_554_432;

export function responsesAnswer({ head, parts, end }: ChatAnswer, request: ObjectText | undefined): string {
  const incomplete = incompleteReason(end);
  const output = parts.map(({ part, text }, index) =>
    itemOf(part, itemId(part, head, index), textOfPart(part, text), statusAt(index, parts.length, incomplete)),
  );
  return jsonOf(responseObject(head, echoOf(request), { ...endState(end, incomplete), output }));
}

function endState({ usage }: AnswerEnd, incomplete: string | undefined): Omit<ResponseState, 'output'> {
  return incomplete === undefined ? { status: 'completed', usage } : { status: 'incomplete', incomplete, usage };
}

/** Only the last item can have been cut off. */
function statusAt(index: number, length: number, incomplete: string | undefined): ItemStatus {
  return incomplete !== undefined && index === length - 1 ? 'incomplete' : 'completed';
}

/** Clients parse arguments as they come; a call without any has an empty object. */
function textOfPart(part: AnswerPart, text: string): string {
  return part.kind === 'tool' && text.trim() === '' ? '{}' : text;
}

/** The events of one stream. `request` is what the client sent: an answer repeats much of it. */
export function createResponsesWriter(request: ObjectText | undefined): AnswerWriter {
  return new ResponsesWriter(request);
}

/** An item that is not finished, or that is only finished once its status is known. */
interface OpenItem {
  readonly part: AnswerPart;
  readonly id: string;
  readonly index: number;
  text: string;
}

class ResponsesWriter implements AnswerWriter {
  readonly #echo: Readonly<Record<string, unknown>>;
  #head: AnswerHead | undefined;
  #next = 0;
  #open: OpenItem | undefined;
  /** Closed, but perhaps the last: whether it was cut off is known at the end. */
  #last: OpenItem | undefined;
  readonly #output: object[] = [];
  #textLength = 0;

  constructor(request: ObjectText | undefined) {
    this.#echo = echoOf(request);
  }

  get isFull(): boolean {
    return this.#textLength > maxTextLength;
  }

  begin(head: AnswerHead): string {
    this.#head = head;
    const response = this.#response({ status: 'in_progress', output: [] });
    return this.#event('response.created', { response }) + this.#event('response.in_progress', { response });
  }

  open(part: AnswerPart): string {
    const before = this.#finishLast('completed');
    const item = { part, id: itemId(part, this.#headOrOwn(), this.#output.length), index: this.#output.length, text: '' };
    this.#open = item;
    const added = this.#event('response.output_item.added', {
      output_index: item.index,
      item: itemOf(part, item.id, undefined, 'in_progress'),
    });
    return before + added + this.#beginning(item);
  }

  more(text: string): string {
    const item = this.#open;
    if (item === undefined) return '';
    item.text += text;
    this.#textLength += text.length;
    return this.#event(`${eventNames[item.part.kind]}.delta`, { ...placeOf(item), delta: text, ...logprobsOf(item.part) });
  }

  close(): string {
    const item = this.#open;
    if (item === undefined) return '';
    if (item.part.kind === 'tool' && item.text.trim() === '') item.text = '{}';
    this.#open = undefined;
    this.#last = item;
    return this.#ending(item);
  }

  end(end: AnswerEnd): string {
    const incomplete = incompleteReason(end);
    const closed = this.#finishLast(incomplete === undefined ? 'completed' : 'incomplete');
    const name = incomplete === undefined ? 'response.completed' : 'response.incomplete';
    return closed + this.#event(name, { response: this.#response({ ...endState(end, incomplete), output: this.#output }) });
  }

  fail(error: UpstreamError): string {
    const last = this.#finishLast('incomplete');
    return last + this.#event('response.failed', { response: this.#response({ status: 'failed', output: this.#output, error }) });
  }

  alive(): string {
    return ': alive\n';
  }

  #beginning(item: OpenItem): string {
    const { part } = item;
    if (part.kind === 'tool') return '';
    if (part.kind === 'thinking') {
      return this.#event('response.reasoning_summary_part.added', { ...placeOf(item), part: { type: 'summary_text', text: '' } });
    }
    return this.#event('response.content_part.added', { ...placeOf(item), part: contentPart(part.kind, '') });
  }

  /** All that was said once more, in one piece. */
  #ending(item: OpenItem): string {
    const { part, text } = item;
    const name = `${eventNames[part.kind]}.done`;
    if (part.kind === 'tool') return this.#event(name, { ...placeOf(item), name: part.name, arguments: text });
    if (part.kind === 'thinking') {
      const done = { ...placeOf(item), part: { type: 'summary_text', text } };
      return this.#event(name, { ...placeOf(item), text }) + this.#event('response.reasoning_summary_part.done', done);
    }
    const said = part.kind === 'refusal' ? { refusal: text } : { text, ...logprobsOf(part) };
    const done = { ...placeOf(item), part: contentPart(part.kind, text) };
    return this.#event(name, { ...placeOf(item), ...said }) + this.#event('response.content_part.done', done);
  }

  #finishLast(status: ItemStatus): string {
    const item = this.#last;
    if (item === undefined) return '';
    this.#last = undefined;
    const finished = itemOf(item.part, item.id, item.text, status);
    this.#output.push(finished);
    return this.#event('response.output_item.done', { output_index: item.index, item: finished });
  }

  #headOrOwn(): AnswerHead {
    this.#head ??= { id: freshId(), model: '', created: nowInSeconds() };
    return this.#head;
  }

  #response(state: ResponseState): object {
    return responseObject(this.#headOrOwn(), this.#echo, state);
  }

  #event(type: string, members: object): string {
    return `event: ${type}\ndata: ${jsonOf({ type, sequence_number: this.#next++, ...members })}\n\n`;
  }
}

const eventNames = {
  text: 'response.output_text',
  refusal: 'response.refusal',
  thinking: 'response.reasoning_summary_text',
  tool: 'response.function_call_arguments',
} as const;

function placeOf({ part, id, index }: OpenItem): object {
  const place = { item_id: id, output_index: index };
  if (part.kind === 'tool') return place;
  return part.kind === 'thinking' ? { ...place, summary_index: 0 } : { ...place, content_index: 0 };
}

function logprobsOf({ kind }: AnswerPart): object {
  return kind === 'text' ? { logprobs: [] } : {};
}
