import { describe, expect, test } from 'vitest';
import { boxes, json, stageOf } from './words.ts';

describe('token counting', () => {
  test('is estimated for boxes, and marked', async () => {
    const stage = stageOf(boxes(['a']));
    const { status, headers, text } = await stage.read('/v1/messages/count_tokens', {
      body: { model: 'm', messages: [{ role: 'user', content: 'hello there' }] },
    });
    expect([status, headers.get('x-corral-estimated')]).toEqual([200, 'true']);
    expect(JSON.parse(text).input_tokens).toBeGreaterThan(0);
    expect(stage.sent).toEqual([]);
  });

  test('is asked of those that can count', async () => {
    const other = `{ ai: { name: a, hostOverride: "a:1", provider: { anthropic: {} } } }`;
    const stage = stageOf(boxes([other]), { a: json({ input_tokens: 5 }) });
    const { headers, text } = await stage.read('/v1/messages/count_tokens', { body: { model: 'm', messages: [] } });
    expect([headers.has('x-corral-estimated'), text]).toEqual([false, '{"input_tokens":5}']);
    expect(stage.sent.map(({ url }) => url)).toEqual(['http://a:1/v1/messages/count_tokens']);
  });

  test.each([
    '{ ai: { name: a, hostOverride: "a:1", provider: { openAI: {} } }, policies: { backendAuth: { key: k } } }',
    '{ ai: { name: a, hostOverride: "a:1", provider: { custom: { formats: [{ type: completions }] } } }, policies: { backendAuth: { key: k } } }',
  ])('is estimated for those that cannot: %s', async (other) => {
    const stage = stageOf(boxes([other]), { a: json({ input_tokens: 5 }) });
    const { headers } = await stage.read('/v1/messages/count_tokens', { body: { model: 'm', messages: [] } });
    expect(headers.get('x-corral-estimated')).toBe('true');
    expect(stage.sent).toEqual([]);
  });
});
