import { describe, expect, it } from 'vitest';
import { readingWith } from '../../../src/fields/files.ts';
import { backendAuth } from '../../../src/policies/backendAuth.ts';
import { backendTLS, upstreamTlsOf } from '../../../src/policies/backendTLS.ts';
import { type FakeRequest, fakeAttempt, fakeScope } from './fake-exchange.ts';

const scope = fakeScope();
const files = (path: string): string => {
  if (path === 'key.txt') return 'sk-file\n';
  if (path === 'two-lines.txt') return 'sk\nfile\n';
  if (path.endsWith('.pem')) return `-----BEGIN ${path}-----\n`;
  throw new Error('no such file');
};

function sent(options: unknown, request: FakeRequest & { outgoing?: Record<string, string> } = {}) {
  const parsed = readingWith(files, () => backendAuth.options.parse(options));
  const attempt = fakeAttempt(request);
  backendAuth.onAttempt?.(parsed, scope)?.(attempt);
  return attempt.outgoing;
}

describe('backendAuth', () => {
  it("shows the gateway's key in place of the client's", () => {
    expect(sent({ key: 'sk-up' }, { outgoing: { authorization: 'Bearer client' } }).headers).toEqual({
      authorization: 'Bearer sk-up',
    });
    expect(sent({ key: { file: 'key.txt' } }).headers).toEqual({ authorization: 'Bearer sk-file' });
    expect(sent({ key: { value: 'sk-up' } }).headers).toEqual({ authorization: 'Bearer sk-up' });
    expect(sent({ key: { value: { file: 'key.txt' } } }).headers).toEqual({ authorization: 'Bearer sk-file' });
  });

  it('puts it where the upstream reads it', () => {
    expect(sent({ key: { value: 'k', location: { header: { name: 'api-key' } } } }).headers).toEqual({ 'api-key': 'k' });
    expect(sent({ key: { value: 'k', location: { header: { name: 'Authorization', prefix: 'Token ' } } } }).headers).toEqual({
      authorization: 'Token k',
    });
    const inQuery = { key: { value: 'a b&c', location: { queryParameter: { name: 'key' } } } };
    expect(sent(inQuery, { path: '/x' }).query).toBe('?key=a%20b%26c');
    expect(sent(inQuery, { path: '/x?key=client&y=1' }).query).toBe('?y=1&key=a%20b%26c');
    const inCookie = { key: { value: 'k', location: { cookie: { name: 's' } } } };
    expect(sent(inCookie).headers).toEqual({ cookie: 's=k' });
    expect(sent(inCookie, { outgoing: { cookie: 'a=1; s=client' } }).headers).toEqual({ cookie: 'a=1; s=k' });
    expect(sent(inCookie, { outgoing: { cookie: 's=client' } }).headers).toEqual({ cookie: 's=k' });
  });

  it('shows several credentials, each at its own place', () => {
    const options = {
      key: 'sk-up',
      credentials: [
        { location: { header: { name: 'X-Team' } }, key: 'blue' },
        { location: { queryParameter: { name: 'app' } }, key: { file: 'key.txt' } },
      ],
    };
    expect(sent(options, { path: '/x' })).toMatchObject({
      headers: { authorization: 'Bearer sk-up', 'x-team': 'blue' },
      query: '?app=sk-file',
    });
    expect(sent({ credentials: [{ location: { cookie: { name: 's' } }, key: 'k' }] }).headers).toEqual({ cookie: 's=k' });
  });

  it('passes on a token that was verified, and nothing else', () => {
    const passed = (passthrough: object, rawToken?: string) => {
      const attempt = fakeAttempt({ headers: { authorization: 'Bearer of-the-client' } });
      if (rawToken !== undefined) attempt.exchange.claims = { rawToken };
      backendAuth.onAttempt?.(backendAuth.options.parse({ passthrough }), scope)?.(attempt);
      return attempt.outgoing.headers;
    };
    expect(passed({}, 'a.b.c')).toEqual({ authorization: 'Bearer a.b.c' });
    expect(passed({ location: { header: { name: 'X-Token' } } }, 'a.b.c')).toEqual({ 'x-token': 'a.b.c' });
    expect(passed({ location: null }, 'a.b.c')).toEqual({ authorization: 'Bearer a.b.c' });
    expect(passed({})).toEqual({});
  });

  it.each(['gcp', 'aws', 'azure', 'copilot', 'jwtSign', 'oauthTokenExchange', 'crossAppAccess'])(
    'refuses %s by name, with the reason',
    (name) => {
      const result = backendAuth.options.safeParse({ [name]: {} });
      const [issue] = result.error?.issues ?? [];
      expect(issue?.path).toEqual([name]);
      expect(issue?.message).toMatch(/^known to agentgateway, not supported: .*(proxy|extAuthz)/);
    },
  );

  it.each([
    ['nothing', {}, 'the key is missing'],
    ['an empty key', { key: ' ' }, 'must not be empty'],
    ['a key of two lines', { key: { file: 'two-lines.txt' } }, 'plain ASCII on one line'],
    ['a key that no header can hold', { key: 'schlüssel' }, 'plain ASCII on one line'],
    ['a file that is not there', { key: { file: 'nowhere' } }, 'no such file'],
    ['a number', { key: 5 }, 'expected a text, {file'],
    ['another key', { key: { value: 'a', place: 'x' } }, ''],
    ['a key beside a passthrough', { key: 'a', passthrough: {} }, 'key or passthrough, not both'],
    ['a place that cannot be written to', { key: { value: 'a', location: { expression: '"a"' } } }, 'expected a text, {file'],
    [
      'a credential that goes nowhere',
      { credentials: [{ location: { expression: '"a"' }, key: 'k' }] },
      'cannot put one anywhere',
    ],
    [
      'a credential at two places',
      { credentials: [{ location: { cookie: { name: 'a' }, header: { name: 'b' } }, key: 'k' }] },
      'exactly one of header',
    ],
    ['17 credentials', { credentials: Array(17).fill({ location: { header: { name: 'a' } }, key: 'k' }) }, 'at most 16'],
    ["agentgateway's word for GitHub's key", 'copilot', 'not supported: copilot is'],
    ['a bare text', 'sk-key', 'expected an object, such as {key'],
  ])('refuses %s', (_, options, message) => {
    const result = readingWith(files, () => backendAuth.options.safeParse(options));
    expect(result.success).toBe(false);
    expect(JSON.stringify(result.error?.issues)).toContain(message);
  });
});

describe('backendTLS', () => {
  const tls = (options: unknown) => upstreamTlsOf(readingWith(files, () => backendTLS.options.parse(options)));

  it('is TLS with the system’s certificates when nothing is given', () => {
    expect(tls({})).toEqual({});
  });

  it('hands on what is given, files as their text', () => {
    expect(
      tls({
        root: 'root.pem',
        cert: 'cert.pem',
        key: 'key.pem',
        hostname: 'box.example',
        insecure: true,
        insecureHost: true,
        alpn: ['http/1.1'],
      }),
    ).toEqual({
      root: '-----BEGIN root.pem-----\n',
      cert: '-----BEGIN cert.pem-----\n',
      key: '-----BEGIN key.pem-----\n',
      hostname: 'box.example',
      insecure: true,
      insecureHost: true,
      alpn: ['http/1.1'],
    });
    expect(tls({ insecure: false })).toEqual({});
  });

  it.each([
    ['a certificate without its key', { cert: 'cert.pem' }, 'belong together'],
    ['a key without its certificate', { key: 'key.pem' }, 'belong together'],
    ['a file that is not there', { root: 'nowhere' }, 'no such file'],
    ['a file that is no PEM', { root: 'key.txt' }, 'holds no PEM'],
    ['subjectAltNames', { subjectAltNames: ['a'] }, 'known to agentgateway, not supported: one name can be given: as hostname'],
    [
      'keyExchangeGroups',
      { keyExchangeGroups: ['a'] },
      'known to agentgateway, not supported: the runtime chooses them; leave it out',
    ],
    [
      'spiffe',
      { spiffe: {} },
      'known to agentgateway, not supported: gives identities of the Kubernetes mesh, which Corral is not in; use root, cert and key',
    ],
  ])('refuses %s', (_, options, message) => {
    const result = readingWith(files, () => backendTLS.options.safeParse(options));
    expect(result.success).toBe(false);
    expect(JSON.stringify(result.error?.issues)).toContain(message);
  });
});
