/** Answers of `/api/chat` as OpenAI's Responses: what Ollama's own `/v1/responses` makes of them (openai/responses.go). */
import type { GatewayError } from '../../errors.ts';
import type { ObjectText } from '../../json/object-text.ts';
import { openaiResponses } from '../openai-responses.ts';
import { jsonOf } from './exact-json.ts';
import { freshId, nowInSeconds } from './identity.ts';
import type { NativeCall, NativeLine } from './ollama-line.ts';
import { type ResponseHead, responseOf, usageOf } from './ollama-responses-object.ts';
import type { LineWriter, NativeWords } from './ollama-rewrite.ts';

/** An answer repeats all its text at the end; beyond this length it breaks off instead. */
const maxTextLength = 33_554_432;

/** `request`: as it would have left for the box's own path; an answer repeats much of it. */
export function responsesWords(request: ObjectText): NativeWords {
  return {
    whole: (line) => wholeOf(line, request),
    writer: () => new ResponsesWriter(request),
  };
}

function wholeOf(line: NativeLine, request: ObjectText): string {
  const head = { id: `resp_${freshId()}`, created: line.created };
  const { thinking, calls } = line;
  const output = [
    ...(thinking === '' ? [] : [reasoningItem(`rs_${head.id}`, thinking)]),
    ...calls.map((call, index) => callItem(`fc_${head.id}_${index}`, call, 'completed', call.input)),
    ...(calls.length > 0 ? [] : [messageItem(`msg_${freshId()}`, 'completed', line.text)]),
  ];
  return `${jsonOf(responseOf(head, request, { status: 'completed', output, usage: usageOf(line) }))}\n`;
}

function reasoningItem(id: string, thinking: string): object {
  return { id, type: 'reasoning', summary: [summaryPart(thinking)], encrypted_content: thinking };
}

function summaryPart(text: string): object {
  return { type: 'summary_text', text };
}

function callItem(id: string, { id: callId, name }: NativeCall, status: string, input: string): object {
  return { id, type: 'function_call', status, call_id: callId, name, arguments: input };
}

function textPart(text: string): object {
  return { type: 'output_text', text, annotations: [], logprobs: [] };
}

function messageItem(id: string, status: string, text: string | undefined): object {
  return { id, type: 'message', status, role: 'assistant', content: text === undefined ? [] : [textPart(text)] };
}

class ResponsesWriter implements LineWriter {
  readonly #request: ObjectText;
  readonly #head: ResponseHead = { id: `resp_${freshId()}`, created: nowInSeconds() };
  readonly #messageId = `msg_${freshId()}`;
  readonly #output: object[] = [];
  #sequence = 0;
  #index = 0;
  #hasBegun = false;
  #reasoningId: string | undefined;
  #thinking = '';
  #hasText = false;
  #text = '';
  #hasCalls = false;

  constructor(request: ObjectText) {
    this.#request = request;
  }

  get isFull(): boolean {
    return this.#text.length + this.#thinking.length > maxTextLength;
  }

  line(line: NativeLine): string {
    let sent = this.#begin();
    if (line.thinking !== '') sent += this.#think(line.thinking);
    if (line.calls.length > 0) sent += this.#call(line.calls);
    // Beside calls, and behind them, words are not told: as by the box itself.
    else if (line.text !== '' && !this.#hasCalls) sent += this.#say(line.text);
    return line.isDone ? sent + this.#finish(line) : sent;
  }

  fail(error: GatewayError): string {
    const seen = { answerId: this.#head.id, model: modelOf(this.#request), events: this.#sequence };
    return openaiResponses.errorInStream(error, this.#head.id, seen);
  }

  alive(): string {
    return ': alive\n\n';
  }

  #begin(): string {
    if (this.#hasBegun) return '';
    this.#hasBegun = true;
    const response = responseOf(this.#head, this.#request, { status: 'in_progress', output: [], usage: null });
    return this.#event('response.created', { response }) + this.#event('response.in_progress', { response });
  }

  #think(thinking: string): string {
    let sent = '';
    const isNew = this.#reasoningId === undefined;
    this.#reasoningId ??= `rs_${freshId()}`;
    const place = { item_id: this.#reasoningId, output_index: this.#index, summary_index: 0 };
    if (isNew) {
      const item = { id: this.#reasoningId, type: 'reasoning', summary: [] };
      sent += this.#event('response.output_item.added', { output_index: this.#index, item });
      // A box leaves this out, and the openai SDK throws at the first delta then.
      sent += this.#event('response.reasoning_summary_part.added', { ...place, part: summaryPart('') });
    }
    this.#thinking += thinking;
    return sent + this.#event('response.reasoning_summary_text.delta', { ...place, delta: thinking });
  }

  #endThinking(): string {
    const id = this.#reasoningId;
    if (id === undefined) return '';
    const text = this.#thinking;
    const item = reasoningItem(id, text);
    const place = { item_id: id, output_index: this.#index++, summary_index: 0 };
    this.#output.push(item);
    this.#reasoningId = undefined;
    this.#thinking = '';
    return (
      this.#event('response.reasoning_summary_text.done', { ...place, text }) +
      this.#event('response.reasoning_summary_part.done', { ...place, part: summaryPart(text) }) +
      this.#event('response.output_item.done', { output_index: place.output_index, item })
    );
  }

  #call(calls: readonly NativeCall[]): string {
    // A message that has begun is ended first: its place in the output would be the call's otherwise.
    let sent = this.#endThinking() + this.#endText();
    this.#hasCalls = true;
    for (const call of calls) {
      const id = `fc_${freshId()}`;
      const place = { output_index: this.#index++ };
      const item = callItem(id, call, 'completed', call.input);
      this.#output.push(item);
      sent += this.#event('response.output_item.added', { ...place, item: callItem(id, call, 'in_progress', '') });
      sent += this.#event('response.function_call_arguments.delta', { item_id: id, ...place, delta: call.input });
      sent += this.#event('response.function_call_arguments.done', { item_id: id, ...place, arguments: call.input });
      sent += this.#event('response.output_item.done', { ...place, item });
    }
    return sent;
  }

  #say(text: string): string {
    let sent = this.#endThinking();
    const place = { item_id: this.#messageId, output_index: this.#index, content_index: 0 };
    if (!this.#hasText) {
      this.#hasText = true;
      const item = messageItem(this.#messageId, 'in_progress', undefined);
      sent += this.#event('response.output_item.added', { output_index: this.#index, item });
      sent += this.#event('response.content_part.added', { ...place, part: textPart('') });
    }
    this.#text += text;
    return sent + this.#event('response.output_text.delta', { ...place, delta: text, logprobs: [] });
  }

  #endText(): string {
    if (!this.#hasText) return '';
    this.#hasText = false;
    const text = this.#text;
    const place = { item_id: this.#messageId, output_index: this.#index++, content_index: 0 };
    const item = messageItem(this.#messageId, 'completed', text);
    this.#output.push(item);
    return (
      this.#event('response.output_text.done', { ...place, text, logprobs: [] }) +
      this.#event('response.content_part.done', { ...place, part: textPart(text) }) +
      this.#event('response.output_item.done', { output_index: place.output_index, item })
    );
  }

  #finish(line: NativeLine): string {
    const closed = this.#endThinking() + this.#endText();
    const response = responseOf(this.#head, this.#request, { status: 'completed', output: this.#output, usage: usageOf(line) });
    return closed + this.#event('response.completed', { response });
  }

  #event(type: string, members: object): string {
    return `event: ${type}\ndata: ${jsonOf({ type, sequence_number: this.#sequence++, ...members })}\n\n`;
  }
}

function modelOf(request: ObjectText): string {
  const model = request.get('model');
  return typeof model === 'string' ? model : '';
}
