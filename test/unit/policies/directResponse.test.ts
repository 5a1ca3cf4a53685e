import { describe, expect, it } from 'vitest';
import { directResponse } from '../../../src/policies/directResponse.ts';
import { ask, type FakeRequest, fakeScope } from './fake-exchange.ts';

function answerOf(options: unknown, request: FakeRequest = {}, warnings: string[] = []) {
  const scope = fakeScope({ warn: (message) => warnings.push(message) });
  const middleware = directResponse.onRequest?.(directResponse.options.parse(options), scope);
  if (middleware === undefined) throw new Error('no middleware');
  return ask(middleware, request);
}

describe('directResponse', () => {
  it('answers with the status and the text, and without a content type', async () => {
    const { response, reached } = await answerOf({ status: 418, body: 'teapot – ü' });
    expect([response.status, await response.text(), reached]).toEqual([418, 'teapot – ü', false]);
    expect([...response.headers]).toEqual([]);
  });

  it('sends a stream on Bun, which gives bytes a content type of its own', async () => {
    const middleware = directResponse.onRequest?.(
      directResponse.options.parse({ status: 200, body: 'x' }),
      fakeScope({ runtime: 'bun' }),
    );
    const { response } = await ask(middleware ?? [], {});
    expect([await response.text(), response.headers.get('content-type')]).toEqual(['x', null]);
  });

  it('takes a list of bytes', async () => {
    const { response } = await answerOf({ status: 200, body: [0, 255, 10] });
    expect([...new Uint8Array(await response.arrayBuffer())]).toEqual([0, 255, 10]);
  });

  it.each([
    ['nothing at all', {}],
    ['an empty text', { body: '' }],
    ['null', { body: null, bodyExpression: null }],
  ])('may have no body: %s', async (_, given) => {
    const { response } = await answerOf({ status: 200, ...given });
    expect(response.body).toBeNull();
  });

  it.each([204, 205, 304])('%i has no body, and that is said', async (status) => {
    const warnings: string[] = [];
    const { response } = await answerOf({ status, body: 'lost' }, {}, warnings);
    expect([response.status, response.body]).toEqual([status, null]);
    expect(warnings).toEqual([`an answer with status ${status} has no body: it is left out`]);
  });

  it('sends no body to HEAD', async () => {
    const { response } = await answerOf({ status: 200, body: 'x' }, { method: 'HEAD' });
    expect(response.body).toBeNull();
  });

  describe('with expressions', () => {
    it.each<[string, string]>([
      ['"at " + request.path', 'at /v1/models'],
      ['{"path": request.path, "n": 1}', '{"path":"/v1/models","n":1}'],
      ['b"\\xff\\x00"', '\ufffd\u0000'],
      ['1 + 1', '2'],
      ['null', ''],
      ['request.headers["not-there"]', ''],
    ])('%s gives %o', async (bodyExpression, text) => {
      const { response } = await answerOf({ status: 200, bodyExpression });
      expect(await response.text()).toBe(text);
      expect(response.headers.get('content-type')).toBeNull();
    });

    it('computes headers, and leaves out what fails or is none', async () => {
      const headers = {
        'Content-Type': "'application/json'",
        'x-path': 'request.path',
        'x-missing': 'request.headers["not-there"]',
        'x-split': '"a\\r\\nx-evil: 1"',
        'x-wide': '"→"',
      };
      const { response } = await answerOf({ status: 200, headers });
      expect([...response.headers]).toEqual([
        ['content-type', 'application/json'],
        ['x-path', '/v1/models'],
      ]);
    });

    it('reads the body where one asks for it', async () => {
      const { response } = await answerOf({ status: 200, bodyExpression: 'json(request.body).model' }, { body: '{"model":"m"}' });
      expect(await response.text()).toBe('m');
    });
  });

  it('has a conditional form: the first entry that fits, or nothing', async () => {
    const conditional = [
      { condition: 'request.path.startsWith("/v0/")', status: 410, body: 'gone' },
      { condition: 'request.method == "PUT"', status: 405 },
    ];
    const first = await answerOf({ conditional }, { path: '/v0/x', method: 'PUT' });
    expect([first.response.status, await first.response.text()]).toEqual([410, 'gone']);
    expect((await answerOf({ conditional }, { path: '/v1/x', method: 'PUT' })).response.status).toBe(405);
    expect((await answerOf({ conditional }, { path: '/v1/x' })).reached).toBe(true);
  });

  it.each([
    ['no status', { body: 'x' }],
    ['1xx', { status: 101 }],
    ['both bodies', { status: 200, body: 'x', bodyExpression: '"x"' }],
    ['both bodies in an entry', { conditional: [{ status: 200, body: 'x', bodyExpression: '"x"' }] }],
    ['a number for a body', { status: 200, body: 5 }],
    ['bytes that are none', { status: 200, body: [256] }],
    ['a header that the connection decides', { status: 200, headers: { 'Content-Length': '"5"' } }],
    ['a header that is no name', { status: 200, headers: { 'a b': '"5"' } }],
    ['a header that is no expression', { status: 200, headers: { a: 'text/plain;' } }],
  ])('refuses %s', (_, options) => {
    expect(directResponse.options.safeParse(options).success).toBe(false);
  });
});
