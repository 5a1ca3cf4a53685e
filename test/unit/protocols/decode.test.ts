import { describe, expect, it } from 'vitest';
import type { Protocol } from '../../../src/exchange.ts';
import { decodeCall } from '../../../src/protocols/decode.ts';
import { ollamaChat } from '../../../src/protocols/ollama-chat.ts';
import { openaiChat } from '../../../src/protocols/openai-chat.ts';
import { openaiEmbeddings } from '../../../src/protocols/openai-embeddings.ts';
import { openaiResponses } from '../../../src/protocols/openai-responses.ts';
import { recordingOf } from '../../support/recordings.ts';

function decode(text: string, protocol: Protocol = openaiChat, contentType = 'application/json') {
  const request = new Request('http://corral.test/', { method: 'POST', headers: { 'content-type': contentType } });
  return decodeCall(protocol, new TextEncoder().encode(text), { request });
}

describe('decodeCall', () => {
  it('refuses a model whose name is longer than names are', () => {
    expect(decode(`{"model":"${'m'.repeat(1_024)}"}`).model).toHaveLength(1_024);
    expect(() => decode(`{"model":"${'m'.repeat(1_025)}"}`)).toThrow('longer than 1024 characters');
  });

  it.each(['application/json', 'text/plain', 'application/x-www-form-urlencoded', 'application/octet-stream'])(
    'reads JSON sent as %s, as Ollama does',
    (contentType) => {
      expect(decode('{"model":"m","stream":true}', openaiChat, contentType)).toMatchObject({ model: 'm', isStream: true });
    },
  );

  it.each([
    ['{"model":"m"}', 'm'],
    ['{"MODEL":"m"}', 'm'],
    ['{"model":"nope","MODEL":"gemma3:270m"}', 'gemma3:270m'],
    ['{"model":" GEMMA3:270m "}', ' GEMMA3:270m '],
    ['{}', undefined],
    ['{"model":null}', undefined],
    ['{"model":""}', undefined],
    ['{"model":"  "}', undefined],
    ['{"model":"m"}{"model":"other"}', 'm'],
  ])('%s names %s', (text, model) => {
    expect(decode(text).model).toBe(model);
  });

  it.each(['5', 'true', '[]', '{"a":1}'])('a model that is %s is refused by name', (model) => {
    expect(() => decode(`{"model":${model}}`)).toThrowError(
      expect.objectContaining({ code: 'invalid_body', status: 400, message: '"model" must be a string' }),
    );
  });

  it.each(['', 'nonsense', '[]', 'null', '{"model":"m"'])('%j is an invalid body', (text) => {
    expect(() => decode(text)).toThrowError(expect.objectContaining({ code: 'invalid_body', status: 400 }));
  });

  it('knows who streams by default', () => {
    expect(decode('{"model":"m"}', ollamaChat).isStream).toBe(true);
    expect(decode('{"model":"m","stream":null}', ollamaChat).isStream).toBe(true);
    expect(decode('{"model":"m","stream":false}', ollamaChat).isStream).toBe(false);
    expect(decode('{"model":"m","stream":"false"}', ollamaChat).isStream).toBe(false);
    expect(decode('{"model":"m"}', openaiChat).isStream).toBe(false);
  });

  it('keeps what only a box refuses apart from the call itself', () => {
    const call = decode('{"model":"m","input":"x","previous_response_id":"resp_1"}', openaiResponses);
    expect(call.boxRefusal?.code).toBe('unsupported_parameter');
    expect(decode('{"model":"m","input":[1,2]}', openaiEmbeddings).boxRefusal?.code).toBe('unsupported_parameter');
    expect(decode('{"model":"m","n":3}').boxWarnings).toHaveLength(1);
  });

  it('reads the recorded bypass as Ollama did', () => {
    const { body } = recordingOf('duplicate-model-key-case-bypass').request;
    expect(typeof body).toBe('string');
    expect(decode(String(body)).model).toBe('gemma3:270m');
  });
});
