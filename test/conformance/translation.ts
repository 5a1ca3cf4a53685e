/** Clients at upstreams that do not speak their protocol, with the real SDKs in front and recorded answers behind. */
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { beforeAll, describe, expect } from 'vitest';
import type { FakeOllama, ReceivedRequest } from '../support/fake-ollama/index.ts';
import type { RunningCorral } from '../support/runtimes/index.ts';
import { ask, isPath, type Json, logLine, type Stage } from './stage.ts';

const said = 'was very clever. He was very clever. He was very';
const chatPath = '/v1/chat/completions';
const asked = { model: 'llama3.2', max_tokens: 50, messages: [{ role: 'user' as const, content: 'Hello' }] };
const tools = [{ name: 'get_weather', description: 'd', input_schema: { type: 'object' as const, properties: {} } }];

/** One upstream with a credential: so it is taken for no box, whatever it is. */
function upstreamOf(port: number, provider: object): object {
  const ai = { name: 'up', hostOverride: `127.0.0.1:${port}`, provider };
  return {
    config: { adminAddr: 'off', logging: { format: 'json' } },
    binds: [{ port: 3000, listeners: [{ routes: [{ backends: [{ ai, policies: { backendAuth: { key: 'sk-up' } } }] }] }] }],
  };
}

const bodyOf = (request: ReceivedRequest): Json => request.json();
/** By lower-case name. */
const headersOf = ({ headers }: ReceivedRequest) =>
  Object.fromEntries(headers.map(([name, value]) => [name.toLowerCase(), value]));

export function translation(stage: Stage): void {
  describe('a server that knows chat completions alone', () => {
    let box: FakeOllama;
    let corral: RunningCorral;
    let anthropic: Anthropic;
    let openai: OpenAI;
    const last = () => box.requests.findLast(isPath(chatPath)) as ReceivedRequest;
    beforeAll(async () => {
      box = await stage.box({ models: ['llama3.2', { name: 'warm', resident: true }] });
      corral = await stage.corral({ yaml: upstreamOf(box.port, { custom: { formats: [{ type: 'completions' }] } }) });
      anthropic = new Anthropic({ baseURL: corral.url, apiKey: 'x', maxRetries: 0 });
      openai = new OpenAI({ baseURL: `${corral.url}/v1`, apiKey: 'x', maxRetries: 0 });
    });

    describe("Anthropic's client", () => {
      stage.it('text, streamed and not', async () => {
        const whole = await anthropic.messages.create(asked);
        expect([whole.content, whole.usage.output_tokens]).toEqual([[{ type: 'text', text: said }], 12]);
        const stream = anthropic.messages.stream({ ...asked, system: 'Be brief.' });
        let text = '';
        stream.on('text', (delta) => {
          text += delta;
        });
        const message = await stream.finalMessage();
        expect([text, message.stop_reason, message.usage.input_tokens > 0]).toEqual([said, 'end_turn', true]);
        expect(bodyOf(last())).toMatchObject({
          model: 'llama3.2',
          stream: true,
          stream_options: { include_usage: true },
          messages: [
            { role: 'system', content: 'Be brief.' },
            { role: 'user', content: 'Hello' },
          ],
        });
        expect(box.requests.filter(isPath('/v1/messages'))).toEqual([]);
      });

      stage.it('calls of tools, streamed; their results go back', async () => {
        box.replay('tools-v1-stream', { anyBody: true });
        const message = await anthropic.messages.stream({ ...asked, tools, tool_choice: { type: 'any' } }).finalMessage();
        box.clear();
        expect(message).toMatchObject({
          content: [{ type: 'tool_use', id: 'call_g1g5id8l', name: 'get_weather', input: { city: 'Paris' } }],
          stop_reason: 'tool_use',
          usage: { input_tokens: 54, output_tokens: 32 },
        });
        expect(bodyOf(last())).toMatchObject({
          tool_choice: 'required',
          tools: [{ type: 'function', function: { name: 'get_weather' } }],
        });
        const result = { type: 'tool_result' as const, tool_use_id: 'call_g1g5id8l', content: 'sunny' };
        const content = message.content as Anthropic.ContentBlockParam[];
        await anthropic.messages.create({
          ...asked,
          messages: [...asked.messages, { role: 'assistant', content }, { role: 'user', content: [result] }],
        });
        expect(bodyOf(last()).messages.slice(1)).toEqual([
          {
            role: 'assistant',
            content: null,
            tool_calls: [
              { id: 'call_g1g5id8l', type: 'function', function: { name: 'get_weather', arguments: '{"city":"Paris"}' } },
            ],
          },
          { role: 'tool', tool_call_id: 'call_g1g5id8l', content: 'sunny' },
        ]);
      });

      stage.it('thinking, streamed; it goes back under its name', async () => {
        box.replay('thinking-v1-stream', { anyBody: true });
        const { content } = await anthropic.messages.stream(asked).finalMessage();
        box.clear();
        expect(content).toEqual([
          { type: 'thinking', thinking: expect.stringMatching(/^<think>/), signature: 'corral:reasoning' },
        ]);
        await anthropic.messages.create({
          ...asked,
          messages: [...asked.messages, { role: 'assistant', content }, { role: 'user', content: 'go on' }],
        });
        expect(bodyOf(last()).messages[1]).toMatchObject({ role: 'assistant', reasoning: expect.stringMatching(/^<think>/) });
      });

      stage.it('errors become its own classes; a stream that breaks throws', async () => {
        await expect(anthropic.messages.create({ ...asked, model: 'nope' })).rejects.toBeInstanceOf(Anthropic.NotFoundError);
        for (const fault of [{ crashAfterTokens: 3 }, { endAfterChunks: 3 }, { cutAfterChunks: 3 }]) {
          box.set({ ...fault, times: 1 });
          await expect(anthropic.messages.stream(asked).finalMessage(), JSON.stringify(fault)).rejects.toThrow(/./);
          box.clear();
        }
      });

      stage.it('tokens are estimated; usage is in the log', async () => {
        const counted = await ask(`${corral.url}/v1/messages/count_tokens`, {
          body: { model: 'llama3.2', messages: asked.messages },
        });
        expect([counted.headers.get('x-corral-estimated'), counted.json().input_tokens > 0]).toEqual(['true', true]);
        await anthropic.messages.stream({ ...asked, model: 'warm' }).finalMessage();
        const line = await logLine(corral, (one) => one['gen_ai.request.model'] === 'warm');
        expect(line).toMatchObject({ 'http.path': '/v1/messages', 'http.status': 200, 'gen_ai.usage.output_tokens': 12 });
      });

      stage.it('what is lost is told', async () => {
        const { response } = await anthropic.messages.create({ ...asked, service_tier: 'auto' }).withResponse();
        expect(response.headers.get('x-corral-warning')).toMatch(/service_tier/);
      });
    });

    describe("OpenAI's Responses", () => {
      const input = { model: 'llama3.2', input: 'Hello' };
      stage.it('text, streamed and not', async () => {
        expect((await openai.responses.create(input)).output_text).toBe(said);
        const events: { type: string; sequence_number: number }[] = [];
        for await (const event of await openai.responses.create({ ...input, stream: true })) events.push(event);
        expect([events[0]?.type, events.at(-1)?.type]).toEqual(['response.created', 'response.completed']);
        expect(events.map(({ sequence_number: number }) => number)).toEqual(events.map((_, index) => index));
        const final = await openai.responses.stream(input).finalResponse();
        expect([final.output_text, final.usage?.output_tokens]).toEqual([said, 12]);
        expect(box.requests.filter(isPath('/v1/responses'))).toEqual([]);
      });

      stage.it('calls of tools, streamed', async () => {
        box.replay('tools-v1-stream', { anyBody: true });
        const final = await openai.responses
          .stream({ ...input, tools: [{ type: 'function', name: 'get_weather', parameters: {}, strict: false }] })
          .finalResponse();
        box.clear();
        expect(final.output).toMatchObject([
          { type: 'function_call', call_id: 'call_g1g5id8l', name: 'get_weather', arguments: '{"city":"Paris"}' },
        ]);
      });

      stage.it('a stream that breaks ends in response.failed; stored conversations are refused', async () => {
        box.set({ crashAfterTokens: 3, times: 1 });
        const events: { type: string }[] = [];
        for await (const event of await openai.responses.create({ ...input, stream: true })) events.push(event);
        box.clear();
        expect(events.at(-1)).toMatchObject({ type: 'response.failed', response: { status: 'failed' } });
        await expect(openai.responses.create({ ...input, previous_response_id: 'r' })).rejects.toBeInstanceOf(
          OpenAI.BadRequestError,
        );
      });

      stage.it('abort in the middle reaches the server', async () => {
        box.set({ tokensPerSecond: 5 });
        const stream = await openai.responses.create({ ...input, model: 'warm', stream: true });
        for await (const event of stream) if (event.type === 'response.output_text.delta') break;
        expect(await last().over).toBe('client left');
        box.clear();
      });
    });
  });

  describe('a server that knows Messages alone', () => {
    let box: FakeOllama;
    let openai: OpenAI;
    const last = () => box.requests.findLast(isPath('/v1/messages')) as ReceivedRequest;
    const chat = { model: 'llama3.2', messages: asked.messages };
    beforeAll(async () => {
      box = await stage.box({ models: ['llama3.2'] });
      const corral = await stage.corral({ yaml: upstreamOf(box.port, { anthropic: {} }) });
      openai = new OpenAI({ baseURL: `${corral.url}/v1`, apiKey: 'x', maxRetries: 0 });
    });

    stage.it('chat completions, streamed and not, with the key where Anthropic looks for it', async () => {
      const whole = await openai.chat.completions.create(chat);
      expect([whole.choices[0]?.message.content, whole.usage?.completion_tokens]).toEqual([said, 12]);
      expect(bodyOf(last())).toMatchObject({
        model: 'llama3.2',
        max_tokens: 4096,
        messages: [{ role: 'user', content: [{ type: 'text', text: 'Hello' }] }],
      });
      expect(headersOf(last())).toMatchObject({ 'x-api-key': 'sk-up', 'anthropic-version': '2023-06-01' });
      expect(headersOf(last()).authorization).toBeUndefined();
      const runner = openai.chat.completions.stream({ ...chat, stream_options: { include_usage: true } });
      const final = await runner.finalChatCompletion();
      expect([final.choices[0]?.message.content, final.usage?.completion_tokens]).toEqual([said, 12]);
      expect(box.requests.filter(isPath(chatPath))).toEqual([]);
    });

    stage.it('calls of tools, streamed', async () => {
      box.replay('toolparrot-anthropic-stream', { anyBody: true });
      const final = await openai.chat.completions.stream(chat).finalChatCompletion();
      box.clear();
      expect(final.choices[0]).toMatchObject({
        finish_reason: 'tool_calls',
        message: { tool_calls: [{ id: 'call_ym48utbe', function: { name: 'get_weather', arguments: '{"location":"Boston"}' } }] },
      });
    });

    stage.it('errors become its own classes; a stream that breaks throws; what cannot be said is refused', async () => {
      await expect(openai.chat.completions.create({ ...chat, model: 'nope' })).rejects.toBeInstanceOf(OpenAI.NotFoundError);
      box.set({ crashAfterTokens: 3, times: 1 });
      const run = async () => {
        for await (const _ of await openai.chat.completions.create({ ...chat, stream: true })) void _;
      };
      await expect(run()).rejects.toThrow(/./);
      box.clear();
      await expect(openai.chat.completions.create({ ...chat, n: 2 })).rejects.toBeInstanceOf(OpenAI.BadRequestError);
      await expect(openai.responses.create({ model: 'llama3.2', input: 'x' })).rejects.toThrow(
        /unsupported conversion: from responses to provider anthropic/,
      );
    });
  });
}
