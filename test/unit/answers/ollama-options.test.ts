/** `num_ctx`, `keep_alive`, `think` and `options` on every surface of a whole gateway. */
import { describe, expect, test } from 'vitest';
import { createNamedContexts } from '../../../src/answers/named-contexts.ts';
import { parseSse } from '../../support/sse.ts';
import { recordedText } from '../protocols/translate/translating.ts';
import { knownModel, runner } from './fake-herd.ts';
import type { Answer, Ask, Stage } from './stage.ts';
import { boxes, json, keys, stageOf, withKey } from './words.ts';

const messages = [{ role: 'user', content: 'hi' }];
const said = {
  model: 'm',
  created_at: '2026-01-01T00:00:00Z',
  message: { role: 'assistant', content: 'Hello' },
  done: true,
  done_reason: 'stop',
  prompt_eval_count: 5,
  eval_count: 2,
};
const { message: _unused, ...generated } = { ...said, response: 'Hello' };
const lines = (...each: object[]): Answer => ({
  headers: { 'content-type': 'application/x-ndjson' },
  body: each.map((line) => `${JSON.stringify(line)}\n`),
});
const admin = keys('{ key: boss, metadata: { scopes: [admin] } }', '{ key: guest }');
const pinned = (numCtx: number) => ({ route: `{ ai: { overrides: { num_ctx: ${numCtx} } } }` });

const sentOf = (stage: Stage) =>
  stage.sent.map(({ url, text }) => ({ path: new URL(url).pathname, body: JSON.parse(text ?? '{}') }));
const askFor = (more: object, init: Partial<Ask> = {}): Ask => ({ ...init, body: { model: 'm', messages, ...more } });

describe('T6: options of Ollama reach the box from every surface', () => {
  test.each([
    ['/v1/chat/completions', { messages }, '/api/chat'],
    ['/v1/messages', { messages, max_tokens: 9 }, '/api/chat'],
    ['/v1/responses', { input: 'hi' }, '/api/chat'],
    ['/v1/completions', { prompt: 'hi' }, '/api/generate'],
    ['/v1/embeddings', { input: 'hi' }, '/api/embed'],
  ])('%s with num_ctx goes to its native path with options.num_ctx', async (path, members, native) => {
    const answer = native === '/api/embed' ? { embeddings: [[1]] } : native === '/api/generate' ? generated : said;
    for (const [more, headers] of [
      [{ num_ctx: 32_768 }, {}],
      [{ options: { num_ctx: 32_768 } }, {}],
      [{}, { 'x-ollama-num-ctx': '32768' }],
    ] as const) {
      const stage = stageOf(boxes(['a']), { a: json(answer) });
      const { status } = await stage.read(path, { body: { model: 'm', ...members, ...more }, headers });
      expect(status).toBe(200);
      const [sent] = sentOf(stage);
      expect(sent?.path).toBe(native);
      expect(sent?.body.options.num_ctx).toBe(32_768);
      expect(sent?.body).not.toHaveProperty('num_ctx');
      expect(stage.sent[0]?.headers).not.toHaveProperty('x-ollama-num-ctx');
    }
  });

  test('a call that asks for none of it stays on its path, byte by byte', async () => {
    const stage = stageOf(boxes(['a']), { a: json({}) });
    const body = '{"model":"m", "messages":[],  "temperature":0.10}';
    await stage.read('/v1/chat/completions', { body });
    await stage.read('/v1/chat/completions', { body: '{"model":"m","messages":[],"options":{},"think":null}' });
    expect(stage.sent.map(({ url }) => new URL(url).pathname)).toEqual(['/v1/chat/completions', '/v1/chat/completions']);
    expect(stage.sent[0]?.text).toBe(body);
  });

  test('what the protocol has a member for holds against options, and defaults of /v1 only where nothing is said', async () => {
    const stage = stageOf(boxes(['a']), { a: json(said) });
    const options = { temperature: 0.2, num_predict: 99_999, top_k: 7 };
    await stage.read('/v1/chat/completions', askFor({ max_tokens: 20, options }));
    expect(sentOf(stage)[0]?.body.options).toEqual({ temperature: 0.2, num_predict: 20, top_k: 7, top_p: 1 });
  });

  test('think, by member or header', async () => {
    const stage = stageOf(boxes(['a']), { a: json(said) });
    await stage.read('/v1/chat/completions', askFor({ think: true, reasoning_effort: 'none' }));
    await stage.read('/v1/messages', askFor({ max_tokens: 9 }, { headers: { 'x-ollama-think': 'high' } }));
    await stage.read('/api/chat', askFor({ stream: false }, { headers: { 'x-ollama-think': 'false' } }));
    expect(sentOf(stage).map(({ path, body }) => [path, body.think])).toEqual([
      ['/api/chat', true],
      ['/api/chat', 'high'],
      ['/api/chat', false],
    ]);
  });

  test('defaults and overrides of the configuration', async () => {
    const stage = stageOf(boxes(['a'], { route: '{ ai: { defaults: { num_ctx: 8192 }, overrides: { think: false } } }' }), {
      a: json(said),
    });
    await stage.read('/v1/chat/completions', askFor({}));
    await stage.read('/v1/chat/completions', askFor({ options: { num_ctx: 16_384 } }));
    expect(sentOf(stage).map(({ body }) => [body.options.num_ctx, body.think])).toEqual([
      [8192, false],
      [16_384, false],
    ]);
  });

  test('options that the protocol has members for count as sent', async () => {
    const stage = stageOf(boxes(['a'], { route: '{ ai: { defaults: { max_tokens: 300, temperature: 0.5 } } }' }), {
      a: json(said),
    });
    await stage.read('/v1/chat/completions', askFor({ options: { num_predict: 50, temperature: 0.1, top_k: 3 } }));
    await stage.read('/v1/responses', { body: { model: 'm', input: 'x', options: { num_predict: 50, top_k: 3 } } });
    expect(sentOf(stage).map(({ body }) => body.options)).toEqual([
      { temperature: 0.1, num_predict: 50, top_k: 3, top_p: 1 },
      { temperature: 0.5, num_predict: 50, top_k: 3 },
    ]);
  });

  test('servers that are no boxes get what the client sent', async () => {
    const stage = stageOf(boxes(['a']), { a: json({}) });
    stage.herd.know('a', { isBox: false });
    await stage.read('/v1/chat/completions', askFor({ num_ctx: 4096, keep_alive: 9 }));
    expect(sentOf(stage)[0]).toMatchObject({ path: '/v1/chat/completions', body: { num_ctx: 4096, keep_alive: 9 } });
  });
});

describe('T6: which context a call gets', () => {
  test('the pin of the configuration wins on every surface, over what is asked and what is in memory', async () => {
    const stage = stageOf(boxes(['a'], pinned(16_384)), { a: json(said) });
    stage.herd.know('a', { models: ['m'], running: [{ ...runner('m'), contextLength: 65_536 }] });
    await stage.read('/v1/chat/completions', askFor({}));
    await stage.read('/v1/chat/completions', askFor({ num_ctx: 4096 }));
    await stage.read('/api/chat', askFor({ stream: false, options: { num_ctx: 2048 } }));
    await stage.read('/api/chat', askFor({ stream: false }, { headers: { 'x-ollama-num-ctx': '1024' } }));
    stage.script = () => json({ embeddings: [[1]] });
    await stage.read('/api/embed', { body: { model: 'm', input: 'x' } });
    await stage.read('/v1/embeddings', { body: { model: 'm', input: 'x' } });
    expect(sentOf(stage).map(({ body }) => body.options.num_ctx)).toEqual([16_384, 16_384, 16_384, 16_384, 16_384, 16_384]);
  });

  test('four clients with different habits on one model that is in memory: every call names its runner’s context', async () => {
    const stage = stageOf(boxes(['a']), { a: json(said) });
    stage.herd.know('a', { models: ['m'], running: [{ ...runner('m'), contextLength: 32_768 }] });
    await stage.read('/v1/chat/completions', askFor({ num_ctx: 8192 }));
    await stage.read('/api/chat', askFor({ stream: false, options: { num_ctx: 4096 } }));
    await stage.read('/v1/messages', askFor({ max_tokens: 9, options: { num_ctx: 32_768 } }));
    // Whoever asks for nothing would otherwise get the box's own default, and a load with it.
    await stage.read('/v1/chat/completions', askFor({}));
    expect(sentOf(stage).map(({ body }) => body.options.num_ctx)).toEqual([32_768, 32_768, 32_768, 32_768]);
  });

  test('a long prompt of a client that asks for nothing does not end in a small runner of somebody else', async () => {
    const stage = stageOf(boxes(['a']), { a: json(said) });
    stage.herd.know('a', { models: ['m'], running: [{ ...runner('m'), contextLength: 2048 }] });
    await stage.read('/v1/chat/completions', askFor({ num_ctx: 2048 }));
    await stage.read('/v1/chat/completions', askFor({ messages: [{ role: 'user', content: 'x'.repeat(2900) }] }));
    await stage.read('/v1/chat/completions', askFor({ messages: [{ role: 'user', content: 'x'.repeat(3100) }] }));
    expect(sentOf(stage).map(({ path }) => path)).toEqual(['/api/chat', '/api/chat', '/v1/chat/completions']);
  });

  test('more than is in memory is the client’s to ask for, and what was asked for a moment ago counts as there', async () => {
    const stage = stageOf(boxes(['a']), { a: json(said) });
    stage.herd.know('a', { models: ['m'], running: [{ ...runner('m'), contextLength: 4096 }] });
    await stage.read('/v1/chat/completions', askFor({ num_ctx: 8192 }));
    // The box's list is some seconds old.
    await stage.read('/v1/chat/completions', askFor({ num_ctx: 6000 }));
    expect(sentOf(stage).map(({ body }) => body.options.num_ctx)).toEqual([8192, 8192]);
    await stage.clock.advance(20_000);
    await stage.read('/v1/chat/completions', askFor({ num_ctx: 6000 }));
    expect(sentOf(stage)[2]?.body.options.num_ctx).toBe(6000);
  });

  test('not more than the model was made for, where that is known: the client is told', async () => {
    const stage = stageOf(boxes(['a']), { a: json(said) });
    const tag = '{"name":"m:latest","details":{"context_length":8192}}';
    stage.herd.modelsOn = () => [{ ...knownModel('m:latest'), tag }];
    const { headers } = await stage.read('/v1/chat/completions', askFor({ num_ctx: 131_072 }));
    expect(sentOf(stage)[0]?.body.options.num_ctx).toBe(8192);
    expect(headers.get('x-corral-warning')).toBe('num_ctx 131072 is more than m was made for: 8192 it is');
  });

  test.each([['many'], [0], [-5], [1.5], [true], [{}], [99_999_999]])('num_ctx %j is refused with the mend', async (numCtx) => {
    for (const [path, more] of [
      ['/v1/chat/completions', { num_ctx: numCtx }],
      ['/v1/chat/completions', { options: { num_ctx: numCtx } }],
      ['/api/chat', { options: { num_ctx: numCtx } }],
    ] as const) {
      const stage = stageOf(boxes(['a']), { a: json(said) });
      const { status, text } = await stage.read(path, askFor(more));
      expect([status, stage.sent.length]).toEqual([400, 0]);
      expect(text).toContain('must be a whole number of tokens, 1 to 16777216, such as 8192');
    }
  });

  test('bad headers are refused, too', async () => {
    const stage = stageOf(boxes(['a'], { route: admin }), { a: json(said) });
    for (const [name, value] of [
      ['x-ollama-num-ctx', '8k'],
      ['x-ollama-think', 'perhaps'],
      ['x-ollama-keep-alive', 'long'],
    ] as const) {
      const { status, text } = await stage.read('/v1/chat/completions', {
        ...askFor({}),
        headers: { ...withKey('boss').headers, [name]: value },
      });
      expect([status, text.includes(name)]).toEqual([400, true]);
    }
    expect(stage.sent).toEqual([]);
  });
});

describe('T6: keep_alive holds for everybody, so it takes the admin scope', () => {
  test.each([
    ['/v1/chat/completions', askFor({ keep_alive: -1 })],
    ['/api/chat', askFor({ keep_alive: '24h', stream: false })],
    ['/api/chat', askFor({ stream: false }, { headers: { 'x-ollama-keep-alive': '-1' } })],
  ])('dropped on %s with one warning', async (path, ask) => {
    const stage = stageOf(boxes(['a']), { a: json(said) });
    const { headers } = await stage.read(path, ask);
    expect(sentOf(stage)[0]).toMatchObject({ path });
    expect(sentOf(stage)[0]?.body).not.toHaveProperty('keep_alive');
    expect(headers.get('x-corral-warning')).toBe(
      'keep_alive was left out: it holds for all who use the model, so it takes the admin scope',
    );
  });

  test('kept for the admin scope, and from the configuration', async () => {
    const stage = stageOf(boxes(['a'], { route: admin }), { a: json(said) });
    await stage.read('/v1/chat/completions', askFor({ keep_alive: '1h' }, withKey('boss')));
    await stage.read('/api/chat', askFor({ keep_alive: -1, stream: false }, withKey('boss')));
    expect(sentOf(stage).map(({ path, body }) => [path, body.keep_alive])).toEqual([
      ['/api/chat', '1h'],
      ['/api/chat', -1],
    ]);
    const configured = stageOf(boxes(['a'], { route: '{ ai: { defaults: { keep_alive: 2h } } }' }), { a: json(said) });
    await configured.read('/v1/chat/completions', askFor({ keep_alive: 0 }));
    expect(sentOf(configured)[0]?.body.keep_alive).toBe('2h');
  });

  test.each([
    ['/api/generate', { keep_alive: 0 }],
    ['/api/generate', { keep_alive: '0s', prompt: '' }],
    ['/api/chat', { keep_alive: 0, messages: [] }],
  ])('an unload of somebody else is refused and does not become a load: %s %j', async (path, body) => {
    const stage = stageOf(boxes(['a']), { a: json(said) });
    const { status, text } = await stage.read(path, { body: { model: 'm', ...body } });
    expect([status, stage.sent.length]).toEqual([403, 0]);
    expect(JSON.parse(text).error).toContain('scopes: [admin]');
  });
});

describe('T6: what comes back', () => {
  test('a stream, counted and told as one of the client’s protocol', async () => {
    const stage = stageOf(boxes(['a']), {
      a: { headers: { 'content-type': 'application/x-ndjson' }, body: recordedText('chat-stream').split(/(?<=\n)/) },
    });
    const { headers, text } = await stage.read('/v1/chat/completions', askFor({ stream: true, num_ctx: 4096 }));
    expect(headers.get('content-type')).toBe('text/event-stream');
    const events = parseSse(text);
    const words = events.map(
      ({ json: chunk }) => (chunk as { choices?: { delta: { content?: string } }[] })?.choices?.[0]?.delta.content,
    );
    expect(words.join('')).toBe('was very clever. He was very clever. He was very');
    expect(events.at(-1)?.data).toBe('[DONE]');
    expect(text).not.toContain('"usage"');
    expect(stage.told[0]?.exchange).toMatchObject({
      outcome: 'completed',
      usage: { inputTokens: 19, outputTokens: 12, estimated: false },
    });
  });

  test.each([
    ['/v1/chat/completions', { messages }, /"error":\{"message":"[^"]*unexpected EOF/],
    ['/v1/messages', { messages, max_tokens: 9 }, /event: error\ndata: \{"type":"error".*unexpected EOF/],
    ['/v1/responses', { input: 'x' }, /event: response\.failed\n.*unexpected EOF/],
  ])('a runner that dies in the middle is an error in the stream of %s', async (path, members, wanted) => {
    const crash = { error: 'an error was encountered while running the model: unexpected EOF' };
    const token = { ...said, done: false };
    const stage = stageOf(boxes(['a']), { a: lines(token, crash) });
    const { text } = await stage.read(path, { body: { model: 'm', stream: true, num_ctx: 512, ...members } });
    expect(text).toMatch(wanted);
    expect(text).not.toContain('[DONE]');
    expect(stage.told[0]?.exchange.outcome).toBe('broken');
  });

  test('a stream that breaks off says so in the client’s protocol', async () => {
    const stage = stageOf(boxes(['a']), { a: { ...lines({ ...said, done: false }), ends: 'clean' } });
    const { text } = await stage.read('/v1/messages', askFor({ max_tokens: 9, stream: true, num_ctx: 512 }));
    expect(parseSse(text).at(-1)).toMatchObject({ event: 'error', json: { type: 'error' } });
    expect(stage.told[0]?.exchange.outcome).toBe('broken');
  });

  test('a refusal keeps its status and words in the client’s shape', async () => {
    const refused = { error: '"m" does not support thinking' };
    const stage = stageOf(boxes(['a']), { a: json(refused, 400) });
    const openai = await stage.read('/v1/chat/completions', askFor({ think: true }));
    expect([openai.status, JSON.parse(openai.text)]).toEqual([
      400,
      { error: { message: refused.error, type: 'invalid_request_error', param: null, code: null } },
    ]);
    const anthropic = await stage.read('/v1/messages', askFor({ think: true, max_tokens: 9 }));
    expect([anthropic.status, JSON.parse(anthropic.text).error]).toEqual([
      400,
      { type: 'invalid_request_error', message: refused.error },
    ]);
    stage.script = () => json({ error: "model 'm' not found" }, 404);
    const missing = await stage.read('/v1/chat/completions', askFor({ num_ctx: 9 }));
    expect([missing.status, JSON.parse(missing.text).error.type]).toEqual([404, 'not_found_error']);
  });

  test('thinking that agents ask of every model is forgiven those that cannot', async () => {
    const stage = stageOf(boxes(['a']), { a: json(said) });
    const ask = askFor({ max_tokens: 9, num_ctx: 512, thinking: { type: 'enabled', budget_tokens: 5 } });
    const tagWith = (capabilities: string[]) => `{"name":"m:latest","capabilities":${JSON.stringify(capabilities)}}`;
    stage.herd.modelsOn = () => [{ ...knownModel('m:latest'), tag: tagWith(['completion']) }];
    await stage.read('/v1/messages', ask);
    stage.herd.modelsOn = () => [{ ...knownModel('m:latest'), tag: tagWith(['completion', 'thinking']) }];
    await stage.read('/v1/messages', ask);
    expect(sentOf(stage).map(({ body }) => body.think)).toEqual([undefined, true]);
  });

  test('n and tool_choice do what they do on /v1', async () => {
    const stage = stageOf(boxes(['a']), { a: json(said) });
    const tools = [{ type: 'function', function: { name: 'f', parameters: { type: 'object', properties: {} } } }];
    const { headers } = await stage.read(
      '/v1/chat/completions',
      askFor({ num_ctx: 512, n: 2, tools, tool_choice: 'none', max_completion_tokens: 5 }),
    );
    expect(headers.get('x-corral-warning')).toBe('n is not read by Ollama: there is one choice');
    expect(sentOf(stage)[0]?.body).not.toHaveProperty('tools');
    expect(sentOf(stage)[0]?.body.options.num_predict).toBe(5);
  });
});

describe('T6: a load that others have outdone', () => {
  test.each([
    ['/v1/chat/completions', { num_ctx: 2_000 }, 2_000],
    ['/api/chat', { options: { num_ctx: 2_000 } }, 2_000],
    ['/v1/chat/completions', {}, undefined],
  ])('%s with %j goes with the context that is there when it has waited', async (path, more, numCtx) => {
    const stage = stageOf(boxes(['a']), { a: json(said) });
    await stage.read('/v1/chat/completions', askFor({ num_ctx: 1_000 }));
    await stage.clock.advance(60_000);
    const { admit } = stage.herd;
    stage.herd.know('a', { loadMs: 3_000 });
    const asked: (number | undefined)[] = [];
    stage.herd.admit = (upstream, ...rest: readonly unknown[]) => {
      asked.push((rest[0] as { numCtx?: number } | undefined)?.numCtx);
      stage.herd.know('a', { models: ['m'], running: [{ ...runner('m'), contextLength: 3_000 }] });
      return admit(upstream);
    };
    const { status } = await stage.read(path, askFor({ stream: false, ...more }));
    const [, sent] = sentOf(stage);
    expect([status, asked, sent?.path, sent?.body.options.num_ctx]).toEqual([200, [numCtx], '/api/chat', 3_000]);
  });
});

describe('the contexts that calls have named', () => {
  test('are bounded: the one named longest ago goes first', () => {
    const contexts = createNamedContexts();
    expect(contexts.isEmpty).toBe(true);
    for (let index = 0; index <= 1_000; index++) contexts.note('http://a', `m${index}`, 4096, 0);
    expect([contexts.has('http://a', 'm0'), contexts.has('http://a', 'm1'), contexts.has('http://b', 'm1')]).toEqual([
      false,
      true,
      false,
    ]);
    expect([contexts.recent('http://a', 'm5', 15_000), contexts.recent('http://a', 'm5', 15_001)]).toEqual([4096, undefined]);
  });
});
