import { describe, expect, test } from 'vitest';
import { GatewayError } from '../../../src/errors.ts';
import { createStage } from './stage.ts';
import { boxes, type byHost, chat, json, keys, missing, stageOf, withKey } from './words.ts';

describe('what a box refused, with the mend', () => {
  const errorOf = async (
    answers: Parameters<typeof byHost>[0],
    known: Parameters<ReturnType<typeof stageOf>['herd']['know']>[1] = {},
  ) => {
    const stage = stageOf(boxes(['a']), answers);
    stage.herd.know('a', known);
    const { status, text } = await stage.read('/v1/chat/completions', chat('m'));
    return { status, ...JSON.parse(text).error } as { status: number; message: string; code: string };
  };

  test('a missing model: what is there, and the pull', async () => {
    const error = await errorOf({ a: missing('m') }, { models: ['llama3.2:latest', 'm2:latest'] });
    expect(error).toMatchObject({ status: 404, code: 'model_not_found' });
    expect(error.message).toBe(
      "model 'm' not found. There are: llama3.2:latest, m2:latest. Did you mean m2:latest? Otherwise pull it: `ollama pull m`.",
    );
  });

  test('only models that the key may see are told', async () => {
    const stage = stageOf(boxes(['a'], { listener: keys('{ key: k, allowedModels: ["m*"] }') }), { a: missing('m') });
    stage.herd.know('a', { models: ['secret:latest', 'mistral:latest', 'm:cloud'] });
    const { text } = await stage.read('/v1/chat/completions', { ...chat('m'), ...withKey('k') });
    expect(text).toContain('mistral:latest');
    expect(text).not.toContain('secret');
    expect(text).not.toContain('m:cloud');
  });

  test('its headers are edited like those of any answer of the backend', async () => {
    const policies = { responseHeaderModifier: { set: { 'x-edited': '1' }, remove: ['x-inner'] } };
    const backends = [{ ai: { name: 'a', hostOverride: 'a:11434', provider: { openAI: {} }, policies } }];
    const stage = createStage(JSON.stringify({ binds: [{ port: 3000, listeners: [{ routes: [{ backends }] }] }] }), {
      script: () => ({ status: 400, headers: { 'content-type': 'application/json', 'x-inner': '1' }, body: '{"error":"no"}' }),
    });
    const { status, headers } = await stage.read('/v1/chat/completions', chat('m'));
    expect([status, headers.get('x-edited'), headers.get('x-inner')]).toEqual([400, '1', null]);
  });

  test('busy', async () => {
    const error = await errorOf({ a: json({ error: 'server busy, please try again. maximum pending requests exceeded' }, 503) });
    expect(error).toMatchObject({ status: 503, code: 'upstream_unavailable' });
    expect(error.message).toContain('a is busy');
  });

  test('out of memory: smaller variants of the box', async () => {
    const error = await errorOf({
      a: json({ error: 'model requires more system memory (9 GiB) than is available (2 GiB)' }, 500),
    });
    expect(error).toMatchObject({ status: 500, code: 'upstream_unavailable' });
    expect(error.message).toContain('a has not enough memory for m');
  });

  test('a Host or Origin that Ollama does not like is the gateway’s trouble: 502', async () => {
    const error = await errorOf({ a: { status: 403 } });
    expect(error).toMatchObject({ status: 502, code: 'upstream_foreign_host' });
  });

  test('everything else comes as it was said', async () => {
    const stage = stageOf(boxes(['a']), {
      a: {
        ...json({ error: { message: 'bad', code: null } }, 400),
        headers: { 'content-type': 'application/json', 'x-own': '1', 'content-length': '9' },
      },
    });
    const { status, headers, text } = await stage.read('/v1/chat/completions', chat('m'));
    expect([status, text, headers.get('x-own'), headers.get('content-length')]).toEqual([
      400,
      '{"error":{"message":"bad","code":null}}',
      '1',
      null,
    ]);
    expect(stage.told[0]?.exchange).toMatchObject({ outcome: 'refused', status: 400, error: undefined });
  });

  test('on a herd all that its boxes have is told, not only what the last one has', async () => {
    const stage = stageOf(boxes(['a', 'b']), { a: missing('m'), b: missing('m') });
    stage.herd.know('a', { models: ['mistral:latest'] });
    stage.herd.know('b', { models: ['qwen3:4b', 'mistral:latest'] });
    const { text } = await stage.read('/v1/chat/completions', chat('m'));
    expect(JSON.parse(text).error.message).toContain('There are: mistral:latest, qwen3:4b.');
  });

  test('the boxes that could not be asked are told too', async () => {
    const stage = stageOf(boxes(['a', 'b']), { a: new GatewayError('upstream_refused', 'refused'), b: missing('m') });
    const { status, text } = await stage.read('/v1/chat/completions', chat('m'));
    expect(status).toBe(404);
    expect(JSON.parse(text).error.message).toMatch(/Pull it: `ollama pull m`\. a refused the connection/);
  });
});
