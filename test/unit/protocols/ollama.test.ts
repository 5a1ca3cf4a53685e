import { Ollama } from 'ollama';
import { describe, expect, it } from 'vitest';
import { GatewayError } from '../../../src/errors.ts';
import { ollamaErrorBody, ollamaErrorInStream, ollamaStream, ollamaUsageOf } from '../../../src/protocols/ollama.ts';
import { bodyTextOf, recordingOf } from '../../support/recordings.ts';

function clientOf(text: string, status: number, contentType: string): Ollama {
  const fetch = () => Promise.resolve(new Response(text, { status, headers: { 'content-type': contentType } }));
  return new Ollama({ host: 'http://corral.test', fetch });
}

const messages = [{ role: 'user', content: 'hi' }];

describe('errors', () => {
  it('reach the client with message and status', async () => {
    const { text, contentType } = ollamaErrorBody(new GatewayError('model_not_found', "model 'nope' not found"));
    await expect(clientOf(text, 404, contentType).chat({ model: 'nope', messages })).rejects.toMatchObject({
      error: "model 'nope' not found",
      status_code: 404,
    });
  });

  it('are what Ollama sends, to the byte', () => {
    const recorded = recordingOf('chat-unknown-model');
    const message = JSON.parse(bodyTextOf(recorded)).error;
    const { text, contentType } = ollamaErrorBody(new GatewayError('model_not_found', message));
    expect(text).toBe(bodyTextOf(recorded));
    expect(recorded.response_headers).toContainEqual(['Content-Type', contentType]);
  });
});

describe('errors in streams', () => {
  it('make the client throw after the words that came', async () => {
    const begun = bodyTextOf(recordingOf('chat-stream')).split('\n').slice(0, 3).join('\n');
    const end = ollamaErrorInStream(new GatewayError('broken_stream', 'box-a broke off'));
    const stream = await clientOf(`${begun}\n${end}`, 200, 'application/x-ndjson').chat({ model: 'm', messages, stream: true });
    const words: string[] = [];
    const reading = (async () => {
      for await (const part of stream) words.push(part.message.content);
    })();
    await expect(reading).rejects.toThrow('box-a broke off');
    expect(words).toEqual(['was', ' very', ' clever']);
  });

  it('are one line, as a crashed runner is reported', () => {
    const recorded = bodyTextOf(recordingOf('crash-native-chat-stream')).trimEnd().split('\n').at(-1) ?? '';
    const message = JSON.parse(recorded).error;
    expect(ollamaErrorInStream(new GatewayError('broken_stream', message))).toBe(`${recorded}\n`);
    expect(ollamaStream.factsOf(recorded, undefined)).toEqual({ failed: message });
    expect(ollamaStream.isTerminator(recorded, undefined)).toBe(false);
  });
});

describe('facts of lines', () => {
  it.each([
    [
      '{"model":"m","done":true,"prompt_eval_count":19,"eval_count":12}',
      { model: 'm', usage: { inputTokens: 19, outputTokens: 12 } },
    ],
    ['{"model":"m","done":true,"done_reason":"load"}', { model: 'm', usage: { inputTokens: 0, outputTokens: 0 } }],
    ['{"model":"m","done":false,"message":{"content":"\\"done\\":true"}}', { model: 'm' }],
    ['{"done":"true","eval_count":5}', {}],
    ['{"message":{"tool_calls":[{"function":{"arguments":{"error":"x","done":true}}}]},"done":false}', {}],
    ['nonsense', {}],
  ])('%s', (data, expected) => {
    expect(ollamaStream.factsOf(data, undefined)).toEqual(expected);
  });

  it('whole answers tell usage', () => {
    expect(ollamaUsageOf({ done: true, prompt_eval_count: 19 })).toEqual({ inputTokens: 19, outputTokens: 0 });
    expect(ollamaUsageOf({ error: 'x' })).toBeUndefined();
    expect(ollamaUsageOf(undefined)).toBeUndefined();
  });
});
