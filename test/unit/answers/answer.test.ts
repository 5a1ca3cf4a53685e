import { describe, expect, test } from 'vitest';
import { boxes, chat, json, stageOf } from './words.ts';

describe('paths on boxes are allow-listed (decision 3)', () => {
  test.each(['/api/new', '/v1/fine_tuning', '/metrics'])('%s is refused', async (path) => {
    const stage = stageOf(boxes(['a']), { a: json({}) });
    expect((await stage.read(path, { body: {} })).status).toBe(404);
    expect(stage.sent).toEqual([]);
  });

  test('ai.routes does not open them, but says what a path speaks', async () => {
    const stage = stageOf(boxes(['a'], { route: '{ ai: { routes: { /talk: completions, "*": passthrough } } }' }), {
      a: json({}),
    });
    expect((await stage.read('/api/new', { body: {} })).status).toBe(404);
    expect((await stage.read('/x/talk', chat('m'))).status).toBe(200);
    expect(stage.sent.map(({ url }) => url)).toEqual(['http://a:11434/v1/chat/completions']);
  });

  test('a host backend passes everything', async () => {
    const stage = stageOf(boxes(['{ host: "a:1" }']), { a: json({}) });
    await stage.read('/api/pull?x=1', { body: 'as it is' });
    expect(stage.sent.map(({ url, text }) => [url, text])).toEqual([['http://a:1/api/pull?x=1', 'as it is']]);
  });
});

describe('a request that comes back (decision 17)', () => {
  const via = { headers: { 'x-corral-via': 'other, corral-1' } };

  test('is refused', async () => {
    const stage = stageOf(boxes(['a']), { a: json({}) });
    expect((await stage.read('/v1/chat/completions', { ...chat('m'), ...via })).status).toBe(508);
    expect(stage.sent).toEqual([]);
  });

  test('its probe learns who answered', async () => {
    const { status, headers } = await stageOf(boxes(['a'])).read('/api/version', via);
    expect([status, headers.get('x-corral-instance')]).toEqual([200, 'corral-1']);
  });
});
