/** Authentication policies in a whole gateway: several of them, on listeners and routes, and what comes of it. */
import { CompactSign, exportJWK, generateKeyPair } from 'jose';
import { beforeAll, describe, expect, it } from 'vitest';
import { createStage, type Stage } from './stage.ts';

const nowS = Date.UTC(2026, 0, 1) / 1000;
const htpasswd = 'bob:$$apr1$$abcdefgh$$h9FWgUz3n9YxylKLlR5SQ/'; // secret
const bob = `Basic ${btoa('bob:secret')}`;

let jwks: string;
let sign: (claims?: object) => Promise<string>;
beforeAll(async () => {
  const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true });
  jwks = JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: 'k1' }] });
  sign = (claims = {}) =>
    new CompactSign(new TextEncoder().encode(JSON.stringify({ iss: 'i', sub: 'ann', exp: nowS + 60, ...claims })))
      .setProtectedHeader({ alg: 'ES256', kid: 'k1' })
      .sign(privateKey);
});

const jwtAuth = (more: object = {}) => ({ issuer: 'i', jwks, ...more });
const keys = (...entries: object[]) => ({ keys: entries });

function openStage(policies: object, { listener = {}, backend }: { listener?: object; backend?: object } = {}): Stage {
  const ai = {
    name: 'box',
    hostOverride: 'box:11434',
    provider: { openAI: {} },
    ...(backend === undefined ? {} : { policies: backend }),
  };
  const yaml = JSON.stringify({
    binds: [{ port: 3000, listeners: [{ policies: listener, routes: [{ policies, backends: [{ ai }] }] }] }],
  });
  return createStage(yaml);
}

const chat = (stage: Stage, headers: Record<string, string>, model = 'm') =>
  stage.read('/v1/chat/completions', { headers, body: { model, messages: [] } });

/** What the box was asked for. */
const inferences = ({ sent }: Stage) => sent.filter(({ url }) => url.startsWith('http://box:11434/v1/chat'));

describe('several authentication policies', () => {
  it('must all be content', async () => {
    const stage = openStage({ jwtAuth: jwtAuth(), apiKey: keys({ key: 'sk' }) });
    const token = await sign();
    expect((await chat(stage, { authorization: `Bearer ${token}` })).status).toBe(401);
    expect((await chat(stage, { 'x-api-key': 'sk' })).status).toBe(401);
    expect((await chat(stage, { authorization: 'Bearer sk' })).status).toBe(401);
    expect(inferences(stage)).toHaveLength(0);
    expect((await chat(stage, { authorization: `Bearer ${token}`, 'x-api-key': 'sk' })).status).toBe(200);
    expect(inferences(stage)[0]?.headers).not.toHaveProperty('authorization');
    expect(stage.told.at(-1)?.exchange.claims?.jwt).toMatchObject({ sub: 'ann' });
  });

  it.each([
    ['a token', 'jwtAuth'],
    ['a password', 'basicAuth'],
  ])('%s takes no limit from a key that was accepted before', async (_, name) => {
    const listener = { apiKey: keys({ key: 'sk', metadata: { name: 'small' }, allowedModels: ['small'] }) };
    const policy = name === 'jwtAuth' ? { jwtAuth: jwtAuth() } : { basicAuth: { htpasswd } };
    const stage = openStage(policy, { listener });
    const authorization = name === 'jwtAuth' ? `Bearer ${await sign()}` : bob;
    const headers = { 'x-api-key': 'sk', authorization };
    expect((await chat(stage, headers, 'small')).status).toBe(200);
    const large = await chat(stage, headers, 'large');
    expect([large.status, JSON.parse(large.text).error.code]).toEqual([403, 'model_not_allowed']);
    expect(stage.told.at(-1)?.exchange.identity?.name).toBe('small');
  });

  it('a key limits whoever has shown a token or password as well', async () => {
    const stage = openStage({ apiKey: keys({ key: 'sk', allowedModels: ['small'] }), basicAuth: { htpasswd } });
    const headers = { 'x-api-key': 'sk', authorization: bob };
    expect((await chat(stage, headers, 'small')).status).toBe(200);
    expect((await chat(stage, headers, 'large')).status).toBe(403);
  });

  it.each(['jwtAuth', 'basicAuth', 'extAuthz'])('%s alone locks a route, and opens no management', async (name) => {
    const policies: Record<string, object> = {
      jwtAuth: jwtAuth(),
      basicAuth: { htpasswd },
      extAuthz: { host: 'authz:9000', protocol: { http: {} } },
    };
    const stage = openStage({ [name]: policies[name] });
    const authorization = name === 'jwtAuth' ? `Bearer ${await sign({ scopes: ['admin'], scope: 'admin', isAdmin: true })}` : bob;
    // A foreign host and client: the guard of routes without a lock is not there.
    const asked = await stage.read('/api/tags', {
      headers: { authorization, 'x-forwarded-for': '1.2.3.4' },
      host: 'models.example',
    });
    expect(asked.status).toBe(200);
    const removal = await stage.read('/api/delete', { method: 'DELETE', headers: { authorization }, body: { model: 'm' } });
    expect(removal.status).toBe(403);
    expect(stage.sent.filter(({ url }) => url.endsWith('/api/delete'))).toHaveLength(name === 'extAuthz' ? 1 : 0);
    expect(stage.sent.filter(({ url }) => url === 'http://box:11434/api/delete')).toHaveLength(0);
  });

  it('answers in the shape of the protocol, with the challenge and CORS headers', async () => {
    const stage = openStage({ basicAuth: { htpasswd } }, { listener: { cors: { allowOrigins: ['https://app.example'] } } });
    const { status, headers, text } = await stage.read('/api/chat', {
      headers: { origin: 'https://app.example' },
      body: { model: 'm' },
    });
    expect([status, JSON.parse(text)]).toEqual([
      401,
      { error: 'basic authentication failure: no basic authentication credentials found' },
    ]);
    expect(headers.get('www-authenticate')).toBe('Basic realm="Restricted"');
    expect(headers.get('access-control-allow-origin')).toBe('https://app.example');
  });
});

describe('an authorization server', () => {
  const extAuthz = { host: 'authz:9000', protocol: { http: { includeResponseHeaders: ['x-user'] } } };

  it('is asked on a listener, on a route and for a backend, each by itself', async () => {
    const stage = openStage({ extAuthz }, { listener: { extAuthz }, backend: { extAuthz } });
    expect((await chat(stage, {})).status).toBe(200);
    expect(stage.sent.map(({ url }) => new URL(url).host)).toEqual(['authz:9000', 'authz:9000', 'authz:9000', 'box:11434']);
  });

  it('refuses for a backend before that is asked', async () => {
    const stage = openStage({}, { backend: { extAuthz } });
    stage.script = ({ url }) =>
      url.startsWith('http://authz') ? { status: 403, body: 'no', headers: { 'x-why': 'no' } } : { body: '{}' };
    const { status, text, headers } = await chat(stage, {});
    expect([status, text, headers.get('x-why')]).toEqual([403, 'no', 'no']);
    expect(inferences(stage)).toHaveLength(0);
    expect(stage.told.at(-1)?.exchange).toMatchObject({ outcome: 'refused', error: { code: 'ext_authz_denied' } });
  });

  it('is shown the body, which still reaches the box', async () => {
    const stage = openStage({ extAuthz: { ...extAuthz, includeRequestBody: {} } });
    expect((await chat(stage, {}, 'm')).status).toBe(200);
    expect(stage.sent.map(({ text }) => JSON.parse(text ?? '').model)).toEqual(['m', 'm']);
    expect(stage.budgetLeft()).toBe(1024 * 1024);
  });

  it('that is a top-level backend is spoken to as its policies say', async () => {
    const yaml = JSON.stringify({
      binds: [
        {
          port: 3000,
          listeners: [
            { routes: [{ policies: { extAuthz: { backend: 'authz', protocol: { http: {} } } }, backends: [{ host: 'a:1' }] }] },
          ],
        },
      ],
      backends: [{ name: 'authz', host: 'authz.example:443', policies: { backendTLS: {} } }],
    });
    const stage = createStage(yaml);
    await stage.read('/x');
    expect(stage.sent[0]?.url).toBe('https://authz.example:443/x');
  });
});
