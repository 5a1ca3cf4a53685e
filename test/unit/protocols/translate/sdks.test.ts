/** Translated answers of recorded and of made-up servers, read by the real SDKs. */
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { describe, expect, it } from 'vitest';
import { anthropicOver, chatOverMessages, chatStream, openaiOver, recordedText, responsesOverChat } from './translating.ts';

const said = 'was very clever. He was very clever. He was very';
const ask = { model: 'm', max_tokens: 50, messages: [{ role: 'user' as const, content: 'hi' }] };
const chat = { model: 'm', messages: ask.messages };

/** Two calls whose pieces come mixed, words before them and blanks behind the first. */
const mixedCalls = chatStream(
  [
    { role: 'assistant', content: '' },
    { reasoning_content: 'two ' },
    { reasoning_content: 'cities' },
    { content: 'Let me see.' },
    { tool_calls: [{ index: 0, id: 'call_a', type: 'function', function: { name: 'weather', arguments: '' } }] },
    { tool_calls: [{ index: 0, function: { arguments: '{"city":"Par' } }] },
    { tool_calls: [{ index: 1, id: 'call_b', type: 'function', function: { name: 'weather', arguments: '{"city":' } }] },
    { tool_calls: [{ index: 0, function: { arguments: 'is","id":12345678901234567890}' } }] },
    { tool_calls: [{ index: 1, function: { arguments: '"Rome"}' } }] },
    { tool_calls: [{ index: 0, function: { arguments: ' ' } }] },
  ],
  {
    finish: 'tool_calls',
    usage: {
      prompt_tokens: 100,
      completion_tokens: 20,
      prompt_tokens_details: { cached_tokens: 60, cache_write_tokens: 10 },
      completion_tokens_details: { reasoning_tokens: 5 },
    },
  },
);

describe("Anthropic's client over chat completions", () => {
  it('text, streamed and whole', async () => {
    const whole = await anthropicOver(recordedText('v1-chat-nostream')).messages.create(ask);
    expect(whole).toMatchObject({
      type: 'message',
      role: 'assistant',
      model: 'gemma3:270m',
      content: [{ type: 'text', text: said }],
      stop_reason: 'max_tokens',
      usage: { input_tokens: 19, output_tokens: 12, cache_read_input_tokens: 0 },
    });
    const stream = anthropicOver(recordedText('v1-chat-stream-usage')).messages.stream(ask);
    const events: string[] = [];
    let text = '';
    stream
      .on('streamEvent', ({ type }) => events.push(type))
      .on('text', (delta) => {
        text += delta;
      });
    const message = await stream.finalMessage();
    expect(text).toBe(said);
    expect(message).toMatchObject({ id: 'msg_323', stop_reason: 'max_tokens', usage: { input_tokens: 19, output_tokens: 12 } });
    expect(events[0]).toBe('message_start');
    expect(events.slice(-3)).toEqual(['content_block_stop', 'message_delta', 'message_stop']);
  });

  it('calls of tools from recordings', async () => {
    for (const name of ['tools-v1-stream', 'toolparrot-v1-stream']) {
      const message = await anthropicOver(recordedText(name)).messages.stream(ask).finalMessage();
      const call = message.content.at(-1);
      expect(call).toMatchObject({ type: 'tool_use', name: 'get_weather', id: expect.stringMatching(/^call_/) });
      expect(message.stop_reason).toBe('tool_use');
      expect(call?.type === 'tool_use' && call.input).toEqual(
        name === 'tools-v1-stream' ? { city: 'Paris' } : { location: 'Boston' },
      );
    }
    const whole = await anthropicOver(recordedText('tools-v1-nostream')).messages.create(ask);
    expect(whole.content).toEqual([{ type: 'tool_use', id: 'call_tyeevo0o', name: 'get_weather', input: { city: 'Paris' } }]);
  });

  it('thinking', async () => {
    const message = await anthropicOver(recordedText('thinking-v1-stream')).messages.stream(ask).finalMessage();
    expect(message.content).toEqual([
      { type: 'thinking', thinking: expect.stringMatching(/^<think>\n<think>/), signature: 'corral:reasoning' },
    ]);
    expect(message.stop_reason).toBe('max_tokens');
  });

  it('several calls at once come one after the other, whatever the order of their pieces', async () => {
    const stream = anthropicOver(mixedCalls).messages.stream(ask);
    const blocks: string[] = [];
    stream.on('contentBlock', ({ type }) => blocks.push(type));
    const message = await stream.finalMessage();
    expect(blocks).toEqual(['thinking', 'text', 'tool_use', 'tool_use']);
    expect(message.content).toEqual([
      { type: 'thinking', thinking: 'two cities', signature: 'corral:reasoning_content' },
      { type: 'text', text: 'Let me see.' },
      { type: 'tool_use', id: 'call_a', name: 'weather', input: { city: 'Paris', id: expect.any(Number) } },
      { type: 'tool_use', id: 'call_b', name: 'weather', input: { city: 'Rome' } },
    ]);
    expect(message.usage).toMatchObject({
      input_tokens: 30,
      cache_read_input_tokens: 60,
      cache_creation_input_tokens: 10,
      output_tokens: 20,
      output_tokens_details: { thinking_tokens: 5 },
    });
  });

  it('errors become its own classes, in the stream as well', async () => {
    const missing = anthropicOver(recordedText('v1-chat-unknown-model'), 404).messages.create(ask);
    await expect(missing).rejects.toBeInstanceOf(Anthropic.NotFoundError);
    await expect(missing).rejects.toThrow(/model 'gpt-4o' not found/);
    const limited = anthropicOver('{"error":{"message":"slow down","type":"rate_limit_error"}}', 429).messages.create(ask);
    await expect(limited).rejects.toBeInstanceOf(Anthropic.RateLimitError);
    const broken = `${recordedText('crash-v1-chat-stream')}data: {"error":{"message":"it broke","type":"api_error","code":"broken_stream"}}\n\n`;
    const stream = anthropicOver(broken).messages.stream(ask);
    let text = '';
    stream.on('text', (delta) => {
      text += delta;
    });
    await expect(stream.finalMessage()).rejects.toThrow(/it broke/);
    expect(text).toBe('was traveling around carrying a lot of toys He didn');
  });
});

describe('OpenAI Responses over chat completions', () => {
  const create = { model: 'm', input: 'hi' };

  it('text, streamed and whole', async () => {
    const whole = await openaiOver(responsesOverChat, recordedText('v1-chat-nostream')).responses.create(create);
    expect([whole.output_text, whole.status, whole.incomplete_details]).toEqual([
      said,
      'incomplete',
      { reason: 'max_output_tokens' },
    ]);
    const runner = openaiOver(responsesOverChat, recordedText('v1-chat-stream-usage')).responses.stream(create);
    const final = await runner.finalResponse();
    expect([final.output_text, final.status, final.usage?.total_tokens]).toEqual([said, 'incomplete', 31]);
  });

  it('the whole sequence of events, numbered', async () => {
    const events: { type: string; sequence_number: number }[] = [];
    for await (const event of await openaiOver(responsesOverChat, mixedCalls).responses.create({ ...create, stream: true }))
      events.push(event);
    expect(events.map(({ sequence_number: number }) => number)).toEqual(events.map((_, index) => index));
    expect(events.map(({ type }) => type.replace(/^response\./, ''))).toEqual([
      'created',
      'in_progress',
      'output_item.added',
      'reasoning_summary_part.added',
      'reasoning_summary_text.delta',
      'reasoning_summary_text.delta',
      'reasoning_summary_text.done',
      'reasoning_summary_part.done',
      'output_item.done',
      'output_item.added',
      'content_part.added',
      'output_text.delta',
      'output_text.done',
      'content_part.done',
      'output_item.done',
      'output_item.added',
      'function_call_arguments.delta',
      'function_call_arguments.delta',
      'function_call_arguments.done',
      'output_item.done',
      'output_item.added',
      'function_call_arguments.delta',
      'function_call_arguments.delta',
      'function_call_arguments.done',
      'output_item.done',
      'completed',
    ]);
  });

  it('calls of tools, thinking and usage reach the final response', async () => {
    const final = await openaiOver(responsesOverChat, mixedCalls).responses.stream(create).finalResponse();
    expect(final.output).toMatchObject([
      {
        type: 'reasoning',
        summary: [{ type: 'summary_text', text: 'two cities' }],
        encrypted_content: 'corral:reasoning_content',
      },
      { type: 'message', role: 'assistant', status: 'completed', content: [{ type: 'output_text', text: 'Let me see.' }] },
      { type: 'function_call', call_id: 'call_a', name: 'weather', arguments: '{"city":"Paris","id":12345678901234567890}' },
      { type: 'function_call', call_id: 'call_b', name: 'weather', arguments: '{"city":"Rome"}' },
    ]);
    expect(final.usage).toEqual({
      input_tokens: 100,
      input_tokens_details: { cached_tokens: 60, cache_write_tokens: 10 },
      output_tokens: 20,
      output_tokens_details: { reasoning_tokens: 5 },
      total_tokens: 120,
    });
  });

  it('a stream that breaks ends in response.failed', async () => {
    const broken = `${recordedText('crash-v1-chat-stream')}data: {"error":{"message":"it broke","type":"api_error","code":"broken_stream"}}\n\n`;
    const events: unknown[] = [];
    for await (const event of await openaiOver(responsesOverChat, broken).responses.create({ ...create, stream: true }))
      events.push(event);
    expect(events.at(-1)).toMatchObject({
      type: 'response.failed',
      sequence_number: events.length - 1,
      response: { id: 'resp_636', status: 'failed', error: { code: 'broken_stream', message: 'it broke' } },
    });
  });

  it('errors become its own classes', async () => {
    const missing = openaiOver(responsesOverChat, recordedText('v1-chat-unknown-model'), 404).responses.create(create);
    await expect(missing).rejects.toBeInstanceOf(OpenAI.NotFoundError);
    await expect(missing).rejects.toThrow(/model 'gpt-4o' not found/);
  });
});

describe("OpenAI's chat client over Anthropic's Messages", () => {
  it('text, streamed and whole', async () => {
    const whole = await openaiOver(chatOverMessages, recordedText('anthropic-messages')).chat.completions.create(chat);
    expect(whole).toMatchObject({
      object: 'chat.completion',
      choices: [{ index: 0, message: { role: 'assistant', content: said }, finish_reason: 'length' }],
      usage: { prompt_tokens: 19, completion_tokens: 12, total_tokens: 31 },
    });
    const runner = openaiOver(chatOverMessages, recordedText('anthropic-messages-stream')).chat.completions.stream({
      ...chat,
      stream_options: { include_usage: true },
    });
    const final = await runner.finalChatCompletion();
    expect([final.choices[0]?.message.content, final.choices[0]?.finish_reason, final.usage?.total_tokens]).toEqual([
      said,
      'length',
      31,
    ]);
  });

  it('the usage chunk comes only where it was asked for', async () => {
    let chunks = 0;
    for await (const { choices } of await openaiOver(
      chatOverMessages,
      recordedText('anthropic-messages-stream'),
    ).chat.completions.create({
      ...chat,
      stream: true,
    })) {
      expect(choices).toHaveLength(1);
      chunks++;
    }
    expect(chunks).toBe(14);
  });

  it('calls of tools', async () => {
    const client = openaiOver(chatOverMessages, recordedText('toolparrot-anthropic-stream'));
    const final = await client.chat.completions.stream(chat).finalChatCompletion();
    expect(final.choices[0]).toMatchObject({
      finish_reason: 'tool_calls',
      message: {
        content: ' ',
        tool_calls: [
          { id: 'call_ym48utbe', type: 'function', function: { name: 'get_weather', arguments: '{"location":"Boston"}' } },
        ],
      },
    });
    const whole = await openaiOver(chatOverMessages, recordedText('toolparrot-anthropic')).chat.completions.create(chat);
    expect(whole.choices[0]?.finish_reason).toBe('tool_calls');
    expect(whole.choices[0]?.message.tool_calls).toHaveLength(1);
  });

  it('errors become its own classes, in the stream as well', async () => {
    const missing = openaiOver(chatOverMessages, recordedText('anthropic-unknown-model'), 404).chat.completions.create(chat);
    await expect(missing).rejects.toBeInstanceOf(OpenAI.NotFoundError);
    await expect(missing).rejects.toThrow(/model 'claude-x' not found/);
    const broken = `${recordedText('crash-anthropic-stream')}event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n`;
    const run = async () => {
      for await (const _ of await openaiOver(chatOverMessages, broken).chat.completions.create({ ...chat, stream: true })) void _;
    };
    await expect(run()).rejects.toThrow(/Overloaded/);
  });
});
