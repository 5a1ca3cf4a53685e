import { describe, expect, it } from 'vitest';
import { transformations } from '../../../src/policies/transformations.ts';
import { ask, type FakeRequest, fakeAttempt, fakeExchange, fakeScope } from './fake-exchange.ts';

const parse = (given: unknown) => transformations.options.parse(given);

function asked(given: unknown, fake: FakeRequest = {}, answer?: () => Response) {
  const middleware = transformations.onRequest?.(parse(given), fakeScope());
  if (middleware === undefined) throw new Error('nothing to do');
  return ask(middleware, fake, answer);
}

describe('requests', () => {
  it('are edited in order: metadata, replace, add, set, remove, body', async () => {
    const { exchange } = await asked(
      {
        request: {
          body: '{"tier": metadata.tier, "had": json(request.body).n + 1, "x": default(request.headers["x-a"], "gone")}',
          remove: ['X-A'],
          set: { 'x-b': '"set, was " + request.headers["x-b"]' },
          add: { 'X-B': '"added"', 'x-a': 'request.headers["x-keep"]' },
          replace: 'request.headers.filterKeys(k, k.startsWith("x-"))',
          metadata: { tier: '"gold"', twice: 'metadata.tier + metadata.tier' },
        },
      },
      { body: '{"n":1}', headers: { 'x-b': 'first', 'x-keep': 'k', accept: 'a' } },
    );
    expect(exchange.metadata).toEqual({ tier: 'gold', twice: 'goldgold' });
    expect([...exchange.headers]).toEqual([
      ['host', 'localhost:3000'],
      ['x-b', 'set, was first, added'],
      ['x-keep', 'k'],
    ]);
    expect(new TextDecoder().decode(exchange.heldBody)).toBe('{"tier":"gold","had":2,"x":"gone"}');
  });

  it('have what later policies and the routes see changed by pseudo headers', async () => {
    const { exchange } = await asked(
      {
        request: {
          set: {
            ':path': '"/new" + request.path + "?q=1"',
            ':method': '"put"',
            ':authority': 'request.headers["x-tenant"] + ".example:8443"',
          },
        },
      },
      { path: '/old?a=1', headers: { 'x-tenant': 'Blue' } },
    );
    const { path, query, method, host, headers } = exchange;
    expect([path, query, method, host, headers.get('host')]).toEqual([
      '/new/old',
      '?q=1',
      'PUT',
      'blue.example',
      'Blue.example:8443',
    ]);
  });

  it('keep what they have where a pseudo header cannot be', async () => {
    const before = fakeExchange({ path: '/old?a=1' });
    for (const value of ['"no slash"', '"/with space"', '"/a#b"', 'jwt.none', '1', '"/line\\nend"']) {
      const { exchange } = await asked(
        { request: { set: { ':path': value, ':method': '"CONNECT"', ':authority': '"a b"' } } },
        { path: '/old?a=1' },
      );
      expect([exchange.path, exchange.query, exchange.method, exchange.host]).toEqual([
        '/old',
        '?a=1',
        before.method,
        before.host,
      ]);
    }
  });

  it('lose a header whose expression fails, whatever the client sent in it', async () => {
    const { exchange } = await asked(
      { request: { set: { 'x-user': 'jwt.sub', 'x-bad': '"a\\nb"' }, add: { 'x-role': 'jwt.role' } } },
      { headers: { 'x-user': 'forged', 'x-role': 'forged', 'x-bad': 'forged', 'x-other': 'stays' } },
    );
    expect([...exchange.headers.keys()]).toEqual(['host', 'x-other']);
  });

  it('print what is no text', async () => {
    const set = {
      'x-n': '1 + 1',
      'x-b': 'true',
      'x-l': '[1, {"a": null}]',
      'x-y': 'b"raw"',
      'x-u': '"é"',
      'x-c': 'request.headers["x-in"] + "!"',
    };
    const { exchange } = await asked({ request: { set } }, { headers: { 'x-in': 'Ã©' } });
    const values = ['x-n', 'x-b', 'x-l', 'x-y', 'x-u', 'x-c'].map((name) => exchange.headers.get(name));
    expect(values).toEqual(['2', 'true', '[1,{"a":null}]', 'raw', 'Ã©', 'Ã©!']);
  });

  it('have an empty body where its expression fails', async () => {
    const { exchange } = await asked({ request: { body: 'json(request.body).none' } }, { body: '{}' });
    expect(exchange.heldBody).toEqual(new Uint8Array(0));
  });

  it('keep their headers where replace is no map', async () => {
    for (const replace of ['"text"', '[1]', 'jwt.none', 'b"x"']) {
      const { exchange } = await asked({ request: { replace } }, { headers: { 'x-a': '1' } });
      expect(exchange.headers.get('x-a')).toBe('1');
    }
  });

  it('do not bring back a key that was used up, unless it is given a value anew', async () => {
    const middleware = transformations.onRequest?.(
      parse({ request: { replace: 'request.headers.merge({"x-api-key": ["a", "b"]})', add: { 'x-two': '"new"' } } }),
      fakeScope(),
    );
    if (middleware === undefined) throw new Error('nothing to do');
    const exchange = fakeExchange({ headers: { authorization: 'Bearer k', 'x-api-key': 'k', 'x-two': 'secret' } });
    for (const name of ['authorization', 'x-api-key', 'x-two']) exchange.consumedHeaders.add(name);
    await middleware({ env: exchange } as never, () => Promise.resolve());
    expect([...exchange.consumedHeaders]).toEqual(['authorization']);
    expect([exchange.headers.get('x-api-key'), exchange.headers.get('x-two')]).toEqual(['a, b', 'new']);
  });
});

describe('answers', () => {
  const made = () => new Response('{"n":1}', { status: 201, headers: { 'x-a': '1', server: 's', 'content-length': '7' } });

  it('are edited in place where only headers change', async () => {
    const original = made();
    const { response } = await asked(
      {
        response: {
          set: { 'x-code': 'string(response.code)', 'x-none': 'jwt.sub' },
          add: { 'x-a': 'response.headers["x-a"]' },
          remove: ['server'],
        },
      },
      {},
      () => original,
    );
    expect(response).toBe(original);
    expect([...response.headers]).toEqual([
      ['content-length', '7'],
      ['content-type', 'text/plain;charset=UTF-8'],
      ['x-a', '1, 1'],
      ['x-code', '201'],
    ]);
  });

  it('get another status and another body, which may be made of the old one and of the request', async () => {
    const { response, exchange } = await asked(
      {
        response: {
          set: { ':status': 'response.code + 1', 'x-m': 'json(request.body).model' },
          body: '{"was": json(response.body).n, "path": request.path}',
        },
      },
      { body: '{"model":"m"}', path: '/p' },
      made,
    );
    expect(exchange.answerIsRead).toBe(true);
    expect([response.status, response.headers.get('x-m'), response.headers.get('content-length'), await response.text()]).toEqual(
      [202, 'm', null, '{"was":1,"path":"/p"}'],
    );
  });

  it('keep their body with another status', async () => {
    const { response } = await asked({ response: { set: { ':status': '418' } } }, {}, made);
    expect([response.status, await response.text()]).toEqual([418, '{"n":1}']);
    const none = await asked({ response: { set: { ':status': '204' } } }, {}, made);
    expect([none.response.status, none.response.body]).toEqual([204, null]);
  });

  it('keep their status where the new one is none', async () => {
    for (const value of ['"418"', '99', '600', '1.5', 'jwt.none']) {
      expect((await asked({ response: { set: { ':status': value } } }, {}, made)).response.status).toBe(201);
    }
  });

  it('are edited when they are errors of other policies, too, and see the request’s metadata', async () => {
    const { response } = await asked(
      { request: { metadata: { a: '1' } }, response: { set: { 'x-a': 'metadata.a + 1', 'x-code': 'response.code' } } },
      {},
      () => {
        throw new Error('fault');
      },
    );
    expect([response.status, response.headers.get('x-a'), response.headers.get('x-code')]).toEqual([500, '2', '500']);
  });

  it('are not read above the limit of bodies', async () => {
    const middleware = transformations.onRequest?.(
      parse({ response: { body: 'response.body' } }),
      fakeScope({ maxBodyBytes: 7 }),
    );
    if (middleware === undefined) throw new Error('nothing to do');
    expect((await ask(middleware, {}, made)).response.status).toBe(201);
    const long = await ask(middleware, {}, () => new Response('12345678'));
    expect([long.response.status, long.code]).toEqual([502, 'answer_too_large']);
  });
});

describe('on a backend', () => {
  const options = parse({
    request: {
      set: { 'x-user': 'apiKey.user', ':path': '"/v2" + request.path', host: '"up.example"' },
      remove: ['x-gone'],
      body: 'json(request.body).merge({"user": "bob"})',
    },
    response: { set: { 'x-code': 'string(response.code)' }, body: '"<" + string(response.body) + ">"' },
  });

  it('the try is edited, not the request', async () => {
    const attempt = fakeAttempt({ body: '{"model":"m"}', path: '/p', outgoing: { 'x-gone': '1', 'x-user': 'forged' } });
    await transformations.onBackendAttempt?.(options, fakeScope())?.(attempt);
    expect(attempt.outgoing.headers).toEqual({});
    expect([attempt.outgoing.path, attempt.outgoing.authority, attempt.exchange.path]).toEqual(['/v2/p', 'up.example', '/p']);
    expect(attempt.body?.get('user')).toBe('bob');
  });

  it('a body that is no JSON object is sent as it is', async () => {
    const attempt = fakeAttempt({ body: '{"model":"m"}' });
    await transformations.onBackendAttempt?.(parse({ request: { body: '"plain"' } }), fakeScope())?.(attempt);
    expect(attempt.body).toBeUndefined();
    expect(new TextDecoder().decode(attempt.replacedBody)).toBe('plain');
  });

  it('the answer’s headers and body are edited, whole or streamed', async () => {
    const attempt = fakeAttempt({ body: '{}' });
    const headers = new Headers();
    transformations.onBackendAnswer?.(options, fakeScope())?.(attempt.exchange, { status: 203, headers });
    expect(headers.get('x-code')).toBe('203');
    await transformations.onBackendAttempt?.(options, fakeScope({ maxBodyBytes: 5 }))?.(attempt);
    const [rewrite] = attempt.rewrites ?? [];
    expect(await rewrite?.whole('abc', 200)).toEqual({ text: '<abc>', status: 200 });
    const stream = rewrite?.stream();
    const text = (bytes: Uint8Array | undefined) => new TextDecoder().decode(bytes);
    const bytes = (given: string) => new TextEncoder().encode(given);
    expect(text(await stream?.push(bytes('abc')))).toBe('');
    expect(text(await stream?.push(bytes('de')))).toBe('');
    expect(text(await stream?.end())).toBe('<abcde>');
    expect(() => stream?.push(bytes('f'))).toThrow('larger than the 5 bytes');
  });
});

describe('options', () => {
  it('that ask for nothing cost nothing', () => {
    const empty = parse({ request: {}, response: {} });
    expect(transformations.onRequest?.(empty, fakeScope())).toBeUndefined();
    expect(transformations.onBackendAttempt?.(empty, fakeScope())).toBeUndefined();
    expect(transformations.onBackendAnswer?.(empty, fakeScope())).toBeUndefined();
  });

  it('may depend on conditions', async () => {
    const given = {
      conditional: [
        { condition: 'request.path == "/a"', request: { set: { 'x-a': '"1"' } }, response: { set: { 'x-a': '"1"' } } },
        { request: { set: { 'x-b': '"1"' } } },
      ],
    };
    const first = await asked(given, { path: '/a' });
    expect([first.exchange.headers.get('x-a'), first.response.headers.get('x-a')]).toEqual(['1', '1']);
    const second = await asked(given, { path: '/b' });
    expect([second.exchange.headers.get('x-a'), second.exchange.headers.get('x-b')]).toEqual([null, '1']);
  });

  it.each([
    [{ request: { set: { ':status': '200' } } }, '\\":status\\" cannot be set here'],
    [{ response: { set: { ':path': 'request.path' } } }, 'an answer has :status'],
    [{ request: { add: { 'content-length': '1' } } }, 'is decided by the connection and the body'],
    [{ request: { set: { 'a b': '1' } } }, 'is no header name'],
    [{ request: { body: '1 +' } }, 'column 4'],
    [{ request: { remove: [':path'] } }, 'expected a header name'],
  ])('must make sense: %j', (given, message) => {
    expect(JSON.stringify(transformations.options.safeParse(given).error?.issues)).toContain(message);
  });

  it('are warned of when they read what is not there', () => {
    const warnings: string[] = [];
    const given = parse({ request: { set: { 'x-m': 'llm.requestModel' } }, response: { set: { 'x-m': 'llm.requestModel' } } });
    transformations.onRequest?.(given, fakeScope({ warn: (message) => warnings.push(message) }));
    expect(warnings).toEqual([expect.stringContaining('request.set["x-m"]: "llm" is not there before')]);
  });
});

describe('mistakes in a condition', () => {
  it('are told where they are, although the plain form could have any of its keys left out', () => {
    const { error } = transformations.options.safeParse({ conditional: [{ condition: '1 +', request: {} }] });
    expect(error?.issues.map(({ path, message }) => [path.join('.'), message])).toEqual([
      ['conditional.0.condition', 'column 4: Unexpected token: EOF'],
    ]);
  });
});
