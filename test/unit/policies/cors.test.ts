import { describe, expect, it } from 'vitest';
import { apiKey } from '../../../src/policies/apiKey.ts';
import { cors } from '../../../src/policies/cors.ts';
import { ask, type FakeRequest, fakeScope } from './fake-exchange.ts';

const scope = fakeScope();

function corsOf(options: unknown) {
  const middleware = cors.onRequest?.(cors.options.parse(options), scope);
  if (middleware === undefined) throw new Error('no middleware');
  return middleware;
}

/** The options and the expected headers are those of agentgateway's own answers, `Vary` apart. */
const options = {
  allowOrigins: ['http://ok.example', 'https://*.wild.example'],
  allowMethods: ['GET', 'POST'],
  allowHeaders: ['content-type', 'x-a'],
  exposeHeaders: ['x-e'],
  allowCredentials: true,
  maxAge: '100s',
};

const preflight = (
  origin: string,
  headers: Record<string, string> = { 'access-control-request-method': 'POST' },
): FakeRequest => ({
  method: 'OPTIONS',
  headers: { origin, ...headers },
});

const corsHeaders = (response: Response): Record<string, string> =>
  Object.fromEntries([...response.headers].filter(([name]) => name.startsWith('access-control-') || name === 'vary'));

const vary = 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers';
const answered = {
  'access-control-allow-origin': 'http://ok.example',
  'access-control-allow-methods': 'GET,POST',
  'access-control-allow-headers': 'content-type,x-a',
  'access-control-max-age': '100',
  'access-control-allow-credentials': 'true',
  'access-control-expose-headers': 'x-e',
  vary,
};

describe('cors preflight', () => {
  it('is answered here', async () => {
    const { response, reached } = await ask(corsOf(options), preflight('http://ok.example'));
    expect(response.status).toBe(200);
    expect(await response.text()).toBe('');
    expect(reached).toBe(false);
    expect(corsHeaders(response)).toEqual(answered);
  });

  it('is answered here even without Access-Control-Request-Method', async () => {
    const { response, reached } = await ask(corsOf(options), preflight('http://ok.example', {}));
    expect(reached).toBe(false);
    expect(corsHeaders(response)).toEqual(answered);
  });

  it('of a foreign origin is answered with nothing', async () => {
    const { response, reached } = await ask(corsOf(options), preflight('http://bad.example'));
    expect(response.status).toBe(200);
    expect(reached).toBe(false);
    expect(corsHeaders(response)).toEqual({ vary: 'Origin' });
  });

  it('OPTIONS that is none goes on: without Origin, or of a foreign origin', async () => {
    expect((await ask(corsOf(options), { method: 'OPTIONS' })).reached).toBe(true);
    expect((await ask(corsOf(options), preflight('http://bad.example', {}))).reached).toBe(true);
  });

  it('"*" gives back what was asked for', async () => {
    const star = corsOf({ allowOrigins: ['*'], allowMethods: ['*'], allowHeaders: ['*'] });
    const { response } = await ask(
      star,
      preflight('http://any', { 'access-control-request-method': 'PUT', 'access-control-request-headers': 'authorization,x-b,' }),
    );
    expect(corsHeaders(response)).toEqual({
      'access-control-allow-origin': 'http://any',
      'access-control-allow-methods': 'PUT',
      'access-control-allow-headers': 'authorization, x-b',
      vary,
    });
    const { response: unasked } = await ask(star, preflight('http://any', {}));
    expect(corsHeaders(unasked)).toMatchObject({ 'access-control-allow-methods': '*', 'access-control-allow-headers': '*' });
    const withCredentials = corsOf({ allowOrigins: ['*'], allowMethods: ['*'], allowHeaders: ['*'], allowCredentials: true });
    const { response: credentialed } = await ask(withCredentials, preflight('http://any', {}));
    expect(corsHeaders(credentialed)).toEqual({
      'access-control-allow-origin': 'http://any',
      'access-control-allow-credentials': 'true',
      vary,
    });
  });

  it('says nothing of methods and headers where none are configured', async () => {
    const { response } = await ask(corsOf({ allowOrigins: ['http://a'] }), preflight('http://a'));
    expect(corsHeaders(response)).toEqual({ 'access-control-allow-origin': 'http://a', vary });
  });
});

describe('cors on other requests', () => {
  const post = (origin?: string): FakeRequest => ({ method: 'POST', headers: origin === undefined ? {} : { origin } });
  const open = {
    'access-control-allow-origin': 'http://ok.example',
    'access-control-allow-credentials': 'true',
    'access-control-expose-headers': 'x-e',
    vary: 'Origin',
  };

  it('opens the answer to an allowed origin only, and lets the others pass', async () => {
    const middleware = corsOf(options);
    expect(corsHeaders((await ask(middleware, post('http://ok.example'))).response)).toEqual(open);
    const bad = await ask(middleware, post('http://bad.example'));
    expect(bad.reached).toBe(true);
    expect(corsHeaders(bad.response)).toEqual({ vary: 'Origin' });
    expect(corsHeaders((await ask(middleware, post())).response)).toEqual({ vary: 'Origin' });
  });

  it('opens a 401 as well, so that the page can read why', async () => {
    const locked = apiKey.onRequest?.(apiKey.options.parse({ keys: [{ key: 'k' }] }), scope);
    if (locked === undefined) throw new Error('no middleware');
    const { response } = await ask([corsOf(options), locked], post('http://ok.example'));
    expect(response.status).toBe(401);
    expect(corsHeaders(response)).toEqual(open);
    expect((await ask([corsOf(options), locked], preflight('http://ok.example'))).response.status).toBe(200);
  });

  it("replaces an upstream's own answer, also where it would open what is closed here", async () => {
    const upstream = () =>
      new Response('x', {
        headers: { 'access-control-allow-origin': '*', 'access-control-expose-headers': 'x-upstream', vary: 'accept' },
      });
    const middleware = corsOf({ allowOrigins: ['http://ok.example'] });
    expect(corsHeaders((await ask(middleware, post('http://ok.example'), upstream)).response)).toEqual({
      'access-control-allow-origin': 'http://ok.example',
      vary: 'accept, Origin',
    });
    expect(corsHeaders((await ask(middleware, post('http://bad.example'), upstream)).response)).toEqual({
      vary: 'accept, Origin',
    });
  });

  it('does not close what a cors policy further inside has opened', async () => {
    const [outer, inner] = [corsOf({ allowOrigins: ['http://outer'] }), corsOf({ allowOrigins: ['http://inner'] })];
    expect(corsHeaders((await ask([outer, inner], post('http://inner'))).response)).toEqual({
      'access-control-allow-origin': 'http://inner',
      vary: 'Origin',
    });
  });

  it('edits the answer in place: whoever made it finds the same object', async () => {
    const answer = new Response('body');
    const { response } = await ask(corsOf(options), post('http://ok.example'), () => answer);
    expect(response).toBe(answer);
  });

  it('does not repeat itself in Vary', async () => {
    const answer = () => new Response('x', { headers: { vary: 'accept, ORIGIN' } });
    expect((await ask(corsOf(options), post('http://ok.example'), answer)).response.headers.get('vary')).toBe('accept, ORIGIN');
  });
});

describe('cors origins', () => {
  it.each([
    ['http://ok.example', 'http://ok.example', true],
    ['http://ok.example', 'http://ok.example:80', true],
    ['http://ok.example:80', 'http://ok.example', true],
    ['https://ok.example', 'https://OK.example:443', true],
    ['http://ok.example', 'https://ok.example', false],
    ['http://ok.example', 'http://ok.example:8080', false],
    ['http://ok.example', 'http://ok.example.evil', false],
    ['https://*.wild.example', 'https://a.wild.example', true],
    ['https://*.wild.example', 'https://a.b.wild.example', true],
    ['https://*.wild.example', 'https://wild.example', false],
    ['https://*.wild.example', 'https://evilwild.example', false],
    ['https://*.wild.example', 'https://a.wild.example.evil', false],
    ['https://*.wild.example', 'https://a.wild.example:8443', false],
    ['https://*.wild.example:8443', 'https://a.wild.example:8443', true],
    ['https://*', 'https://anything.at.all', true],
    ['https://*', 'http://anything', false],
    ['https://*.wild.example', 'https://*.wild.example', false],
    ['https://*.wild.example', 'https://*.a.wild.example', false],
    ['https://a.*.wild.*', 'https://a.b.wild.example', true],
    ['app://obsidian.md', 'app://obsidian.md', true],
    ['app://obsidian.md', 'app://evil.md', false],
    ['*', 'null', true],
    ['http://ok.example', 'null', false],
    ['http://localhost:5173', 'http://localhost:5173', true],
    ['http://localhost', 'http://localhost:5173', false],
    ['http://[::1]:3000', 'http://[::1]:3000', true],
    ['https://*.wild.example', `https://${'a'.repeat(300)}.wild.example`, false],
  ])('%s for %s: %s', async (pattern, origin, allowed) => {
    const { response } = await ask(corsOf({ allowOrigins: [pattern] }), { headers: { origin } });
    expect(response.headers.get('access-control-allow-origin')).toBe(allowed ? origin : null);
  });

  it('allows nobody when none are given', async () => {
    const { response } = await ask(corsOf({}), { headers: { origin: 'http://a' } });
    expect(response.headers.has('access-control-allow-origin')).toBe(false);
  });
});

describe('cors options', () => {
  it.each([
    ['names of other times', { allow_origins: ['*'] }],
    ['a number for maxAge', { maxAge: 100 }],
    ['a method with a line end', { allowMethods: ['GET\r\nx: y'] }],
    ['a text for a list', { allowOrigins: '*' }],
  ])('refuse %s', (_, given) => {
    expect(cors.options.safeParse(given).success).toBe(false);
  });
});
