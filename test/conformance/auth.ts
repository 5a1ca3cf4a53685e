/** Who may come in beside keys (issue 4: "Policies"): passwords, tokens, an authorization server, networks; and what goes on to a box. */
import { createServer, type IncomingMessage } from 'node:http';
import { CompactSign, exportJWK, generateKeyPair, type JWK } from 'jose';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import type { FakeOllama } from '../support/fake-ollama/index.ts';
import type { RunningCorral } from '../support/runtimes/index.ts';
import { chat, herdOf, inferencesOf, type Reply, type Stage } from './stage.ts';

const basic = (pair: string) => ({ authorization: `Basic ${btoa(pair)}` });
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

interface Answer {
  readonly status: number;
  readonly headers?: Record<string, string>;
  readonly text?: string;
}

/** A server that says what it is told to, and remembers what it was asked. */
async function openServer(answer: (asked: IncomingMessage) => Answer) {
  const asked: { method: string; path: string; headers: IncomingMessage['headers'] }[] = [];
  const server = createServer((request, response) => {
    request.resume();
    asked.push({ method: request.method ?? '', path: request.url ?? '', headers: request.headers });
    const { status, headers, text } = answer(request);
    response.writeHead(status, headers);
    response.end(text);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    port: address.port,
    asked,
    stop: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

export function auth(stage: Stage): void {
  const lastHeader = (box: FakeOllama, name: string): string | undefined =>
    inferencesOf(box)
      .at(-1)
      ?.headers.find(([given]) => given.toLowerCase() === name)?.[1];

  const open = async (policies: object, more: { readonly backend?: object } = {}) => {
    const box = await stage.box({ models: ['llama3.2'] });
    const entry = { name: 'desk', at: box.port, ...(more.backend === undefined ? {} : { policies: more.backend }) };
    const corral = await stage.corral({ yaml: herdOf([entry], { policies }), locked: true });
    return { box, corral };
  };

  describe('auth: passwords', () => {
    let box: FakeOllama;
    let corral: RunningCorral;
    beforeAll(async () => {
      const htpasswd = [
        'user1:$$2y$$05$$LMZ.8WGNqvagmtJz2Gw6VuiE6khXc2zc0FDTHrfWJyLT66HM8BMAa',
        'bob:$$apr1$$abcdefgh$$h9FWgUz3n9YxylKLlR5SQ/',
        'sha:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=',
      ].join('\n');
      ({ box, corral } = await open({ basicAuth: { realm: 'models', htpasswd } }));
    });

    stage.it('bcrypt, MD5 and SHA passwords let in, and reach no box', async () => {
      for (const pair of ['user1:agentgateway', 'bob:secret', 'sha:secret', 'user1:agentgateway']) {
        expect([pair, (await chat(corral.url, {}, basic(pair))).status]).toEqual([pair, 200]);
        expect(lastHeader(box, 'authorization')).toBeUndefined();
      }
    });

    stage.it('a wrong or missing password gets 401 with the challenge', async () => {
      const before = inferencesOf(box).length;
      for (const headers of [{}, basic('bob:wrong'), basic('eve:secret'), basic('user1:agentgatewax'), bearer('x')]) {
        const reply = await chat(corral.url, {}, headers);
        expect([headers, reply.status]).toEqual([headers, 401]);
        expect(reply.headers.get('www-authenticate')).toBe('Basic realm="models"');
      }
      expect(inferencesOf(box)).toHaveLength(before);
    });
  });

  describe('auth: tokens', () => {
    let box: FakeOllama;
    let corral: RunningCorral;
    let jwk: JWK;
    let sign: (claims?: object, header?: object) => Promise<string>;
    beforeAll(async () => {
      const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true });
      jwk = { ...(await exportJWK(publicKey)), kid: 'k1' };
      sign = (claims = {}, header = {}) => {
        const exp = Math.floor(Date.now() / 1000) + 300;
        const payload = { iss: 'https://iss', aud: 'models', sub: 'ann', exp, ...claims };
        return new CompactSign(new TextEncoder().encode(JSON.stringify(payload)))
          .setProtectedHeader({ alg: 'ES256', kid: 'k1', ...header })
          .sign(privateKey);
      };
      ({ box, corral } = await open({
        jwtAuth: { issuer: 'https://iss', audiences: ['models'], jwks: JSON.stringify({ keys: [jwk] }) },
        authorization: { rules: ['jwt.sub == "ann"'] },
      }));
    });

    const errorTextOf = (reply: Reply): unknown => reply.json().error.message;

    stage.it('a token of the issuer lets in, its claims are there for rules, and it reaches no box', async () => {
      expect((await chat(corral.url, {}, bearer(await sign()))).status).toBe(200);
      expect(lastHeader(box, 'authorization')).toBeUndefined();
      expect((await chat(corral.url, {}, bearer(await sign({ sub: 'bob' })))).status).toBe(403);
    });

    stage.it('forged, old, early and foreign tokens get 401, with the reason', async () => {
      const nowS = Math.floor(Date.now() / 1000);
      const good = await sign();
      const [header = '', payload = ''] = good.split('.');
      const none = btoa(JSON.stringify({ alg: 'none', kid: 'k1' })).replaceAll('=', '');
      const secret = await new CompactSign(new TextEncoder().encode(atob(payload)))
        .setProtectedHeader({ alg: 'HS256', kid: 'k1' })
        .sign(new TextEncoder().encode(JSON.stringify(jwk)));
      const cases: [string, RegExp][] = [
        [await sign({ exp: nowS - 1 }), /Error\(ExpiredSignature\)/],
        [await sign({ nbf: nowS + 60 }), /Error\(ImmatureSignature\)/],
        [await sign({ iss: 'https://evil' }), /Error\(InvalidIssuer\)/],
        [await sign({ aud: 'others' }), /Error\(InvalidAudience\)/],
        [await sign({}, { kid: 'k2' }), /unknown key "k2"/],
        [`${header}.${payload}.${'A'.repeat(86)}`, /Error\(InvalidSignature\)/],
        [`${none}.${payload}.`, /the token header is malformed/],
        [secret, /Error\(InvalidAlgorithm\)/],
        ['abc', /the token header is malformed/],
      ];
      for (const [token, reason] of cases) {
        const reply = await chat(corral.url, {}, bearer(token));
        expect([reply.status, errorTextOf(reply)]).toEqual([401, expect.stringMatching(reason)]);
      }
      expect(errorTextOf(await chat(corral.url))).toMatch(/^authentication failure: no bearer token found/);
    });

    stage.it('keys of a URL are fetched when a token asks for them, and once', async () => {
      const keys = await openServer(() => ({ status: 200, text: JSON.stringify({ keys: [jwk] }) }));
      const remote = await open({ jwtAuth: { issuer: 'https://iss', jwks: { url: `http://127.0.0.1:${keys.port}/keys` } } });
      expect(keys.asked).toHaveLength(0);
      for (let time = 0; time < 3; time++) expect((await chat(remote.corral.url, {}, bearer(await sign()))).status).toBe(200);
      expect(keys.asked.map(({ method, path }) => [method, path])).toEqual([['GET', '/keys']]);
      await keys.stop();
      expect((await chat(remote.corral.url, {}, bearer(await sign()))).status).toBe(200);
    });

    stage.it('an issuer that is down keeps nobody from starting: 503 until it is there', async () => {
      const closed = await stage.closedPort();
      const remote = await open({ jwtAuth: { issuer: 'https://iss', jwks: { url: `http://127.0.0.1:${closed.port}/keys` } } });
      const reply = await chat(remote.corral.url, {}, bearer(await sign()));
      expect([reply.status, errorTextOf(reply)]).toEqual([503, expect.stringMatching(/cannot be fetched right now/)]);
      expect((await chat(remote.corral.url)).status).toBe(401);
    });

    stage.it('backendAuth.passthrough shows the upstream the token that was verified', async () => {
      const passing = await open(
        { jwtAuth: { issuer: 'https://iss', jwks: JSON.stringify({ keys: [jwk] }) } },
        {
          backend: { backendAuth: { passthrough: {}, credentials: [{ location: { header: { name: 'x-team' } }, key: 'blue' }] } },
        },
      );
      const token = await sign();
      expect((await chat(passing.corral.url, {}, bearer(token))).status).toBe(200);
      expect([lastHeader(passing.box, 'authorization'), lastHeader(passing.box, 'x-team')]).toEqual([`Bearer ${token}`, 'blue']);
    });
  });

  describe('auth: an authorization server', () => {
    let box: FakeOllama;
    let corral: RunningCorral;
    let server: Awaited<ReturnType<typeof openServer>>;
    beforeAll(async () => {
      server = await openServer(({ headers }) =>
        headers.authorization === 'Bearer good'
          ? { status: 200, headers: { 'x-user': 'ann' }, text: 'fine' }
          : { status: 401, headers: { 'content-type': 'text/x-own', 'www-authenticate': 'Own' }, text: 'who are you?' },
      );
      ({ box, corral } = await open({
        extAuthz: {
          host: `127.0.0.1:${server.port}`,
          protocol: { http: { path: '"/check" + request.path', includeResponseHeaders: ['x-user', 'x-group'] } },
        },
      }));
    });
    afterAll(() => server.stop());

    stage.it('asks it, and takes over what it says', async () => {
      const headers = { ...bearer('good'), 'x-user': 'root', 'x-group': 'admins' };
      expect((await chat(corral.url, {}, headers)).status).toBe(200);
      expect(server.asked.at(-1)).toMatchObject({ method: 'POST', path: '/check/v1/chat/completions' });
      expect(server.asked.at(-1)?.headers).not.toHaveProperty('x-user');
      expect([lastHeader(box, 'x-user'), lastHeader(box, 'x-group')]).toEqual(['ann', undefined]);
    });

    stage.it('hands its refusal on, letter by letter', async () => {
      const before = inferencesOf(box).length;
      const reply = await chat(corral.url, {}, bearer('bad'));
      expect([reply.status, reply.text]).toEqual([401, 'who are you?']);
      expect([reply.headers.get('content-type'), reply.headers.get('www-authenticate')]).toEqual(['text/x-own', 'Own']);
      expect(inferencesOf(box)).toHaveLength(before);
    });

    stage.it('lets nobody in while it is away, unless that is wanted', async () => {
      const closed = await stage.closedPort();
      const at = (failureMode: unknown) => ({
        extAuthz: { host: `127.0.0.1:${closed.port}`, protocol: { http: {} }, failureMode },
      });
      const denying = await open(at('deny'));
      const reply = await chat(denying.corral.url);
      expect([reply.status, reply.json().error.message]).toEqual([403, 'external authorization failed']);
      expect((await chat((await open(at({ denyWithStatus: 418 }))).corral.url)).status).toBe(418);
    });
  });

  describe('auth: keys', () => {
    stage.it('a trusted key says who its users are, for rules; the headers reach no box', async () => {
      const { box, corral } = await open({
        apiKey: { keys: [{ key: 'sk-ui', metadata: { name: 'webui', userHeaders: true } }, { key: 'sk-other' }] },
        authorization: { rules: ['user.email.endsWith("@example.com")'] },
      });
      const headers = { 'X-OpenWebUI-User-Id': 'u-1', 'X-OpenWebUI-User-Email': 'ann@example.com' };
      expect((await chat(corral.url, {}, { ...headers, ...bearer('sk-ui') })).status).toBe(200);
      expect([lastHeader(box, 'x-openwebui-user-id'), lastHeader(box, 'x-openwebui-user-email')]).toEqual([undefined, undefined]);
      expect((await chat(corral.url, {}, { ...headers, ...bearer('sk-other') })).status).toBe(403);
      const stranger = { ...headers, 'X-OpenWebUI-User-Email': 'eve@evil.example' };
      expect((await chat(corral.url, {}, { ...stranger, ...bearer('sk-ui') })).status).toBe(403);
    });

    stage.it(
      'a client of a named network needs no key, a proxy or web page there does',
      async () => {
        const keyOf = (...networks: string[]) => ({ apiKey: { keys: [{ key: 'sk-lan', metadata: { networks } }] } });
        const inside = (await open(keyOf('127.0.0.0/8'))).corral.url;
        expect((await chat(inside)).status).toBe(200);
        for (const headers of [{ 'x-forwarded-for': '127.0.0.1' }, { origin: 'https://evil.example' }, bearer('wrong')]) {
          expect([headers, (await chat(inside, {}, headers)).status]).toEqual([headers, 401]);
        }
        const outside = (await open(keyOf('10.0.0.0/8'))).corral.url;
        expect((await chat(outside)).status).toBe(401);
        expect((await chat(outside, {}, bearer('sk-lan'))).status).toBe(200);
      },
      { workerd: 'no client has an address there' },
    );
  });

  describe('auth: foreign pages', () => {
    stage.it('csrf refuses what a foreign page sends, and nothing that programs send', async () => {
      const { box, corral } = await open({
        apiKey: { keys: [{ key: 'sk' }] },
        csrf: { additionalOrigins: ['https://app.example.com'] },
      });
      const asked = async (headers: Record<string, string>) =>
        (await chat(corral.url, {}, { ...bearer('sk'), ...headers })).status;
      expect(await asked({})).toBe(200);
      expect(await asked({ origin: 'https://app.example.com' })).toBe(200);
      expect(await asked({ origin: corral.url })).toBe(200);
      const before = inferencesOf(box).length;
      expect(await asked({ origin: 'https://evil.example' })).toBe(403);
      expect(await asked({ origin: 'null' })).toBe(403);
      expect(inferencesOf(box)).toHaveLength(before);
    });
  });
}
