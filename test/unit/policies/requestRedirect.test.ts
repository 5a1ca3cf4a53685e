import { describe, expect, it } from 'vitest';
import { requestRedirect } from '../../../src/policies/requestRedirect.ts';
import { ask, type FakeRequest, fakeAttempt, fakeScope } from './fake-exchange.ts';

const scope = fakeScope({ yamlPath: 'routes[0].policies.requestRedirect' });

function middlewareOf(options: unknown, warnings: string[] = []) {
  const given = { ...scope, warn: (message: string) => warnings.push(message) };
  const middleware = requestRedirect.onRequest?.(requestRedirect.options.parse(options), given);
  if (middleware === undefined) throw new Error('no middleware');
  return middleware;
}

async function locationOf(options: unknown, request: FakeRequest): Promise<string | null> {
  const { response, reached } = await ask(middlewareOf(options), request);
  expect(reached).toBe(false);
  return response.headers.get('location');
}

describe('requestRedirect', () => {
  it('answers 302 and nothing else', async () => {
    const { response, reached } = await ask(middlewareOf({ scheme: 'https' }), { path: '/a' });
    expect([response.status, await response.text(), reached]).toEqual([302, '', false]);
    expect([...response.headers.keys()]).toEqual(['location']);
  });

  it.each<[string, object, FakeRequest, string]>([
    ['a scheme keeps the port', { scheme: 'https' }, { host: 'a.test:3000', path: '/x?q=1' }, 'https://a.test:3000/x?q=1'],
    ['a scheme alone', { scheme: 'https' }, { host: 'a.test', path: '/' }, 'https://a.test/'],
    ['a host keeps the port', { authority: { host: 'b.test' } }, { host: 'a.test:3000', path: '/x' }, 'http://b.test:3000/x'],
    ['a host without a port', { authority: { host: 'b.test' } }, { host: 'a.test', path: '/x' }, 'http://b.test/x'],
    ['a full authority', { authority: { full: 'b.test:81' } }, { host: 'a.test:3000', path: '/x' }, 'http://b.test:81/x'],
    ['a port', { authority: { port: 8080 } }, { host: 'a.test:3000', path: '/x' }, 'http://a.test:8080/x'],
    ['443 is https anyway', { scheme: 'https', authority: { port: 443 } }, { host: 'a.test:80', path: '/x' }, 'https://a.test/x'],
    ['443 is not http', { authority: { port: 443 } }, { host: 'a.test', path: '/x' }, 'http://a.test:443/x'],
    ['80 is http anyway', { authority: { port: 80 } }, { host: 'a.test:3000', path: '/x' }, 'http://a.test/x'],
    ['auto', { authority: 'auto', scheme: 'https' }, { host: 'a.test:1', path: '/x' }, 'https://a.test:1/x'],
    ['IPv6', { authority: { port: 8080 } }, { host: '[::1]', path: '/x' }, 'http://[::1]:8080/x'],
    ['a whole path', { path: { full: '/new' } }, { host: 'a.test', path: '/x/y?q=1&r' }, 'http://a.test/new?q=1&r'],
    [
      'a prefix',
      { path: { prefix: '/new' } },
      { host: 'a.test', path: '/old/y?q=1', matchedPrefix: '/old' },
      'http://a.test/new/y?q=1',
    ],
    ['escapes as they are', { scheme: 'https' }, { host: 'a.test', path: '/a%20b//c?%0d' }, 'https://a.test/a%20b//c?%0d'],
  ])('%s', async (_, options, request, location) => {
    expect(await locationOf(options, request)).toBe(location);
  });

  it.each(['a.test/evil', 'a.test@evil', 'a.test:99999999', 'evil test'])(
    'writes no Host such as %o into an address',
    async (host) => {
      expect(await locationOf({ scheme: 'https' }, { host: 'a.test', headers: { host }, path: '/x' })).toBe('https://a.test/x');
    },
  );

  it('stays relative where the client named no host', async () => {
    expect(await locationOf({ path: { full: '/new' } }, { host: '', path: '/x' })).toBe('/new');
  });

  it('takes the codes of redirects', async () => {
    const { response } = await ask(middlewareOf({ scheme: 'https', status: 307 }), {});
    expect(response.status).toBe(307);
    for (const status of [200, 299, 400, 302.5]) expect(requestRedirect.options.safeParse({ status }).success).toBe(false);
  });

  it('fails like urlRewrite where the route did not match by a prefix', async () => {
    const { code, response, message } = await ask(middlewareOf({ path: { prefix: '/new' } }), { path: '/old' });
    expect([response.status, code]).toEqual([500, 'rewrite_failed']);
    expect(message).toMatch(
      /^failed to apply filters: prefix redirect requires prefix match\. routes\[0\]\.policies\.requestRedirect/,
    );
  });

  it('answers in the place of the backend where it stands on one', async () => {
    const edit = requestRedirect.onBackendAttempt?.(requestRedirect.options.parse({ authority: { full: 'b.test' } }), scope);
    const response = await edit?.(fakeAttempt({ path: '/x?q', host: 'a.test' }));
    expect([response?.status, response?.headers.get('location')]).toEqual([302, 'http://b.test/x?q']);
  });

  it('says when it would send everybody round in circles', () => {
    const warnings: string[] = [];
    middlewareOf({ status: 301 }, warnings);
    expect(warnings).toEqual(['redirects to the very address that was asked for: set scheme, authority or path']);
    middlewareOf({ scheme: 'https' }, warnings);
    expect(warnings).toHaveLength(1);
  });

  it('takes null for what is left out, and no scheme but http and https', () => {
    const all = { scheme: null, authority: null, path: null, status: null };
    expect(requestRedirect.options.parse(all)).toMatchObject({ status: 302 });
    expect(requestRedirect.options.safeParse({ scheme: 'javascript' }).success).toBe(false);
  });
});
