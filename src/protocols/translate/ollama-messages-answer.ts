/** Answers of `/api/chat` as Anthropic's messages: what Ollama's own `/v1/messages` makes of them (anthropic/anthropic.go). */
import type { GatewayError } from '../../errors.ts';
import { anthropicErrorInStream } from '../anthropic.ts';
import { JsonText, jsonOf } from './exact-json.ts';
import { freshId } from './identity.ts';
import type { NativeCall, NativeLine } from './ollama-line.ts';
import type { LineWriter, NativeWords } from './ollama-rewrite.ts';

/** `promptTokens`: what is said of the prompt at a stream's beginning; the end has the true count. */
export function messagesWords(model: string, promptTokens: number): NativeWords {
  return { whole: messageOf, writer: () => new MessagesWriter(model, promptTokens) };
}

function messageOf(line: NativeLine): string {
  const { model, text, thinking, calls, input, output } = line;
  // A box writes null for no content at all, which no client of Anthropic's expects.
  const content = [
    ...(thinking === '' ? [] : [{ type: 'thinking', thinking }]),
    ...(text === '' ? [] : [{ type: 'text', text }]),
    ...calls.map((call) => ({ type: 'tool_use', id: call.id, name: call.name, input: new JsonText(call.input) })),
  ];
  return `${jsonOf({
    id: `msg_${freshId()}`,
    type: 'message',
    role: 'assistant',
    model,
    content,
    stop_reason: stopReasonOf(line.reason, calls.length > 0),
    usage: { input_tokens: input, output_tokens: output },
  })}\n`;
}

function stopReasonOf(reason: string, hasCalls: boolean): string | undefined {
  if (hasCalls) return 'tool_use';
  if (reason === 'stop') return 'end_turn';
  if (reason === 'length') return 'max_tokens';
  return reason === '' ? undefined : 'stop_sequence';
}

class MessagesWriter implements LineWriter {
  readonly isFull = false;
  readonly #model: string;
  readonly #promptTokens: number;
  #hasBegun = false;
  #index = 0;
  /** The block that is not closed yet. */
  #open: 'thinking' | 'text' | undefined;
  #hasThought = false;
  readonly #calls = new Set<string>();

  constructor(model: string, promptTokens: number) {
    this.#model = model;
    this.#promptTokens = promptTokens;
  }

  line(line: NativeLine): string {
    let sent = this.#begin(line);
    // What is thought after the thinking has ended is not told, as by the box itself.
    if (line.thinking !== '' && !this.#hasThought) {
      sent += this.#into('thinking') + this.#delta({ type: 'thinking_delta', thinking: line.thinking });
    }
    if (line.text !== '') sent += this.#into('text') + this.#delta({ type: 'text_delta', text: line.text });
    for (const call of line.calls) if (!this.#calls.has(call.id)) sent += this.#call(call);
    return line.isDone ? sent + this.#finish(line) : sent;
  }

  fail(error: GatewayError): string {
    return anthropicErrorInStream(error, `req_${freshId()}`);
  }

  alive(): string {
    return event('ping', {});
  }

  #begin({ input }: NativeLine): string {
    if (this.#hasBegun) return '';
    this.#hasBegun = true;
    const message = {
      id: `msg_${freshId()}`,
      type: 'message',
      role: 'assistant',
      model: this.#model,
      content: [],
      usage: { input_tokens: input > 0 ? input : this.#promptTokens, output_tokens: 0 },
    };
    return event('message_start', { message });
  }

  #into(kind: 'thinking' | 'text'): string {
    if (this.#open === kind) return '';
    const closed = this.#close();
    this.#open = kind;
    const block = kind === 'text' ? { type: 'text', text: '' } : { type: 'thinking', thinking: '' };
    return closed + event('content_block_start', { index: this.#index, content_block: block });
  }

  #delta(delta: object): string {
    return event('content_block_delta', { index: this.#index, delta });
  }

  #close(): string {
    if (this.#open === undefined) return '';
    if (this.#open === 'thinking') this.#hasThought = true;
    this.#open = undefined;
    return event('content_block_stop', { index: this.#index++ });
  }

  #call({ id, name, input }: NativeCall): string {
    this.#calls.add(id);
    const closed = this.#close();
    const block = { type: 'tool_use', id, name, input: {} };
    const started = event('content_block_start', { index: this.#index, content_block: block });
    const delta = this.#delta({ type: 'input_json_delta', partial_json: input });
    return `${closed}${started}${delta}${event('content_block_stop', { index: this.#index++ })}`;
  }

  #finish({ reason, input, output }: NativeLine): string {
    const delta = { stop_reason: stopReasonOf(reason, this.#calls.size > 0) };
    const usage = { input_tokens: input, output_tokens: output };
    return this.#close() + event('message_delta', { delta, usage }) + event('message_stop', {});
  }
}

function event(type: string, members: object): string {
  return `event: ${type}\ndata: ${JSON.stringify({ type, ...members })}\n\n`;
}
