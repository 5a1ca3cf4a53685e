import { describe, expect, it } from 'vitest';
import { carriedBy, idCarrying } from '../../../../src/protocols/translate/call-id.ts';
import { parseSse } from '../../../support/sse.ts';
import { chatStream, type Json, messagesOverChat, responsesOverChat, streamed, translated, wholeOf } from './translating.ts';

const extra = { google: { thought_signature: 'CjQBÿ…👋+/=' } };
const call = { id: 'call_1', type: 'function', function: { name: 'f', arguments: '{"a":1}' }, extra_content: extra };
const completion = JSON.stringify({
  choices: [{ message: { role: 'assistant', content: null, tool_calls: [call] }, finish_reason: 'tool_calls' }],
});
const asked = { model: 'm', max_tokens: 1, messages: [], input: 'x' };

describe('what goes with a call', () => {
  it('comes back with it, from a Messages client', () => {
    const { content }: Json = JSON.parse(wholeOf(messagesOverChat, asked, completion).text);
    expect(content[0].id).toMatch(/^call_1__corral_[A-Za-z0-9_-]+$/);
    const result = { type: 'tool_result', tool_use_id: content[0].id, content: 'ok' };
    const { messages } = translated(messagesOverChat, {
      messages: [
        { role: 'assistant', content },
        { role: 'user', content: [result] },
      ],
    }).body;
    expect(messages).toEqual([
      { role: 'assistant', content: null, tool_calls: [call] },
      { role: 'tool', tool_call_id: 'call_1', content: 'ok' },
    ]);
  });

  it('and from a Responses client', () => {
    const { output }: Json = JSON.parse(wholeOf(responsesOverChat, asked, completion).text);
    const result = { type: 'function_call_output', call_id: output[0].call_id, output: 'ok' };
    expect(translated(responsesOverChat, { input: [...output, result] }).body.messages).toEqual([
      { role: 'assistant', content: null, tool_calls: [call] },
      { role: 'tool', tool_call_id: 'call_1', content: 'ok' },
    ]);
  });

  it('also out of a stream', () => {
    const events = parseSse(
      streamed(messagesOverChat, { ...asked, stream: true }, chatStream([{ tool_calls: [{ index: 0, ...call }] }])),
    );
    const opened = events.find(({ event }) => event === 'content_block_start')?.json as Json;
    expect(carriedBy(opened.content_block.id)).toEqual({ id: 'call_1', extra: { text: JSON.stringify(extra) } });
  });

  it('ids without any stay as they are', () => {
    expect(idCarrying('a', undefined)).toBe('a');
    expect(idCarrying('a', { x: 'y'.repeat(16_384) })).toBe('a');
    expect(idCarrying('a', { x: 'y'.repeat(16_376) })).not.toBe('a');
    expect(carriedBy('toolu_1')).toEqual({ id: 'toolu_1', extra: undefined });
  });

  it.each(['a__corral_', 'a__corral_%%', 'a__corral_WzFd', 'a__corral_e30_'])(
    'what a client has made of one is not taken: %s',
    (id) => {
      expect(carriedBy(id)).toEqual({ id: 'a', extra: undefined });
    },
  );
});
