/** Traffic policies on their way through a whole gateway: what clients see of them, and what reaches upstreams. */
import { describe, expect, it } from 'vitest';
import { client, createStage, type Sent } from './stage.ts';

const chat = { model: 'llama3.2', messages: [{ role: 'user', content: 'Hello' }] };
const completion = JSON.stringify({
  model: 'llama3.2',
  choices: [{ message: { role: 'assistant', content: 'Hi' } }],
  usage: { prompt_tokens: 11, completion_tokens: 7, total_tokens: 18 },
});

/** One route with these policies, to one box unless other backends are given. */
function yamlOf(
  policies: object,
  backends: readonly object[] = [{ ai: { name: 'desk', hostOverride: 'desk:1', provider: { openAI: {} } } }],
) {
  return JSON.stringify({ binds: [{ port: 3000, listeners: [{ routes: [{ name: 'r', policies, backends }] }] }] });
}

function answering(body = completion, headers: Record<string, string> = { 'content-type': 'application/json' }) {
  return { script: () => ({ headers, body }) };
}

const host = [{ host: 'up:81' }];

function limitsIn(headers: Headers): (string | null)[] {
  return ['x-ratelimit-limit', 'x-ratelimit-remaining', 'x-ratelimit-reset', 'retry-after'].map((name) => headers.get(name));
}

describe('limits of requests', () => {
  const localRateLimit = [{ maxTokens: 2, tokensPerFill: 1, fillInterval: '60s' }];

  it('show on every answer: of boxes, of Corral itself, and on errors', async () => {
    const stage = createStage(yamlOf({ localRateLimit: [{ ...localRateLimit[0], maxTokens: 9 }] }), answering());
    const remaining = async (path: string, init?: object) => limitsIn((await stage.read(path, init)).headers)[1];
    expect(await remaining('/v1/chat/completions', { body: chat })).toBe('8');
    expect(await remaining('/v1/models')).toBe('7');
    expect(await remaining('/api/no-such-path')).toBe('6');
    expect(await remaining('/v1/chat/completions', { body: 'no json' })).toBe('5');
    stage.script = () => ({ status: 500, headers: { 'content-type': 'application/json' }, body: '{"error":"x"}' });
    expect(await remaining('/v1/chat/completions', { body: chat })).toBe('4');
  });

  it.each([
    ['/v1/chat/completions', (body: { error: object }) => body.error, { message: 'rate limit exceeded', code: 'rate_limited' }],
    ['/v1/messages', (body: { error: object }) => body.error, { message: 'rate limit exceeded', type: 'rate_limit_error' }],
    ['/api/chat', (body: object) => body, { error: 'rate limit exceeded' }],
  ])('refuse in the shape of %s', async (path, errorOf, expected) => {
    const stage = createStage(yamlOf({ localRateLimit: [{ maxTokens: 0, tokensPerFill: 0, fillInterval: '1s' }] }));
    const { status, headers, text } = await stage.read(path, { body: { ...chat, max_tokens: 5 } });
    expect([status, ...limitsIn(headers)]).toEqual([429, '0', '0', '0', null]);
    expect(errorOf(JSON.parse(text))).toMatchObject(expected);
    expect(stage.sent).toEqual([]);
  });

  it('cost nothing where somebody may not come in, and something where a model may not be used', async () => {
    const stage = createStage(
      yamlOf({ localRateLimit, apiKey: { keys: [{ key: 'k', allowedModels: ['other'] }] } }),
      answering(),
    );
    const ask = (key: string) => stage.read('/v1/chat/completions', { body: chat, headers: { authorization: `Bearer ${key}` } });
    for (let index = 0; index < 5; index++) {
      const { status, headers } = await ask('wrong');
      expect([status, ...limitsIn(headers)]).toEqual([401, null, null, null, null]);
    }
    const refused = await ask('k');
    expect([refused.status, limitsIn(refused.headers)[1]]).toEqual([403, '1']);
  });

  it('count a request once, however often it is tried', async () => {
    const stage = createStage(
      yamlOf({ localRateLimit: [{ ...localRateLimit[0], maxTokens: 9 }], retry: { attempts: 3, codes: [500] } }, host),
    );
    stage.script = () => ({ status: 500, body: 'x' });
    const { headers } = await stage.read('/x');
    expect(stage.sent.length).toBeGreaterThan(1);
    expect(limitsIn(headers)[1]).toBe('8');
  });
});

describe('limits of tokens', () => {
  const limit = { maxTokens: 20, tokensPerFill: 5, fillInterval: '2s', type: 'tokens' };

  it('as observed of agentgateway: two replies of 18 on a budget of 20', async () => {
    const stage = createStage(yamlOf({ localRateLimit: [limit] }), answering());
    const ask = async () => {
      const { status, headers } = await stage.read('/v1/chat/completions', { body: chat });
      return [status, limitsIn(headers)[1]];
    };
    expect(await ask()).toEqual([200, '20']);
    expect(await ask()).toEqual([200, '2']);
    expect(await ask()).toEqual([429, '0']);
    await stage.clock.advance(2_000);
    expect(await ask()).toEqual([200, '5']);
  });

  it('are charged at the end of a stream', async () => {
    const events = [
      'data: {"choices":[{"delta":{"content":"a"}}]}\n\n',
      'data: {"choices":[],"usage":{"prompt_tokens":4,"completion_tokens":5}}\n\n',
      'data: [DONE]\n\n',
    ];
    const stage = createStage(yamlOf({ localRateLimit: [limit] }), {
      script: () => ({ headers: { 'content-type': 'text/event-stream' }, body: events }),
    });
    const remaining = async () => {
      const { headers } = await stage.read('/v1/chat/completions', { body: { ...chat, stream: true } });
      return limitsIn(headers)[1];
    };
    expect([await remaining(), await remaining()]).toEqual(['20', '11']);
  });

  it('are charged by what was counted where a stream breaks', async () => {
    const stage = createStage(yamlOf({ localRateLimit: [limit] }), {
      script: () => ({
        headers: { 'content-type': 'text/event-stream' },
        body: ['data: {"choices":[{"delta":{"content":"a"}}]}\n\n', 'data: {"choices":[{"delta":{"content":"b"}}]}\n\n'],
        ends: 'broken' as const,
      }),
    });
    await stage.read('/v1/chat/completions', { body: { ...chat, stream: true } });
    const { headers } = await stage.read('/v1/chat/completions', { body: { ...chat, stream: true } });
    expect(limitsIn(headers)[1]).toBe('18');
  });

  it('with tokenize the prompt is taken before anything is sent', async () => {
    const backends = [{ ai: { name: 'desk', hostOverride: 'desk:1', provider: { openAI: {} }, tokenize: true } }];
    const stage = createStage(yamlOf({ localRateLimit: [limit] }, backends), answering());
    // 40 letters are about ten tokens, and a message costs four.
    const ask = (letters: number) =>
      stage.read('/v1/chat/completions', { body: { ...chat, messages: [{ role: 'user', content: 'x'.repeat(letters) }] } });
    const long = await ask(400);
    expect([long.status, ...limitsIn(long.headers)]).toEqual([429, '20', '20', '0', null]);
    expect(stage.sent).toEqual([]);
    const first = await ask(40);
    expect([first.status, limitsIn(first.headers)[1]]).toEqual([200, '6']);
    const second = await ask(40);
    expect([second.status, limitsIn(second.headers)[1]]).toEqual([429, '2']);
  });

  it('go by the model that was asked for', async () => {
    const stage = createStage(yamlOf({ localRateLimit: [{ ...limit, key: 'llm.requestModel' }] }), answering());
    const ask = async (model: string) => (await stage.read('/v1/chat/completions', { body: { ...chat, model } })).status;
    expect([await ask('a'), await ask('a'), await ask('a'), await ask('b')]).toEqual([200, 200, 429, 200]);
  });

  it('are one for routes that are one', async () => {
    const route = (name: string, model: string) => ({
      name,
      policies: { localRateLimit: [limit] },
      backends: [{ ai: { name, hostOverride: `${name}:1`, provider: { openAI: { model } } } }],
    });
    const yaml = JSON.stringify({ binds: [{ port: 3000, listeners: [{ routes: [route('one', 'a'), route('two', 'b')] }] }] });
    const stage = createStage(yaml, answering());
    const ask = async (model: string) => (await stage.read('/v1/chat/completions', { body: { ...chat, model } })).status;
    expect([await ask('a'), await ask('b'), await ask('b')]).toEqual([200, 200, 429]);
    expect(stage.sent.map(({ url }) => new URL(url).host)).toEqual(['one:1', 'two:1']);
  });

  it('mean nothing where nothing is known of tokens', async () => {
    const stage = createStage(yamlOf({ localRateLimit: [{ ...limit, maxTokens: 0, tokensPerFill: 0 }] }, host), answering());
    expect((await stage.read('/v1/chat/completions', { body: chat })).status).toBe(200);
  });
});

describe('requestMirror', () => {
  const policies = { requestMirror: { backend: { host: 'copy:82' }, percentage: 1 } };
  const to = (sent: readonly Sent[], name: string) => sent.filter(({ url }) => new URL(url).host === name);

  it('sends the body to both, with the edits that both share', async () => {
    const stage = createStage(
      yamlOf(
        {
          ...policies,
          requestHeaderModifier: { set: { 'x-edited': '1' } },
          urlRewrite: { path: { full: '/new' } },
          backendAuth: { key: 'secret' },
        },
        host,
      ),
      answering('ok'),
    );
    const { status, text } = await stage.read('/old?q=1', { body: { a: 1 }, headers: { 'content-length': '7' } });
    expect([status, text]).toEqual([200, 'ok']);
    await stage.clock.settle();
    const [[original], [copy]] = [to(stage.sent, 'up:81'), to(stage.sent, 'copy:82')];
    expect([original?.url, original?.text]).toEqual(['http://up:81/new?q=1', '{"a":1}']);
    expect([copy?.url, copy?.text]).toEqual(['http://copy:82/new?q=1', '{"a":1}']);
    expect(copy?.headers).toMatchObject({ 'x-edited': '1', 'x-corral-mirrored': '1' });
    expect(copy?.headers).not.toHaveProperty('authorization');
    expect(original?.headers).toMatchObject({ authorization: 'Bearer secret' });
    expect(copy?.isCancelled).toBe(true);
  });

  it('copies calls to boxes as the client made them, without the key that let it in', async () => {
    const stage = createStage(yamlOf({ ...policies, apiKey: { keys: [{ key: 'k' }] } }), answering());
    await stage.read('/v1/chat/completions', { body: chat, headers: { authorization: 'Bearer k' } });
    await stage.clock.settle();
    const [copy] = to(stage.sent, 'copy:82');
    expect([copy?.url, JSON.parse(copy?.text ?? '')]).toEqual(['http://copy:82/v1/chat/completions', chat]);
    expect(copy?.headers).not.toHaveProperty('authorization');
  });

  it('nobody waits for a server that does not answer', async () => {
    const stage = createStage(yamlOf(policies, host), {
      script: ({ url }) => (url.startsWith('http://copy') ? 'never' : { body: 'ok' }),
    });
    expect((await stage.read('/x')).text).toBe('ok');
    expect(to(stage.sent, 'copy:82')[0]?.isAborted).toBe(false);
    await stage.clock.advance(300_000);
    expect(to(stage.sent, 'copy:82')[0]?.isAborted).toBe(true);
  });
});

describe('answers without an upstream', () => {
  it('directResponse needs no backend, and is not mirrored', async () => {
    const policies = {
      directResponse: { status: 418, body: 'teapot' },
      requestMirror: { backend: { host: 'copy:82' }, percentage: 1 },
      responseHeaderModifier: { set: { 'x-a': '1' } },
    };
    const stage = createStage(yamlOf(policies, []));
    const { status, headers, text } = await stage.read('/anything');
    expect([status, text, headers.get('x-a'), headers.get('content-type')]).toEqual([418, 'teapot', '1', null]);
    expect(stage.sent).toEqual([]);
    expect(stage.told[0]?.exchange.outcome).toBe('refused');
  });

  it('directResponse is behind the lock', async () => {
    const stage = createStage(yamlOf({ directResponse: { status: 200, body: 'hi' }, apiKey: { keys: [{ key: 'a' }] } }, []));
    expect((await stage.read('/')).status).toBe(401);
    expect((await stage.read('/', { headers: { authorization: 'Bearer a' } })).text).toBe('hi');
  });

  it('requestRedirect knows the prefix by which the route matched', async () => {
    const route = {
      matches: [{ path: { pathPrefix: '/old' } }],
      policies: { requestRedirect: { path: { prefix: '/new' }, status: 301 } },
    };
    const stage = createStage(JSON.stringify({ binds: [{ port: 3000, listeners: [{ routes: [route] }] }] }));
    const { status, headers } = await stage.read('/old/x?q=1');
    expect([status, headers.get('location')]).toEqual([301, 'http://localhost:3000/new/x?q=1']);
  });

  it('requestRedirect on a backend answers in its place', async () => {
    const stage = createStage(yamlOf({}, [{ host: 'up:81', policies: { requestRedirect: { authority: { full: 'b.test' } } } }]));
    const { status, headers } = await stage.read('/x');
    expect([status, headers.get('location'), stage.sent.length]).toEqual([302, 'http://b.test/x', 0]);
  });

  it('delay comes first, and its time counts', async () => {
    const stage = createStage(
      yamlOf({ delay: { duration: '2s' }, directResponse: { status: 200 }, timeout: { requestTimeout: '1s' } }, []),
    );
    const asking = stage.ask('/');
    await stage.clock.advance(1_000);
    expect((await asking).status).toBe(504);
  });

  it('delay sends nothing for a client that has left', async () => {
    const stage = createStage(yamlOf({ delay: { duration: '2s' } }, host));
    const peer = client();
    const asking = stage.ask('/', { client: peer });
    await stage.clock.settle();
    peer.leave();
    await asking;
    await stage.clock.advance(5_000);
    expect([stage.sent.length, stage.told[0]?.exchange.outcome]).toEqual([0, 'abandoned']);
  });
});

describe('buffer', () => {
  it('lets requests without a body pass as such', async () => {
    const stage = createStage(yamlOf({ buffer: { request: {}, response: {} } }, host), answering('ok'));
    const { status, text } = await stage.read('/x');
    expect([status, text, stage.sent[0]?.text]).toEqual([200, 'ok', undefined]);
  });

  it('holds what would stream, and hands it on whole', async () => {
    const stage = createStage(yamlOf({ buffer: { request: { maxBytes: 7 } } }, host), answering('ok'));
    expect((await stage.read('/x', { body: { a: 1 } })).status).toBe(200);
    expect(stage.sent[0]?.request.body).toBeInstanceOf(Uint8Array);
    expect((await stage.read('/x', { body: { a: 12 } })).status).toBe(413);
    expect(stage.sent).toHaveLength(1);
  });

  it('answers 502 instead of a long answer, lets the upstream go, and logs what the client saw', async () => {
    const stage = createStage(yamlOf({ buffer: { response: { maxBytes: 3 } } }, host), {
      script: () => ({ body: ['ab', 'cd', 'ef'] }),
    });
    const { status, text } = await stage.read('/x');
    expect([status, text]).toEqual([502, 'the answer is larger than the 3 bytes that this route holds']);
    expect(stage.sent[0]?.isCancelled).toBe(true);
    expect(stage.told).toHaveLength(1);
    expect(stage.told[0]?.exchange).toMatchObject({ status: 502, error: { code: 'answer_too_large' } });
  });

  it('gives a stream in one piece', async () => {
    const stage = createStage(yamlOf({ buffer: { response: {} } }), {
      script: () => ({
        headers: { 'content-type': 'text/event-stream' },
        body: ['data: {"choices":[{"delta":{"content":"a"}}]}\n\n', 'data: [DONE]\n\n'],
      }),
    });
    const { response } = await stage.read('/v1/chat/completions', { body: { ...chat, stream: true } });
    expect(response.headers.get('content-type')).toBe('text/event-stream');
    expect(stage.told[0]?.exchange.outcome).toBe('completed');
  });
});

describe('http.requestTimeout', () => {
  it('ends a try at the backend where it stands', async () => {
    const stage = createStage(yamlOf({}, [{ host: 'up:81', policies: { http: { requestTimeout: '5s' } } }]), {
      script: () => 'never',
    });
    const asking = stage.ask('/x');
    await stage.clock.advance(5_000);
    expect((await asking).status).toBe(504);
  });
});
