import { describe, expect, it } from 'vitest';
import { GatewayError } from '../../../src/errors.ts';
import type { SideCall } from '../../../src/http/side-calls.ts';
import { extAuthz } from '../../../src/policies/extAuthz.ts';
import type { PolicyScope } from '../../../src/policies/policy.ts';
import { createFakeClock, type FakeClock } from '../../support/fake-clock.ts';
import { ask, type FakeRequest, fakeAttempt, fakeScope } from './fake-exchange.ts';

interface Said {
  readonly status?: number;
  readonly headers?: Record<string, string>;
  readonly text?: string;
}

interface Server {
  readonly clock: FakeClock;
  readonly calls: SideCall[];
  readonly scope: PolicyScope;
  says: (call: SideCall) => Said | GatewayError;
}

function openServer(says: Server['says'] = () => ({})): Server {
  const clock = createFakeClock();
  const server: Server = {
    clock,
    calls: [],
    says,
    scope: fakeScope({
      clock,
      serverOf: (ref) => ({
        name: ref.kind === 'host' ? ref.host.authority : ref.name,
        baseUrl: 'http://authz:9000',
        tls: undefined,
        headers: {},
      }),
      sideCalls: {
        call(call) {
          server.calls.push(call);
          const said = server.says(call);
          if (said instanceof GatewayError) return Promise.reject(said);
          const { status = 200, headers = {}, text = '' } = said;
          return Promise.resolve({ status, headers: new Headers(headers), bytes: new TextEncoder().encode(text) });
        },
      },
    }),
  };
  return server;
}

const optionsOf = (http: object = {}, more: object = {}) => ({ host: 'authz:9000', protocol: { http }, ...more });

function asked(server: Server, options: unknown, request: FakeRequest = {}) {
  const middleware = extAuthz.onRequest?.(extAuthz.options.parse(options), server.scope);
  if (middleware === undefined) throw new Error('no middleware');
  return ask(middleware, request);
}

const textOf = (call: SideCall | undefined): string | undefined => call?.body && new TextDecoder().decode(call.body);

describe('extAuthz', () => {
  it('asks with the request’s method and path and its Authorization alone', async () => {
    const server = openServer();
    const { reached } = await asked(server, optionsOf(), {
      method: 'POST',
      path: '/v1/chat/completions?a=1',
      headers: { authorization: 'Bearer x', cookie: 'c=1', 'x-other': '1' },
      body: '{"secret":1}',
    });
    expect(reached).toBe(true);
    expect(server.calls).toMatchObject([
      {
        method: 'POST',
        path: '/v1/chat/completions?a=1',
        headers: { authorization: 'Bearer x' },
        body: undefined,
        timeoutMs: 2_000,
        maxBytes: 262_144,
      },
    ]);
    expect(server.calls[0]?.headers).toEqual({ authorization: 'Bearer x' });
  });

  it('asks as it is told to', async () => {
    const server = openServer();
    const options = optionsOf(
      {
        path: '"/check" + request.path',
        addRequestHeaders: { 'X-Who': 'request.headers["x-user"]', 'x-none': 'jwt.sub' },
        body: '{"m": request.method}',
      },
      { includeRequestHeaders: ['Cookie', ':authority', ':method', 'x-missing'] },
    );
    await asked(server, options, {
      path: '/a?b=1',
      host: 'gw.example:3000',
      headers: { cookie: 'c=1', 'x-user': 'ann', 'x-none': 'client' },
    });
    expect(server.calls[0]).toMatchObject({ method: 'GET', path: '/check/a' });
    expect(server.calls[0]?.headers).toEqual({ cookie: 'c=1', host: 'gw.example:3000', 'x-who': 'ann' });
    expect(textOf(server.calls[0])).toBe('{"m":"GET"}');
  });

  it('does not show the server a key that this gateway has used up', async () => {
    const server = openServer();
    const middleware = extAuthz.onRequest?.(extAuthz.options.parse(optionsOf()), server.scope);
    if (middleware === undefined) throw new Error('no middleware');
    await ask(
      [
        async (c, next) => {
          c.env.consumedHeaders.add('authorization');
          await next();
        },
        middleware,
      ],
      { headers: { authorization: 'Bearer of-the-gateway' } },
    );
    expect(server.calls[0]?.headers).toEqual({});
  });

  it('answers with what a server that denies says, letter by letter', async () => {
    const server = openServer(() => ({
      status: 401,
      text: '{"why":"no"}',
      headers: { 'content-type': 'application/json', 'www-authenticate': 'Bearer', 'content-length': '12', date: 'x' },
    }));
    const { response, reached, code, exchange } = await asked(server, optionsOf());
    expect([reached, response.status, await response.text()]).toEqual([false, 401, '{"why":"no"}']);
    expect(Object.fromEntries(response.headers)).toEqual({ 'content-type': 'application/json', 'www-authenticate': 'Bearer' });
    expect([code, exchange.error?.message]).toEqual(['ext_authz_denied', 'external authorization failed with status 401']);
  });

  it('hands a redirect of the server on, and makes one where it is told to', async () => {
    const away = openServer(() => ({ status: 302, headers: { location: 'https://login/' } }));
    const { response } = await asked(away, optionsOf());
    expect([response.status, response.headers.get('location')]).toEqual([302, 'https://login/']);

    const options = optionsOf({ redirect: '"https://login/?rd=" + request.path' });
    for (const status of [401, 403]) {
      const made = await asked(
        openServer(() => ({ status, text: 'no' })),
        options,
        { path: '/a' },
      );
      expect([made.response.status, made.response.headers.get('location'), await made.response.text()]).toEqual([
        302,
        'https://login/?rd=/a',
        '',
      ]);
    }
    expect(
      (
        await asked(
          openServer(() => ({ status: 404 })),
          options,
        )
      ).response.status,
    ).toBe(404);
  });

  it('takes over headers that the server sets, and lets no client set them', async () => {
    const server = openServer(() => ({ headers: { 'x-user': 'ann', 'x-more': 'no' } }));
    const { exchange } = await asked(server, optionsOf({ includeResponseHeaders: ['X-User', 'x-group'] }), {
      headers: { 'x-user': 'root', 'x-group': 'admins', 'x-own': '1' },
    });
    expect(exchange.headers.get('x-user')).toBe('ann');
    expect(exchange.headers.get('x-group')).toBeNull();
    expect(exchange.headers.get('x-more')).toBeNull();
    expect(exchange.headers.get('x-own')).toBe('1');
    expect(exchange.request.headers.get('x-user')).toBe('root');
  });

  it('lets the server put another token in the place of one that was used up', async () => {
    const server = openServer(() => ({ headers: { authorization: 'Bearer exchanged' } }));
    const middleware = extAuthz.onRequest?.(
      extAuthz.options.parse(optionsOf({ includeResponseHeaders: ['authorization'] })),
      server.scope,
    );
    if (middleware === undefined) throw new Error('no middleware');
    const { exchange } = await ask(
      [
        async (c, next) => {
          c.env.consumedHeaders.add('authorization');
          await next();
        },
        middleware,
      ],
      { headers: { authorization: 'Bearer own' } },
    );
    expect([exchange.headers.get('authorization'), exchange.consumedHeaders.size]).toEqual(['Bearer exchanged', 0]);
  });

  it('keeps what is to be known of the answer', async () => {
    const server = openServer(() => ({ text: '{"user":{"id":7}}', headers: { 'x-tier': 'gold' } }));
    const metadata = {
      id: 'json(response.body).user.id',
      tier: 'response.headers["x-tier"]',
      code: 'response.code',
      none: 'json(response.body).nothing',
    };
    const { exchange } = await asked(server, optionsOf({ metadata }));
    expect(exchange.claims?.extauthz).toEqual({ id: 7, tier: 'gold', code: 200 });
  });

  it.each<[string, GatewayError | Said]>([
    ['cannot be reached', new GatewayError('upstream_refused', 'refused')],
    ['is silent', new GatewayError('upstream_timeout', 'silent')],
    ['talks without end', new GatewayError('upstream_closed', 'too long')],
    ['answers 503', { status: 503, text: 'down' }],
  ])('does what failureMode says when the server %s', async (name, said) => {
    const at = (failureMode?: unknown) =>
      asked(
        openServer(() => said),
        optionsOf({ includeResponseHeaders: ['x-user'] }, failureMode === undefined ? {} : { failureMode }),
        { headers: { 'x-user': 'root' } },
      );
    const deny = await at();
    expect(deny.reached).toBe(false);
    // A 5xx of the server itself is a no that may be seen.
    expect(deny.response.status).toBe(name === 'answers 503' ? 503 : 403);
    if (name !== 'answers 503') expect(deny.message).toBe('external authorization failed');
    const own = await at({ denyWithStatus: 429 });
    expect([own.response.status, own.code]).toEqual([429, 'ext_authz_denied']);
    const allow = await at('allow');
    expect(allow.reached).toBe(true);
    expect(allow.exchange.headers.get('x-user')).toBeNull();
  });

  it('denies what cannot be asked, whatever failureMode says', async () => {
    for (const http of [{ path: 'jwt.sub' }, { path: '"no slash"' }, { path: '"/a b"' }, { body: 'jwt.sub' }]) {
      const server = openServer();
      const { response } = await asked(server, optionsOf(http, { failureMode: 'allow' }));
      expect([http, response.status, server.calls.length]).toEqual([http, 403, 0]);
    }
    const { response } = await asked(
      openServer(() => ({ status: 401 })),
      optionsOf({ redirect: 'jwt.sub' }, { failureMode: 'allow' }),
    );
    expect(response.status).toBe(403);
  });

  it('sends bodies up to the limit, parts of longer ones where that is allowed, else answers 413', async () => {
    const sent = async (length: number, includeRequestBody: object) => {
      const server = openServer();
      const { response } = await asked(server, optionsOf({}, { includeRequestBody }), { body: 'x'.repeat(length) });
      return [response.status, textOf(server.calls[0])?.length, server.calls[0]?.headers?.['x-envoy-auth-partial-body']];
    };
    expect(await sent(8192, {})).toEqual([200, 8192, 'false']);
    expect(await sent(8193, {})).toEqual([413, undefined, undefined]);
    expect(await sent(8193, { allowPartialMessage: true })).toEqual([200, 8192, 'true']);
    expect(await sent(5, { maxRequestBytes: 4, allowPartialMessage: true })).toEqual([200, 4, 'true']);
    expect(await sent(4, { maxRequestBytes: 4 })).toEqual([200, 4, 'false']);
  });

  it('reads the body for an expression that asks for it', async () => {
    const server = openServer();
    await asked(server, optionsOf({ addRequestHeaders: { 'x-model': 'json(request.body).model' } }), { body: '{"model":"m"}' });
    expect(server.calls[0]?.headers).toEqual({ 'x-model': 'm' });
    expect(server.calls[0]?.body).toBeUndefined();
  });

  it('answers a HEAD request without a body', async () => {
    const { response } = await asked(
      openServer(() => ({ status: 403, text: 'no' })),
      optionsOf(),
      { method: 'HEAD' },
    );
    expect([response.status, await response.text()]).toEqual([403, '']);
  });
});

describe('extAuthz on a backend', () => {
  it('edits the try, not the request', async () => {
    const server = openServer(() => ({ headers: { 'x-user': 'ann' } }));
    const options = extAuthz.options.parse(optionsOf({ includeResponseHeaders: ['x-user', 'x-group'] }));
    const attempt = fakeAttempt({ outgoing: { 'x-user': 'root', 'x-group': 'g', 'x-own': '1' } });
    expect(await extAuthz.onBackendAttempt?.(options, server.scope)?.(attempt)).toBeUndefined();
    expect(attempt.outgoing.headers).toEqual({ 'x-user': 'ann', 'x-own': '1' });
    expect(attempt.exchange.headers.has('x-user')).toBe(false);
  });

  it('answers in the upstream’s place', async () => {
    const server = openServer(() => ({ status: 403, text: 'no' }));
    const response = await extAuthz.onBackendAttempt?.(extAuthz.options.parse(optionsOf()), server.scope)?.(fakeAttempt());
    expect(response).toBeInstanceOf(Response);
    expect((response as Response).status).toBe(403);
  });

  it('refuses to read a body that streams through', async () => {
    const options = extAuthz.options.parse(optionsOf({}, { includeRequestBody: {} }));
    const edit = extAuthz.onBackendAttempt?.(options, openServer().scope);
    const attempt = fakeAttempt({ body: '{}' });
    expect(() => edit?.(attempt)).toThrow('external authorization failed');
    attempt.exchange.heldBody = new TextEncoder().encode('{}');
    await expect(edit?.(attempt)).resolves.toBeUndefined();
  });
});

describe('extAuthz: remembered decisions', () => {
  const cached = (cache: object, http: object = {}) =>
    optionsOf(http, { cache: { key: ['request.headers["x-user"]'], ttl: '10s', ...cache } });

  function openDoor(server: Server, options: unknown) {
    const middleware = extAuthz.onRequest?.(extAuthz.options.parse(options), server.scope);
    if (middleware === undefined) throw new Error('no middleware');
    return (user?: string) => ask(middleware, user === undefined ? {} : { headers: { 'x-user': user } });
  }

  it('hold for their time, by their key', async () => {
    const server = openServer((call) => ({
      status: call.headers?.['x-user'] === 'eve' ? 403 : 200,
      text: 'no',
      headers: { 'x-id': '7' },
    }));
    const door = openDoor(server, {
      ...cached({}, { includeResponseHeaders: ['x-id'], metadata: { id: 'response.headers["x-id"]' } }),
      includeRequestHeaders: ['x-user'],
    });
    for (let time = 0; time < 3; time++) {
      const { exchange, reached } = await door('ann');
      expect([reached, exchange.headers.get('x-id'), exchange.claims?.extauthz]).toEqual([true, '7', { id: '7' }]);
      const eve = await door('eve');
      expect([eve.response.status, await eve.response.text(), eve.exchange.error?.code]).toEqual([403, 'no', 'ext_authz_denied']);
    }
    expect(server.calls).toHaveLength(2);
    await server.clock.advance(9_999);
    await door('ann');
    expect(server.calls).toHaveLength(2);
    await server.clock.advance(1);
    await door('ann');
    expect(server.calls).toHaveLength(3);
  });

  it('are made for what can be a key only', async () => {
    const server = openServer();
    for (const door of [
      openDoor(server, cached({ key: [] })),
      openDoor(server, cached({ key: ['request.headers["x-none"]'] })),
      openDoor(server, cached({ key: ['[1]'] })),
    ]) {
      await door('ann');
      await door('ann');
    }
    expect(server.calls).toHaveLength(6);
    const long = openDoor(server, cached({}));
    await long('x'.repeat(5_000));
    await long('x'.repeat(5_000));
    expect(server.calls).toHaveLength(8);
  });

  it('tell values of one spelling apart by their type', async () => {
    const server = openServer();
    const door = openDoor(server, cached({ key: ['request.headers["x-user"] == "number" ? dyn(1) : dyn("1")'] }));
    for (const user of ['number', 'text', 'number', 'text']) await door(user);
    expect(server.calls).toHaveLength(2);
  });

  it('are not made of faults, and of other refusals neither', async () => {
    for (const status of [404, 500]) {
      const server = openServer(() => ({ status }));
      const door = openDoor(server, cached({}));
      await door('ann');
      await door('ann');
      expect([status, server.calls.length]).toEqual([status, 2]);
    }
    const away = openServer(() => new GatewayError('upstream_refused', 'refused'));
    const door = openDoor(away, { ...cached({}), failureMode: 'allow' });
    await door('ann');
    away.says = () => ({ status: 403 });
    expect((await door('ann')).response.status).toBe(403);
  });

  it.each([
    ['a duration', 'duration("10s")', 10_000],
    ['a moment', 'timestamp("2026-01-01T00:00:10Z")', 10_000],
    ['seconds since the epoch', `${Date.UTC(2026, 0, 1) / 1000 + 10}`, 10_000],
    ['a day at most', '"" == "" ? duration("480h") : duration("1s")', 86_400_000],
    ['what the server has said', 'duration(string(extauthz.seconds) + "s")', 7_000],
  ])('hold as long as %s says', async (_, ttl, ms) => {
    const server = openServer(() => ({ text: '7' }));
    const door = openDoor(server, cached({ ttl }, { metadata: { seconds: 'json(response.body)' } }));
    await door('ann');
    await server.clock.advance(ms - 1);
    await door('ann');
    expect(server.calls).toHaveLength(1);
    await server.clock.advance(1);
    await door('ann');
    expect(server.calls).toHaveLength(2);
  });

  it('do not hold when their time is none', async () => {
    const server = openServer();
    for (const ttl of ['jwt.exp', '"soon"', '0', 'timestamp("2025-12-31T00:00:00Z")']) {
      const door = openDoor(server, cached({ ttl }));
      await door('ann');
      await door('ann');
    }
    expect(server.calls).toHaveLength(8);
  });

  it('are as many as are allowed, the oldest goes', async () => {
    const server = openServer();
    const door = openDoor(server, cached({ maxEntries: 2 }));
    for (const user of ['a', 'b', 'c', 'c', 'b', 'a']) await door(user);
    expect(server.calls).toHaveLength(4);
  });
});

describe('extAuthz options', () => {
  const protectedBy = (options: unknown) => extAuthz.protects?.(extAuthz.options.parse(options));

  it('lock a route unless a server that is away lets everybody in', () => {
    expect(protectedBy(optionsOf())).toBe(true);
    expect(protectedBy(optionsOf({}, { failureMode: { denyWithStatus: 500 } }))).toBe(true);
    expect(protectedBy(optionsOf({}, { failureMode: 'allow' }))).toBe(false);
    const when = { condition: 'request.path == "/a"' };
    expect(protectedBy({ conditional: [{ ...optionsOf(), ...when }, optionsOf()] })).toBe(true);
    expect(protectedBy({ conditional: [{ ...optionsOf(), ...when }] })).toBe(false);
    expect(protectedBy({ conditional: [{ ...optionsOf({}, { failureMode: 'allow' }), ...when }, optionsOf()] })).toBe(false);
  });

  it('take conditions', async () => {
    const server = openServer();
    const options = {
      conditional: [
        { condition: 'request.path.startsWith("/admin")', ...optionsOf({ path: '"/strict"' }) },
        optionsOf({ path: '"/plain"' }),
      ],
    };
    await asked(server, options, { path: '/admin/x' });
    await asked(server, options, { path: '/x' });
    expect(server.calls.map(({ path }) => path)).toEqual(['/strict', '/plain']);
  });

  it.each([
    ['gRPC', { host: 'a:1', protocol: { grpc: {} } }, 'let the server speak HTTP'],
    ['no protocol, which means gRPC', { host: 'a:1' }, 'known to agentgateway, not supported: without protocol this speaks gRPC'],
    ['no server', { protocol: { http: {} } }, 'expected exactly one of: host, backend'],
    ['two servers', optionsOf({}, { backend: 'b' }), 'expected exactly one of: host, backend'],
    ['policies of its own', optionsOf({}, { policies: { backendTLS: {} } }), 'name the server among the top-level backends'],
    ['bytes for gRPC', optionsOf({}, { includeRequestBody: { packAsBytes: true } }), 'packAsBytes is for gRPC'],
    ['an unknown failure mode', optionsOf({}, { failureMode: 'open' }), 'expected allow, deny, or'],
    ['a status that is no refusal', optionsOf({}, { failureMode: { denyWithStatus: 200 } }), '400'],
    ['CEL that is none', optionsOf({ path: 'request.' }), 'column'],
    ['a time that is none', optionsOf({}, { cache: { key: [], ttl: 'five minutes' } }), 'expected a duration such as'],
    ['a header of the connection', optionsOf({ addRequestHeaders: { 'transfer-encoding': '"x"' } }), 'decided by the connection'],
  ])('refuse %s', (_, options, message) => {
    const result = extAuthz.options.safeParse(options);
    expect(JSON.stringify(result.error?.issues)).toContain(message);
  });
});
