/** What must stay shut whatever policies stand together: each of these was open once. */
import { describe, expect, it } from 'vitest';
import { client, createStage, type Sent } from './stage.ts';

const chat = { model: 'm', messages: [{ role: 'user', content: 'Hello' }] };
const box = [{ ai: { name: 'desk', hostOverride: 'desk:1', provider: { openAI: {} } } }];

/** One route with these policies, to one box unless other backends are given. */
function yamlOf(policies: object, { backends = box, listener = {} }: { backends?: readonly object[]; listener?: object } = {}) {
  return JSON.stringify({
    binds: [{ port: 3000, listeners: [{ policies: listener, routes: [{ name: 'r', policies, backends }] }] }],
  });
}

describe('the host that a client asked for', () => {
  it('is not what a transformation has made of it, where a network stands for a key', async () => {
    const apiKey = { keys: [{ key: 'k', metadata: { name: 'lan', networks: ['192.168.0.0/16'] } }] };
    const listener = { transformations: { request: { set: { ':authority': '"localhost"' } } } };
    const stage = createStage(yamlOf({ apiKey }, { listener }));
    const ask = (host: string) => stage.read('/v1/chat/completions', { body: chat, host, client: client(3000, '192.168.1.7') });
    expect((await ask('gateway.lan')).status).toBe(200);
    const foreign = await ask('evil.example.com');
    expect([foreign.status, JSON.parse(foreign.text).error.code]).toEqual([401, 'api_key_missing']);
    expect(foreign.text).toContain('evil.example.com');
  });
});

describe('a header that a policy has set', () => {
  it.each(['transformations', 'extAuthz'])('cannot be taken away by naming it in Connection (%s)', async (name) => {
    const policies: Record<string, object> = {
      transformations: { transformations: { request: { set: { 'x-user': '"bob"' } } } },
      extAuthz: { extAuthz: { host: 'authz:1', protocol: { http: { includeResponseHeaders: ['x-user'] } } } },
    };
    const script = ({ url }: Sent) => (url.startsWith('http://authz') ? { headers: { 'x-user': 'bob' } } : {});
    const stage = createStage(yamlOf(policies[name] ?? {}, { backends: [{ host: 'up:81' }] }), { script });
    await stage.read('/x', { headers: { connection: 'x-user, x-own', 'x-user': 'root', 'x-own': '1' } });
    expect(stage.sent.at(-1)?.headers).toEqual({ 'x-user': 'bob' });
  });
});

describe('a page that csrf lets send', () => {
  const answersPages = { status: 200, headers: { 'content-type': 'application/json' }, body: '{}' };
  const stage = createStage(yamlOf({ csrf: { additionalOrigins: ['https://app.example:8443'] } }), {
    script: () => answersPages,
  });
  const ask = (origin: string, method = 'POST') =>
    stage.read('/v1/chat/completions', { method, ...(method === 'POST' && { body: chat }), headers: { origin } });

  it('may send to a route without a lock, and read nothing', async () => {
    const named = await ask('https://app.example:8443');
    expect(named.status).toBe(200);
    expect([...named.headers.keys()].filter((name) => name.startsWith('access-control'))).toEqual([]);
    const preflight = await ask('https://app.example:8443', 'OPTIONS');
    expect(preflight.headers.get('access-control-allow-origin')).toBeNull();
  });

  it('is the only one', async () => {
    for (const origin of ['https://app.example', 'http://app.example:8443', 'https://evil.example', 'null']) {
      const { status, text } = await ask(origin);
      expect([origin, status, JSON.parse(text).error.code]).toEqual([origin, 403, 'foreign_origin']);
    }
  });
});

describe('limits of routes with one name', () => {
  const answers = { directResponse: { status: 204 } };
  const tight = { localRateLimit: [{ maxTokens: 1, tokensPerFill: 1, fillInterval: '1h' }], ...answers };
  const wide = { localRateLimit: [{ maxTokens: 100, tokensPerFill: 100, fillInterval: '1s' }], ...answers };
  const at = (pathPrefix: string) => [{ path: { pathPrefix } }];

  it.each([
    ['twice in a listener', {}, { name: 'r', matches: at('/wide'), policies: wide }],
    [
      'in a group',
      { routeGroups: [{ name: 'g', routes: [{ name: 'r', matches: at('/wide'), policies: wide }] }] },
      { name: 'parent', matches: at('/wide'), backends: [{ routeGroup: 'g' }] },
    ],
  ])('are not one another: %s', async (_, more, other) => {
    const routes = [{ name: 'r', matches: at('/tight'), policies: tight }, other];
    const stage = createStage(JSON.stringify({ binds: [{ port: 3000, listeners: [{ routes }] }], ...more }));
    const statusOf = async (path: string) => (await stage.read(path)).status;
    expect([await statusOf('/tight'), await statusOf('/tight')]).toEqual([204, 429]);
    await stage.clock.advance(2_000);
    expect(await statusOf('/wide')).toBe(204);
    expect(await statusOf('/tight')).toBe(429);
  });
});

describe('what a policy of the backend makes of a try', () => {
  const edited = (set: object, more: object = {}) => [
    {
      ai: { name: 'desk', hostOverride: 'desk:1', provider: { openAI: {} } },
      policies: { transformations: { request: { set, ...more } } },
    },
  ];
  const keys = (...given: object[]) => ({ apiKey: { keys: given } });
  const codeOf = (text: string) => JSON.parse(text).error.code;
  const asking = { ':path': 'request.headers["x-path"]', ':method': 'request.headers["x-method"]' };

  it.each([
    ['DELETE', '/api/delete', 'admin_scope_required'],
    ['POST', '//API/%70ull', 'admin_scope_required'],
    ['POST', '/x/../api/push', 'admin_scope_required'],
    ['POST', '/api/generate', 'path_not_served'],
    ['POST', '/api/new-in-ollama', 'path_not_served'],
    ['GET', '/v1/chat/completions', 'path_not_served'],
  ])('is judged again: %s %s', async (method, path, code) => {
    const stage = createStage(yamlOf({}, { backends: edited(asking) }));
    const { text } = await stage.read('/v1/chat/completions', { body: chat, headers: { 'x-method': method, 'x-path': path } });
    expect(codeOf(text)).toBe(code);
    expect(stage.sent).toEqual([]);
  });

  it('may manage the box for an administrator, and may stay what it was', async () => {
    const admin = keys({ key: 'a', metadata: { scopes: ['admin'] } });
    const stage = createStage(yamlOf(admin, { backends: edited(asking) }));
    const headers = { 'x-api-key': 'a', 'x-method': 'DELETE', 'x-path': '/api/delete' };
    expect((await stage.read('/v1/chat/completions', { body: chat, headers })).status).toBe(200);
    expect((await stage.read('/v1/chat/completions', { body: chat, headers: { 'x-api-key': 'a' } })).status).toBe(200);
    expect(stage.sent.map(({ url, request }) => [request.method, url])).toEqual([
      ['DELETE', 'http://desk:1/api/delete'],
      ['POST', 'http://desk:1/v1/chat/completions'],
    ]);
  });

  const wanted = { transformations: { model: 'llmRequest.metadata.wanted' } };
  const atEnd = { finalTransformations: { MODEL: 'llmRequest.metadata.wanted' } };
  const whole = { body: '{"model": json(request.body).metadata.wanted, "messages": []}' };
  it.each([
    ['ai.transformations', { ai: wanted }, box],
    ['ai.finalTransformations', { ai: atEnd }, box],
    ['a new body', {}, edited({}, whole)],
  ])('asks for no model that the key has not got, nor for one of the cloud: %s', async (_, policies, backends) => {
    const stage = createStage(
      yamlOf({ ...policies, ...keys({ key: 'k', allowedModels: ['m', 'small*', '*-cloud'] }) }, { backends }),
    );
    const ask = (model: string) =>
      stage.read('/v1/chat/completions', { body: { ...chat, metadata: { wanted: model } }, headers: { 'x-api-key': 'k' } });
    expect(codeOf((await ask('large')).text)).toBe('model_not_allowed');
    expect(codeOf((await ask('gpt-oss:120b-cloud')).text)).toBe('cloud_model_refused');
    expect(stage.sent).toEqual([]);
    expect((await ask('small:1b')).status).toBe(200);
    expect(stage.sent[0]?.text).toMatch(/"model": ?"small:1b"/i);
  });
});

describe('a key that is limited to some models', () => {
  const policies = { apiKey: { keys: [{ key: 'k', allowedModels: ['small'] }] } };
  const headers = { 'x-api-key': 'k' };
  const vendor = [{ ai: { name: 'v', provider: { openAI: {} }, policies: { backendAuth: { key: 'sk' } } } }];

  it.each([
    ['a path that nobody here knows', {}, '/v1/images/generations'],
    ['a path that passes through', { ai: { routes: { '*': 'passthrough' } } }, '/v1/chat/completions'],
  ])('is so on %s, too', async (_, more, path) => {
    const stage = createStage(yamlOf({ ...policies, ...more }, { backends: vendor }));
    const statusFor = async (body: object | string) => (await stage.read(path, { method: 'POST', headers, body })).status;
    expect(await statusFor({ model: 'large' })).toBe(403);
    expect(await statusFor('{"model":"small","MODEL":"large"}')).toBe(403);
    expect(await statusFor('model=large')).toBe(400);
    expect(stage.sent).toEqual([]);
    expect([await statusFor({ model: 'small' }), await statusFor({ prompt: 'x' })]).toEqual([200, 200]);
    expect(stage.sent.map(({ text }) => text)).toEqual(['{"model":"small"}', '{"prompt":"x"}']);
  });
});

describe('a client that leaves', () => {
  it.each([
    ['buffer', { buffer: { response: {} } }],
    ['transformations', { transformations: { response: { body: 'response.body' } } }],
  ])('ends the answer that %s reads for it', async (_, policies) => {
    for (const type of ['text/event-stream', 'application/json']) {
      const answer = { headers: { 'content-type': type }, body: ['data: {}\n\n'], ends: 'silent' } as const;
      const stage = createStage(yamlOf(policies), { script: () => answer });
      const leaving = client();
      const asking = stage.ask('/v1/chat/completions', { body: { ...chat, stream: true }, client: leaving });
      await stage.clock.settle();
      expect([stage.sent[0]?.isAborted, stage.gateway.inFlight]).toEqual([false, 1]);
      leaving.leave();
      await stage.clock.advance(1);
      await asking;
      expect([stage.sent[0]?.isAborted, stage.gateway.inFlight]).toEqual([true, 0]);
      expect(stage.told.map(({ exchange }) => exchange.outcome)).toEqual(['abandoned']);
      expect(stage.clock.pending).toBe(0);
    }
  });
});

describe('a path that nobody here knows, at a server that is no box', () => {
  const guard = { promptGuard: { request: [{ regex: { action: 'reject', rules: [{ pattern: 'Hello' }] } }] } };
  const vendor = (openAI: object = {}) => [{ ai: { name: 'v', provider: { openAI }, policies: { backendAuth: { key: 'sk' } } } }];
  const tokens = [{ type: 'tokens', maxTokens: 1, tokensPerFill: 1, fillInterval: '1h' }];
  const statusOf = async (policies: object, backends: readonly object[], path: string) => {
    const stage = createStage(yamlOf(policies, { backends }));
    const { status } = await stage.read(path, { body: chat });
    return [status, ...stage.sent.map(({ url, text }) => `${url} ${JSON.parse(text ?? '{}').model}`)];
  };

  it('is what it looks like below /v1', async () => {
    expect(await statusOf({ ai: guard }, vendor(), '/chat/completions')).toEqual([403]);
    expect(await statusOf({}, vendor({ model: 'lock' }), '/chat/completions')).toEqual([
      200,
      'https://api.openai.com/v1/chat/completions lock',
    ]);
    expect(await statusOf({}, vendor({ model: 'lock' }), '/responses')).toEqual([
      200,
      'https://api.openai.com/v1/responses lock',
    ]);
  });

  it.each<[string, { ai?: object; localRateLimit?: object }, object[]]>([
    ['a guard', { ai: guard }, vendor()],
    ['what is always set', { ai: { overrides: { store: false } } }, vendor()],
    ['a limit of tokens', { localRateLimit: tokens }, vendor()],
    [
      'a limit of tokens for some',
      { localRateLimit: { conditional: tokens.map((one) => ({ ...one, condition: 'true' })) } },
      vendor(),
    ],
    ['the model', {}, vendor({ model: 'lock' })],
  ])('does not get round %s', async (_, policies, backends) => {
    expect(await statusOf(policies, backends, '/v1/batches')).toEqual([404]);
    const open = { ...policies, ai: { ...policies.ai, routes: { '/v1/batches': 'passthrough' } } };
    expect(await statusOf(open, backends, '/v1/batches')).toEqual([200, 'https://api.openai.com/v1/batches m']);
  });

  it('passes where nothing binds it, and without a body', async () => {
    expect(await statusOf({}, vendor(), '/v1/batches')).toEqual([200, 'https://api.openai.com/v1/batches m']);
    const stage = createStage(yamlOf({ ai: guard }, { backends: vendor() }));
    expect((await stage.read('/v1/batches')).status).toBe(200);
  });

  it('is held to its own entry among the models of llm', async () => {
    const statusFor = async (model: object, path = '/v1/images/generations') => {
      const models = [
        { name: 'm', provider: 'openAI', ...model },
        { name: 'other', provider: 'openAI', guardrails: guard.promptGuard },
      ];
      const stage = createStage(JSON.stringify({ llm: { port: 3000, models } }));
      return (await stage.read(path, { body: chat })).status;
    };
    expect(await statusFor({})).toBe(200);
    expect(await statusFor({ params: { model: 'm' } })).toBe(200);
    expect(await statusFor({ params: { model: 'cheap' } })).toBe(404);
    expect(await statusFor({ guardrails: guard.promptGuard })).toBe(404);
    expect(await statusFor({ guardrails: guard.promptGuard }, '/chat/completions')).toBe(403);
    expect(await statusFor({ guardrails: guard.promptGuard, passthrough: 'detect' })).toBe(200);
  });
});

describe('limits of tokens on two gateways that serve the same models', () => {
  it('are not one another', async () => {
    const limit = (gatewayName: string, fillInterval: string) => ({
      name: { name: gatewayName },
      target: { gateway: { gatewayName } },
      policy: { localRateLimit: [{ type: 'tokens', maxTokens: 10, tokensPerFill: 10, fillInterval }] },
    });
    const yaml = JSON.stringify({
      gateways: { tight: { port: 3000 }, wide: { port: 3001 } },
      policies: [limit('tight', '1h'), limit('wide', '1s')],
      llm: { gateways: ['tight', 'wide'], models: [{ name: '*', provider: 'openAI', params: { baseUrl: 'http://box:1/v1' } }] },
    });
    const body = '{"usage":{"prompt_tokens":50,"completion_tokens":50}}';
    const stage = createStage(yaml, { script: () => ({ headers: { 'content-type': 'application/json' }, body }) });
    const statusAt = async (port: number) => (await stage.read('/v1/chat/completions', { body: chat, port })).status;
    expect([await statusAt(3000), await statusAt(3000)]).toEqual([200, 429]);
    await stage.clock.advance(2_000);
    expect([await statusAt(3001), await statusAt(3000)]).toEqual([200, 429]);
  });
});

describe('values that are nested as deep as may be read', () => {
  const deep = `${'['.repeat(257)}${']'.repeat(257)}`;

  it.each([
    ['all headers of an answer', { transformations: { response: { replace: '{"x-a": json(request.headers["x-deep"])}' } } }, 200],
    ['all headers of a request', { transformations: { request: { replace: '{"x-a": json(request.headers["x-deep"])}' } } }, 200],
    ['a body', { directResponse: { status: 200, bodyExpression: '[json(request.headers["x-deep"])]' } }, 200],
  ])('are no faults of the gateway as %s', async (_, policies, expected) => {
    const stage = createStage(yamlOf(policies, { backends: [{ host: 'up:81' }] }));
    expect((await stage.read('/x', { headers: { 'x-deep': deep } })).status).toBe(expected);
    expect(stage.gateway.inFlight).toBe(0);
  });
});

describe('the log tells of an answer that a policy has read', () => {
  it.each([
    ['another status', { transformations: { response: { set: { ':status': '418' }, body: '"x"' } } }, 418, 'completed'],
    ['no body any more', { transformations: { response: { set: { ':status': '204' } } } }, 204, 'completed'],
    ['too much of it', { buffer: { response: { maxBytes: 3 } } }, 502, 'failed'],
  ])('%s', async (_, policies, status, outcome) => {
    const script = () => ({ headers: { 'content-type': 'text/plain' }, body: ['some', 'text'] });
    const stage = createStage(yamlOf(policies, { backends: [{ host: 'up:81' }] }), { script });
    expect((await stage.read('/x')).status).toBe(status);
    expect(stage.told.map(({ exchange }) => [exchange.status, exchange.outcome])).toEqual([[status, outcome]]);
  });
});

describe('a method without a body', () => {
  it('takes the body away, which no runtime would send with it', async () => {
    const set = { ':method': '"GET"', ':path': '"/got"' };
    const host = { host: 'up:81' };
    for (const [policies, backend] of [
      [{ transformations: { request: { set } } }, host],
      [{}, { ...host, policies: { transformations: { request: { set, body: '"x"' } } } }],
    ] as const) {
      const stage = createStage(yamlOf(policies, { backends: [backend] }));
      expect((await stage.read('/x', { method: 'POST', body: 'text' })).status).toBe(200);
      expect(stage.sent.map(({ request, url, text }) => [request.method, url, text])).toEqual([
        ['GET', 'http://up:81/got', undefined],
      ]);
    }
  });
});
