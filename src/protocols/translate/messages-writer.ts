/** An answer in Anthropic's words: whole, and event by event. */
import type { AnswerEnd, AnswerHead, AnswerPart, AnswerWriter, TokenCounts, UpstreamError } from './answer-parts.ts';
import type { ChatAnswer } from './chat-answer.ts';
import { messagesErrorText } from './errors.ts';
import { argumentsObject, JsonText, jsonOf } from './exact-json.ts';
import { idAs } from './identity.ts';
import { markOf } from './reasoning-mark.ts';

export function messagesAnswer({ head, parts, end }: ChatAnswer): string {
  const content = parts.map(({ part, text }) => filledBlock(part, text));
  return jsonOf({ ...messageOf(head, content), ...stopOf(end), usage: usageOf(end.usage, true) });
}

function messageOf({ id, model }: AnswerHead, content: readonly object[]): object {
  return { id: idAs('msg_', id), type: 'message', role: 'assistant', model, content };
}

function filledBlock(part: AnswerPart, text: string): object {
  switch (part.kind) {
    case 'tool':
      return { type: 'tool_use', id: part.id, name: part.name, input: argumentsObject(text) };
    case 'thinking':
      return { type: 'thinking', thinking: text, signature: markOf(part.name) };
    default:
      return { type: 'text', text };
  }
}

const stopReasons = { stop: 'end_turn', length: 'max_tokens', tools: 'tool_use', filtered: 'refusal' } as const;

function stopOf({ reason, stopSequence }: AnswerEnd): object {
  const isSequence = reason === 'stop' && stopSequence !== undefined;
  return { stop_reason: isSequence ? 'stop_sequence' : stopReasons[reason], stop_sequence: stopSequence ?? null };
}

/** Input that came from a cache is counted apart by Anthropic, and within the whole by OpenAI. */
function usageOf(counts: TokenCounts | undefined, isWhole: boolean): object {
  const { input = 0, cached = 0, cacheWritten = 0, output = 0, reasoning = 0 } = counts ?? {};
  return {
    input_tokens: Math.max(0, input - cached - cacheWritten),
    cache_creation_input_tokens: cacheWritten,
    cache_read_input_tokens: cached,
    output_tokens: output,
    ...(reasoning > 0 ? { output_tokens_details: { thinking_tokens: reasoning } } : {}),
    ...(isWhole ? { server_tool_use: null, service_tier: null } : {}),
  };
}

/** The events of one stream. Blocks come one after another, as Anthropic's clients expect. */
export function createMessagesWriter(): AnswerWriter {
  let index = -1;
  let hasBegun = false;
  let part: AnswerPart = { kind: 'text' };
  return {
    isFull: false,
    begin(head) {
      hasBegun = true;
      const message = { ...messageOf(head, []), stop_reason: null, stop_sequence: null, usage: usageOf(undefined, true) };
      return eventOf('message_start', { message }) + eventOf('ping', {});
    },
    open(opened) {
      index++;
      part = opened;
      return eventOf('content_block_start', { index, content_block: emptyBlock(opened) });
    },
    more: (text) => eventOf('content_block_delta', { index, delta: deltaOf(part, text) }),
    close() {
      const signature = part.kind === 'thinking' ? { type: 'signature_delta', signature: markOf(part.name) } : undefined;
      const signed = signature === undefined ? '' : eventOf('content_block_delta', { index, delta: signature });
      return signed + eventOf('content_block_stop', { index });
    },
    end: (end) =>
      eventOf('message_delta', { delta: stopOf(end), usage: usageOf(end.usage, false) }) + eventOf('message_stop', {}),
    fail: (error: UpstreamError) => `event: error\ndata: ${messagesErrorText(error, undefined)}\n\n`,
    // Before the message has begun a ping would be the first event, which clients do not expect.
    alive: () => (hasBegun ? eventOf('ping', {}) : ': alive\n'),
  };
}

function emptyBlock(part: AnswerPart): object {
  switch (part.kind) {
    case 'tool':
      return { type: 'tool_use', id: part.id, name: part.name, input: new JsonText('{}') };
    case 'thinking':
      return { type: 'thinking', thinking: '', signature: '' };
    default:
      return { type: 'text', text: '' };
  }
}

function deltaOf(part: AnswerPart, text: string): object {
  switch (part.kind) {
    case 'tool':
      return { type: 'input_json_delta', partial_json: text };
    case 'thinking':
      return { type: 'thinking_delta', thinking: text };
    default:
      return { type: 'text_delta', text };
  }
}

function eventOf(type: string, members: object): string {
  return `event: ${type}\ndata: ${jsonOf({ type, ...members })}\n\n`;
}
