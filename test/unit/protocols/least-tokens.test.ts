import { describe, expect, test } from 'vitest';
import { readObject } from '../../../src/json/read-object.ts';
import { leastPromptTokens, leastTokensIn } from '../../../src/protocols/least-tokens.ts';

const least = (body: object) => leastPromptTokens(readObject(new TextEncoder().encode(JSON.stringify(body))));

describe('the fewest tokens of a text', () => {
  test.each([
    ['', 0],
    ['word', 1],
    ['two words', 2],
    // Letters and digits may be one; marks before a word, too.
    ['(gpt4) $price', 3],
    ['A sentence. Another one!', 6],
    ['line\nline\n\nline', 5],
    ['end.\nnext', 3],
    ['-----  =====', 2],
    ['                    ', 0],
    [`${'a'.repeat(48)}`, 3],
    ['日本語日本語', 2],
    ['naïve façade', 2],
    ['said <think>not to be read again</think> this', 2],
    ['<think>never ended', 0],
  ])('%j: %i', (text, tokens) => {
    expect(leastTokensIn(text)).toBe(tokens);
  });

  test('is never more than a box has counted (recorded: 6010 tokens for 6000 words)', () => {
    expect(leastTokensIn('word '.repeat(6_000))).toBe(6_000);
  });
});

describe('the fewest tokens of a request', () => {
  const words = 'one two three four';

  test.each([
    ['chat', { messages: [{ role: 'user', content: words }] }, 4, true],
    ['parts', { messages: [{ role: 'user', content: [{ type: 'text', text: words }] }] }, 4, true],
    ['a system text', { system: words, messages: [{ role: 'user', content: words }] }, 8, true],
    ['instructions and input', { instructions: words, input: words }, 8, true],
    [
      'items',
      {
        input: [
          { role: 'user', content: [{ type: 'input_text', text: words }] },
          { type: 'reasoning', encrypted_content: words },
        ],
      },
      4,
      true,
    ],
    ['outputs of functions', { input: [{ type: 'function_call_output', call_id: 'x y z', output: words }] }, 4, true],
    ['a prompt', { prompt: words }, 4, true],
    ['several inputs', { input: [words, words] }, 8, true],
    ['roles that templates do not know', { messages: [{ role: 'developer', content: words }] }, 0, true],
    ['what was thought', { messages: [{ role: 'assistant', content: [{ type: 'thinking', thinking: words }] }] }, 0, true],
    ['tools, by half', { tools: [{ type: 'function', function: { name: 'f', description: words } }] }, 2, false],
    [
      'images',
      {
        messages: [
          {
            role: 'user',
            content: [
              { type: 'image_url', image_url: { url: 'data:' } },
              { type: 'text', text: words },
            ],
          },
        ],
      },
      4,
      false,
    ],
    ["Ollama's images", { messages: [{ role: 'user', content: words, images: ['aaaa'] }] }, 4, false],
    ['nothing', {}, 0, true],
  ] as const)('%s', (_, body, tokens, isTextOnly) => {
    expect(least(body)).toEqual({ tokens, isTextOnly });
  });
});
