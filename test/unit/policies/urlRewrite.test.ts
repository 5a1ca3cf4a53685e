import { describe, expect, it } from 'vitest';
import { GatewayError } from '../../../src/errors.ts';
import type { Outgoing } from '../../../src/exchange.ts';
import { pathRewriteOf, type UrlRewriteOptions, urlRewrite } from '../../../src/policies/urlRewrite.ts';
import { type FakeRequest, fakeAttempt, fakeScope } from './fake-exchange.ts';

const scope = fakeScope({ yamlPath: 'routes[0].policies.urlRewrite' });

function rewritten(options: unknown, request: FakeRequest): Outgoing {
  const attempt = fakeAttempt(request);
  urlRewrite.onAttempt?.(urlRewrite.options.parse(options), scope)?.(attempt);
  return attempt.outgoing;
}

describe('urlRewrite.path', () => {
  it.each([
    ['/strip', '/', '/strip/v1/x', '/v1/x'],
    ['/strip', '/', '/strip', '/'],
    ['/strip', '/', '/strip/', '/'],
    ['/strip/', '/', '/strip/a', '/a'],
    ['/strip', '/base', '/strip', '/base'],
    ['/strip', '/base', '/strip/', '/base/'],
    ['/strip', '/base', '/strip/a//b', '/base/a//b'],
    ['/strip', '/base/', '/strip/a', '/base/a'],
    ['/', '/base', '/', '/base/'],
    ['/', '/base', '/v1/chat', '/base/v1/chat'],
    ['/', '/', '/v1/chat', '/v1/chat'],
    ['/a', '/b', '/a/%2e%2e/c', '/b/%2e%2e/c'],
  ])('prefix %s → %s makes %s %s', (matchedPrefix, prefix, path, expected) => {
    expect(rewritten({ path: { prefix } }, { path, matchedPrefix }).path).toBe(expected);
  });

  it('full replaces the whole path; the query stays', () => {
    const outgoing = rewritten({ path: { full: '/new' } }, { path: '/old/path?a=1&b=/x' });
    expect([outgoing.path, outgoing.query]).toEqual(['/new', '?a=1&b=/x']);
    const kept = rewritten({ path: { prefix: '/new' } }, { path: '/old?a=1', matchedPrefix: '/old' });
    expect([kept.path, kept.query]).toEqual(['/new', '?a=1']);
  });

  it('prefix fails where the route did not match by one, and says what to do', () => {
    const attempt = () => rewritten({ path: { prefix: '/new' } }, { path: '/old' });
    expect(attempt).toThrow(GatewayError);
    expect(attempt).toThrow(
      /^failed to apply filters: prefix redirect requires prefix match\. routes\[0\]\.policies\.urlRewrite .*pathPrefix.*path\.full/,
    );
    expect(() => rewritten({ path: { prefix: '/new' } }, { path: '/other', matchedPrefix: '/old' })).toThrow(GatewayError);
  });

  it('is known without a try, for the gateway to tell what a path is', () => {
    const options = urlRewrite.options.parse({ path: { prefix: '/' } });
    expect(pathRewriteOf(options, scope)?.('/ollama/v1/models', '/ollama')).toBe('/v1/models');
    expect(pathRewriteOf(urlRewrite.options.parse({ authority: 'auto' }), scope)).toBeUndefined();
  });
});

describe('urlRewrite.authority', () => {
  it.each<[UrlRewriteOptions['authority'], string | undefined]>([
    [{ full: 'localhost:11434' }, 'localhost:11434'],
    [{ full: 'foo.example:1234' }, 'foo.example:1234'],
    [{ full: '[::1]:11434' }, '[::1]:11434'],
    [{ host: 'bar.example' }, 'bar.example'],
    [{ port: 999 }, 'localhost:999'],
    [{ port: 80 }, 'localhost'],
    ['auto', undefined],
    ['none', 'localhost:3000'],
    [undefined, undefined],
  ])('%o makes %s', (authority, expected) => {
    const outgoing = rewritten({ authority }, { path: '/x', host: 'localhost:3000' });
    expect(outgoing.authority).toBe(expected);
    expect(outgoing.path).toBe('/x');
  });

  it('keeps an IPv6 client host in brackets', () => {
    expect(rewritten({ authority: { port: 999 } }, { host: '[::1]:3000' }).authority).toBe('[::1]:999');
  });
});

describe('urlRewrite options', () => {
  it.each([
    ['a URL for an authority', { authority: { full: 'http://localhost:11434' } }],
    ['a line end in an authority', { authority: { full: 'a\r\nx: y' } }],
    ['a port with a host', { authority: { host: 'a:1' } }],
    ['two kinds of authority', { authority: { host: 'a', port: 1 } }],
    ['a port out of range', { authority: { port: 70_000 } }],
    ['a path without slash', { path: { full: 'x' } }],
    ['a path with a query', { path: { full: '/x?y' } }],
    ['a path with a line end', { path: { prefix: '/x\r\n' } }],
    ['two kinds of path', { path: { full: '/x', prefix: '/y' } }],
    ['an unknown word', { authority: 'Auto' }],
  ])('refuse %s', (_, options) => {
    expect(urlRewrite.options.safeParse(options).success).toBe(false);
  });
});
