/** Unmodified client libraries: openai, ollama, @anthropic-ai/sdk. They must not be able to tell Corral from Ollama. */
import Anthropic from '@anthropic-ai/sdk';
import { Ollama } from 'ollama';
import OpenAI from 'openai';
import { beforeAll, describe, expect } from 'vitest';
import type { FakeOllama } from '../support/fake-ollama/index.ts';
import { recordingOf } from '../support/recordings.ts';
import type { RunningCorral } from '../support/runtimes/index.ts';
import { hello, herdOf, isPath, type Stage, untilListed } from './stage.ts';

const said = 'was very clever. He was very clever. He was very';

/** The tools that a recording was made with: the model of the fake box says text only. */
const toolsOf = (name: string) => (recordingOf(name).request.body as { tools: never }).tools;

export function sdks(stage: Stage): void {
  describe('client libraries', () => {
    let box: FakeOllama;
    let corral: RunningCorral;
    let openai: OpenAI;
    let ollama: Ollama;
    let anthropic: Anthropic;
    beforeAll(async () => {
      box = await stage.box({
        models: ['llama3.2', 'gemma3:270m', { name: 'warm', resident: true }, { name: 'minilm', capabilities: ['embedding'] }],
      });
      corral = await stage.corral({
        yaml: herdOf([{ name: 'desk', at: box.port }], { policies: { apiKey: { keys: [{ key: 'sk-1' }] } } }),
        locked: true,
      });
      openai = new OpenAI({ baseURL: `${corral.url}/v1`, apiKey: 'sk-1', maxRetries: 0 });
      ollama = new Ollama({ host: corral.url, headers: { authorization: 'Bearer sk-1' } });
      anthropic = new Anthropic({ baseURL: corral.url, apiKey: 'sk-1', maxRetries: 0 });
      await untilListed(corral.url, ['llama3.2:latest', 'minilm:latest'], { authorization: 'Bearer sk-1' });
    });
    const messages = [{ role: 'user' as const, content: 'Hello' }];

    describe('openai', () => {
      stage.it('openai: chat, streamed and not', async () => {
        const whole = await openai.chat.completions.create({ model: 'llama3.2', messages });
        expect([whole.choices[0]?.message.content, whole.usage?.total_tokens]).toEqual([said, 31]);
        let text = '';
        let usages = 0;
        for await (const chunk of await openai.chat.completions.create({ model: 'llama3.2', messages, stream: true })) {
          text += chunk.choices[0]?.delta.content ?? '';
          expect(chunk.choices).toHaveLength(1);
          if (chunk.usage) usages++;
        }
        expect([text, usages]).toEqual([said, 0]);
        let asked: number | undefined;
        for await (const chunk of await openai.chat.completions.create({
          model: 'llama3.2',
          messages,
          stream: true,
          stream_options: { include_usage: true },
        })) {
          asked = chunk.usage?.completion_tokens ?? asked;
        }
        expect(asked).toBe(12);
      });

      stage.it('openai: the streaming helper sees the end', async () => {
        const runner = openai.chat.completions.stream({ model: 'llama3.2', messages });
        expect((await runner.finalChatCompletion()).choices[0]?.finish_reason).toBe('stop');
      });

      for (const name of ['tools-v1-nostream', 'tools-v1-stream']) {
        stage.it(`openai: tool calls (${name})`, async () => {
          const body = recordingOf(name).request.body as { model: string; messages: never; tools: never; stream?: boolean };
          box.replay(name, { anyBody: true });
          const params = { model: body.model, messages: body.messages, tools: body.tools };
          const calls =
            body.stream === true
              ? (await openai.chat.completions.stream(params).finalChatCompletion()).choices[0]?.message.tool_calls
              : (await openai.chat.completions.create(params)).choices[0]?.message.tool_calls;
          box.clear();
          expect(calls?.length).toBeGreaterThan(0);
          const [call] = calls ?? [];
          expect(call).toMatchObject({ type: 'function', id: expect.any(String) });
          expect(() => JSON.parse(call?.type === 'function' ? call.function.arguments : '')).not.toThrow();
          expect(toolsOf(name)).toBeDefined();
        });
      }

      stage.it('openai: embeddings (the SDK asks for base64), models.list, models.retrieve, completions, responses', async () => {
        const { data } = await openai.embeddings.create({ model: 'minilm', input: ['a', 'b'] });
        expect(data.map(({ embedding }) => embedding.length > 1 && typeof embedding[0] === 'number')).toEqual([true, true]);
        expect(box.requests.findLast(isPath('/v1/embeddings'))?.json()).toMatchObject({ encoding_format: 'base64' });
        const ids: string[] = [];
        for await (const model of openai.models.list()) ids.push(model.id);
        expect(ids.toSorted()).toEqual(['gemma3:270m', 'llama3.2:latest', 'minilm:latest', 'warm:latest']);
        expect((await openai.models.retrieve('llama3.2')).id).toBe('llama3.2');
        expect((await openai.completions.create({ model: 'llama3.2', prompt: 'x' })).choices[0]?.text).toBe(said);
        expect((await openai.responses.create({ model: 'llama3.2', input: 'x' })).output_text).toBe(said);
        const events: string[] = [];
        for await (const event of await openai.responses.create({ model: 'llama3.2', input: 'x', stream: true }))
          events.push(event.type);
        expect([events[0], events.at(-1)]).toEqual(['response.created', 'response.completed']);
      });

      stage.it('openai: errors become its own classes', async () => {
        const failing = (model: string, client = openai) =>
          client.chat.completions.create({ model, messages }).then(
            () => undefined,
            (error: unknown) => error,
          );
        expect(await failing('nope')).toBeInstanceOf(OpenAI.NotFoundError);
        expect(((await failing('nope')) as Error).message).toMatch(/ollama pull nope/);
        expect(
          await failing('llama3.2', new OpenAI({ baseURL: `${corral.url}/v1`, apiKey: 'wrong', maxRetries: 0 })),
        ).toBeInstanceOf(OpenAI.AuthenticationError);
        expect(await failing('x:cloud')).toBeInstanceOf(OpenAI.PermissionDeniedError);
        await expect(
          openai.responses.create({ model: 'llama3.2', input: 'x', previous_response_id: 'r' }),
        ).rejects.toBeInstanceOf(OpenAI.BadRequestError);
      });

      stage.it('openai: a stream that breaks throws, it does not end as if whole', async () => {
        for (const fault of [{ crashAfterTokens: 3 }, { endAfterChunks: 3 }, { cutAfterChunks: 3 }]) {
          box.set({ ...fault, times: 1 });
          let text = '';
          const run = async () => {
            for await (const chunk of await openai.chat.completions.create({ model: 'llama3.2', messages, stream: true }))
              text += chunk.choices[0]?.delta.content ?? '';
          };
          await expect(run(), JSON.stringify(fault)).rejects.toThrow(/./);
          // Bun drops what it has received just before a connection breaks (docs/differences.md).
          expect(text).toMatch('cutAfterChunks' in fault && stage.runtime === 'bun' ? /^/ : /^was very/);
          box.clear();
        }
      });

      stage.it('openai: a Responses stream that breaks ends in response.failed', async () => {
        box.set({ crashAfterTokens: 3, times: 1 });
        const events: { type: string; sequence_number?: number }[] = [];
        for await (const event of await openai.responses.create({ model: 'llama3.2', input: 'x', stream: true }))
          events.push(event);
        box.clear();
        expect(events.at(-1)).toMatchObject({
          type: 'response.failed',
          response: { status: 'failed', error: { message: expect.stringMatching(/./) } },
        });
        expect(events.map(({ sequence_number: number }) => number)).toEqual(events.map((_, index) => index));
      });

      stage.it('openai: abort in the middle reaches the box', async () => {
        box.set({ tokensPerSecond: 5 });
        const stream = await openai.chat.completions.create({ model: 'warm', messages, stream: true });
        for await (const _ of stream) break;
        const received = box.requests.findLast(isPath('/v1/chat/completions'));
        expect(await received?.over).toBe('client left');
        box.clear();
      });
    });

    describe('ollama', () => {
      stage.it('ollama: chat and generate, streamed and not', async () => {
        expect((await ollama.chat({ model: 'llama3.2', messages: hello })).message.content).toBe(said);
        let text = '';
        let done = false;
        for await (const part of await ollama.chat({ model: 'llama3.2', messages: hello, stream: true })) {
          text += part.message.content;
          done = part.done;
        }
        expect([text, done]).toEqual([said, true]);
        expect((await ollama.generate({ model: 'llama3.2', prompt: 'x' })).response).toBe(said);
        let generated = '';
        for await (const part of await ollama.generate({ model: 'llama3.2', prompt: 'x', stream: true }))
          generated += part.response;
        expect(generated).toBe(said);
      });

      stage.it('ollama: tool calls', async () => {
        const name = 'tools-native-nostream';
        const body = recordingOf(name).request.body as { model: string; messages: never; tools: never };
        box.replay(name, { anyBody: true });
        const { message } = await ollama.chat({ model: body.model, messages: body.messages, tools: body.tools });
        box.clear();
        expect(message.tool_calls?.length).toBeGreaterThan(0);
        expect(typeof message.tool_calls?.[0]?.function.arguments).toBe('object');
      });

      stage.it('ollama: embed, embeddings, list, ps, show, version', async () => {
        expect((await ollama.embed({ model: 'minilm', input: ['a', 'b'] })).embeddings).toHaveLength(2);
        expect((await ollama.embeddings({ model: 'minilm', prompt: 'a' })).embedding.length).toBeGreaterThan(1);
        expect((await ollama.list()).models.map(({ name }) => name).toSorted()).toEqual([
          'gemma3:270m',
          'llama3.2:latest',
          'minilm:latest',
          'warm:latest',
        ]);
        expect((await ollama.ps()).models.length).toBeGreaterThan(0);
        expect((await ollama.show({ model: 'llama3.2' })).capabilities).toEqual(['completion']);
        expect((await ollama.version()).version).toBe('0.99.0-src');
      });

      stage.it('ollama: errors; management is refused without the scope', async () => {
        await expect(ollama.chat({ model: 'nope', messages: hello })).rejects.toThrow(/model 'nope' not found.*ollama pull nope/);
        await expect(ollama.pull({ model: 'llama3.2' })).rejects.toThrow(/admin/);
        await expect(ollama.delete({ model: 'llama3.2' })).rejects.toThrow(/admin/);
      });

      stage.it('ollama: a stream that breaks throws', async () => {
        for (const fault of [{ crashAfterTokens: 3 }, { endAfterChunks: 3 }, { cutAfterChunks: 3 }]) {
          box.set({ ...fault, times: 1 });
          const run = async () => {
            for await (const _ of await ollama.chat({ model: 'llama3.2', messages: hello, stream: true })) void _;
          };
          await expect(run(), JSON.stringify(fault)).rejects.toThrow(/./);
          box.clear();
        }
      });

      stage.it('ollama: abort in the middle reaches the box', async () => {
        box.set({ tokensPerSecond: 5 });
        const stream = await ollama.chat({ model: 'warm', messages: hello, stream: true });
        for await (const _ of stream) {
          stream.abort();
          break;
        }
        expect(await box.requests.findLast(isPath('/api/chat'))?.over).toBe('client left');
        box.clear();
      });
    });

    describe('anthropic', () => {
      const asked = { model: 'llama3.2', max_tokens: 50, messages };
      stage.it('anthropic: messages, streamed and not', async () => {
        const whole = await anthropic.messages.create(asked);
        expect([whole.content[0], whole.stop_reason, whole.usage.output_tokens]).toEqual([
          { type: 'text', text: said },
          'end_turn',
          12,
        ]);
        let text = '';
        const stream = anthropic.messages.stream(asked);
        stream.on('text', (delta) => {
          text += delta;
        });
        expect((await stream.finalMessage()).stop_reason).toBe('end_turn');
        expect(text).toBe(said);
      });

      stage.it('anthropic: tool use', async () => {
        const name = 'toolparrot-anthropic-stream';
        const body = recordingOf(name).request.body as { model: string; max_tokens: number; messages: never; tools: never };
        box.replay(name, { anyBody: true });
        const message = await anthropic.messages
          .stream({ model: body.model, max_tokens: body.max_tokens, messages: body.messages, tools: body.tools })
          .finalMessage();
        box.clear();
        expect(message.content.some(({ type }) => type === 'tool_use')).toBe(true);
      });

      stage.it('anthropic: models.list with paging, models.retrieve, countTokens', async () => {
        const ids: string[] = [];
        for await (const model of anthropic.models.list({ limit: 2 })) ids.push(model.id);
        expect(ids.toSorted()).toEqual(['gemma3:270m', 'llama3.2:latest', 'minilm:latest', 'warm:latest']);
        expect((await anthropic.models.retrieve('llama3.2')).type).toBe('model');
        expect((await anthropic.messages.countTokens({ model: 'llama3.2', messages })).input_tokens).toBeGreaterThan(0);
      });

      stage.it('anthropic: errors become its own classes', async () => {
        await expect(anthropic.messages.create({ ...asked, model: 'nope' })).rejects.toBeInstanceOf(Anthropic.NotFoundError);
        const wrong = new Anthropic({ baseURL: corral.url, apiKey: 'wrong', maxRetries: 0 });
        await expect(wrong.messages.create(asked)).rejects.toBeInstanceOf(Anthropic.AuthenticationError);
        await expect(anthropic.models.retrieve('nope')).rejects.toBeInstanceOf(Anthropic.NotFoundError);
      });

      stage.it('anthropic: a stream that breaks throws', async () => {
        for (const fault of [{ crashAfterTokens: 3 }, { endAfterChunks: 5 }, { cutAfterChunks: 5 }]) {
          box.set({ ...fault, times: 1 });
          await expect(anthropic.messages.stream(asked).finalMessage(), JSON.stringify(fault)).rejects.toThrow(/./);
          box.clear();
        }
      });

      stage.it('anthropic: abort in the middle reaches the box', async () => {
        box.set({ tokensPerSecond: 5 });
        const stream = anthropic.messages.stream({ ...asked, model: 'warm' });
        stream.on('text', () => stream.abort());
        await expect(stream.finalMessage()).rejects.toThrow(/./);
        expect(await box.requests.findLast(isPath('/v1/messages'))?.over).toBe('client left');
        box.clear();
      });
    });
  });
}
