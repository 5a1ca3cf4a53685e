/** Safe to expose (issue: "Ready and safe"; D3, D5, D6, D7, D8, D17): who may come in, which paths open, what reaches a box. */
import { beforeAll, describe, expect } from 'vitest';
import type { FakeOllama } from '../support/fake-ollama/index.ts';
import { type RawReply, requestBytes } from '../support/raw-client.ts';
import type { RunningCorral } from '../support/runtimes/index.ts';
import { ask, chat, errorOf, hello, herdOf, inferencesOf, isPath, type Stage, until, untilListed } from './stage.ts';

const noAddress = 'clients have no address there: routes without a lock refuse everybody';

export function safety(stage: Stage): void {
  /** One request on a socket of its own: `fetch` would not send these headers. */
  const raw = async (
    url: string,
    request: { method?: string; path: string; headers?: [string, string][]; body?: string; host?: string },
  ): Promise<RawReply> => {
    const client = await stage.raw(url);
    await client.send(requestBytes({ host: new URL(url).host, ...request }));
    const reply = await client.reply({ head: request.method === 'HEAD' });
    client.close();
    return reply;
  };
  const body = JSON.stringify({ model: 'llama3.2', messages: hello });

  describe('safety: routes without a lock (D6)', () => {
    let box: FakeOllama;
    let corral: RunningCorral;
    beforeAll(async () => {
      box = await stage.box();
      corral = await stage.corral({ yaml: herdOf([{ name: 'desk', at: box.port }]), locked: true });
    });

    stage.it(
      'a program on this machine is served',
      async () => {
        expect((await raw(corral.url, { path: '/v1/chat/completions', body })).status).toBe(200);
      },
      { workerd: noAddress },
    );

    stage.it(
      'without a lock nobody is served where no client has an address',
      async () => {
        const reply = await chat(corral.url);
        expect([reply.status, errorOf(reply)]).toEqual([403, expect.stringMatching(/apiKey policy/)]);
        const claimed = await chat(corral.url, {}, { 'cf-connecting-ip': '127.0.0.1' });
        expect(claimed.status).toBe(403);
        expect(inferencesOf(box)).toHaveLength(0);
      },
      { node: 'clients have an address', bun: 'clients have an address', deno: 'clients have an address' },
    );

    stage.it('a web page of another origin that posts text/plain to localhost: 403, and nothing reaches the box', async () => {
      const before = inferencesOf(box).length;
      for (const origin of ['https://evil.example', 'null', 'http://localhost.evil.example', 'chrome-extension://abc']) {
        const reply = await raw(corral.url, {
          path: '/v1/chat/completions',
          headers: [
            ['Origin', origin],
            ['Content-Type', 'text/plain'],
          ],
          body,
        });
        expect([origin, reply.status]).toEqual([origin, 403]);
        expect(reply.header('access-control-allow-origin')).toBeUndefined();
      }
      expect(inferencesOf(box)).toHaveLength(before);
    });

    stage.it(
      'preflights of foreign origins are refused, those of Ollama’s own list are answered as Ollama does',
      async () => {
        const preflight = (origin: string) =>
          raw(corral.url, {
            method: 'OPTIONS',
            path: '/v1/chat/completions',
            headers: [
              ['Origin', origin],
              ['Access-Control-Request-Method', 'POST'],
              ['Access-Control-Request-Headers', 'content-type'],
            ],
          });
        expect((await preflight('https://evil.example')).status).toBe(403);
        for (const origin of ['http://localhost:5173', 'http://127.0.0.1:8080', 'app://obsidian.md', 'vscode-webview://x']) {
          const reply = await preflight(origin);
          expect([origin, reply.status, reply.header('access-control-allow-origin')]).toEqual([origin, 204, origin]);
          expect(reply.header('access-control-allow-methods')).toMatch(/POST/);
          expect(reply.header('access-control-allow-headers')).toMatch(/content-type/i);
        }
        const simple = await raw(corral.url, {
          path: '/v1/chat/completions',
          headers: [['Origin', 'http://localhost:5173']],
          body,
        });
        expect([simple.status, simple.header('access-control-allow-origin')]).toEqual([200, 'http://localhost:5173']);
      },
      { workerd: noAddress },
    );

    stage.it(
      'DNS rebinding: a Host that is not this machine’s gets 403 with the mend',
      async () => {
        const before = inferencesOf(box).length;
        for (const host of ['evil.example', 'evil.example:3000', 'localhost.evil.example', '203.0.113.7', 'ollama']) {
          const reply = await raw(corral.url, { path: '/v1/chat/completions', host, body });
          expect([host, reply.status]).toEqual([host, 403]);
          expect(reply.text).toMatch(/--allow-host/);
        }
        expect(inferencesOf(box)).toHaveLength(before);
        for (const host of ['localhost', 'LOCALHOST:3000', '127.0.0.1', 'my.localhost']) {
          const reply = await raw(corral.url, { path: '/v1/chat/completions', host, body });
          expect([host, reply.status]).toEqual([host, 200]);
        }
      },
      { workerd: noAddress },
    );

    stage.it('a tunnel on the same machine: any forwarding header gets 403', async () => {
      const before = inferencesOf(box).length;
      const headers: [string, string][] = [
        ['X-Forwarded-For', '203.0.113.7'],
        ['Forwarded', 'for=203.0.113.7'],
        ['Via', '1.1 proxy'],
        ['X-Real-IP', '203.0.113.7'],
        ['CF-Connecting-IP', '203.0.113.7'],
        ['Cf-Ray', '1'],
        ['X-Forwarded-Host', 'x.example'],
        ['X-Forwarded-Proto', 'https'],
        ['Tailscale-User-Login', 'a@example.com'],
        ['ngrok-trace-id', '1'],
        ['True-Client-IP', '127.0.0.1'],
      ];
      for (const header of headers) {
        const reply = await raw(corral.url, { path: '/v1/chat/completions', headers: [header], body });
        expect([header[0], reply.status]).toEqual([header[0], 403]);
      }
      expect(inferencesOf(box)).toHaveLength(before);
    });

    stage.it('lists are behind the same guard', async () => {
      for (const path of ['/v1/models', '/api/tags', '/api/ps', '/api/version', '/', '/api/show']) {
        const reply = await raw(corral.url, { path, headers: [['Origin', 'https://evil.example']] });
        expect([path, reply.status]).toEqual([path, 403]);
      }
    });

    stage.it(
      '--allow-anonymous lifts peer and forwarding checks, never Host and Origin; --allow-host adds names',
      async () => {
        const open = await stage.corral({
          yaml: herdOf([{ name: 'desk', at: box.port }]),
          locked: true,
          args: ['--allow-anonymous', '--allow-host', 'gpu.example'],
        });
        expect(
          (await raw(open.url, { path: '/v1/chat/completions', headers: [['X-Forwarded-For', '203.0.113.7']], body })).status,
        ).toBe(200);
        expect((await raw(open.url, { path: '/v1/chat/completions', host: 'gpu.example', body })).status).toBe(200);
        expect((await raw(open.url, { path: '/v1/chat/completions', host: 'evil.example', body })).status).toBe(403);
        expect(
          (await raw(open.url, { path: '/v1/chat/completions', headers: [['Origin', 'https://evil.example']], body })).status,
        ).toBe(403);
      },
      { workerd: 'a Worker has no command line' },
    );

    stage.it(
      'CORRAL_ALLOW_ANONYMOUS and CORRAL_ALLOW_HOST do the same on Workers',
      async () => {
        const open = await stage.corral({
          yaml: herdOf([{ name: 'desk', at: box.port }]),
          locked: true,
          env: { CORRAL_ALLOW_ANONYMOUS: '1', CORRAL_ALLOW_HOST: 'gpu.example' },
        });
        expect(
          (await raw(open.url, { path: '/v1/chat/completions', headers: [['X-Forwarded-For', '203.0.113.7']], body })).status,
        ).toBe(200);
        expect((await raw(open.url, { path: '/v1/chat/completions', host: 'gpu.example', body })).status).toBe(200);
        expect((await raw(open.url, { path: '/v1/chat/completions', host: 'evil.example', body })).status).toBe(403);
        expect(
          (await raw(open.url, { path: '/v1/chat/completions', headers: [['Origin', 'https://evil.example']], body })).status,
        ).toBe(403);
      },
      { node: 'flags do it', bun: 'flags do it', deno: 'flags do it' },
    );

    stage.it('OLLAMA_ORIGINS and a cors policy open further origins', async () => {
      const listed = await stage.corral({
        yaml: herdOf([{ name: 'desk', at: box.port }]),
        env: { OLLAMA_ORIGINS: 'https://app.example' },
      });
      const allowed = await raw(listed.url, { path: '/v1/chat/completions', headers: [['Origin', 'https://app.example']], body });
      expect([allowed.status, allowed.header('access-control-allow-origin')]).toEqual([200, 'https://app.example']);
      expect(
        (await raw(listed.url, { path: '/v1/chat/completions', headers: [['Origin', 'https://other.example']], body })).status,
      ).toBe(403);
      const cors = await stage.corral({
        yaml: herdOf([{ name: 'desk', at: box.port }], {
          policies: { cors: { allowOrigins: ['https://app.example'], allowMethods: ['POST'], allowHeaders: ['content-type'] } },
        }),
      });
      const answered = await raw(cors.url, { path: '/v1/chat/completions', headers: [['Origin', 'https://app.example']], body });
      expect([answered.status, answered.header('access-control-allow-origin')]).toEqual([200, 'https://app.example']);
      expect(
        (await raw(cors.url, { path: '/v1/chat/completions', headers: [['Origin', 'https://other.example']], body })).status,
      ).toBe(403);
    });

    stage.it('one protected and one open route in one file: each by its own rule', async () => {
      const gateway = await stage.corral({
        locked: true,
        yaml: {
          config: { adminAddr: 'off' },
          binds: [
            {
              port: 3000,
              listeners: [
                {
                  routes: [
                    {
                      name: 'locked',
                      matches: [{ path: { pathPrefix: '/team' } }],
                      policies: { apiKey: { keys: [{ key: 'sk-1' }] }, urlRewrite: { path: { prefix: '/' } } },
                      backends: [{ ai: { name: 'desk', hostOverride: `127.0.0.1:${box.port}`, provider: { openAI: {} } } }],
                    },
                    {
                      name: 'open',
                      backends: [{ ai: { name: 'desk2', hostOverride: `127.0.0.1:${box.port}`, provider: { openAI: {} } } }],
                    },
                  ],
                },
              ],
            },
          ],
        },
      });
      const foreign: [string, string][] = [['X-Forwarded-For', '203.0.113.7']];
      const key: [string, string] = ['Authorization', 'Bearer sk-1'];
      const at = (path: string, headers: [string, string][], host?: string) =>
        raw(gateway.url, { path: `${path}/v1/chat/completions`, headers, body, ...(host === undefined ? {} : { host }) });
      expect((await at('/team', [...foreign, key], 'public.example')).status).toBe(200);
      expect((await at('/team', foreign)).status).toBe(401);
      expect((await at('', [...foreign, key])).status).toBe(403);
      if (stage.runtime !== 'workerd') expect((await at('', [])).status).toBe(200);
    });

    stage.it(
      'without a lock it binds loopback, with every route locked every interface, unless told',
      async () => {
        const open = await stage.run({ yaml: 'binds: []\n', env: { CORRAL_HOST: '' }, args: ['--validate-only'] });
        expect(open.code).toBe(0);
        const locked = await stage.corral({
          yaml: herdOf([{ name: 'desk', at: box.port }], { policies: { apiKey: { keys: [{ key: 'sk-1' }] } } }),
          env: { CORRAL_HOST: '' },
        });
        expect(locked.stdout() + locked.stderr()).toMatch(/listening on http:\/\/0\.0\.0\.0:/);
        const plain = await stage.corral({ yaml: herdOf([{ name: 'desk', at: box.port }]), env: { CORRAL_HOST: '' } });
        expect(plain.url).toMatch(/127\.0\.0\.1/);
      },
      { deno: 'host and port are flags of deno serve', workerd: 'no ports of its own' },
    );
  });

  describe('safety: keys (D5)', () => {
    let box: FakeOllama;
    let corral: RunningCorral;
    beforeAll(async () => {
      box = await stage.box({ models: ['llama3.2', 'mistral'] });
      corral = await stage.corral({
        locked: true,
        env: { CORRAL_ADMIN_TOKEN: 'admin-token' },
        yaml: herdOf([{ name: 'desk', at: box.port }], {
          policies: {
            apiKey: {
              keys: [
                { key: 'sk-alice', metadata: { user: 'alice' }, allowedModels: ['llama3.2*'] },
                { key: 'sk-ops', metadata: { scopes: ['admin'] } },
              ],
            },
          },
        }),
      });
    });

    stage.it('no key: 401 with WWW-Authenticate, in the shape of the protocol; the box is not asked', async () => {
      const before = inferencesOf(box).length;
      const openai = await chat(corral.url);
      expect([openai.status, openai.headers.get('www-authenticate')]).toEqual([401, 'Bearer']);
      expect(openai.json()).toMatchObject({
        error: { message: expect.stringMatching(/no API Key found/), type: expect.stringMatching(/authentication/) },
      });
      const anthropic = await ask(`${corral.url}/v1/messages`, { body: { model: 'llama3.2', max_tokens: 5, messages: hello } });
      expect([anthropic.status, anthropic.json()]).toEqual([401, expect.objectContaining({ type: 'error' })]);
      expect(anthropic.json().error.type).toBe('authentication_error');
      expect(typeof (await ask(`${corral.url}/api/chat`, { body: { model: 'llama3.2' } })).json().error).toBe('string');
      for (const path of ['/v1/models', '/api/tags', '/', '/api/version', '/api/ps'])
        expect([path, (await ask(corral.url + path)).status]).toEqual([path, 401]);
      expect(inferencesOf(box)).toHaveLength(before);
    });

    stage.it('the key is taken from Authorization: Bearer and from x-api-key, and reaches no box', async () => {
      for (const headers of [
        { authorization: 'Bearer sk-alice' },
        { authorization: 'bearer sk-alice' },
        { 'x-api-key': 'sk-alice' },
        { 'x-api-key': 'sk-alice', authorization: 'Bearer dummy' },
      ]) {
        expect([headers, (await chat(corral.url, {}, headers as Record<string, string>)).status]).toEqual([headers, 200]);
        const received = box.requests.findLast(isPath('/v1/chat/completions'));
        expect([received?.header('authorization'), received?.header('x-api-key')]).toEqual([undefined, undefined]);
      }
      for (const headers of [
        { authorization: 'Bearer sk-bob' },
        { 'x-api-key': 'sk-alic' },
        { authorization: 'Basic sk-alice' },
        { authorization: 'Bearer ' },
      ]) {
        expect([headers, (await chat(corral.url, {}, headers as Record<string, string>)).status]).toEqual([headers, 401]);
      }
    });

    stage.it('allowedModels hold on every inference path, whatever the spelling', async () => {
      const headers = { authorization: 'Bearer sk-alice' };
      const calls: [string, object | string][] = [
        ['/v1/chat/completions', { model: 'mistral', messages: hello }],
        ['/v1/chat/completions', { model: 'MISTRAL', messages: hello }],
        ['/v1/chat/completions', { model: ' mistral ', messages: hello }],
        ['/v1/chat/completions', '{"model":"llama3.2","MODEL":"mistral","messages":[]}'],
        ['/v1/chat/completions', '{"model":"llama3.2","model":"mistral","messages":[]}'],
        ['/v1/chat/completions', { model: 'registry.ollama.ai/library/mistral', messages: hello }],
        ['/v1/completions', { model: 'mistral', prompt: 'x' }],
        ['/v1/responses', { model: 'mistral', input: 'x' }],
        ['/v1/embeddings', { model: 'mistral', input: 'x' }],
        ['/v1/messages', { model: 'mistral', max_tokens: 5, messages: hello }],
        ['/api/chat', { model: 'mistral', messages: hello }],
        ['/api/generate', { model: 'mistral', prompt: 'x' }],
        ['/api/embed', { model: 'mistral', input: 'x' }],
        ['/api/embeddings', { model: 'mistral', prompt: 'x' }],
        ['/api/show', { model: 'mistral' }],
        ['/api/show', { name: 'mistral' }],
      ];
      for (const [path, sent] of calls) {
        const reply = await ask(corral.url + path, { body: sent, headers });
        expect([path, sent, reply.status]).toEqual([path, sent, 403]);
      }
      // Corral itself asks what models can do, by their whole names.
      const told = box.requests.filter(
        ({ path, body: text }) => /mistral/i.test(text) && !(path === '/api/show' && /"mistral:latest"/.test(text)),
      );
      expect(told).toHaveLength(0);
      expect((await chat(corral.url, { model: 'llama3.2:latest' }, headers)).status).toBe(200);
    });

    stage.it('management paths need the admin scope, in every spelling (D7)', async () => {
      const paths = [
        '/api/pull',
        '//api/pull',
        '/api//pull',
        '/api/pull/',
        '/API/PULL',
        '/api/%70ull',
        '/%61pi/pull',
        '/api%2fpull',
        '/api%2Fpull',
        '/v1/../api/pull',
        '/api/./pull',
        '/api/%2e/pull',
        '/%2e%2e/api/pull',
        '/api/pull;x=1',
        '/api/pull%20',
        '/api/pull%00',
        '/api/pull?x=1',
        '/api\\pull',
        '/x/api/pull',
        '/v1/chat/completions/../../../api/pull',
        '/api/%2570ull',
        '/api/push',
        '/api/create',
        '/api/copy',
        '/api/blobs/sha256:00',
        '/api/me',
        '/api/signout',
        '/api/experimental/web_search',
      ];
      for (const path of paths) {
        for (const method of ['POST', 'GET', 'HEAD', 'PUT', 'DELETE']) {
          const client = await stage.raw(corral.url);
          await client.send(
            requestBytes({
              method,
              path,
              host: new URL(corral.url).host,
              headers: [['Authorization', 'Bearer sk-alice']],
              body: '{"model":"x"}',
            }),
          );
          const reply = await client.reply({ head: method === 'HEAD' });
          client.close();
          expect([method, path, reply.status]).toEqual([method, path, expect.toBeOneOf([400, 403, 404, 405])]);
        }
      }
      expect(
        (
          await ask(`${corral.url}/api/delete`, {
            method: 'DELETE',
            headers: { authorization: 'Bearer sk-alice' },
            body: { model: 'x' },
          })
        ).status,
      ).toBe(403);
      const refused = await ask(`${corral.url}/api/pull`, {
        headers: { authorization: 'Bearer sk-alice' },
        body: { model: 'x' },
      });
      expect([refused.status, refused.json().error]).toEqual([403, expect.stringMatching(/admin/)]);
      expect(
        box.requests.filter(({ path }) => /pull|push|create|copy|blobs|me$|signout|experimental|delete/i.test(path)),
      ).toEqual([]);
    });

    stage.it('the admin scope and CORRAL_ADMIN_TOKEN open them', async () => {
      for (const key of ['sk-ops', 'admin-token']) {
        const reply = await ask(`${corral.url}/api/pull`, {
          headers: { authorization: `Bearer ${key}` },
          body: { model: 'llama3.2' },
        });
        expect([key, reply.status]).toEqual([key, 200]);
        expect((await box.nextRequest(isPath('/api/pull'))).json()).toEqual({ model: 'llama3.2' });
      }
      expect((await chat(corral.url, {}, { 'x-api-key': 'admin-token' })).status).toBe(200);
    });

    stage.it('on a herd management needs one named box', async () => {
      const other = await stage.box();
      const herd = await stage.corral({
        locked: true,
        env: { CORRAL_ADMIN_TOKEN: 'admin-token', CORRAL_API_KEY: 'sk-env' },
        yaml: herdOf([
          { name: 'desk', at: box.port },
          { name: 'basement', at: other.port },
        ]),
      });
      const headers = { authorization: 'Bearer admin-token' };
      const unnamed = await ask(`${herd.url}/api/pull`, { headers, body: { model: 'x' } });
      expect([unnamed.status, unnamed.json().error]).toEqual([409, expect.stringMatching(/x-corral-box: desk, basement/)]);
      expect(
        (await ask(`${herd.url}/api/pull`, { headers: { ...headers, 'x-corral-box': 'basement' }, body: { model: 'named' } }))
          .status,
      ).toBe(200);
      await other.nextRequest(isPath('/api/pull'));
    });

    stage.it('CORRAL_API_KEY is asked of every client on every listener', async () => {
      const gateway = await stage.corral({
        locked: true,
        env: { CORRAL_API_KEY: 'sk-env' },
        yaml: herdOf([{ name: 'desk', at: box.port }]),
      });
      expect((await chat(gateway.url)).status).toBe(401);
      expect((await ask(`${gateway.url}/v1/models`)).status).toBe(401);
      expect((await ask(`${gateway.url}/nowhere`)).status).toBe(401);
      expect((await chat(gateway.url, {}, { authorization: 'Bearer sk-env' })).status).toBe(200);
      expect((await chat(gateway.url, {}, { 'x-api-key': 'sk-env' })).status).toBe(200);
    });

    stage.it('a 401 carries CORS headers; preflights need no key (D18)', async () => {
      const gateway = await stage.corral({
        locked: true,
        yaml: herdOf([{ name: 'desk', at: box.port }], {
          listenerPolicies: {
            cors: { allowOrigins: ['https://app.example'], allowMethods: ['POST'], allowHeaders: ['authorization'] },
          },
          policies: { apiKey: { keys: [{ key: 'sk-1' }] } },
        }),
      });
      const refused = await raw(gateway.url, {
        path: '/v1/chat/completions',
        headers: [['Origin', 'https://app.example']],
        body,
      });
      expect([refused.status, refused.header('access-control-allow-origin')]).toEqual([401, 'https://app.example']);
      const preflight = await raw(gateway.url, {
        method: 'OPTIONS',
        path: '/v1/chat/completions',
        headers: [
          ['Origin', 'https://app.example'],
          ['Access-Control-Request-Method', 'POST'],
        ],
      });
      expect([preflight.status, preflight.header('access-control-allow-origin')]).toEqual([
        expect.toBeOneOf([200, 204]),
        'https://app.example',
      ]);
      const streamed = await raw(gateway.url, {
        path: '/v1/chat/completions',
        headers: [
          ['Origin', 'https://app.example'],
          ['Authorization', 'Bearer sk-1'],
        ],
        body: JSON.stringify({ model: 'llama3.2', messages: hello, stream: true }),
      });
      expect([streamed.status, streamed.header('access-control-allow-origin')]).toEqual([200, 'https://app.example']);
      expect(streamed.text.endsWith('data: [DONE]\n\n')).toBe(true);
    });

    stage.it('wrong keys show nowhere: not in answers, not in the log', async () => {
      const reply = await chat(corral.url, {}, { authorization: 'Bearer sk-typo-secret' });
      expect(reply.text).not.toContain('sk-typo-secret');
      expect(corral.stdout() + corral.stderr()).not.toMatch(/sk-typo-secret|sk-alice|sk-ops|admin-token/);
    });
  });

  describe('safety: what reaches a box (D3, D8)', () => {
    let box: FakeOllama;
    let corral: RunningCorral;
    beforeAll(async () => {
      box = await stage.box();
      corral = await stage.corral({
        yaml: herdOf([{ name: 'desk', at: box.port, model: 'llama3.2' }]),
        env: { CORRAL_ALLOW_ANONYMOUS: '1' },
      });
      await untilListed(corral.url, ['llama3.2:latest']);
    });

    stage.it('unknown paths are refused with the reason; nothing reaches the box', async () => {
      // Not counting what Corral itself asks.
      const posts = () => box.requests.filter(({ method, path }) => method === 'POST' && path !== '/api/show');
      const before = posts().length;
      for (const path of [
        '/api/newthing',
        '/v1/images/generations',
        '/v1/files',
        '/v1/moderations',
        '/metrics',
        '/debug/pprof',
        '/api',
        '/v1',
        '/v2/chat/completions',
      ]) {
        for (const method of ['GET', 'POST']) {
          const reply = await ask(corral.url + path, { method, ...(method === 'POST' ? { body: '{}' } : {}) });
          expect([method, path, reply.status]).toEqual([method, path, 404]);
          expect(reply.text).toMatch(/openPaths/);
        }
      }
      expect(posts()).toHaveLength(before);
    });

    stage.it('fleet.openPaths opens single paths', async () => {
      const gateway = await stage.corral({
        yaml: herdOf([{ name: 'desk', at: box.port }], { fleet: { openPaths: ['POST /api/newthing'] } }),
      });
      await ask(`${gateway.url}/api/newthing`, { body: '{"x":1}' });
      expect((await box.nextRequest(isPath('/api/newthing'))).body).toBe('{"x":1}');
      expect((await ask(`${gateway.url}/api/newthing`)).text).toMatch(/openPaths/);
    });

    stage.it('wrong methods: 405 with Allow', async () => {
      const reply = await ask(`${corral.url}/v1/chat/completions`);
      expect([reply.status, reply.headers.get('allow')]).toEqual([405, 'POST']);
      expect((await ask(`${corral.url}/api/tags`, { body: '{}' })).status).toBe(405);
    });

    stage.it('Host is the box’s; Origin, Referer, Sec-Fetch-*, forwarding, hop-by-hop and credentials stay behind', async () => {
      await raw(corral.url, {
        path: '/v1/chat/completions',
        headers: [
          ['Authorization', 'Bearer secret'],
          ['X-Api-Key', 'secret'],
          ['Cookie', 'a=secret'],
          ['Proxy-Authorization', 'Basic secret'],
          ['Origin', 'http://localhost:5173'],
          ['Referer', 'http://localhost:5173/x'],
          ['Sec-Fetch-Mode', 'cors'],
          ['Sec-Ch-Ua', 'x'],
          ['X-Forwarded-For', '203.0.113.7'],
          ['X-Forwarded-Host', 'evil.example'],
          ['Forwarded', 'for=1'],
          ['Via', '1.1 x'],
          ['X-Real-Ip', '203.0.113.7'],
          ['Connection', 'keep-alive, X-Hop'],
          ['X-Hop', 'hop'],
          ['Keep-Alive', 'timeout=5'],
          ['TE', 'trailers'],
          ['X-Custom', 'kept'],
          ['Traceparent', '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'],
        ],
        body,
      });
      const received = box.requests.findLast(isPath('/v1/chat/completions'));
      const names = (received?.headers ?? []).map(([name]) => name.toLowerCase());
      for (const name of [
        'authorization',
        'x-api-key',
        'cookie',
        'proxy-authorization',
        'origin',
        'referer',
        'sec-fetch-mode',
        'sec-ch-ua',
        'x-forwarded-for',
        'x-forwarded-host',
        'forwarded',
        'via',
        'x-real-ip',
        'x-hop',
        'keep-alive',
        'te',
      ])
        expect(names).not.toContain(name);
      expect([received?.header('host'), received?.header('x-custom'), received?.header('traceparent')]).toEqual([
        `127.0.0.1:${box.port}`,
        'kept',
        expect.stringMatching(/^00-4bf92f3577b34da6a3ce929d0e0e4736-/),
      ]);
    });

    stage.it('header injection: line ends in values and names never make new headers', async () => {
      for (const path of [
        '/v1/models/x%0d%0aX-Injected:%201',
        '/v1/models/%0aSet-Cookie:%20a=b',
        '/api/tags?x=%0d%0aX-Injected:1',
      ]) {
        const reply = await raw(corral.url, { path });
        expect(reply.header('x-injected')).toBeUndefined();
        expect(reply.header('set-cookie')).toBeUndefined();
      }
      const named = await chat(corral.url, { model: 'x\r\nX-Injected: 1', n: 2 });
      expect(named.headers.get('x-injected')).toBeNull();
      expect(named.status).toBeGreaterThanOrEqual(400);
      const client = await stage.raw(corral.url);
      await client.send(`GET /api/tags HTTP/1.1\r\nHost: localhost\r\nX-A: b\rX-Injected: 1\r\nConnection: close\r\n\r\n`);
      expect(await client.closed).toBeTruthy();
      expect(box.requests.some((request) => request.header('x-injected') !== undefined)).toBe(false);
    });

    stage.it(
      'Corral pointed at itself: refused as a loop, once, in words (D17)',
      async () => {
        const port = await stage.closedPort();
        const own = port.port;
        await port.release();
        const loop = await stage.corral({
          yaml: herdOf([{ name: 'mirror', at: own }]),
          env: { CORRAL_PORT: String(own) },
        });
        const reply = await chat(loop.url);
        expect([reply.status, errorOf(reply)]).toEqual([
          expect.toBeOneOf([503, 508]),
          expect.stringMatching(/mirror is this gateway itself|Corral itself/),
        ]);
        expect((await ask(`${loop.url}/v1/models`)).json()).toEqual({ object: 'list', data: expect.any(Array) });
        await until('it says so', () => /mirror.*this gateway itself/.test(loop.stdout() + loop.stderr()));
      },
      { deno: 'its port is not known before it starts (deno serve --port 0)', workerd: 'its port is not known before it starts' },
    );
  });
}
