import { describe, expect, it } from 'vitest';
import { csrf } from '../../../src/policies/csrf.ts';
import { ask, type FakeRequest, fakeScope } from './fake-exchange.ts';

const options = { additionalOrigins: ['http://ok.example', 'HTTPS://App.Example:443', 'app://desk'] };

function asked(headers: Record<string, string>, request: FakeRequest = {}) {
  const middleware = csrf.onRequest?.(csrf.options.parse(options), fakeScope());
  if (middleware === undefined) throw new Error('no middleware');
  return ask(middleware, { method: 'POST', host: 'gw.example:3000', headers, ...request });
}

describe('csrf', () => {
  it.each<[string, Record<string, string>]>([
    ['a program', {}],
    ['its own page', { 'sec-fetch-site': 'same-origin', origin: 'https://gw.example:3000' }],
    ['the user', { 'sec-fetch-site': 'none' }],
    ['its own page, in an old browser', { origin: 'http://gw.example:3000' }],
    ['its own page behind TLS', { origin: 'https://GW.example:3000' }],
    ['a page that is named', { origin: 'http://ok.example' }],
    ['a page that is named, in a new browser', { origin: 'http://ok.example', 'sec-fetch-site': 'cross-site' }],
    ['a page named with its port and in other letters', { origin: 'https://app.example' }],
    ['an app that is named', { origin: 'app://desk' }],
  ])('lets pass: %s', async (_, headers) => {
    expect((await asked(headers)).reached).toBe(true);
  });

  it.each<[string, Record<string, string>]>([
    ['another page', { origin: 'http://evil' }],
    ['another page in a new browser', { 'sec-fetch-site': 'cross-site', origin: 'http://evil' }],
    ['a page that says nothing of itself', { 'sec-fetch-site': 'cross-site' }],
    ['a neighbour', { 'sec-fetch-site': 'same-site', origin: 'https://other.gw.example' }],
    ['a word that is none', { 'sec-fetch-site': 'Same-Origin', origin: 'http://evil' }],
    ['another port', { origin: 'http://gw.example' }],
    ['a name that begins so', { origin: 'http://ok.example.evil' }],
    ['another scheme of a page that is named', { origin: 'https://ok.example' }],
    ['a sandboxed frame', { origin: 'null' }],
  ])('refuses %s', async (_, headers) => {
    const { response, reached, code, message } = await asked(headers);
    expect([response.status, reached, code]).toEqual([403, false, 'csrf_failed']);
    expect(message).toMatch(/^CSRF validation failed/);
    for (const method of ['PUT', 'DELETE', 'PATCH']) expect((await asked(headers, { method })).reached).toBe(false);
    for (const method of ['GET', 'HEAD', 'OPTIONS']) expect((await asked(headers, { method })).reached).toBe(true);
  });

  it.each([
    ['a pattern', 'https://*.example.com', 'patterns'],
    ['every page', '*', 'patterns'],
    ['a path', 'https://a.example/x', 'without a path'],
    ['a slash', 'https://a.example/', 'without a path'],
    ['a host', 'a.example', 'expected an origin'],
  ])('refuses %s in the list', (_, origin, message) => {
    const result = csrf.options.safeParse({ additionalOrigins: [origin] });
    expect(result.error?.issues[0]?.path).toEqual(['additionalOrigins', 0]);
    expect(result.error?.issues[0]?.message).toContain(message);
  });
});
