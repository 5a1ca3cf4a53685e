import { describe, expect, test } from 'vitest';
import { GatewayError } from '../../../src/errors.ts';
import { runner } from './fake-herd.ts';
import { type Answer, client, createStage, type Script, type StageOptions, textBeforeCut } from './stage.ts';

const box = (name: string, model = '') =>
  `{ ai: { name: ${name}, hostOverride: "${name}:11434", provider: { openAI: {${model === '' ? '' : ` model: ${model}`}} } } }`;

function boxes(names: readonly string[], { listener = '{}', route = '{}', more = '' } = {}): string {
  return `
binds:
  - port: 3000
    listeners:
      - policies: ${listener}
        routes:
          - policies: ${route}
            backends: [${names.map((name) => (name.startsWith('{') ? name : box(name))).join(', ')}]
${more}`;
}

const chat = (model?: string, more: object = {}) => ({
  body: { ...(model === undefined ? {} : { model }), messages: [], ...more },
});
const json = (body: object, status = 200): Answer => ({
  status,
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(body),
});
const missing = (model: string) => json({ error: `model '${model}' not found` }, 404);

/** By host name of the upstream. */
function byHost(answers: Readonly<Record<string, Answer | GatewayError | 'never'>>): Script {
  return ({ url }) => answers[new URL(url).hostname] ?? new GatewayError('upstream_unresolved', 'no such host');
}

function stageOf(yaml: string, answers: Parameters<typeof byHost>[0] = {}, options: StageOptions = {}) {
  return createStage(yaml, { script: byHost(answers), ...options });
}

const keys = (...list: string[]) => `{ apiKey: { keys: [${list.join(', ')}] } }`;
const as = (key: string) => ({ headers: { authorization: `Bearer ${key}` } });

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
    expect((await stage.read('/v1/chat/completions', { ...chat(model), ...as('k') })).status).toBe(status);
    expect(stage.sent).toHaveLength(status === 200 ? 1 : 0);
  });

  test('on show too, whichever member names the model', async () => {
    const stage = stageOf(locked(['a']), { a: json({}) });
    const statusOf = async (body: object) => (await stage.read('/api/show', { body, ...as('k') })).status;
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
    expect((await stage.read('/v1/chat/completions', { ...chat(), ...as('k') })).status).toBe(503);
    stage.herd.know('a', { isAlive: false });
    expect((await stage.read('/v1/chat/completions', { ...chat(), ...as('k') })).status).toBe(503);
    expect((await stage.read('/v1/chat/completions', { ...chat(), ...as('none') })).status).toBe(403);
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
    expect((await stage.read('/v1/chat/completions', { ...chat('fast'), ...as('k') })).status).toBe(200);
    expect((await stage.read('/v1/chat/completions', { ...chat('big'), ...as('k') })).status).toBe(403);
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
    expect((await locked.read('/v1/chat/completions', { ...chat('demo'), ...as('k') })).status).toBe(403);
  });

  test('stands in the lists while it answers', async () => {
    const stage = stageOf(boxes(['a']), {}, { hasDemo: true });
    const ids = async () => JSON.parse((await stage.read('/v1/models')).text).data.map(({ id }: { id: string }) => id);
    expect(await ids()).toEqual(['demo']);
    stage.herd.know('a', { isAlive: true, models: ['m:latest'] });
    expect(await ids()).toEqual(['m:latest']);
  });
});

describe('lists', () => {
  const yaml = boxes(['a', 'b'], {
    listener: keys('{ key: all }', '{ key: some, allowedModels: ["llama*", fast] }', '{ key: none, allowedModels: [] }'),
    route: '{ ai: { modelAliases: { fast: "llama3.2:1b", "gpt-*": x, cheap: "qwen3:cloud" } } }',
  });

  function herdOf() {
    const stage = stageOf(yaml);
    stage.herd.know('a', { models: ['llama3.2:1b', 'mistral:latest'], running: [runner('mistral:latest')] });
    stage.herd.know('b', {
      models: ['llama3.2:1b', 'qwen3:cloud', 'hidden'],
      remote: ['hidden'],
      running: [runner('llama3.2:1b')],
    });
    return stage;
  }

  const namesOf = async (key: string, path: string, headers: Record<string, string> = {}) => {
    const { text } = await herdOf().read(path, { headers: { ...as(key).headers, ...headers } });
    const body = JSON.parse(text) as { data?: { id: string }[]; models?: { name: string }[] };
    return (body.data?.map(({ id }) => id) ?? body.models?.map(({ name }) => name) ?? []).sort();
  };

  test.each(['/v1/models', '/api/tags'])('%s: the union, aliases, nothing of the cloud', async (path) => {
    expect(await namesOf('all', path)).toEqual(['cheap', 'fast', 'llama3.2:1b', 'mistral:latest']);
  });

  test.each(['/v1/models', '/api/tags'])('%s: a key sees what it may use', async (path) => {
    expect(await namesOf('some', path)).toEqual(['fast', 'llama3.2:1b']);
    expect(await namesOf('none', path)).toEqual([]);
  });

  test('Anthropic’s clients get their own shape', async () => {
    const { text } = await herdOf().read('/v1/models?limit=1', {
      headers: { ...as('some').headers, 'anthropic-version': '2023-06-01' },
    });
    expect(JSON.parse(text)).toMatchObject({ data: [{ type: 'model', id: 'llama3.2:1b' }], has_more: true });
  });

  test('what runs, as far as the key may see', async () => {
    expect(await namesOf('all', '/api/ps')).toEqual(['llama3.2:1b', 'mistral:latest']);
    expect(await namesOf('some', '/api/ps')).toEqual(['llama3.2:1b']);
  });

  test('nothing known is an empty list, not an error; no box is asked while a client waits', async () => {
    const stage = stageOf(boxes(['a']));
    expect((await stage.read('/v1/models')).text).toBe('{"object":"list","data":[]}\n');
    expect((await stage.read('/api/tags')).text).toBe('{"models":[]}');
    expect(stage.sent).toEqual([]);
    expect(stage.herd.learned).toBe(2);
  });

  test('one model, by any spelling; aliases too; else the names that the key may see', async () => {
    const stage = herdOf();
    const ask = (id: string, key: string) => stage.read(`/v1/models/${id}`, as(key));
    expect(JSON.parse((await ask('MISTRAL', 'all')).text)).toMatchObject({ id: 'MISTRAL', object: 'model' });
    expect((await ask('fast', 'some')).status).toBe(200);
    const { status, text } = await ask('mistral', 'some');
    expect(status).toBe(404);
    expect(text).toContain('llama3.2:1b');
    expect(text).toContain('fast');
    expect(text).not.toContain('mistral:latest');
  });

  test('a route to other hosts alone passes the question on', async () => {
    const other = `{ ai: { name: a, hostOverride: "a:1", provider: { openAI: {} } }, policies: { backendAuth: { key: k } } }`;
    const stage = stageOf(boxes([other]), { a: json({ data: [] }) });
    await stage.read('/v1/models?x=1');
    expect(stage.sent.map(({ url }) => url)).toEqual(['http://a:1/v1/models?x=1']);
  });

  test('llm lists what its entries take', async () => {
    const stage = stageOf(`llm:
  models:
    - { name: "llama*", provider: ollama }
    - { name: fast, provider: ollama, params: { model: "qwen3:0.6b" } }
    - { name: "qwen*", visibility: internal, provider: ollama }
  virtualModels: [{ name: smart, routing: { weighted: { targets: [{ model: llama3.2 }] } } }]`);
    stage.herd.know('ollama', { models: ['llama3.2:latest', 'qwen3:0.6b', 'mistral:latest'] });
    const { text } = await stage.read('/v1/models');
    expect(JSON.parse(text).data.map(({ id }: { id: string }) => id)).toEqual(['llama3.2:latest', 'fast', 'smart']);
  });
});

describe('management (decision 7)', () => {
  const admin = '{ key: admin, metadata: { scopes: [admin] } }';
  const yaml = (names: readonly string[], more = '') => boxes(names, { listener: keys('{ key: k }', admin), more });
  const pull = { method: 'POST', body: { model: 'm' } };
  const ok = { a: json({ status: 'success' }), b: json({ status: 'success' }) };

  test('needs the admin scope', async () => {
    const stage = stageOf(yaml(['a']), ok);
    const refused = await stage.read('/api/pull', { ...pull, ...as('k') });
    expect(refused.status).toBe(403);
    expect(JSON.parse(refused.text).error).toContain('scopes: [admin]');
    expect(stage.sent).toEqual([]);
    expect((await stage.read('/api/pull', { ...pull, ...as('admin') })).status).toBe(200);
    expect(stage.sent.map(({ url, text }) => [url, text])).toEqual([['http://a:11434/api/pull', '{"model":"m"}']]);
  });

  test('CORRAL_ADMIN_TOKEN is such a key', async () => {
    const stage = stageOf(yaml(['a']), ok, { adminToken: 'root' });
    expect((await stage.read('/api/pull', { ...pull, ...as('root') })).status).toBe(200);
  });

  test.each(['/api//pull', '/API/pull', '/api/pull/', '/api/%70ull', '/x/../api/pull', '/api/pull;x'])(
    '%s is the same path, and an administrator is told its spelling',
    async (path) => {
      const stage = stageOf(yaml(['a']), ok);
      expect((await stage.read(path, { ...pull, ...as('k') })).status).toBe(403);
      const { status } = await stage.read(path, { ...pull, ...as('admin') });
      // What the URL parser makes of it may already be the plain spelling.
      expect(status).toBe(new URL(`http://h${path}`).pathname === '/api/pull' ? 200 : 404);
    },
  );

  test('what follows the stem goes along', async () => {
    const stage = stageOf(yaml(['a']), ok);
    await stage.read('/api/blobs/sha256:abc', { method: 'POST', body: 'bytes', ...as('admin') });
    expect(stage.sent.map(({ url, text }) => [url, text])).toEqual([['http://a:11434/api/blobs/sha256:abc', 'bytes']]);
  });

  test('on a herd the box must be named', async () => {
    const stage = stageOf(yaml(['a', 'b']), ok);
    const { status, text } = await stage.read('/api/pull', { ...pull, ...as('admin') });
    expect(status).toBe(409);
    expect(JSON.parse(text).error).toBe('name the box that is meant in the header x-corral-box: a, b');
    const named = (name: string) =>
      stage.read('/api/pull', { ...pull, headers: { ...as('admin').headers, 'x-corral-box': name } });
    expect((await named('c')).status).toBe(409);
    expect((await named('b')).status).toBe(200);
    expect(stage.sent.map(({ url }) => url)).toEqual(['http://b:11434/api/pull']);
  });

  test('neither an opened path nor ai.routes opens it to everybody', async () => {
    const opened = stageOf(yaml(['a'], 'fleet: { openPaths: ["POST /api/pull", "POST /api/new"] }'), ok);
    expect((await opened.read('/api/pull', { ...pull, ...as('k') })).status).toBe(403);
    expect((await opened.read('/api/new', { ...pull, ...as('k') })).status).toBe(200);
    const routed = stageOf(
      boxes(['a'], {
        listener: keys('{ key: k }'),
        route: '{ ai: { routes: { "*": passthrough } } }',
        more: 'fleet: { openPaths: ["POST /api/pull"] }',
      }),
      ok,
    );
    expect((await routed.read('/api/pull', { ...pull, ...as('k') })).status).toBe(403);
    expect(routed.sent).toEqual([]);
  });

  test('under a prefix that is rewritten away', async () => {
    const yamlText = `
binds:
  - port: 3000
    listeners:
      - policies: ${keys('{ key: k }', admin)}
        routes:
          - matches: [{ path: { pathPrefix: /ollama } }]
            policies: { urlRewrite: { path: { prefix: / } } }
            backends: [${box('a')}]`;
    const stage = stageOf(yamlText, ok);
    expect((await stage.read('/ollama/api/pull', { ...pull, ...as('k') })).status).toBe(403);
    expect((await stage.read('/ollama/api/pull', { ...pull, ...as('admin') })).status).toBe(200);
    expect(stage.sent.map(({ url }) => url)).toEqual(['http://a:11434/api/pull']);
  });
});

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

describe('passing through', () => {
  const host = (name: string) => `{ host: "${name}:1" }`;
  const refusedFirst = { a: new GatewayError('upstream_refused', 'refused'), b: json({}) };

  test('a body streams, so it is sent once; without a body the next one is asked', async () => {
    const stage = stageOf(boxes([host('a'), host('b')]), refusedFirst, { random: () => 0.5 });
    expect((await stage.read('/x', { body: 'once' })).status).toBe(503);
    expect((await stage.read('/x')).status).toBe(200);
    expect(stage.sent.map(({ url, text }) => [new URL(url).hostname, text])).toEqual([
      ['a', 'once'],
      ['a', undefined],
      ['b', undefined],
    ]);
  });

  test('a retry policy keeps the body, its coding too', async () => {
    const stage = stageOf(boxes([host('a'), host('b')], { route: '{ retry: { codes: [503] } }' }), refusedFirst);
    const before = stage.budgetLeft();
    const { status } = await stage.read('/x', { body: 'twice', headers: { 'content-encoding': 'x-own' } });
    expect(status).toBe(200);
    expect(stage.sent.map(({ text, headers }) => [text, headers['content-encoding']])).toEqual([
      ['twice', 'x-own'],
      ['twice', 'x-own'],
    ]);
    expect(stage.budgetLeft()).toBe(before);
  });

  test('weights of backends of different kinds', async () => {
    const draws = [0.0, 0.74, 0.76];
    const yaml = boxes([host('a').replace('{', '{ weight: 3,'), box('b').replace('{', '{ weight: 1,')]);
    const stage = stageOf(yaml, { a: json({}), b: json({}) }, { random: () => draws.shift() ?? 0 });
    for (const _ of [1, 2, 3]) await stage.read('/v1/chat/completions', chat('m'));
    expect(stage.sent.map(({ url }) => new URL(url).hostname)).toEqual(['a', 'a', 'b']);
  });

  test('nothing to choose from: 500', async () => {
    expect((await stageOf(boxes([])).read('/x')).text).toBe('no valid backends');
    expect((await stageOf(boxes([host('a').replace('{', '{ weight: 0,')])).read('/x')).status).toBe(500);
  });
});

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
    const { text } = await stage.read('/v1/chat/completions', { ...chat('m'), ...as('k') });
    expect(text).toContain('mistral:latest');
    expect(text).not.toContain('secret');
    expect(text).not.toContain('m:cloud');
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

  test('the boxes that could not be asked are told too', async () => {
    const stage = stageOf(boxes(['a', 'b']), { a: new GatewayError('upstream_refused', 'refused'), b: missing('m') });
    const { status, text } = await stage.read('/v1/chat/completions', chat('m'));
    expect(status).toBe(404);
    expect(JSON.parse(text).error.message).toMatch(/pull it: `ollama pull m`\. a refused the connection/);
  });
});

describe('nobody answers', () => {
  test('each box once, by name, with the mend', async () => {
    const stage = stageOf(boxes(['a', 'b'], { route: '{ retry: { attempts: 3, codes: [503] } }' }), {
      a: new GatewayError('upstream_refused', 'refused'),
    });
    const { status, text } = await stage.read('/v1/chat/completions', chat('m'));
    expect(status).toBe(503);
    const { message } = JSON.parse(text).error;
    expect(message.match(/a refused the connection/g)).toHaveLength(1);
    expect(message.match(/b was not found/g)).toHaveLength(1);
    expect(message).not.toContain('http://');
  });

  test('another host is told in fewer words', async () => {
    const { text } = await stageOf(boxes(['{ host: "a:1" }']), {
      a: new GatewayError('upstream_refused', 'connection refused'),
    }).read('/x');
    expect(text).toBe('a:1: connection refused');
  });

  test('at most four are told of', async () => {
    const stage = stageOf(boxes(['a', 'b', 'c', 'd', 'e']));
    const { text } = await stage.read('/v1/chat/completions', chat('m'));
    expect(JSON.parse(text).error.message.match(/was not found/g)).toHaveLength(4);
  });
});

describe('warnings', () => {
  test('of what Ollama drops: in the header and in the log', async () => {
    const stage = stageOf(boxes(['a']), { a: json({}) });
    const { headers } = await stage.read('/v1/chat/completions', chat('m', { n: 2 }));
    expect(headers.get('x-corral-warning')).toBe('n is not read by Ollama: there is one choice');
    expect(stage.told[0]?.exchange.warnings).toEqual(['n is not read by Ollama: there is one choice']);
  });

  test('of a model that runs on the CPU; names that no header can hold do no harm', async () => {
    const stage = stageOf(boxes(['{ ai: { name: "Büro 🦙\\nx: y", hostOverride: "a:1", provider: { openAI: {} } } }']), {
      a: json({}),
    });
    stage.herd.know('Büro 🦙\nx: y', { running: [runner('m', 500)] });
    const { status, headers } = await stage.read('/v1/chat/completions', chat('m'));
    expect(status).toBe(200);
    expect(headers.get('x-corral-warning')).toBe('slow: m runs 50% on the CPU of B?ro ??x: y; a smaller model would be faster');
    expect(stage.told[0]?.exchange.warnings[0]).toContain('Büro 🦙');
  });

  test('a model in GPU memory is not slow', async () => {
    const stage = stageOf(boxes(['a']), { a: json({}) });
    stage.herd.know('a', { running: [runner('m', 1000)] });
    expect((await stage.read('/v1/chat/completions', chat('m'))).headers.has('x-corral-warning')).toBe(false);
  });
});

describe('streams', () => {
  const event = (text: string) => `data: {"model":"m","choices":[{"delta":{"content":"${text}"}}]}\n\n`;
  const usage = 'data: {"model":"m","choices":[],"usage":{"prompt_tokens":7,"completion_tokens":2}}\n\n';
  const done = 'data: [DONE]\n\n';
  const sse = (body: readonly string[], ends: Answer['ends'] = 'clean'): Answer => ({
    headers: { 'content-type': 'text/event-stream' },
    body,
    ends,
  });
  const asked = chat('m', { stream: true });

  test('usage is asked for, learned, and taken out again', async () => {
    const stage = stageOf(boxes(['a']), { a: sse([event('x'), event('y'), usage, done]) });
    const { text } = await stage.read('/v1/chat/completions', asked);
    expect(text).toBe(event('x') + event('y') + done);
    expect(JSON.parse(stage.sent[0]?.text ?? '').stream_options).toEqual({ include_usage: true });
    expect(stage.told[0]?.exchange).toMatchObject({
      outcome: 'completed',
      usage: { inputTokens: 7, outputTokens: 2, estimated: false },
      responseModel: 'm',
    });
  });

  test('a client that asked for it gets it', async () => {
    const stage = stageOf(boxes(['a']), { a: sse([event('x'), usage, done]) });
    const { text } = await stage.read(
      '/v1/chat/completions',
      chat('m', { stream: true, stream_options: { include_usage: true } }),
    );
    expect(text).toBe(event('x') + usage + done);
  });

  test('without it the events are counted', async () => {
    const stage = stageOf(boxes(['a']), { a: sse([event('x'), event('y'), event('z'), done]) });
    await stage.read('/v1/chat/completions', asked);
    expect(stage.told[0]?.exchange.usage).toEqual({ inputTokens: 0, outputTokens: 3, estimated: true });
  });

  test.each(['clean', 'broken'] as const)(
    'one that stops short (%s) ends with an error and without the end’s mark',
    async (ends) => {
      const stage = stageOf(boxes(['a']), { a: sse([event('x')], ends) });
      const { text, isCut } = await textBeforeCut(await stage.ask('/v1/chat/completions', asked));
      expect(text.startsWith(event('x'))).toBe(true);
      expect(text).toContain('"code":"broken_stream"');
      expect(text).not.toContain('[DONE]');
      expect(isCut || text.endsWith('\n\n')).toBe(true);
      expect(stage.told.map(({ exchange }) => [exchange.outcome, exchange.error?.code])).toEqual([['broken', 'broken_stream']]);
    },
  );

  test('a client that leaves ends the generation', async () => {
    const stage = stageOf(boxes(['a']), { a: sse([event('x')], 'silent') });
    const response = await stage.ask('/v1/chat/completions', asked);
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    await reader.read();
    expect(stage.herd.inFlight(stage.plan.upstreams[0] as never)).toBe(1);
    await reader.cancel();
    expect(stage.sent[0]?.isAborted).toBe(true);
    expect(stage.told.map(({ exchange }) => exchange.outcome)).toEqual(['abandoned']);
    expect(stage.herd.inFlight(stage.plan.upstreams[0] as never)).toBe(0);
  });

  test('silence: a box that answers its probe is waited for, a dead one is not', async () => {
    const stage = stageOf(boxes(['a']), { a: sse([event('x')], 'silent') });
    const response = await stage.ask('/v1/chat/completions', asked);
    const ending = textBeforeCut(response);
    await stage.clock.advance(120_000);
    expect(stage.told).toEqual([]);
    expect(stage.herd.probed.length).toBeGreaterThan(2);
    stage.herd.know('a', { answersProbe: false });
    await stage.clock.advance(32_000);
    expect((await ending).text).toContain('broken_stream');
    expect(stage.told.map(({ exchange }) => exchange.outcome)).toEqual(['broken']);
    expect(stage.clock.pending).toBe(0);
  });
});

test('HEAD of a probe: headers alone, and that is a whole answer', async () => {
  const stage = stageOf(boxes(['a']), {
    a: { headers: { 'content-type': 'application/json', 'content-length': '20' }, body: '' },
  });
  const { status, text } = await stage.read('/api/version', { method: 'HEAD' });
  expect([status, text]).toEqual([200, '']);
  expect(stage.told.map(({ exchange }) => exchange.outcome)).toEqual(['completed']);
});

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
