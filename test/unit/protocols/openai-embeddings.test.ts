import { describe, expect, it } from 'vitest';
import { readObject } from '../../../src/json/read-object.ts';
import { ollamaEmbed } from '../../../src/protocols/ollama-embed.ts';
import { openaiEmbeddings } from '../../../src/protocols/openai-embeddings.ts';

const read = (text: string, protocol = openaiEmbeddings) => protocol.readCall(readObject(new TextEncoder().encode(text)));

describe('token arrays', () => {
  it.each(['[1,2,3]', '[[1,2],[3]]', '[ \n 1]', '[-1]', '[[]]'])('%s is refused with the setting that mends it', (input) => {
    const { boxRefusal } = read(`{"model":"m","input":${input}}`);
    expect(boxRefusal?.status).toBe(400);
    expect(boxRefusal?.code).toBe('unsupported_parameter');
    expect(boxRefusal?.message).toContain('check_embedding_ctx_length=False');
    expect(read(`{"model":"m","input":${input}}`, ollamaEmbed).boxRefusal?.status).toBe(400);
  });

  it('is refused however the name is spelled', () => {
    expect(read('{"input":"x","INPUT":[1]}').boxRefusal?.status).toBe(400);
  });

  it.each(['"text"', '["a","b"]', '[]', '["1"]', 'null', '12'])('%s is left to the box', (input) => {
    expect(read(`{"model":"m","input":${input}}`).boxRefusal).toBeUndefined();
  });

  it('has nothing to say without input', () => {
    expect(read('{"model":"m"}').boxRefusal).toBeUndefined();
  });
});

it('embeddings never stream', () => {
  expect(read('{"input":"x","stream":true}').isStream).toBe(false);
  expect(read('{"input":"x","stream":true}', ollamaEmbed).isStream).toBe(false);
});

it('usage of /api/embed, also of nothing', () => {
  expect(ollamaEmbed.usageOf({ embeddings: [[1]], prompt_eval_count: 4 })).toEqual({ inputTokens: 4, outputTokens: 0 });
  expect(ollamaEmbed.usageOf({ embeddings: [] })).toEqual({ inputTokens: 0, outputTokens: 0 });
  expect(ollamaEmbed.usageOf({ error: 'x' })).toBeUndefined();
});
