import { describe, expect, test } from 'vitest';
import { box, boxes, json, keys, stageOf, withKey } from './words.ts';

describe('management (decision 7)', () => {
  const admin = '{ key: admin, metadata: { scopes: [admin] } }';
  const yaml = (names: readonly string[], more = '') => boxes(names, { listener: keys('{ key: k }', admin), more });
  const pull = { method: 'POST', body: { model: 'm' } };
  const ok = { a: json({ status: 'success' }), b: json({ status: 'success' }) };

  test('needs the admin scope', async () => {
    const stage = stageOf(yaml(['a']), ok);
    const refused = await stage.read('/api/pull', { ...pull, ...withKey('k') });
    expect(refused.status).toBe(403);
    expect(JSON.parse(refused.text).error).toContain('scopes: [admin]');
    expect(stage.sent).toEqual([]);
    expect((await stage.read('/api/pull', { ...pull, ...withKey('admin') })).status).toBe(200);
    expect(stage.sent.map(({ url, text }) => [url, text])).toEqual([['http://a:11434/api/pull', '{"model":"m"}']]);
  });

  test('CORRAL_ADMIN_TOKEN is such a key', async () => {
    const stage = stageOf(yaml(['a']), ok, { adminToken: 'root' });
    expect((await stage.read('/api/pull', { ...pull, ...withKey('root') })).status).toBe(200);
  });

  test('CORRAL_ADMIN_TOKEN is one on a route without a lock, too, and changes nothing for the others', async () => {
    const stage = stageOf(boxes(['a']), ok, { adminToken: 'root' });
    expect((await stage.read('/api/pull', { ...pull, ...withKey('root') })).status).toBe(200);
    expect((await stage.read('/api/pull', { ...pull, ...withKey('other') })).status).toBe(403);
    expect((await stage.read('/api/pull', pull)).status).toBe(403);
    expect((await stage.read('/api/version', withKey('other'))).status).toBe(200);
  });

  test.each(['/api//pull', '/API/pull', '/api/pull/', '/api/%70ull', '/x/../api/pull', '/api/pull;x'])(
    '%s is the same path, and an administrator is told its spelling',
    async (path) => {
      const stage = stageOf(yaml(['a']), ok);
      expect((await stage.read(path, { ...pull, ...withKey('k') })).status).toBe(403);
      const { status } = await stage.read(path, { ...pull, ...withKey('admin') });
      // What the URL parser makes of it may already be the plain spelling.
      expect(status).toBe(new URL(`http://h${path}`).pathname === '/api/pull' ? 200 : 404);
    },
  );

  test('what follows the stem goes along', async () => {
    const stage = stageOf(yaml(['a']), ok);
    await stage.read('/api/blobs/sha256:abc', { method: 'POST', body: 'bytes', ...withKey('admin') });
    expect(stage.sent.map(({ url, text }) => [url, text])).toEqual([['http://a:11434/api/blobs/sha256:abc', 'bytes']]);
  });

  test('on a herd the box must be named', async () => {
    const stage = stageOf(yaml(['a', 'b']), ok);
    const { status, text } = await stage.read('/api/pull', { ...pull, ...withKey('admin') });
    expect(status).toBe(409);
    expect(JSON.parse(text).error).toBe('name the box that is meant in the header x-corral-box: a, b');
    const named = (name: string) =>
      stage.read('/api/pull', { ...pull, headers: { ...withKey('admin').headers, 'x-corral-box': name } });
    const unknown = await named('c');
    expect([unknown.status, JSON.parse(unknown.text).error]).toEqual([409, 'no box is called "c"; there are: a, b']);
    expect((await named('b')).status).toBe(200);
    expect(stage.sent.map(({ url }) => url)).toEqual(['http://b:11434/api/pull']);
  });

  describe('/_corral/boxes/NAME: one box by its name', () => {
    const asked = (method: string, path: string, key: string) => {
      const stage = stageOf(yaml(['a', 'b']), { ...ok, b: json({ models: [] }) });
      const body = method === 'POST' ? { body: { model: 'm' } } : {};
      return stage
        .read(`/_corral/boxes/${path}`, { method, ...body, ...withKey(key) })
        .then(({ status }) => [status, stage.sent.map(({ url }) => url)]);
    };

    test.each([
      ['POST', 'b/api/pull', 'http://b:11434/api/pull'],
      ['GET', 'b/api/tags', 'http://b:11434/api/tags'],
      ['GET', '%62/api/ps', 'http://b:11434/api/ps'],
      ['GET', 'a/api/version', 'http://a:11434/api/version'],
      ['POST', 'a/api/show', 'http://a:11434/api/show'],
    ])('%s %s', async (method, path, sent) => {
      expect(await asked(method, path, 'admin')).toEqual([200, [sent]]);
      // Whatever the path: what is not a key with the scope is told nothing of single boxes.
      expect(await asked(method, path, 'k')).toEqual([403, []]);
    });

    test.each([
      ['POST', 'b/api/chat', 404],
      ['POST', 'b/v1/chat/completions', 404],
      ['POST', 'b/api//pull', 404],
      ['POST', 'b/API/pull', 404],
      ['POST', 'b/x/api/pull', 404],
      ['GET', '%/api/tags', 409],
      ['GET', 'c/api/tags', 409],
    ])('%s %s is answered %i, and goes to no box', async (method, path, status) => {
      expect(await asked(method, path, 'admin')).toEqual([status, []]);
      expect(await asked(method, path, 'k')).toEqual([403, []]);
    });
  });

  test('neither an opened path nor ai.routes opens it to everybody', async () => {
    const opened = stageOf(yaml(['a'], 'fleet: { openPaths: ["POST /api/pull", "POST /api/new"] }'), ok);
    expect((await opened.read('/api/pull', { ...pull, ...withKey('k') })).status).toBe(403);
    expect((await opened.read('/api/new', { ...pull, ...withKey('k') })).status).toBe(200);
    const routed = stageOf(
      boxes(['a'], {
        listener: keys('{ key: k }'),
        route: '{ ai: { routes: { "*": passthrough } } }',
        more: 'fleet: { openPaths: ["POST /api/pull"] }',
      }),
      ok,
    );
    expect((await routed.read('/api/pull', { ...pull, ...withKey('k') })).status).toBe(403);
    expect(routed.sent).toEqual([]);
  });

  test('a path is opened for any id, and for nothing that is more than one', async () => {
    const opened = stageOf(
      boxes(['a'], { more: 'fleet: { openPaths: ["GET /v1/responses/*", "GET /v1/files/*/content"] }' }),
      ok,
    );
    const statusOf = async (path: string, method = 'GET') => (await opened.read(path, { method })).status;
    expect(await statusOf('/v1/responses/resp_67c9')).toBe(200);
    expect(await statusOf('/v1/files/file-1/content')).toBe(200);
    expect(opened.sent.map(({ url }) => url)).toEqual([
      'http://a:11434/v1/responses/resp_67c9',
      'http://a:11434/v1/files/file-1/content',
    ]);
    for (const path of [
      '/v1/responses//b',
      '/v1/responses/a/b',
      '/v1/responses/a%2Fb',
      '/v1/responses/a%2e%2e',
      '/v1/files/a',
      '/v1/filesx1/content',
    ])
      expect([path, await statusOf(path)]).toEqual([path, 404]);
    expect(await statusOf('/v1/responses/resp_67c9', 'DELETE')).toBe(404);
    expect(opened.sent).toHaveLength(2);
  });

  test('under a prefix that is rewritten away', async () => {
    const yamlText = `
binds:
  - port: 3000
    listeners:
      - policies: ${keys('{ key: k }', admin)}
        routes:
          - matches: [{ path: { pathPrefix: /ollama } }]
            policies: { urlRewrite: { path: { prefix: / } } }
            backends: [${box('a')}]`;
    const stage = stageOf(yamlText, ok);
    expect((await stage.read('/ollama/api/pull', { ...pull, ...withKey('k') })).status).toBe(403);
    expect((await stage.read('/ollama/api/pull', { ...pull, ...withKey('admin') })).status).toBe(200);
    expect(stage.sent.map(({ url }) => url)).toEqual(['http://a:11434/api/pull']);
  });
});
