import { describe, expect, it } from 'vitest';
import { type ApiKeyOptions, apiKey } from '../../../src/policies/apiKey.ts';
import type { PolicyScope } from '../../../src/policies/policy.ts';
import { ask, type FakeRequest, fakeAttempt, fakeScope } from './fake-exchange.ts';

const scope: PolicyScope = fakeScope({ yamlPath: 'binds[0].listeners[0].policies.apiKey' });

/** SHA-256 of `sk-hash`, taken from agentgateway's own test run. */
const hashOfSkHash = 'sha256:c6523aeb23002f7eabb946eb2853d95d213ce1859c85029b160050703ff6a3d1';

function parsed(options: unknown): ApiKeyOptions {
  return apiKey.options.parse(options);
}

function asked(options: unknown, request: FakeRequest, given: PolicyScope = scope) {
  const middleware = apiKey.onRequest?.(parsed(options), given);
  if (middleware === undefined) throw new Error('no middleware');
  return ask(middleware, request);
}

const bearer = (key: string): FakeRequest => ({ headers: { authorization: `Bearer ${key}` } });
const keys = [{ key: 'sk-good', metadata: { user: 'bob' } }, { keyHash: hashOfSkHash }];

describe('apiKey', () => {
  it('is strict when no mode is given, and says how to send the key', async () => {
    const { response, reached, code, message } = await asked({ keys }, {});
    expect(response.status).toBe(401);
    expect(reached).toBe(false);
    expect(code).toBe('api_key_missing');
    expect(message).toBe(
      'api key authentication failure: no API Key found. Send your key as `authorization: Bearer KEY` or `x-api-key: KEY`',
    );
    expect(response.headers.get('www-authenticate')).toBe('Bearer');
  });

  it.each([
    ['Authorization: Bearer', { authorization: 'Bearer sk-good' }],
    ['a scheme in lower case', { authorization: 'bearer sk-good' }],
    ['two spaces', { authorization: 'Bearer  sk-good' }],
    ['x-api-key', { 'x-api-key': 'sk-good' }],
    ['x-api-key beside a dummy in Authorization', { authorization: 'Bearer ollama', 'x-api-key': 'sk-good' }],
    ['a key known by its hash', { authorization: 'Bearer sk-hash' }],
    ['a key known by its hash in x-api-key', { authorization: 'Bearer dummy', 'x-api-key': 'sk-hash' }],
  ])('lets in: %s', async (_, headers) => {
    const { response, reached } = await asked({ keys }, { headers });
    expect(response.status).toBe(200);
    expect(reached).toBe(true);
  });

  it.each([
    ['a wrong key', { authorization: 'Bearer sk-bad' }, 'api_key_invalid'],
    ['a key that begins like a good one', { authorization: 'Bearer sk-goo' }, 'api_key_invalid'],
    ['a key that goes on after a good one', { authorization: 'Bearer sk-good2' }, 'api_key_invalid'],
    ['another case', { authorization: 'Bearer SK-GOOD' }, 'api_key_invalid'],
    ['the hash itself', { authorization: `Bearer ${hashOfSkHash.slice(7)}` }, 'api_key_invalid'],
    ['a key of 5,000 letters', { authorization: `Bearer ${'a'.repeat(5000)}` }, 'api_key_invalid'],
    ['a key without scheme', { authorization: 'sk-good' }, 'api_key_missing'],
    ['another scheme', { authorization: 'Basic sk-good' }, 'api_key_missing'],
    ['an empty key', { authorization: 'Bearer ' }, 'api_key_missing'],
    ['an empty x-api-key', { 'x-api-key': '' }, 'api_key_missing'],
  ])('keeps out: %s', async (_, headers, expected) => {
    const { response, reached, code } = await asked({ keys }, { headers });
    expect(response.status).toBe(401);
    expect(reached).toBe(false);
    expect(code).toBe(expected);
    expect(response.headers.get('www-authenticate')).toBe('Bearer');
  });

  it('never repeats the key that was sent', async () => {
    const { message } = await asked({ keys }, bearer('sk-secret-guess'));
    expect(message).toMatch(/^api key authentication failure: invalid credentials\. /);
    expect(message).not.toContain('sk-secret-guess');
  });

  it('tells who calls and uses the header up', async () => {
    const options = {
      keys: [{ key: 'k', metadata: { name: 'Alice', user: 'alice', scopes: ['admin'], group: 'x' }, allowedModels: ['llama*'] }],
    };
    const { exchange } = await asked(options, { headers: { 'x-api-key': 'k', authorization: 'Bearer other' } });
    expect(exchange.identity).toEqual({
      name: 'Alice',
      isAdmin: true,
      allowedModels: ['llama*'],
      metadata: { name: 'Alice', user: 'alice', scopes: ['admin'], group: 'x' },
    });
    expect([...exchange.consumedHeaders]).toEqual(['x-api-key']);
  });

  it('takes metadata.user for the name, and scopes only as a list', async () => {
    const options = { keys: [{ key: 'k', metadata: { user: 'bob', scopes: 'admin' } }] };
    const { exchange } = await asked(options, bearer('k'));
    expect(exchange.identity).toEqual({
      name: 'bob',
      isAdmin: false,
      allowedModels: undefined,
      metadata: { user: 'bob', scopes: 'admin' },
    });
  });

  it('tells apart a key without allowedModels and one that may use none', async () => {
    const options = { keys: [{ key: 'all' }, { key: 'none', allowedModels: [] }] };
    expect((await asked(options, bearer('all'))).exchange.identity?.allowedModels).toBeUndefined();
    expect((await asked(options, bearer('none'))).exchange.identity?.allowedModels).toEqual([]);
  });

  it('knows a hashed key on its second coming as well', async () => {
    const middleware = apiKey.onRequest?.(
      parsed({ keys: [{ keyHash: hashOfSkHash.toUpperCase().replace('SHA256', 'sha256') }] }),
      scope,
    );
    if (middleware === undefined) throw new Error('no middleware');
    for (let turn = 0; turn < 2; turn++) expect((await ask(middleware, bearer('sk-hash'))).response.status).toBe(200);
    expect((await ask(middleware, bearer('sk-hasH'))).response.status).toBe(401);
  });

  it('takes the admin token for a key with the admin scope, even where the same text is an ordinary key', async () => {
    const withToken = { ...scope, adminToken: 'boss' };
    const { exchange, response } = await asked({ keys: [{ key: 'boss', metadata: { user: 'x' } }] }, bearer('boss'), withToken);
    expect(response.status).toBe(200);
    expect(exchange.identity).toMatchObject({ name: 'admin', isAdmin: true, allowedModels: undefined });
    expect((await asked({ keys: [] }, bearer('boss'), withToken)).response.status).toBe(200);
    expect((await asked({ keys: [] }, bearer('boss'))).response.status).toBe(401);
  });

  it.each<[string, Record<string, string>, number]>([
    ['optional', {}, 200],
    ['optional', { authorization: 'Bearer sk-bad' }, 401],
    ['optional', { authorization: 'Bearer sk-good' }, 200],
    ['permissive', {}, 200],
    ['permissive', { authorization: 'Bearer sk-bad' }, 200],
    ['permissive', { authorization: 'Bearer sk-hash' }, 200],
  ])('in mode %s answers %o with %i', async (mode, headers, status) => {
    const { response, exchange } = await asked({ keys, mode }, { headers });
    expect(response.status).toBe(status);
    const isKnown = headers.authorization === 'Bearer sk-good' || headers.authorization === 'Bearer sk-hash';
    expect(exchange.identity !== undefined).toBe(isKnown);
    // A key that was not verified is the upstream's business, as in agentgateway.
    expect(exchange.consumedHeaders.has('authorization')).toBe(isKnown);
  });

  it('protects a route in strict mode only', () => {
    expect(apiKey.protects?.(parsed({ keys }))).toBe(true);
    expect(apiKey.protects?.(parsed({ keys, mode: 'optional' }))).toBe(false);
    expect(apiKey.protects?.(parsed({ keys, mode: 'permissive' }))).toBe(false);
  });
});

describe('apiKey location', () => {
  const key = [{ key: 'sk good' }];

  it('reads one header, and then no other', async () => {
    const options = { keys, location: { header: { name: 'X-Team-Key' } } };
    expect((await asked(options, { headers: { 'x-team-key': 'sk-good' } })).response.status).toBe(200);
    const { message } = await asked(options, bearer('sk-good'));
    expect(message).toBe('api key authentication failure: no API Key found. Send your key as `x-team-key: KEY`');
  });

  it('reads a header with a prefix, without regard to case', async () => {
    const options = { keys, location: { header: { name: 'authorization', prefix: 'Token ' } } };
    expect((await asked(options, { headers: { authorization: 'TOKEN sk-good' } })).response.status).toBe(200);
    expect((await asked(options, bearer('sk-good'))).response.status).toBe(401);
  });

  it('reads a query parameter and takes it out of what leaves', async () => {
    const options = { keys: key, location: { queryParameter: { name: 'api_key' } } };
    const path = '/v1/models?a=1&api_key=sk+good&b=%2F';
    const { response, exchange } = await asked(options, { path });
    expect(response.status).toBe(200);
    const edit = apiKey.onAttempt?.(parsed(options), scope);
    const attempt = { ...fakeAttempt({ path }), exchange };
    edit?.(attempt);
    expect(attempt.outgoing.query).toBe('?a=1&b=%2F');
    expect((await asked(options, { path: '/v1/models?api-key=sk+good' })).code).toBe('api_key_missing');
  });

  it('reads a cookie and takes it out of what leaves', async () => {
    const options = { keys, location: { cookie: { name: 'key' } } };
    const cookie = 'session=1; key=sk-good; mykey=2';
    const { response, exchange } = await asked(options, { headers: { cookie } });
    expect(response.status).toBe(200);
    const attempt = { ...fakeAttempt({ outgoing: { cookie } }), exchange };
    apiKey.onAttempt?.(parsed(options), scope)?.(attempt);
    expect(attempt.outgoing.headers.cookie).toBe('session=1; mykey=2');
    expect((await asked(options, { headers: { cookie: 'mykey=sk-good' } })).code).toBe('api_key_missing');
  });

  it('leaves a query parameter that was not verified where it is', () => {
    const options = parsed({ keys, mode: 'permissive', location: { queryParameter: { name: 'k' } } });
    const attempt = fakeAttempt({ path: '/x?k=wrong' });
    apiKey.onAttempt?.(options, scope)?.(attempt);
    expect(attempt.outgoing.query).toBe('?k=wrong');
  });
});

describe('apiKey options', () => {
  it.each([
    ['neither key nor keyHash', { keys: [{ metadata: {} }] }, 'expected exactly one of key and keyHash'],
    ['both', { keys: [{ key: 'a', keyHash: hashOfSkHash }] }, 'expected exactly one of key and keyHash'],
    ['a short hash', { keys: [{ keyHash: 'sha256:abc' }] }, '64 hexadecimal digits'],
    ['bcrypt', { keys: [{ keyHash: '$2b$12$abcdefghijklmnopqrstuv' }] }, 'sha256sum'],
    ['an empty key', { keys: [{ key: '  ' }] }, 'must not be empty'],
    ['a pattern with two stars', { keys: [{ key: 'a', allowedModels: ['*x*'] }] }, 'more than one'],
    ['two locations', { keys, location: { header: { name: 'a' }, cookie: { name: 'b' } } }, 'exactly one of header'],
    ['no location in location', { keys, location: {} }, 'exactly one of header'],
    ['an expression of the body', { keys, location: { expression: 'json(request.body).key' } }, 'before the body is read'],
    ['what is no expression', { keys, location: { expression: 'request.headers[' } }, 'column'],
    [
      'budgets',
      { keys: [{ key: 'a', budgets: [] }] },
      'known to agentgateway, not supported: money is not counted; limit tokens per key by localRateLimit, with type: tokens and key: apiKey.name',
    ],
    ['an unknown mode', { keys, mode: 'strickt' }, 'strict'],
    ['no keys', {}, 'array'],
    ['a header that is none', { keys, location: { header: { name: 'x y' } } }, 'header name'],
  ])('refuses %s', (_, options, message) => {
    const result = apiKey.options.safeParse(options);
    expect(result.success).toBe(false);
    expect(JSON.stringify(result.error?.issues)).toContain(message);
  });

  it('takes metadata that is left empty', () => {
    expect(parsed({ keys: [{ key: 'a', metadata: null }] }).keys[0]?.metadata).toBeNull();
  });
});

describe('apiKey: who stands behind a shared key', () => {
  const webUi = {
    'x-openwebui-user-id': 'u-1',
    'x-openwebui-user-email': 'ann@example.com',
    'x-openwebui-user-name': 'Ann%20M%C3%BCller',
    'x-openwebui-user-role': 'admin',
  };
  const trusting = (userHeaders: unknown) => ({
    keys: [{ key: 'sk-ui', metadata: { name: 'webui', userHeaders } }, { key: 'sk-other' }],
  });

  it('believes a trusted key what it says in Open WebUI’s headers', async () => {
    const { exchange } = await asked(trusting(true), { headers: { ...webUi, authorization: 'Bearer sk-ui' } });
    expect(exchange.claims?.user).toEqual({ id: 'u-1', email: 'ann@example.com', name: 'Ann Müller', role: 'admin' });
    // The key is still the key: its name in the log, and no admin scope from a header.
    expect(exchange.identity).toMatchObject({ name: 'webui', isAdmin: false });
    expect([...exchange.consumedHeaders].sort()).toEqual(['authorization', ...Object.keys(webUi)].sort());
  });

  it.each([
    ['another key', trusting(true), 'sk-other'],
    ['a key that is not trusted', trusting(false), 'sk-ui'],
    ['a key without metadata', { keys: [{ key: 'sk-ui' }] }, 'sk-ui'],
    ['a wrong key that is let through', { ...trusting(true), mode: 'permissive' }, 'sk-wrong'],
  ])('believes nobody else: %s', async (_, options, key) => {
    const { exchange, reached } = await asked(options, { headers: { ...webUi, authorization: `Bearer ${key}` } });
    expect(reached).toBe(true);
    expect(exchange.claims?.user).toBeUndefined();
    expect(exchange.consumedHeaders.has('x-openwebui-user-id')).toBe(false);
  });

  it('reads other headers where they are named, and only those', async () => {
    const options = trusting({ id: 'X-User', email: 'x-mail' });
    const { exchange } = await asked(options, { headers: { ...webUi, 'x-user': '7', authorization: 'Bearer sk-ui' } });
    expect(exchange.claims?.user).toEqual({ id: '7' });
  });

  it('bounds what it believes, and lets nothing make a new line in a log', async () => {
    const tell = async (name: string) => {
      const headers = { authorization: 'Bearer sk-ui', 'x-openwebui-user-name': name };
      return (await asked(trusting(true), { headers })).exchange.claims?.user?.name;
    };
    expect(await tell('x'.repeat(300))).toBe('x'.repeat(256));
    expect(await tell('a%0Ab')).toBe('a b');
    expect(await tell('100%')).toBe('100%');
  });

  it.each([
    ['a text', 'yes', 'expected true, or header names'],
    ['no header', {}, 'at least one of'],
    ['a header that is none', { id: 'x y' }, 'expected'],
  ])('refuses %s, at its place', (_, userHeaders, message) => {
    const result = apiKey.options.safeParse(trusting(userHeaders));
    expect(result.error?.issues[0]?.path.slice(0, 4)).toEqual(['keys', 0, 'metadata', 'userHeaders']);
    expect(JSON.stringify(result.error?.issues)).toContain(message);
  });
});

describe('apiKey: keys for networks', () => {
  const lan = {
    keys: [{ key: 'sk-lan', metadata: { name: 'lan', networks: ['192.168.1.0/24', 'fd00::/8'] }, allowedModels: ['small'] }],
  };

  it.each([
    ['an address in it', '192.168.1.77'],
    ['the first', '192.168.1.0'],
    ['IPv4 inside IPv6', '::ffff:192.168.1.9'],
    ['IPv6', 'fd12:3456::1'],
    ['IPv6 with a zone', 'fd12::1%eth0'],
  ])('counts clients from there as the key: %s', async (_, address) => {
    const { exchange, reached } = await asked(lan, { address });
    expect(reached).toBe(true);
    expect(exchange.identity).toMatchObject({ name: 'lan', allowedModels: ['small'] });
    expect(exchange.consumedHeaders.size).toBe(0);
  });

  it.each([
    ['a neighbour', { address: '192.168.2.1' }],
    ['IPv6 elsewhere', { address: '2001:db8::1' }],
    ['a client without an address', { address: null }],
    ['an address that is none', { address: 'unix' }],
  ])('does not count %s', async (_, request) => {
    expect((await asked(lan, request)).message).toBe(
      'api key authentication failure: no API Key found. Send your key as `authorization: Bearer KEY` or `x-api-key: KEY`',
    );
  });

  it.each([
    ['a proxy there', { headers: { 'x-forwarded-for': '192.168.1.7' } }, 'x-forwarded-for'],
    ['a tunnel there', { headers: { 'cf-ray': '1' } }, 'cf-ray'],
    ['a foreign name for this machine', { host: 'evil.example' }, 'metadata.hosts'],
    ['a web page', { headers: { origin: 'https://evil.example' } }, 'web page'],
    ['a page without an origin', { headers: { origin: 'null' } }, 'web page'],
  ])('does not believe %s, and says why', async (_, request, why) => {
    const { code, message } = await asked(lan, { address: '192.168.1.7', ...request });
    expect(code).toBe('api_key_missing');
    expect(message).toContain(`may come without one, but not this one: `);
    expect(message).toContain(why);
  });

  it.each(['192.168.1.100:3000', '8.8.8.8', '[fd00::1]:3000', 'gateway', 'gateway.lan', 'ai.home.arpa', 'box.local', ''])(
    'takes the host %s for its own',
    async (host) => {
      expect((await asked(lan, { address: '192.168.1.7', host })).reached).toBe(true);
    },
  );

  it('takes further hosts where they are named, and its own pages', async () => {
    const options = { keys: [{ key: 'k', metadata: { networks: ['10.0.0.0/8'], hosts: ['*.corp.example'] } }] };
    const host = 'ai.corp.example:3000';
    expect((await asked(options, { address: '10.1.1.1', host })).reached).toBe(true);
    expect((await asked(options, { address: '10.1.1.1', host, headers: { origin: `https://${host}` } })).reached).toBe(true);
    expect((await asked(options, { address: '10.1.1.1', host: 'corp.example' })).reached).toBe(false);
  });

  it('is for those who send no key: a wrong one is wrong', async () => {
    const { code } = await asked(lan, { address: '192.168.1.7', headers: { authorization: 'Bearer wrong' } });
    expect(code).toBe('api_key_invalid');
  });

  it('believes nobody about users for where they come from', async () => {
    const options = { keys: [{ key: 'k', metadata: { networks: ['10.0.0.0/8'], userHeaders: true } }] };
    const headers = { 'x-openwebui-user-id': 'u-1' };
    const { exchange, reached } = await asked(options, { address: '10.1.1.1', headers });
    expect(reached).toBe(true);
    expect(exchange.claims).toBeUndefined();
  });

  it('takes the first key in the file', async () => {
    const key = (name: string, network: string) => ({ key: name, metadata: { name, networks: [network] } });
    const options = { keys: [key('small', '10.1.0.0/16'), key('large', '10.0.0.0/8'), key('one', '127.0.0.1')] };
    const nameOf = async (address: string) => (await asked(options, { address })).exchange.identity?.name;
    expect([await nameOf('10.1.2.3'), await nameOf('10.2.3.4'), await nameOf('127.0.0.1')]).toEqual(['small', 'large', 'one']);
  });

  it.each([
    ['a name', ['lan'], 'expected a network such as'],
    ['a short IPv4 address', ['192.168.1/24'], 'expected a network such as'],
    ['too many bits', ['10.0.0.0/33'], '32 bits at most'],
    ['the whole Internet', ['0.0.0.0/0'], 'whole Internet'],
    ['the whole IPv6 Internet', ['::/0'], 'whole Internet'],
    ['a zone', ['fe80::1%eth0'], 'expected a network such as'],
    ['no network', [], 'lets nobody in'],
    ['a text instead of a list', '10.0.0.0/8', 'expected a list of networks'],
    ['257 networks', Array(257).fill('10.0.0.0/8'), 'at most 256'],
  ])('refuses %s, at its place', (_, networks, message) => {
    const result = apiKey.options.safeParse({ keys: [{ key: 'k', metadata: { networks } }] });
    expect(result.error?.issues[0]?.path.slice(0, 4)).toEqual(['keys', 0, 'metadata', 'networks']);
    expect(result.error?.issues[0]?.message).toContain(message);
  });

  it('says which of the networks is wrong', () => {
    const result = apiKey.options.safeParse({ keys: [{ key: 'k', metadata: { networks: ['10.0.0.0/8', 'lan'] } }] });
    expect(result.error?.issues.map(({ path }) => path.join('.'))).toEqual(['keys.0.metadata.networks.1']);
  });

  it('refuses hosts without networks, and networks where no client has an address', () => {
    const hosts = apiKey.options.safeParse({ keys: [{ key: 'k', metadata: { hosts: ['a.example'] } }] });
    expect(hosts.error?.issues[0]?.message).toContain('hosts belong to networks');
    expect(apiKey.refuses?.(parsed(lan), 'workerd')).toContain('Workers');
    expect(apiKey.refuses?.(parsed(lan), 'node')).toBeUndefined();
    expect(apiKey.refuses?.(parsed({ keys }), 'workerd')).toBeUndefined();
  });

  it('warns when a whole network may manage boxes', () => {
    const said: string[] = [];
    const admin = { keys: [{ key: 'k', metadata: { scopes: ['admin'], networks: ['10.0.0.0/8'] } }] };
    apiKey.onRequest?.(parsed(admin), { ...scope, warn: (message) => said.push(message) });
    apiKey.onRequest?.(parsed(lan), { ...scope, warn: (message) => said.push(message) });
    expect(said).toEqual(['keys[0]: everybody in ["10.0.0.0/8"] may manage the boxes without a key']);
  });
});

describe('apiKey beside jwtAuth', () => {
  it('does not take a verified token for a wrong key', async () => {
    const middleware = apiKey.onRequest?.(parsed({ keys, mode: 'optional' }), scope);
    if (middleware === undefined) throw new Error('no middleware');
    const verified: typeof middleware = async (c, next) => {
      c.env.claims = { rawToken: 'a.b.c' };
      await next();
    };
    expect((await ask([verified, middleware], bearer('a.b.c'))).reached).toBe(true);
    expect((await ask([verified, middleware], bearer('a.b.d'))).code).toBe('api_key_invalid');
  });

  it('finds a key by an expression', async () => {
    const options = { keys, location: { expression: 'request.headers["x-team-key"].split(":")[1]' } };
    expect((await asked(options, { headers: { 'x-team-key': 'team:sk-good' } })).reached).toBe(true);
    expect((await asked(options, { headers: { 'x-team-key': 'team:sk-bad' } })).code).toBe('api_key_invalid');
    expect((await asked(options, {})).code).toBe('api_key_missing');
  });
});
