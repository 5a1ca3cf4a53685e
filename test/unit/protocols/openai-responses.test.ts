import { describe, expect, it } from 'vitest';
import type { CallAllowances } from '../../../src/exchange.ts';
import { readObject } from '../../../src/json/read-object.ts';
import { openaiResponses, openaiResponsesCompact } from '../../../src/protocols/openai-responses.ts';

function read(body: string | object, allowed?: CallAllowances) {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return openaiResponses.readCall(readObject(new TextEncoder().encode(text)), allowed);
}

describe('stored context', () => {
  it.each(['previous_response_id', 'conversation', 'Previous_Response_Id'])('%s is refused with the reason', (member) => {
    const { boxRefusal } = read({ model: 'm', input: 'x', [member]: 'resp_1' });
    expect(boxRefusal?.status).toBe(400);
    expect(boxRefusal?.code).toBe('unsupported_parameter');
    expect(boxRefusal?.message).toMatch(/Ollama stores nothing between requests/);
  });

  it.each([null, undefined, ''])('previous_response_id: %j means none', (value) => {
    expect(read({ input: 'x', previous_response_id: value }).boxRefusal).toBeUndefined();
  });

  it('is refused on /compact as well, which never streams', () => {
    const body = readObject(new TextEncoder().encode('{"previous_response_id":"r","stream":true}'));
    expect(openaiResponsesCompact.readCall(body)).toMatchObject({ isStream: false, boxRefusal: { status: 400 } });
  });
});

describe('parameters', () => {
  it('leaves max_output_tokens alone, which the box reads', () => {
    expect(read({ input: 'x', max_output_tokens: 5 }).boxChanges.size).toBe(0);
  });

  it('says that background is not', () => {
    expect(read({ input: 'x', background: true }).warnings).toEqual(['background is not read by Ollama: the answer comes now']);
  });

  it('maps tool_choice as chat does', () => {
    const tools = [{ type: 'function', name: 'f' }];
    expect([...read({ tools, tool_choice: 'none' }).boxChanges]).toEqual([
      ['tools', undefined],
      ['tool_choice', undefined],
    ]);
    expect(read({ tools, tool_choice: 'required' }).warnings).toHaveLength(1);
  });
});

describe('facts of events', () => {
  const factsOf = openaiResponses.stream?.factsOf;
  const isTerminator = openaiResponses.stream?.isTerminator;

  it.each([
    ['{"type":"response.created","response":{"id":"resp_1","model":"m","usage":null}}', { model: 'm', answerId: 'resp_1' }],
    [
      '{"type":"response.completed","response":{"id":"r","model":"m","usage":{"input_tokens":19,"output_tokens":12}}}',
      { model: 'm', answerId: 'r', usage: { inputTokens: 19, outputTokens: 12 } },
    ],
    [
      '{"type":"response.incomplete","response":{"id":"r","usage":{"input_tokens":1,"output_tokens":2}}}',
      { answerId: 'r', usage: { inputTokens: 1, outputTokens: 2 } },
    ],
    ['{"type":"response.failed","response":{"error":{"code":"x","message":"out of memory"}}}', { failed: 'out of memory' }],
    ['{"type":"response.failed","response":{}}', { failed: 'unknown error' }],
    ['{"type":"error","message":"bad","code":null}', { failed: 'bad' }],
    ['{"type":"error","error":{"message":"worse"}}', { failed: 'worse' }],
    ['{"type":"response.output_text.delta","delta":"response.completed"}', {}],
    ['{"type":', {}],
  ])('%s', (data, expected) => {
    expect(factsOf?.(data, undefined)).toEqual(expected);
  });

  it.each([
    ['response.completed', true],
    ['response.incomplete', true],
    ['response.failed', true],
    ['response.created', false],
    ['response.output_text.done', false],
    ['error', false],
  ])('%s ends the stream: %s', (type, expected) => {
    expect(isTerminator?.(JSON.stringify({ type }), type)).toBe(expected);
    expect(isTerminator?.(JSON.stringify({ type }), undefined)).toBe(expected);
  });
});
