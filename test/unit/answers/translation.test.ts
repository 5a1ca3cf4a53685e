/** What is spoken to whom: a whole gateway in front of vendors and other servers. */
import { describe, expect, test } from 'vitest';
import { parseSse } from '../../support/sse.ts';
import { chatStream, recordedText } from '../protocols/translate/translating.ts';
import type { Answer, Stage } from './stage.ts';
import { boxes, json, stageOf } from './words.ts';

const auth = 'policies: { backendAuth: { key: sk-up } }';
const backend = (provider: string, more = '') => boxes([`{ ai: { name: up, provider: ${provider}${more} }, ${auth} }`]);
const at = ', hostOverride: "up:1"';
const custom = (...formats: string[]) => `{ custom: { formats: [${formats.map((type) => `{ type: ${type} }`).join(', ')}] } }`;
const completion = json({ id: 'chatcmpl-1', model: 'up', choices: [{ message: { content: 'hi' }, finish_reason: 'stop' }] });
const message = json({
  id: 'msg_1',
  model: 'up',
  content: [{ type: 'text', text: 'hi' }],
  stop_reason: 'end_turn',
  usage: { input_tokens: 2, output_tokens: 1 },
});
const stream = (body: string): Answer => ({ headers: { 'content-type': 'text/event-stream' }, body });

const messagesBody = { model: 'm', max_tokens: 9, messages: [{ role: 'user', content: 'x' }] };
const chatBody = { model: 'm', messages: [{ role: 'user', content: 'x' }] };
const responsesBody = { model: 'm', input: 'x' };
const hosts = ['up', 'api.openai.com', 'api.anthropic.com', 'generativelanguage.googleapis.com'];
const over = (yaml: string, answer: Answer) => stageOf(yaml, Object.fromEntries(hosts.map((host) => [host, answer])));
const sentBy = (stage: Stage) => stage.sent.map(({ url, text }) => [url, Object.keys(JSON.parse(text ?? '{}'))]);

describe('who is spoken to how', () => {
  test.each([
    [
      'anthropic itself',
      backend('{ anthropic: {} }'),
      '/v1/messages',
      messagesBody,
      message,
      'https://api.anthropic.com/v1/messages',
    ],
    [
      'anthropic itself',
      backend('{ anthropic: {} }'),
      '/v1/chat/completions',
      chatBody,
      message,
      'https://api.anthropic.com/v1/messages',
    ],
    [
      'an address of Anthropic’s kind',
      backend('{ anthropic: {} }', at),
      '/v1/chat/completions',
      chatBody,
      message,
      'http://up:1/v1/messages',
    ],
    [
      'OpenAI itself',
      backend('{ openAI: {} }'),
      '/v1/messages',
      messagesBody,
      completion,
      'https://api.openai.com/v1/chat/completions',
    ],
    ['OpenAI itself', backend('{ openAI: {} }'), '/v1/responses', responsesBody, json({}), 'https://api.openai.com/v1/responses'],
    [
      'an address of OpenAI’s kind',
      backend('{ openAI: {} }', at),
      '/v1/messages',
      messagesBody,
      completion,
      'http://up:1/v1/chat/completions',
    ],
    [
      'Gemini',
      backend('{ gemini: {} }'),
      '/v1/messages',
      messagesBody,
      completion,
      'https://generativelanguage.googleapis.com/v1beta/openai/chat/completions',
    ],
    [
      'Gemini',
      backend('{ gemini: {} }'),
      '/v1/embeddings',
      { model: 'm', input: 'x' },
      json({}),
      'https://generativelanguage.googleapis.com/v1beta/openai/embeddings',
    ],
    [
      'Gemini',
      backend('{ gemini: {} }'),
      '/v1/responses',
      responsesBody,
      completion,
      'https://generativelanguage.googleapis.com/v1beta/openai/chat/completions',
    ],
    [
      'a custom server',
      backend(custom('completions'), at),
      '/v1/responses',
      responsesBody,
      completion,
      'http://up:1/v1/chat/completions',
    ],
    [
      'a custom server',
      backend(custom('completions', 'messages'), at),
      '/v1/messages',
      messagesBody,
      message,
      'http://up:1/v1/messages',
    ],
    ['a custom server', backend(custom('messages'), at), '/v1/chat/completions', chatBody, message, 'http://up:1/v1/messages'],
    [
      'a custom server',
      backend(custom('completions'), `${at}, pathPrefix: /api/v3`),
      '/v1/messages',
      messagesBody,
      completion,
      'http://up:1/api/v3/chat/completions',
    ],
    [
      'a custom server',
      backend('{ custom: { formats: [{ type: messages, path: /anthropic/v1/messages }] } }', at),
      '/v1/chat/completions',
      chatBody,
      message,
      'http://up:1/anthropic/v1/messages',
    ],
  ])('%s: %#', async (_who, yaml, path, body, answer, url) => {
    const stage = over(yaml, answer);
    const { status } = await stage.read(path, { body });
    expect([status, stage.sent.map((sent) => sent.url)]).toEqual([200, [url]]);
  });

  test('the llm dialect knows them by a word', async () => {
    const yaml = `
llm:
  port: 3000
  models:
    - { name: claude, provider: anthropic, params: { model: claude-x, apiKey: sk-a } }
    - { name: "gemini*", provider: gemini, params: { apiKey: sk-g } }
    - { name: near, provider: anthropic, params: { baseUrl: "https://up/anthropic/v1", apiKey: sk-n } }
`;
    const stage = over(yaml, message);
    await stage.read('/v1/chat/completions', { body: { ...chatBody, model: 'claude' } });
    await stage.read('/v1/messages', { body: { ...messagesBody, model: 'near' } });
    stage.script = () => completion;
    await stage.read('/v1/chat/completions', { body: { ...chatBody, model: 'gemini-3' } });
    expect(
      stage.sent.map(({ url, headers, text }) => [
        url,
        headers['x-api-key'] ?? headers.authorization,
        JSON.parse(text ?? '').model,
      ]),
    ).toEqual([
      ['https://api.anthropic.com/v1/messages', 'sk-a', 'claude-x'],
      ['https://up/anthropic/v1/messages', 'sk-n', 'near'],
      ['https://generativelanguage.googleapis.com/v1beta/openai/chat/completions', 'Bearer sk-g', 'gemini-3'],
    ]);
  });

  test('boxes are spoken to as the client speaks', async () => {
    const stage = stageOf(boxes(['a', `{ ai: { name: up, provider: ${custom('completions')}${at} } }`]), {
      a: message,
      up: message,
    });
    await stage.read('/v1/messages', { body: messagesBody });
    expect(stage.sent.map(({ url }) => url)).toEqual(['http://a:11434/v1/messages']);
  });

  describe('a custom server without a credential, which may be Ollama', () => {
    const open = (provider = custom('completions'), answer: Answer = completion) =>
      stageOf(boxes([`{ ai: { name: up, provider: ${provider}${at} } }`]), { up: answer });

    test('is spoken to in its formats until a probe has found Ollama there', async () => {
      const stage = open();
      const first = await stage.read('/v1/messages', { body: messagesBody });
      expect(JSON.parse(first.text)).toMatchObject({ type: 'message', content: [{ type: 'text', text: 'hi' }] });
      stage.herd.know('up', { isBox: true });
      stage.script = () => message;
      await stage.read('/v1/messages', { body: messagesBody });
      expect(sentBy(stage)).toEqual([
        ['http://up:1/v1/chat/completions', ['model', 'max_tokens', 'messages']],
        ['http://up:1/v1/messages', ['model', 'max_tokens', 'messages']],
      ]);
    });

    test('errors come back in the words of the client from the first call on', async () => {
      const stage = open(custom('completions'), json({ error: { message: 'slow down', type: 'rate_limit' } }, 429));
      const { status, text } = await stage.read('/v1/messages', { body: messagesBody });
      const error = { type: 'rate_limit_error', message: 'slow down' };
      expect([status, JSON.parse(text)]).toEqual([429, { type: 'error', error }]);
    });

    test('its model is asked for, on its own path, also where the client leaves /v1 out', async () => {
      const stage = open('{ custom: { model: qwen3, formats: [{ type: completions, path: /chat }] } }');
      await stage.read('/v1/chat/completions', { body: chatBody });
      await stage.read('/chat/completions', { body: chatBody });
      stage.herd.know('up', { isBox: true });
      await stage.read('/v1/chat/completions', { body: chatBody });
      expect(stage.sent.map(({ url, text }) => [url, JSON.parse(text ?? '').model])).toEqual([
        ['http://up:1/chat', 'qwen3'],
        ['http://up:1/chat', 'qwen3'],
        ['http://up:1/v1/chat/completions', 'm'],
      ]);
      expect((await stage.read('/chat/completions', { body: chatBody })).status).toBe(404);
    });

    test('its model is asked for among several, too', async () => {
      const provider = '{ custom: { model: qwen3, formats: [{ type: completions }] } }';
      const stage = stageOf(boxes([`{ ai: { name: up, provider: ${provider}${at} } }`, 'a']), { up: completion });
      await stage.read('/v1/chat/completions', { body: chatBody });
      expect(JSON.parse(stage.sent[0]?.text ?? '').model).toBe('qwen3');
    });

    test('counts tokens itself where it says so', async () => {
      const stage = open(custom('messages', 'anthropicTokenCount'), json({ input_tokens: 5 }));
      const counted = await stage.read('/v1/messages/count_tokens', { body: messagesBody });
      expect([counted.text, stage.sent.length]).toEqual(['{"input_tokens":5}', 1]);
      stage.herd.know('up', { isBox: true });
      const guessed = await stage.read('/v1/messages/count_tokens', { body: messagesBody });
      expect([guessed.headers.get('x-corral-estimated'), stage.sent.length]).toEqual(['true', 1]);
    });

    test("Ollama's own protocol goes there as it is: no format stands for it", async () => {
      const stage = open();
      expect((await stage.read('/api/chat', { body: chatBody })).status).toBe(200);
      expect(stage.sent[0]?.url).toBe('http://up:1/api/chat');
    });

    test('what guards boxes guards it before anybody knows', async () => {
      const stage = open();
      const pull = await stage.read('/api/pull', { body: { model: 'm' } });
      const unknown = await stage.read('/api/new', { body: {} });
      const cloud = await stage.read('/v1/chat/completions', { body: { ...chatBody, model: 'big:cloud' } });
      expect([pull.status, unknown.status, cloud.status]).toEqual([403, 404, 403]);
      expect(stage.sent).toEqual([]);
      const headers = { authorization: 'Bearer mine', cookie: 'a=b' };
      await stage.read('/v1/chat/completions', { body: chatBody, headers });
      expect(stage.sent[0]?.headers).not.toHaveProperty('authorization');
      expect(stage.sent[0]?.headers).not.toHaveProperty('cookie');
      expect(stage.sent[0]?.headers).toMatchObject({ 'x-corral-via': 'corral-1' });
    });

    test('a policy cannot make a model of the cloud of a call, either', async () => {
      const route = `{ ai: { transformations: { model: '"big:cloud"' } } }`;
      const stage = stageOf(boxes([`{ ai: { name: up, provider: ${custom('completions')}${at} } }`], { route }), {
        up: completion,
      });
      const { status } = await stage.read('/v1/chat/completions', { body: chatBody });
      expect([status, stage.sent]).toEqual([403, []]);
    });

    test('with openAI as its provider it is taken for a box at once', async () => {
      const stage = open('{ openAI: {} }', message);
      await stage.read('/v1/messages', { body: messagesBody });
      expect(stage.sent[0]?.url).toBe('http://up:1/v1/messages');
    });
  });

  test.each([
    [
      backend('{ anthropic: {} }'),
      '/v1/responses',
      responsesBody,
      'from responses to provider anthropic (supported: messages, anthropicTokenCount)',
    ],
    [backend('{ anthropic: {} }'), '/v1/embeddings', { model: 'm', input: 'x' }, 'from embeddings to provider anthropic'],
    [backend('{ anthropic: {} }'), '/v1/completions', { model: 'm', prompt: 'x' }, 'to provider anthropic'],
    [
      backend(custom('completions'), at),
      '/v1/embeddings',
      { model: 'm', input: 'x' },
      'from embeddings to provider custom (supported: completions); what works with this upstream: POST /v1/chat/completions, /v1/messages, /v1/responses',
    ],
    [
      backend(custom('responses'), at),
      '/v1/chat/completions',
      chatBody,
      'from completions to provider custom (supported: responses); what works with this upstream: POST /v1/responses',
    ],
    [
      backend('{ openAI: {} }'),
      '/api/chat',
      chatBody,
      'to provider openai (supported: completions, responses, embeddings); what works with this upstream: POST /v1/chat/completions, /v1/messages, /v1/responses, /v1/embeddings',
    ],
    [
      backend('{ anthropic: {} }'),
      '/v1/responses',
      { model: 'm', input: 'x' },
      'to provider anthropic (supported: messages, anthropicTokenCount); what works with this upstream: POST /v1/chat/completions, /v1/messages"',
    ],
  ])('what cannot be translated is refused: %#', async (yaml, path, body, words) => {
    const stage = over(yaml, json({}));
    const { status, text } = await stage.read(path, { body });
    expect([status, stage.sent]).toEqual([400, []]);
    expect(text).toContain(`unsupported conversion: `);
    expect(text).toContain(words);
  });

  test('Ollama behind a lock is spoken to as the client speaks', async () => {
    const stage = over(backend('{ openAI: {} }', at), json({}));
    expect((await stage.read('/api/chat', { body: chatBody })).status).toBe(200);
    expect(stage.sent[0]?.url).toBe('http://up:1/api/chat');
  });

  test('another upstream may speak what this one does not', async () => {
    const yaml = boxes([
      `{ ai: { groups: [{ providers: [{ name: one, hostOverride: "one:1", provider: ${custom('responses')}, ${auth} }] }, { providers: [{ name: up${at}, provider: ${custom('completions')}, ${auth} }] }] } }`,
    ]);
    const stage = over(yaml, completion);
    expect((await stage.read('/v1/chat/completions', { body: chatBody })).status).toBe(200);
    expect(stage.sent.map(({ url }) => url)).toEqual(['http://up:1/v1/chat/completions']);
  });
});

describe('what Anthropic wants of a request', () => {
  const ask = async (yaml: string, headers: Record<string, string>) => {
    const stage = over(yaml, message);
    await stage.read('/v1/messages', { body: messagesBody, headers });
    return stage.sent[0]?.headers ?? {};
  };
  const bare = boxes(['{ ai: { name: up, provider: { anthropic: {} } } }']);

  test('the key where it is looked for, the version, and nothing of browsers', async () => {
    const headers = await ask(backend('{ anthropic: {} }'), { 'sec-fetch-mode': 'cors', 'anthropic-beta': 'b' });
    expect(headers).toMatchObject({ 'x-api-key': 'sk-up', 'anthropic-version': '2023-06-01', 'anthropic-beta': 'b' });
    expect(Object.keys(headers).filter((name) => /^(authorization|origin|sec-|access-control)/.test(name))).toEqual([]);
  });

  test("the client's version stays", async () => {
    expect(await ask(backend('{ anthropic: {} }'), { 'anthropic-version': '2024-01-01' })).toMatchObject({
      'anthropic-version': '2024-01-01',
    });
  });

  test("a client's own key is moved as well, a token of OAuth stays", async () => {
    expect(await ask(bare, { authorization: 'Bearer sk-mine' })).toMatchObject({ 'x-api-key': 'sk-mine' });
    const headers = await ask(bare, { authorization: 'Bearer sk-ant-oat01-x', 'x-api-key': 'y' });
    expect([headers.authorization, headers['x-api-key']]).toEqual(['Bearer sk-ant-oat01-x', undefined]);
  });

  test('a key stays where the configuration puts it', async () => {
    const place = '{ header: { name: Authorization, prefix: "Bearer " } }';
    const yaml = boxes([
      `{ ai: { name: up, provider: { anthropic: {} } }, policies: { backendAuth: { key: { value: sk-up, location: ${place} } } } }`,
    ]);
    const headers = await ask(yaml, {});
    expect([headers.authorization, headers['x-api-key']]).toEqual(['Bearer sk-up', undefined]);
  });
});

describe('answers come back in the words of the client', () => {
  test('whole, with what was lost on the way', async () => {
    const stage = over(backend(custom('completions'), at), completion);
    const { text, headers } = await stage.read('/v1/messages', { body: { ...messagesBody, top_k: 3 } });
    expect(JSON.parse(text)).toMatchObject({ type: 'message', content: [{ type: 'text', text: 'hi' }] });
    expect(headers.get('x-corral-warning')).toMatch(/top_k/);
  });

  test('streamed, and counted', async () => {
    const usage = { prompt_tokens: 7, completion_tokens: 3 };
    const stage = over(backend(custom('completions'), at), stream(chatStream([{ content: 'hi' }], { usage })));
    const { text, headers } = await stage.read('/v1/messages', { body: { ...messagesBody, stream: true } });
    expect(headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
    expect(parseSse(text).at(-1)?.event).toBe('message_stop');
    expect(stage.told[0]?.exchange).toMatchObject({
      outcome: 'completed',
      usage: { inputTokens: 7, outputTokens: 3 },
      responseModel: 'm',
    });
    expect(JSON.parse(stage.sent[0]?.text ?? '')).toMatchObject({ stream: true, stream_options: { include_usage: true } });
  });

  test('errors keep their status, in the shape that the client expects', async () => {
    const stage = over(backend(custom('completions'), at), json({ error: { message: 'slow down', type: 'rate_limit' } }, 429));
    const { status, text } = await stage.read('/v1/messages', { body: messagesBody });
    expect([status, JSON.parse(text)]).toEqual([
      429,
      { type: 'error', error: { type: 'rate_limit_error', message: 'slow down' } },
    ]);
  });

  test('where nothing is translated an error passes as it came', async () => {
    const words = '{"error": {"message":"slow down"},   "x":1}';
    const stage = over(backend('{ openAI: {} }', at), {
      status: 429,
      headers: { 'content-type': 'application/json' },
      body: words,
    });
    expect((await stage.read('/v1/chat/completions', { body: chatBody })).text).toBe(words);
  });

  test.each([
    ['/v1/messages', { ...messagesBody, stream: true }, 'error'],
    ['/v1/responses', { ...responsesBody, stream: true }, 'response.failed'],
  ])('a stream that breaks ends in an error: %s', async (path, body, event) => {
    for (const ends of ['clean', 'broken'] as const) {
      const stage = over(backend(custom('completions'), at), { ...stream(recordedText('crash-v1-chat-stream')), ends });
      const { text } = await stage.read(path, { body });
      expect(parseSse(text).at(-1)?.event).toBe(event);
      expect(stage.told[0]?.exchange.outcome).toBe('broken');
    }
  });

  test('a stream that cannot be read ends in an error, and is known as failed', async () => {
    const stage = over(
      backend(custom('completions'), at),
      stream(`${chatStream([{ content: 'a' }]).slice(0, 200)}data: {half\n\n`),
    );
    const { text } = await stage.read('/v1/responses', { body: { ...responsesBody, stream: true } });
    const last = parseSse(text).at(-1)?.json as { type: string; response: { id: string } };
    expect([last.type, last.response.id]).toEqual(['response.failed', 'resp_1']);
    expect(stage.told[0]?.exchange).toMatchObject({ outcome: 'failed', error: { code: 'unreadable_answer' } });
  });

  test('an answer that is none is a 502', async () => {
    const stage = over(backend(custom('completions'), at), json({ hello: 1 }));
    const { status, text } = await stage.read('/v1/messages', { body: messagesBody });
    expect([status, JSON.parse(text).error.details]).toEqual([502, { error_code: 'unreadable_answer' }]);
  });
});

describe('chat completions that are not translated', () => {
  test('are asked for usage, which is taken out again unless the client wants it', async () => {
    const usage = { prompt_tokens: 7, completion_tokens: 3 };
    const stage = over(backend('{ openAI: {} }', at), stream(chatStream([{ content: 'hi' }], { usage })));
    const { text } = await stage.read('/v1/chat/completions', { body: { ...chatBody, stream: true } });
    expect(JSON.parse(stage.sent[0]?.text ?? '').stream_options).toEqual({ include_usage: true });
    expect([text.includes('prompt_tokens'), stage.told[0]?.exchange.usage]).toEqual([
      false,
      { inputTokens: 7, outputTokens: 3, estimated: false },
    ]);
    const body = { ...chatBody, stream: true, stream_options: { include_usage: true } };
    expect((await stage.read('/v1/chat/completions', { body })).text).toContain('prompt_tokens');
  });

  test('what Ollama would not read stays as it is', async () => {
    const stage = over(backend('{ openAI: {} }', at), completion);
    await stage.read('/v1/chat/completions', { body: { ...chatBody, max_completion_tokens: 5, tool_choice: 'none' } });
    expect(JSON.parse(stage.sent[0]?.text ?? '')).toEqual({ ...chatBody, max_completion_tokens: 5, tool_choice: 'none' });
  });

  test("OpenAI's own models know the limit by its newer name", async () => {
    const limitOf = async (yaml: string, model: string, path = '/v1/chat/completions', body: object = chatBody) => {
      const stage = over(yaml, completion);
      await stage.read(path, { body: { ...body, model, max_tokens: 5 } });
      const { max_tokens, max_completion_tokens } = JSON.parse(stage.sent[0]?.text ?? '');
      return [max_tokens, max_completion_tokens];
    };
    const own = backend('{ openAI: {} }');
    expect(await limitOf(own, 'gpt-5.1')).toEqual([undefined, 5]);
    expect(await limitOf(own, 'o4-mini')).toEqual([undefined, 5]);
    expect(await limitOf(own, 'gpt-5.1', '/v1/messages', messagesBody)).toEqual([undefined, 5]);
    expect(await limitOf(own, 'omni')).toEqual([5, undefined]);
    expect(await limitOf(backend('{ openAI: {} }', at), 'gpt-oss:20b')).toEqual([5, undefined]);
  });

  test('a beta of Anthropic’s is not asked of others', async () => {
    const stage = over(backend(custom('completions'), at), completion);
    await stage.read('/v1/messages?beta=true', { body: messagesBody });
    const same = over(backend('{ anthropic: {} }'), message);
    await same.read('/v1/messages?beta=true', { body: messagesBody });
    expect([stage.sent[0]?.url, same.sent[0]?.url]).toEqual([
      'http://up:1/v1/chat/completions',
      'https://api.anthropic.com/v1/messages?beta=true',
    ]);
  });
});
