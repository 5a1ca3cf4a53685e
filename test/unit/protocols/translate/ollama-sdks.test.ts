/** Native answers of a box, brought back and read by the official clients: every chunk a few bytes. */
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { describe, expect, it } from 'vitest';
import { bodyTextOf } from '../../../support/recordings.ts';
import { recorded, streamed, whole } from './natively.ts';

type Fetch = (url: unknown, init?: { body?: unknown }) => Promise<Response>;

function fetchOver(path: string, answer: string, status: number): Fetch {
  return async (_url, init) => {
    const request = JSON.parse(String(init?.body)) as { stream?: boolean };
    if (status >= 400 || request.stream !== true) {
      const { text } = whole(path, request, answer, status);
      return new Response(text, { status, headers: { 'content-type': 'application/json' } });
    }
    return new Response(streamed(path, request, answer, 5), { headers: { 'content-type': 'text/event-stream' } });
  };
}

const openai = (path: string, answer: string, status = 200) =>
  new OpenAI({ apiKey: 'x', baseURL: 'http://x/v1', maxRetries: 0, fetch: fetchOver(path, answer, status) as never });
const anthropic = (answer: string, status = 200) =>
  new Anthropic({ apiKey: 'x', baseURL: 'http://x', maxRetries: 0, fetch: fetchOver('/v1/messages', answer, status) as never });

const said = 'was very clever. He was very clever. He was very';
const messages = [{ role: 'user' as const, content: 'hi' }];
const line = (more: object) => `${JSON.stringify({ model: 'm', created_at: '2026-01-01T00:00:00Z', done: false, ...more })}\n`;
const end = line({
  message: { role: 'assistant', content: '' },
  done: true,
  done_reason: 'stop',
  prompt_eval_count: 9,
  eval_count: 4,
});
const call = (id: string, args: object, index = 0) => ({ id, function: { index, name: 'weather', arguments: args } });
/** Thinking, words, and two calls, one of them beside words, as models with a parser send them. */
const mixed =
  line({ message: { role: 'assistant', content: '', thinking: 'hm ' } }) +
  line({ message: { role: 'assistant', content: 'Let me ', thinking: 'so' } }) +
  line({ message: { role: 'assistant', content: 'see.' } }) +
  line({ message: { role: 'assistant', content: '', tool_calls: [call('call_a', { city: 'Paris' })] } }) +
  line({ message: { role: 'assistant', content: '', tool_calls: [call('call_b', { city: 'Rome' }, 1)] } }) +
  end;

describe("OpenAI's client", () => {
  it('chat, streamed and whole', async () => {
    const client = openai('/v1/chat/completions', bodyTextOf(recorded('chat-stream')));
    const stream = client.chat.completions.stream({ model: 'm', messages, stream_options: { include_usage: true } });
    const final = await stream.finalChatCompletion();
    expect(final.choices[0]).toMatchObject({ message: { content: said }, finish_reason: 'length' });
    expect(final.usage).toEqual({ prompt_tokens: 19, completion_tokens: 12, total_tokens: 31 });
    const whole = openai('/v1/chat/completions', bodyTextOf(recorded('chat-nostream')));
    expect((await whole.chat.completions.create({ model: 'm', messages })).choices[0]?.message.content).toBe(said);
  });

  it('thinking, words and calls in one stream', async () => {
    const client = openai('/v1/chat/completions', mixed);
    const final = await client.chat.completions.stream({ model: 'm', messages }).finalChatCompletion();
    expect(final.choices[0]).toMatchObject({
      finish_reason: 'tool_calls',
      message: {
        content: 'Let me see.',
        tool_calls: [
          { id: 'call_a', type: 'function', function: { name: 'weather', arguments: '{"city":"Paris"}' } },
          { id: 'call_b', function: { arguments: '{"city":"Rome"}' } },
        ],
      },
    });
  });

  it('Responses, events in an order that the client follows', async () => {
    const client = openai('/v1/responses', mixed);
    const stream = client.responses.stream({ model: 'm', input: 'hi' });
    const events: string[] = [];
    const numbers: number[] = [];
    stream.on('event', ({ type, sequence_number: number }) => {
      events.push(type);
      numbers.push(number);
    });
    const final = await stream.finalResponse();
    expect(final.output.map(({ type }) => type)).toEqual(['reasoning', 'message', 'function_call', 'function_call']);
    expect(final.output_text).toBe('Let me see.');
    expect(final.output.filter(({ type }) => type === 'function_call')).toMatchObject([
      { call_id: 'call_a', name: 'weather', arguments: '{"city":"Paris"}' },
      { call_id: 'call_b', arguments: '{"city":"Rome"}' },
    ]);
    expect(final.usage).toMatchObject({ input_tokens: 9, output_tokens: 4, total_tokens: 13 });
    expect(numbers).toEqual(numbers.map((_, index) => index));
    expect(events.slice(0, 2)).toEqual(['response.created', 'response.in_progress']);
    expect(events.at(-1)).toBe('response.completed');
  });

  it('an error in the middle, and one before', async () => {
    const broken = `${line({ message: { role: 'assistant', content: 'He' } })}{"error":"unexpected EOF"}\n`;
    const stream = openai('/v1/chat/completions', broken).chat.completions.stream({ model: 'm', messages });
    await expect(stream.finalChatCompletion()).rejects.toThrow('unexpected EOF');
    const refused = openai('/v1/chat/completions', '{"error":"\\"m\\" does not support thinking"}', 400);
    await expect(refused.chat.completions.create({ model: 'm', messages })).rejects.toMatchObject({
      status: 400,
      type: 'invalid_request_error',
    });
  });

  it('embeddings, which it asks for in base64', async () => {
    const client = openai('/v1/embeddings', bodyTextOf(recorded('embed-string')));
    const { data } = await client.embeddings.create({ model: 'all-minilm', input: 'hello world' });
    const wanted = JSON.parse(bodyTextOf(recorded('embed-string'))).embeddings[0] as number[];
    expect(data[0]?.embedding).toEqual(Array.from(new Float32Array(wanted)));
  });
});

describe("Anthropic's client", () => {
  const ask = { model: 'm', max_tokens: 50, messages };

  it('thinking, words and calls in one stream', async () => {
    const message = await anthropic(mixed).messages.stream(ask).finalMessage();
    expect(message.content).toEqual([
      { type: 'thinking', thinking: 'hm so' },
      { type: 'text', text: 'Let me see.' },
      { type: 'tool_use', id: 'call_a', name: 'weather', input: { city: 'Paris' } },
      { type: 'tool_use', id: 'call_b', name: 'weather', input: { city: 'Rome' } },
    ]);
    expect(message).toMatchObject({ stop_reason: 'tool_use', usage: { input_tokens: 9, output_tokens: 4 } });
  });

  it('an error in the middle', async () => {
    const broken = `${line({ message: { role: 'assistant', content: 'He' } })}{"error":"unexpected EOF"}\n`;
    await expect(anthropic(broken).messages.stream(ask).finalMessage()).rejects.toThrow('unexpected EOF');
  });

  it('signs of life are no events too many', async () => {
    const silent = line({ message: { role: 'assistant', content: '' } });
    const text = line({ message: { role: 'assistant', content: 'Hello' } });
    const message = await anthropic(silent + silent + text + silent + end)
      .messages.stream(ask)
      .finalMessage();
    expect(message.content).toEqual([{ type: 'text', text: 'Hello' }]);
  });
});
