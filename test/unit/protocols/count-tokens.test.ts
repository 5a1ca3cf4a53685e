import { describe, expect, it } from 'vitest';
import { readObject } from '../../../src/json/read-object.ts';
import { countTokensAnswer, estimateInputTokens, estimatePromptTokens } from '../../../src/protocols/count-tokens.ts';

const estimate = (body: object) => estimateInputTokens(readObject(new TextEncoder().encode(JSON.stringify(body))));
const user = (content: unknown) => ({ messages: [{ role: 'user', content }] });

describe('estimateInputTokens', () => {
  it.each([
    ['40 letters and a message', user('x'.repeat(40)), 14],
    ['the same as a block', user([{ type: 'text', text: 'x'.repeat(40) }]), 14],
    ['Chinese, one a letter', user('你好世界'), 8],
    ['system', { system: 'x'.repeat(40), ...user('x'.repeat(40)) }, 24],
    ['an image, whatever its bytes', user([{ type: 'image', source: { type: 'base64', data: 'A'.repeat(100_000) } }]), 1004],
    ['an image in a tool result', user([{ type: 'tool_result', content: [{ type: 'image', source: {} }] }]), 1006],
    ['two messages', { messages: [{ content: 'xxxx' }, { content: 'xxxx' }] }, 10],
    ['nothing', {}, 1],
    ['nonsense', { messages: 5, system: 7, tools: 'x' }, 2],
  ])('%s', (_, body, tokens) => {
    expect(estimate(body)).toBe(tokens);
  });

  it('tools cost something', () => {
    const tools = [
      { name: 'get_weather', description: 'Get weather', input_schema: { properties: { city: { type: 'string' } } } },
    ];
    expect(estimate({ ...user('hi'), tools })).toBeGreaterThan(estimate(user('hi')) + 10);
  });

  it('depth is no danger', () => {
    const deep = `{"messages":${'['.repeat(9_000)}${']'.repeat(9_000)}}`;
    expect(estimateInputTokens(readObject(new TextEncoder().encode(deep)))).toBe(4);
  });
});

describe('estimatePromptTokens', () => {
  const prompt = (body: object) => estimatePromptTokens(readObject(new TextEncoder().encode(JSON.stringify(body))));
  const forty = 'x'.repeat(40);
  const bytes = 'A'.repeat(100_000);

  it.each([
    ['a chat', user(forty), 14],
    ['a chat with an image by address', user([{ type: 'image_url', image_url: { url: bytes } }]), 1004],
    ['sound', user([{ type: 'input_audio', input_audio: { data: bytes } }]), 1004],
    ['a chat of Ollama with images', { messages: [{ content: forty, images: [bytes, bytes] }] }, 2014],
    ['a message with system', { system: forty, ...user(forty) }, 24],
    ['a completion', { prompt: forty, suffix: 'xxxx' }, 11],
    ['several prompts', { prompt: [forty, forty] }, 20],
    ['generate with an image', { prompt: forty, images: [bytes] }, 1010],
    ['a response', { instructions: forty, input: forty }, 20],
    ['a response to items', { input: [{ role: 'user', content: [{ type: 'input_text', text: forty }] }] }, 14],
    ['embeddings', { input: [forty, 'xxxx'] }, 11],
    ['nothing', { model: forty }, 1],
    ['nonsense', { messages: {}, images: 5, prompt: null }, 1],
  ])('%s', (_, body, tokens) => {
    expect(prompt(body)).toBe(tokens);
  });
});

it('the answer', () => {
  expect(countTokensAnswer(readObject(new TextEncoder().encode('{"messages":[]}')))).toBe('{"input_tokens":1}');
});
