import { describe, expect, test } from 'vitest';
import { createStage } from './stage.ts';
import { boxes, chat, json, stageOf } from './words.ts';

describe('errors have the shape of the protocol that the path belongs to (decision 4)', () => {
  test('OpenAI', async () => {
    const { status, headers, text } = await stageOf(boxes(['a'])).read('/v1/chat/completions', chat());
    expect(status).toBe(400);
    expect(headers.get('content-type')).toBe('application/json');
    const { error } = JSON.parse(text);
    expect(error).toMatchObject({ type: 'invalid_request_error', param: null, code: 'missing_model' });
    expect(error.message).toMatch(/^the request names no model/);
  });

  test('Anthropic', async () => {
    const { status, text } = await stageOf(boxes(['a'])).read('/v1/messages', chat());
    expect(status).toBe(400);
    expect(JSON.parse(text)).toMatchObject({ type: 'error', error: { type: 'invalid_request_error' }, request_id: 'x-0' });
  });

  test('Ollama', async () => {
    const { status, text } = await stageOf(boxes(['a'])).read('/api/chat', chat());
    expect(status).toBe(400);
    expect(Object.keys(JSON.parse(text))).toEqual(['error']);
  });

  test('neither: plain text', async () => {
    const { status, headers, text } = await stageOf(boxes(['a'])).read('/else');
    expect(status).toBe(404);
    expect(headers.get('content-type')).toBe('text/plain; charset=utf-8');
    expect(text).toBe(
      'GET /else is not a path that Corral hands to an Ollama box. If you trust it, open it with fleet.openPaths: ["GET /else"]',
    );
  });

  test.each([
    ['/v1/images/edits', 'GET /v1/images/edits'],
    ['/v1beta/else', 'GET /v1beta/else'],
    ['/v1/responses/resp_67ccd2/input_items', 'GET /v1/responses/*/input_items'],
    ['/v1/files/file-abc123/content', 'GET /v1/files/*/content'],
    ['/v1/batches/42', 'GET /v1/batches/*'],
    ['/v1/x/3f2504e0-4f89-11d3-9a0c-0305e82c3301', 'GET /v1/x/*'],
    // These the switch does not take.
    ['/else/a%20b', undefined],
    ['/else//b', undefined],
  ])('the proposal for %s is one that the switch takes: %s', async (path, proposal) => {
    const { status, text } = await stageOf(boxes(['a'])).read(path);
    expect(status).toBe(404);
    const proposed = /open it with fleet\.openPaths: \["(.*)"\]/.exec(text)?.[1];
    expect(proposed).toBe(proposal);
    if (proposed === undefined) return;
    const opened = stageOf(boxes(['a'], { more: `fleet: { openPaths: ["${proposed}"] }` }), { a: json({}) });
    expect((await opened.read(path)).status).toBe(200);
  });

  test('a wrong method tells the right one', async () => {
    const { status, headers, text } = await stageOf(boxes(['a'])).read('/v1/chat/completions');
    expect(status).toBe(405);
    expect(headers.get('allow')).toBe('POST');
    expect(JSON.parse(text).error.message).toBe('/v1/chat/completions takes POST, not GET');
  });

  test('what is no error of ours tells nothing of the inside', async () => {
    const stage = createStage(boxes(['a']), {
      script: () => {
        throw new Error('secret detail');
      },
    });
    const { status, text } = await stage.read('/v1/chat/completions', chat('m'));
    expect(status).toBe(500);
    expect(text).not.toContain('secret detail');
    expect(stage.told[0]?.exchange.error?.cause).toMatchObject({ message: 'secret detail' });
  });

  test('HEAD has no body', async () => {
    const { status, text } = await stageOf(boxes(['a'])).read('/else', { method: 'HEAD' });
    expect([status, text]).toEqual([404, '']);
  });
});
