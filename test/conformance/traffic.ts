/** What is done with traffic before and instead of asking a box (issue: "Policies"): redirects, direct answers, copies, limits. */
import { beforeAll, describe, expect } from 'vitest';
import type { FakeOllama } from '../support/fake-ollama/index.ts';
import { requestBytes } from '../support/raw-client.ts';
import type { RunningCorral } from '../support/runtimes/index.ts';
import { ask, chat, errorOf, hello, herdOf, inferencesOf, isPath, type Reply, type Stage, until } from './stage.ts';

interface RouteEntry {
  readonly path?: string;
  readonly policies: object;
  /** A port of a box: a `host` backend, where everything passes as it came. */
  readonly host?: number;
  readonly backendPolicies?: object;
}

/** Routes by prefix, to `host` backends or to nothing. */
function routesOf(routes: readonly RouteEntry[]): object {
  return {
    config: { adminAddr: 'off', logging: { format: 'json' } },
    binds: [
      {
        port: 3000,
        listeners: [
          {
            routes: routes.map(({ path = '/', policies, host, backendPolicies = {} }) => ({
              matches: [{ path: { pathPrefix: path } }],
              policies,
              ...(host === undefined ? {} : { backends: [{ host: `127.0.0.1:${host}`, policies: backendPolicies }] }),
            })),
          },
        ],
      },
    ],
  };
}

function limitsIn({ headers }: Reply): (string | null)[] {
  return ['x-ratelimit-limit', 'x-ratelimit-remaining', 'x-ratelimit-reset', 'retry-after'].map((name) => headers.get(name));
}

export function traffic(stage: Stage): void {
  describe('traffic: answers without an upstream', () => {
    let box: FakeOllama;
    let corral: RunningCorral;
    beforeAll(async () => {
      box = await stage.box();
      corral = await stage.corral({
        yaml: routesOf([
          { path: '/https', policies: { requestRedirect: { scheme: 'https' } } },
          {
            path: '/moved',
            policies: { requestRedirect: { authority: { full: 'b.test:81' }, path: { prefix: '/new' }, status: 308 } },
          },
          { path: '/backend', policies: {}, host: box.port, backendPolicies: { requestRedirect: { path: { full: '/x' } } } },
          { path: '/teapot', policies: { directResponse: { status: 418, body: 'teapot – ü' } } },
          { path: '/none', policies: { directResponse: { status: 204 } } },
          {
            path: '/computed',
            policies: {
              directResponse: {
                status: 200,
                bodyExpression: '{"path": request.path, "model": json(request.body).model}',
                headers: { 'content-type': "'application/json'", 'x-method': 'request.method' },
              },
            },
          },
          {
            path: '/sometimes',
            policies: { directResponse: { conditional: [{ condition: 'request.path == "/sometimes/not"', status: 410 }] } },
            host: box.port,
          },
          {
            path: '/slow',
            policies: { delay: { duration: 'request.path == "/slow" ? 20 : 0' }, directResponse: { status: 200 } },
          },
        ]),
      });
    });

    stage.it('requestRedirect: 302, the port stays, the query too, and nothing else is said', async () => {
      const reply = await ask(`${corral.url}/https/x?q=%20`);
      expect([reply.status, reply.headers.get('location'), reply.text]).toEqual([
        302,
        `https://${new URL(corral.url).host}/https/x?q=%20`,
        '',
      ]);
      expect(reply.headers.get('content-type')).toBeNull();
    });

    stage.it('requestRedirect: host, path and status; with a body, and on a backend', async () => {
      const moved = await ask(`${corral.url}/moved/y?q=1`, { body: 'x'.repeat(100_000) });
      expect([moved.status, moved.headers.get('location')]).toEqual([308, 'http://b.test:81/new/y?q=1']);
      const backend = await ask(`${corral.url}/backend?q=1`);
      expect([backend.status, backend.headers.get('location')]).toEqual([302, `${corral.url}/x?q=1`]);
    });

    stage.it('directResponse: as it stands, without a content type', async () => {
      const reply = await ask(`${corral.url}/teapot`);
      expect([reply.status, reply.text, reply.headers.get('content-type')]).toEqual([418, 'teapot – ü', null]);
      const none = await ask(`${corral.url}/none`);
      expect([none.status, none.text]).toEqual([204, '']);
      const client = await stage.raw(corral.url);
      await client.send(requestBytes({ method: 'HEAD', host: new URL(corral.url).host, path: '/teapot' }));
      const head = await client.reply({ head: true });
      expect([head.status, head.text]).toEqual([418, '']);
      client.close();
    });

    stage.it('directResponse: computed from the request, or only where a condition holds', async () => {
      const reply = await ask(`${corral.url}/computed/a?b`, { body: { model: 'm' } });
      expect(reply.json()).toEqual({ path: '/computed/a', model: 'm' });
      expect([reply.headers.get('content-type'), reply.headers.get('x-method')]).toEqual(['application/json', 'POST']);
      expect((await ask(`${corral.url}/sometimes/not`)).status).toBe(410);
      expect((await ask(`${corral.url}/sometimes/else`)).status).toBe(404);
      expect(box.requests.filter(({ path }) => path.startsWith('/sometimes')).map(({ path }) => path)).toEqual([
        '/sometimes/else',
      ]);
    });

    stage.it('delay: the answer comes all the same', async () => {
      expect((await ask(`${corral.url}/slow`)).status).toBe(200);
      expect((await ask(`${corral.url}/slow/not`)).status).toBe(200);
    });
  });

  describe('traffic: copies', () => {
    stage.it('requestMirror sends body and edits to both, and nobody waits for the other one', async () => {
      const [box, shadow, hole] = await Promise.all([stage.box(), stage.box(), stage.blackHole()]);
      const mirrorTo = (host: string) => ({ requestMirror: { backend: { host }, percentage: 1.0 } });
      const corral = await stage.corral({
        yaml: routesOf([
          {
            path: '/copied',
            policies: {
              ...mirrorTo(`127.0.0.1:${shadow.port}`),
              urlRewrite: { path: { prefix: '/' } },
              requestHeaderModifier: { set: { 'x-edited': '1' } },
            },
            host: box.port,
          },
          {
            path: '/void',
            policies: { ...mirrorTo(`127.0.0.1:${hole.port}`), urlRewrite: { path: { prefix: '/' } } },
            host: box.port,
          },
        ]),
      });
      const body = { model: 'llama3.2', messages: hello, stream: false, note: 'ü' };
      const reply = await ask(`${corral.url}/copied/api/chat?q=1`, { body });
      expect(reply.status).toBe(200);
      const copy = await until('the copy', () => shadow.requests.find(isPath('/api/chat?q=1')));
      const original = box.requests.find(isPath('/api/chat?q=1'));
      for (const received of [original, copy]) {
        expect(received?.json()).toEqual(body);
        expect(received?.header('x-edited')).toBe('1');
      }
      expect((await ask(`${corral.url}/void/api/version`)).status).toBe(200);
      expect((await ask(`${corral.url}/void/api/chat`, { body })).status).toBe(200);
    });
  });

  describe('traffic: limits', () => {
    const perMinute = (maxTokens: number, more: object = {}) => [
      { maxTokens, tokensPerFill: maxTokens, fillInterval: '60s', ...more },
    ];
    const limited = async (policies: object) => {
      const box = await stage.box();
      const corral = await stage.corral({ yaml: herdOf([{ name: 'desk', at: box.port }], { policies }) });
      return { box, corral };
    };

    stage.it('requests: told on every answer, refused in the shape of each protocol, with the time to wait', async () => {
      const { box, corral } = await limited({ localRateLimit: perMinute(2) });
      expect(limitsIn(await chat(corral.url))).toEqual(['2', '1', expect.stringMatching(/^(60|59)$/), null]);
      expect(limitsIn(await ask(`${corral.url}/v1/models`))).toEqual(['2', '0', expect.stringMatching(/^\d+$/), null]);
      const before = inferencesOf(box).length;
      const openai = await chat(corral.url);
      expect(openai.status).toBe(429);
      expect(limitsIn(openai)).toEqual(['2', '0', expect.stringMatching(/^[1-9]\d*$/), expect.stringMatching(/^[1-9]\d*$/)]);
      const anthropic = await ask(`${corral.url}/v1/messages`, { body: { model: 'llama3.2', max_tokens: 5, messages: hello } });
      expect([anthropic.status, anthropic.json()]).toMatchObject([429, { type: 'error', error: { type: 'rate_limit_error' } }]);
      const native = await ask(`${corral.url}/api/chat`, { body: { model: 'llama3.2', messages: hello } });
      expect([native.status, typeof native.json().error]).toEqual([429, 'string']);
      for (const reply of [openai, anthropic, native]) expect(errorOf(reply)).toBe('rate limit exceeded');
      expect(inferencesOf(box)).toHaveLength(before);
    });

    stage.it('requests: a bucket for each value of a key; who may not come in costs nothing', async () => {
      const { corral } = await limited({
        apiKey: {
          keys: [
            { key: 'a', metadata: { name: 'alice' } },
            { key: 'b', metadata: { name: 'bob' } },
          ],
        },
        localRateLimit: perMinute(1, { key: 'apiKey.name' }),
      });
      const statusOf = async (key: string) => (await chat(corral.url, {}, { authorization: `Bearer ${key}` })).status;
      expect([await statusOf('wrong'), await statusOf('wrong')]).toEqual([401, 401]);
      expect([await statusOf('a'), await statusOf('a'), await statusOf('b')]).toEqual([200, 429, 200]);
    });

    for (const isStream of [false, true]) {
      stage.it(`tokens: charged at the end of ${isStream ? 'a stream' : 'an answer'}`, async () => {
        const { corral } = await limited({ localRateLimit: perMinute(1, { type: 'tokens' }) });
        const first = await chat(corral.url, { stream: isStream });
        expect([first.status, ...limitsIn(first)]).toEqual([200, '1', '1', expect.stringMatching(/^\d+$/), null]);
        const second = await until('a refusal', async () => {
          const reply = await chat(corral.url, { stream: isStream });
          return reply.status === 429 && reply;
        });
        expect(errorOf(second)).toBe('rate limit exceeded');
      });
    }

    stage.it('maxTokens 0 refuses everybody, and tells nobody to wait', async () => {
      const { corral } = await limited({ localRateLimit: [{ maxTokens: 0, tokensPerFill: 0, fillInterval: '1s' }] });
      const reply = await chat(corral.url);
      expect([reply.status, ...limitsIn(reply)]).toEqual([429, '0', '0', '0', null]);
    });
  });

  describe('traffic: bodies that are held', () => {
    let box: FakeOllama;
    let corral: RunningCorral;
    beforeAll(async () => {
      box = await stage.box();
      corral = await stage.corral({
        yaml: routesOf([
          { path: '/api', policies: { buffer: { request: { maxBytes: 200 }, response: {} } }, host: box.port },
          {
            path: '/short',
            policies: { buffer: { response: { maxBytes: 5 } }, urlRewrite: { path: { prefix: '/' } } },
            host: box.port,
          },
          {
            path: '/open',
            policies: { buffer: { response: { maxBytes: 5, failureMode: 'failOpen' } }, urlRewrite: { path: { prefix: '/' } } },
            host: box.port,
          },
        ]),
      });
    });
    const body = { model: 'llama3.2', messages: hello };

    stage.it('buffer: requests and whole streams within the limits pass, with and without a body', async () => {
      const direct = await ask(`${box.url}/api/chat`, { body });
      const held = await ask(`${corral.url}/api/chat`, { body });
      expect([held.status, held.headers.get('content-type')]).toEqual([200, direct.headers.get('content-type')]);
      expect(held.text.trimEnd().split('\n')).toHaveLength(direct.text.trimEnd().split('\n').length);
      expect((await ask(`${corral.url}/api/version`)).text).toBe((await ask(`${box.url}/api/version`)).text);
    });

    stage.it('buffer: 413 and 502 beyond them, or the rest as it comes', async () => {
      const before = inferencesOf(box).length;
      const long = await ask(`${corral.url}/api/chat`, { body: { ...body, note: 'x'.repeat(200) } });
      expect([long.status, errorOf(long)]).toEqual([413, 'the request body is larger than the 200 bytes that this route takes']);
      expect(inferencesOf(box)).toHaveLength(before);
      const short = await ask(`${corral.url}/short/api/version`);
      expect([short.status, errorOf(short)]).toEqual([502, 'the answer is larger than the 5 bytes that this route holds']);
      const open = await ask(`${corral.url}/open/api/version`);
      expect([open.status, open.text]).toEqual([200, (await ask(`${box.url}/api/version`)).text]);
    });
  });
}
