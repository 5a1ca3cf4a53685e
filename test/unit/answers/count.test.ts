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

  test('is asked of other hosts', async () => {
    const other = `{ ai: { name: a, hostOverride: "a:1", provider: { openAI: {} } }, policies: { backendAuth: { key: k } } }`;
    const stage = stageOf(boxes([other]), { a: json({ input_tokens: 5 }) });
    const { headers } = await stage.read('/v1/messages/count_tokens', { body: { model: 'm', messages: [] } });
    expect(headers.has('x-corral-estimated')).toBe(false);
    expect(stage.sent).toHaveLength(1);
  });
});
