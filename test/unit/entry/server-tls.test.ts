import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import { connect } from 'node:tls';
import { afterEach, describe, expect, it } from 'vitest';
import { certificateTrouble } from '../../../src/entry/certificates.ts';
import { nodeDoors } from '../../../src/entry/node-door.ts';
import { certificateFor } from '../../../src/entry/server-name.ts';
import { refusedByBun, refusedByDeno, refusedByWorkers } from '../../../src/entry/server-tls.ts';
import type { ServerTls } from '../../../src/platform.ts';

const pem = (file: string) => readFileSync(new URL(`../../fixtures/tls/${file}`, import.meta.url), 'utf8');
const certificate = (name: string, hostname = '') => ({ hostname, cert: pem(`${name}.pem`), key: pem(`${name}.key`) });

function tls(more: Partial<ServerTls> = {}): ServerTls {
  return {
    certificates: [certificate('one')],
    root: undefined,
    minVersion: undefined,
    maxVersion: undefined,
    cipherSuites: undefined,
    keyExchangeGroups: undefined,
    ...more,
  };
}

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

async function open(wanted: ServerTls) {
  const urls: string[] = [];
  const door = await nodeDoors(() => undefined)({
    hostname: '127.0.0.1',
    port: 0,
    bind: { port: 443 },
    tls: wanted,
    answer: (asked) => {
      urls.push(asked.url);
      return new Response('whole');
    },
  });
  closing.push(() => door.close());
  /** The common name of the certificate that is shown for a name, or why there is none. */
  const shownFor = (servername: string, more: object = {}) =>
    new Promise<string>((resolve) => {
      const socket = connect({ port: door.port, host: '127.0.0.1', servername, rejectUnauthorized: false, ...more }, () => {
        resolve(`${socket.getPeerCertificate().subject.CN} ${socket.getProtocol()} ${socket.getCipher().standardName}`);
        socket.destroy();
      });
      socket.once('error', (error) => resolve(String((error as { code?: string }).code)));
    });
  const ask = (more: object = {}) =>
    new Promise<string>((resolve) => {
      const asking = request({ port: door.port, host: '127.0.0.1', path: '/x', rejectUnauthorized: false, ...more }, (answer) => {
        answer.setEncoding('utf8').on('data', resolve);
      });
      asking.once('error', (error) => resolve(String((error as { code?: string }).code)));
      asking.end();
    });
  return { door, urls, shownFor, ask };
}

describe('a port with TLS on Node', () => {
  it('answers, and the request is one of https', async () => {
    const { ask, urls, door } = await open(tls());
    expect(await ask()).toBe('whole');
    expect(urls).toEqual([`https://127.0.0.1:${door.port}/x`]);
  });

  it('has a certificate for each name', async () => {
    const { shownFor } = await open(tls({ certificates: [certificate('one', 'a.test'), certificate('two', '*.b.test')] }));
    expect((await shownFor('a.test')).split(' ')[0]).toBe('one');
    expect((await shownFor('x.b.test')).split(' ')[0]).toBe('two');
    expect((await shownFor('elsewhere')).split(' ')[0]).toBe('one');
  });

  it('takes other certificates while it is open, and keeps the old ones when they are wrong', async () => {
    const { door, shownFor } = await open(tls());
    await door.renewTls(tls({ certificates: [certificate('two')] }));
    expect((await shownFor('localhost')).split(' ')[0]).toBe('two');
    expect((await shownFor('')).split(' ')[0]).toBe('two');
    expect(() => door.renewTls(tls({ certificates: [{ hostname: '', cert: 'no', key: 'no' }] }))).toThrow();
    expect((await shownFor('localhost')).split(' ')[0]).toBe('two');
  });

  it('speaks the versions and suites it is told, and TLS 1.2 at least', async () => {
    const newest = await open(tls({ minVersion: 'TLSv1.3' }));
    expect(await newest.shownFor('localhost', { maxVersion: 'TLSv1.2' })).toBe('ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION');
    const older = await open(tls({ maxVersion: 'TLSv1.2', cipherSuites: ['ECDHE-ECDSA-AES128-GCM-SHA256'] }));
    expect(await older.shownFor('localhost')).toBe('one TLSv1.2 TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256');
    const usual = await open(tls());
    expect(await usual.shownFor('localhost', { minVersion: 'TLSv1', maxVersion: 'TLSv1.1' })).toMatch(/^ERR_SSL/);
  });

  it('lets in clients with a certificate of the root only', async () => {
    const { ask } = await open(tls({ root: pem('client.pem') }));
    expect(await ask()).not.toBe('whole');
    expect(await ask({ cert: pem('two.pem'), key: pem('two.key') })).not.toBe('whole');
    expect(await ask({ cert: pem('client.pem'), key: pem('client.key') })).toBe('whole');
  });
});

describe('certificateFor', () => {
  it('prefers the exact name, then the nearest wildcard, then the one for all, then the first', () => {
    const certificates = ['*.test', '*.b.test', 'a.test', ''].map((hostname) => ({ hostname, cert: '', key: '' }));
    const shown = (name: string) => certificateFor(certificates, name).hostname;
    expect([shown('A.test'), shown('x.b.test'), shown('x.test'), shown('elsewhere'), shown('')]).toEqual([
      'a.test',
      '*.b.test',
      '*.test',
      '',
      '',
    ]);
    expect(certificateFor(certificates.slice(0, 2), 'elsewhere').hostname).toBe('*.test');
  });
});

describe('certificateTrouble', () => {
  it.each([
    [tls(), undefined],
    [tls({ root: pem('client.pem') }), undefined],
    [
      tls({ certificates: [{ ...certificate('one'), cert: '-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n' }] }),
      /^cert: this is no cert/,
    ],
    [tls({ certificates: [{ ...certificate('one'), key: pem('two.pem') }] }), /^key: this is no private key/],
    [
      tls({ certificates: [{ ...certificate('one'), key: pem('two.key') }] }),
      /^key: this private key belongs to another certificate$/,
    ],
    [tls({ root: pem('one.key') }), /^root: this is no certificate/],
  ])('%#', (given, expected) => {
    const trouble = certificateTrouble(given);
    if (expected === undefined) expect(trouble).toBeUndefined();
    else expect(trouble).toMatch(expected);
  });
});

describe('what a runtime cannot do', () => {
  it('is refused by name, with what would do instead', () => {
    expect(refusedByBun(tls({ root: 'r', minVersion: 'TLSv1.3' }))).toBeUndefined();
    expect(refusedByBun(tls({ cipherSuites: ['x'] }))).toMatch(/^Bun cannot choose all cipher suites.*let Node/);
    expect(refusedByBun(tls({ keyExchangeGroups: ['x'] }))).toMatch(/^Bun cannot choose groups/);
    expect(refusedByDeno(tls({ minVersion: 'TLSv1.2' }))).toBeUndefined();
    expect(refusedByDeno(tls({ root: 'r' }))).toMatch(/^Deno cannot ask clients for certificates: root: .*let Node/);
    expect(refusedByDeno(tls({ minVersion: 'TLSv1.3' }))).toMatch(/^Deno always speaks TLS 1\.2 and 1\.3/);
    expect(refusedByDeno(tls({ cipherSuites: ['x'] }))).toMatch(/^Deno cannot choose cipher suites/);
    expect(refusedByDeno(tls({ certificates: [certificate('one', 'a'), certificate('two', 'b')] }))).toMatch(
      /^Deno has one certificate for a port/,
    );
    expect(refusedByWorkers()).toMatch(/^Workers open no ports/);
  });
});
