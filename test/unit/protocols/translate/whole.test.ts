/** Whole answers: what they keep, to the digit; errors in all the shapes they come in. */
import { describe, expect, it } from 'vitest';
import { chatOverMessages, type Json, messagesOverChat, responsesOverChat, translated, wholeOf } from './translating.ts';

const forMessages = { model: 'm', max_tokens: 9, messages: [] };
const forResponses = { model: 'm', input: 'hi' };
const forChat = { model: 'm', messages: [] };

const completion = (message: object, more: object = {}) =>
  JSON.stringify({
    id: 'chatcmpl-7',
    created: 1_700_000_000,
    model: 'up',
    choices: [{ index: 0, message, finish_reason: 'stop' }],
    usage: { prompt_tokens: 5, completion_tokens: 2 },
    ...more,
  });
const call = (args: unknown) => ({ id: 'call_1', type: 'function', function: { name: 'f', arguments: args } });

describe('numbers in arguments', () => {
  const big = '{"id":12345678901234567890,"x":1.0e2}';

  it('are the same digits in a Messages answer', () => {
    const { text } = wholeOf(messagesOverChat, forMessages, completion({ content: null, tool_calls: [call(big)] }));
    expect(text).toContain(`"input":${big}`);
  });

  it('also where the server sends an object', () => {
    const answer = completion({ tool_calls: [call('HERE')] }).replace('"HERE"', big);
    expect(wholeOf(messagesOverChat, forMessages, answer).text).toContain('"input":{"id":12345678901234567890,"x":1.0e2}');
  });

  it('and in a chat answer', () => {
    const answer = `{"id":"msg_1","model":"m","content":[{"type":"tool_use","id":"t","name":"f","input":${big}}],"stop_reason":"tool_use","usage":{"input_tokens":1,"output_tokens":1}}`;
    const { tool_calls } = JSON.parse(wholeOf(chatOverMessages, forChat, answer).text).choices[0].message;
    expect(tool_calls[0].function.arguments).toBe(big);
  });

  it('go round: what a model called comes back to it letter by letter', () => {
    const { text } = wholeOf(messagesOverChat, forMessages, completion({ content: 'x', tool_calls: [call(big)] }));
    const from = text.indexOf('"content":') + '"content":'.length;
    const content = text.slice(from, text.indexOf(',"stop_reason"'));
    const back = translated(messagesOverChat, `{"messages":[{"role":"assistant","content":${content}}]}`).body.messages;
    expect(back).toEqual([{ role: 'assistant', content: 'x', tool_calls: [call(big)] }]);
  });
});

describe('a chat completion as a message', () => {
  const read = (message: object, more?: object): Json =>
    JSON.parse(wholeOf(messagesOverChat, forMessages, completion(message, more)).text);

  it('all of it', () => {
    expect(read({ role: 'assistant', content: 'hi', reasoning_content: 'hm', tool_calls: [call('{"a":1}')] })).toEqual({
      id: 'msg_7',
      type: 'message',
      role: 'assistant',
      model: 'up',
      content: [
        { type: 'thinking', thinking: 'hm', signature: 'corral:reasoning_content' },
        { type: 'text', text: 'hi' },
        { type: 'tool_use', id: 'call_1', name: 'f', input: { a: 1 } },
      ],
      stop_reason: 'tool_use',
      stop_sequence: null,
      usage: {
        input_tokens: 5,
        cache_creation_input_tokens: 0,
        cache_read_input_tokens: 0,
        output_tokens: 2,
        server_tool_use: null,
        service_tier: null,
      },
    });
  });

  it('arguments that are no JSON, or none at all', () => {
    expect(read({ tool_calls: [call('{"half')] }).content[0].input).toEqual({ arguments: '{"half' });
    expect(read({ tool_calls: [call('')] }).content[0].input).toEqual({});
  });

  it('a refusal is text, and the reason to stop', () => {
    expect(
      read({ content: null, refusal: 'no' }, { choices: [{ message: { refusal: 'no' }, finish_reason: 'content_filter' }] }),
    ).toMatchObject({
      content: [{ type: 'text', text: 'no' }],
      stop_reason: 'refusal',
    });
  });

  it('ids that are missing are made', () => {
    const answer = read({ tool_calls: [{ function: { name: 'f', arguments: '{}' } }] }, { id: undefined });
    expect([answer.id, answer.content[0].id]).toEqual([
      expect.stringMatching(/^msg_[0-9a-f]{24}$/),
      expect.stringMatching(/^call_[0-9a-f]{24}$/),
    ]);
  });
});

describe('a chat completion as a response', () => {
  it('all of it, with what the request said', () => {
    const request = {
      ...forResponses,
      instructions: 'Be brief.',
      temperature: 0.2,
      tools: [{ type: 'function', name: 'f' }],
      metadata: { a: 'b' },
    };
    const message = { content: 'hi', reasoning: 'hm', tool_calls: [call('{"a":1}')] };
    const answer: Json = JSON.parse(wholeOf(responsesOverChat, request, completion(message)).text);
    expect(answer).toMatchObject({
      id: 'resp_7',
      object: 'response',
      created_at: 1_700_000_000,
      status: 'completed',
      error: null,
      incomplete_details: null,
      model: 'up',
      previous_response_id: null,
      store: false,
      instructions: 'Be brief.',
      temperature: 0.2,
      top_p: 1,
      tools: [{ type: 'function', name: 'f' }],
      tool_choice: 'auto',
      metadata: { a: 'b' },
      usage: {
        input_tokens: 5,
        input_tokens_details: { cached_tokens: 0 },
        output_tokens: 2,
        output_tokens_details: { reasoning_tokens: 0 },
        total_tokens: 7,
      },
    });
    expect(answer.output).toEqual([
      { id: 'rs_7_0', type: 'reasoning', summary: [{ type: 'summary_text', text: 'hm' }], encrypted_content: 'corral:reasoning' },
      {
        id: 'msg_7_1',
        type: 'message',
        status: 'completed',
        role: 'assistant',
        content: [{ type: 'output_text', text: 'hi', annotations: [], logprobs: [] }],
      },
      { id: 'fc_7_2', type: 'function_call', status: 'completed', call_id: 'call_1', name: 'f', arguments: '{"a":1}' },
    ]);
  });

  it('goes round: its items as the input of the next request', () => {
    const message = { content: 'hi', reasoning: 'hm', tool_calls: [call('{"a":1}')] };
    const { output }: Json = JSON.parse(wholeOf(responsesOverChat, forResponses, completion(message)).text);
    expect(translated(responsesOverChat, { input: output }).body.messages).toEqual([{ role: 'assistant', ...message }]);
  });
});

describe('a message as a chat completion', () => {
  const message = (content: object[], more: object = {}) =>
    JSON.stringify({
      id: 'msg_9',
      type: 'message',
      model: 'c',
      content,
      stop_reason: 'end_turn',
      usage: { input_tokens: 3, output_tokens: 4 },
      ...more,
    });
  const read = (content: object[], more?: object): Json =>
    JSON.parse(wholeOf(chatOverMessages, forChat, message(content, more)).text);

  it('all of it', () => {
    const content = [
      { type: 'thinking', thinking: 'hm', signature: 'EqQB' },
      { type: 'text', text: 'a' },
      { type: 'text', text: 'b' },
      { type: 'tool_use', id: 't', name: 'f', input: { n: 1 } },
    ];
    expect(
      read(content, {
        stop_reason: 'tool_use',
        usage: { input_tokens: 3, output_tokens: 4, cache_read_input_tokens: 2, cache_creation_input_tokens: 1 },
      }),
    ).toEqual({
      id: 'chatcmpl-9',
      object: 'chat.completion',
      created: expect.any(Number),
      model: 'c',
      choices: [
        {
          index: 0,
          message: {
            role: 'assistant',
            content: 'ab',
            refusal: null,
            reasoning_content: 'hm',
            reasoning_signature: 'EqQB',
            tool_calls: [{ id: 't', type: 'function', function: { name: 'f', arguments: '{"n":1}' } }],
          },
          logprobs: null,
          finish_reason: 'tool_calls',
        },
      ],
      usage: {
        prompt_tokens: 6,
        completion_tokens: 4,
        total_tokens: 10,
        prompt_tokens_details: { cached_tokens: 2, cache_write_tokens: 1 },
      },
    });
  });

  it.each([
    ['end_turn', 'stop'],
    ['stop_sequence', 'stop'],
    ['max_tokens', 'length'],
    ['model_context_window_exceeded', 'length'],
    ['refusal', 'content_filter'],
  ])('%s is %s', (reason, finish) => {
    expect(read([{ type: 'text', text: 'a' }], { stop_reason: reason }).choices[0].finish_reason).toBe(finish);
  });

  it('goes round: its message in the next request, thinking and all', () => {
    const content = [
      { type: 'thinking', thinking: 'hm', signature: 'EqQB' },
      { type: 'text', text: 'a' },
      { type: 'tool_use', id: 't', name: 'f', input: { n: 1 } },
    ];
    const said = read(content).choices[0].message;
    expect(translated(chatOverMessages, { messages: [said] }).body.messages).toEqual([{ role: 'assistant', content }]);
  });
});

describe('errors', () => {
  it.each([
    ['{"error":{"message":"bad","type":"invalid_request_error","code":"x"}}', 'bad'],
    ['{"error":"bad"}', 'bad'],
    ['{"object":"error","message":"bad","code":400}', 'bad'],
    ['{"detail":"bad"}', 'bad'],
    ['[{"error":{"code":400,"message":"bad","status":"INVALID_ARGUMENT"}}]', 'bad'],
    ['{"type":"error","error":{"type":"x","message":"bad"}}', 'bad'],
    ['bad', 'bad'],
    ['', 'the upstream answered 400'],
    ['<html><body>Bad Gateway</body></html>', 'the upstream answered 400'],
  ])('%s', (text, message) => {
    const messages = wholeOf(messagesOverChat, forMessages, text, 400);
    expect(JSON.parse(messages.text)).toMatchObject({ type: 'error', error: { type: 'invalid_request_error', message } });
    for (const [translation, request] of [
      [responsesOverChat, forResponses],
      [chatOverMessages, forChat],
    ] as const)
      expect(JSON.parse(wholeOf(translation, request, text, 400).text).error).toMatchObject({
        type: 'invalid_request_error',
        message,
      });
  });

  it.each([
    [400, 'invalid_request_error'],
    [401, 'authentication_error'],
    [403, 'permission_error'],
    [404, 'not_found_error'],
    [413, 'request_too_large'],
    [429, 'rate_limit_error'],
    [500, 'api_error'],
    [503, 'overloaded_error'],
    [529, 'overloaded_error'],
  ])("%d is Anthropic's %s, and stays that status", (status, type) => {
    const answer = wholeOf(messagesOverChat, forMessages, '{"error":{"message":"m"}}', status);
    expect([JSON.parse(answer.text).error.type, answer.status]).toEqual([type, undefined]);
  });

  it('a long text is cut', () => {
    expect(JSON.parse(wholeOf(messagesOverChat, forMessages, 'x'.repeat(5000), 500).text).error.message).toHaveLength(1000);
  });

  it('an error in an answer that says 200', () => {
    const answer = wholeOf(messagesOverChat, forMessages, '{"error":{"message":"no credits","code":402}}');
    expect([answer.status, JSON.parse(answer.text).error.message]).toEqual([402, 'no credits']);
  });

  it.each([
    [messagesOverChat, forMessages, 'no chat completion'],
    [responsesOverChat, forResponses, 'no chat completion'],
    [chatOverMessages, forChat, "none of Anthropic's"],
  ])('what is no answer at all is a 502', (translation, request, words) => {
    for (const text of ['', 'ok', '[]', '{}', '{"choices":[]}', '{"choices":[{}]}', '{"content":"x"}'])
      expect(() => wholeOf(translation, request, text)).toThrow(words);
  });
});
