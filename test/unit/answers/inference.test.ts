import { describe, expect, test } from 'vitest';
import { GatewayError } from '../../../src/errors.ts';
import { client } from './stage.ts';
import { box, boxes, chat, json, keys, stageOf, withKey } from './words.ts';

describe('inference', () => {
  test('goes to the box that has the model, and the answer comes as it was given', async () => {
    const stage = stageOf(boxes(['a', 'b']), { b: json({ model: 'm', usage: { prompt_tokens: 3, completion_tokens: 5 } }) });
    stage.herd.know('a', { models: ['other'] });
    stage.herd.know('b', { models: ['m'] });
    const { status, text } = await stage.read('/v1/chat/completions', chat('m'));
    expect([status, text]).toEqual([200, '{"model":"m","usage":{"prompt_tokens":3,"completion_tokens":5}}']);
    expect(stage.told[0]?.exchange).toMatchObject({
      outcome: 'completed',
      status: 200,
      requestModel: 'm',
      usage: { inputTokens: 3, outputTokens: 5, estimated: false },
    });
  });

  test('the configured model fills in; the others’ names stay', async () => {
    const stage = stageOf(boxes([box('a', 'ours')]), { a: json({}) });
    await stage.read('/v1/chat/completions', chat());
    await stage.read('/v1/chat/completions', chat('theirs'));
    expect(stage.sent.map(({ text }) => JSON.parse(text ?? '').model)).toEqual(['ours', 'theirs']);
  });

  test('the bytes that were held are given back, whatever happened', async () => {
    const stage = stageOf(boxes(['a']), { a: json({}) });
    const before = stage.budgetLeft();
    await stage.read('/v1/chat/completions', chat('m'));
    await stage.read('/v1/chat/completions', { body: 'no json' });
    stage.script = () => new GatewayError('upstream_refused', 'refused');
    await stage.read('/v1/chat/completions', chat('m'));
    expect(stage.budgetLeft()).toBe(before);
  });

  test('a client that leaves before the answer: nothing is sent, the log says so', async () => {
    const stage = stageOf(boxes(['a']), { a: 'never' });
    const caller = client();
    const response = stage.ask('/v1/chat/completions', { ...chat('m'), client: caller });
    await stage.clock.settle();
    caller.leave();
    stage.leavings[0]?.abort();
    expect((await response).status).toBe(499);
    expect(stage.told.map(({ exchange }) => [exchange.outcome, exchange.error])).toEqual([['abandoned', undefined]]);
  });

  test('requests without a model are refused where no target has one, whatever protocol', async () => {
    const stage = stageOf(boxes(['a', 'b']));
    for (const path of ['/v1/chat/completions', '/v1/completions', '/v1/embeddings', '/v1/responses', '/v1/messages']) {
      expect((await stage.read(path, { body: { input: 'x', prompt: 'x', messages: [] } })).status).toBe(400);
    }
    for (const path of ['/api/chat', '/api/generate', '/api/embed', '/api/show'])
      expect((await stage.read(path, { body: {} })).status).toBe(400);
    expect(stage.sent).toEqual([]);
  });
});

describe('a ceiling of tokens', () => {
  const limits = { max_tokens: 5000, max_completion_tokens: 5000, max_output_tokens: 5000, options: { num_predict: -1 } };
  const route = '{ ai: { overrides: { max_completion_tokens: 100 } } }';
  const sentTo = async (path: string, isBox?: boolean) => {
    const stage = stageOf(boxes(['a'], { route }), { a: json({}) });
    if (isBox !== undefined) stage.herd.know('a', { isBox });
    const messages = [{ role: 'user', content: 'x' }];
    await stage.read(path, chat('m', { messages, input: 'x', prompt: 'x', stream: false, ...limits }));
    const {
      model: _,
      messages: _messages,
      input: _input,
      prompt: _prompt,
      stream: _stream,
      ...sent
    } = JSON.parse(stage.sent[0]?.text ?? '{}');
    return sent;
  };

  test.each([
    ['/api/chat', { options: { num_predict: 100 } }],
    ['/api/generate', { options: { num_predict: 100 } }],
    // What `options` say of it is the client's own word in another place.
    ['/v1/chat/completions', { max_tokens: 100, options: {} }],
    ['/v1/completions', { max_tokens: 100, options: {} }],
    ['/v1/messages', { max_tokens: 100, options: {} }],
    ['/v1/responses', { max_output_tokens: 100, options: {} }],
    ['/api/embed', limits],
  ])('binds on every path of a box: %s', async (path, sent) => {
    expect(await sentTo(path)).toEqual(sent);
  });

  test('at other servers it is set by its own name, as agentgateway does', async () => {
    expect(await sentTo('/v1/chat/completions', false)).toEqual({ ...limits, max_completion_tokens: 100 });
  });
});

describe('keys hold (decision 15)', () => {
  const locked = (names: readonly string[], more = '') =>
    boxes(names, { listener: keys('{ key: k, allowedModels: ["llama3.2*", fast] }', '{ key: none, allowedModels: [] }'), more });

  test.each([
    ['llama3.2', 200],
    ['LLAMA3.2:1b', 200],
    ['library/llama3.2', 200],
    ['mistral', 403],
    ['llama3', 403],
  ])('%s: %s', async (model, status) => {
    const stage = stageOf(locked(['a']), { a: json({}) });
    expect((await stage.read('/v1/chat/completions', { ...chat(model), ...withKey('k') })).status).toBe(status);
    expect(stage.sent).toHaveLength(status === 200 ? 1 : 0);
  });

  test('on show too, whichever member names the model', async () => {
    const stage = stageOf(locked(['a']), { a: json({}) });
    const statusOf = async (body: object) => (await stage.read('/api/show', { body, ...withKey('k') })).status;
    expect(await statusOf({ model: 'mistral' })).toBe(403);
    expect(await statusOf({ name: 'mistral' })).toBe(403);
    expect(await statusOf({ model: 'llama3.2', MODEL: 'mistral' })).toBe(403);
    expect(await statusOf({ name: 'llama3.2' })).toBe(200);
  });

  test('where the client names no model, each box’s default counts: no failing over to one that is not allowed', async () => {
    const stage = stageOf(locked([box('a', 'llama3.2'), box('b', 'mistral')]), {
      a: new GatewayError('upstream_refused', 'refused'),
      b: json({}),
    });
    expect((await stage.read('/v1/chat/completions', { ...chat(), ...withKey('k') })).status).toBe(503);
    stage.herd.know('a', { isAlive: false });
    expect((await stage.read('/v1/chat/completions', { ...chat(), ...withKey('k') })).status).toBe(503);
    expect((await stage.read('/v1/chat/completions', { ...chat(), ...withKey('none') })).status).toBe(403);
    expect(stage.sent.map(({ url }) => new URL(url).hostname)).toEqual(['a', 'a']);
  });

  test('the name that the client used is judged, not what it stands for', async () => {
    const stage = stageOf(
      boxes(['a'], {
        listener: keys('{ key: k, allowedModels: [fast] }'),
        route: '{ ai: { modelAliases: { fast: big } } }',
      }),
      { a: json({}) },
    );
    expect((await stage.read('/v1/chat/completions', { ...chat('fast'), ...withKey('k') })).status).toBe(200);
    expect((await stage.read('/v1/chat/completions', { ...chat('big'), ...withKey('k') })).status).toBe(403);
  });
});

describe('models of Ollama’s cloud (decision 15)', () => {
  test.each(['gpt-oss:120b-cloud', 'qwen3:cloud', 'QWEN3:CLOUD'])('%s is refused by its name', async (model) => {
    const stage = stageOf(boxes(['a']), { a: json({}) });
    const { status, text } = await stage.read('/v1/chat/completions', chat(model));
    expect(status).toBe(403);
    expect(JSON.parse(text).error.code).toBe('cloud_model_refused');
    expect(stage.sent).toEqual([]);
  });

  test('a box that would pass a name on is left out; alone it is refused', async () => {
    const stage = stageOf(boxes(['a', 'b']), { a: json({}), b: json({}) });
    stage.herd.know('a', { models: ['m'], remote: ['m'] });
    stage.herd.know('b', { models: ['m'] });
    await stage.read('/v1/chat/completions', chat('m'));
    expect(stage.sent.map(({ url }) => new URL(url).hostname)).toEqual(['b']);
    stage.herd.know('b', { models: ['m'], remote: ['m'] });
    expect((await stage.read('/v1/chat/completions', chat('m'))).status).toBe(403);
  });

  test('the configuration may let them pass', async () => {
    const stage = stageOf(boxes(['a'], { more: 'fleet: { allowCloudModels: true }' }), { a: json({}) });
    expect((await stage.read('/v1/chat/completions', chat('qwen3:cloud'))).status).toBe(200);
  });
});

describe('the demo (decision 17)', () => {
  test('answers to its name alone, as long as no box does', async () => {
    const stage = stageOf(boxes(['a']), { a: json({}) }, { hasDemo: true });
    const { headers } = await stage.read('/v1/chat/completions', chat('demo'));
    expect(headers.get('x-corral-demo')).toBe('true');
    expect((await stage.read('/v1/chat/completions', chat('llama3.2'))).headers.has('x-corral-demo')).toBe(false);
    stage.herd.know('a', { isAlive: true });
    expect((await stage.read('/v1/chat/completions', chat('demo'))).headers.has('x-corral-demo')).toBe(false);
  });

  test('not where it is switched off, nor for a key that may not use it', async () => {
    const off = stageOf(boxes(['a']), { a: json({}) });
    expect((await off.read('/v1/chat/completions', chat('demo'))).headers.has('x-corral-demo')).toBe(false);
    const locked = stageOf(boxes(['a'], { listener: keys('{ key: k, allowedModels: [llama3.2] }') }), {}, { hasDemo: true });
    expect((await locked.read('/v1/chat/completions', { ...chat('demo'), ...withKey('k') })).status).toBe(403);
  });

  test('stands in the lists while it answers', async () => {
    const stage = stageOf(boxes(['a']), {}, { hasDemo: true });
    const ids = async () => JSON.parse((await stage.read('/v1/models')).text).data.map(({ id }: { id: string }) => id);
    expect(await ids()).toEqual(['demo']);
    stage.herd.know('a', { isAlive: true, models: ['m:latest'] });
    expect(await ids()).toEqual(['m:latest']);
  });
});
