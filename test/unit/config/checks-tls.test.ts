import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../../src/config/load.ts';

const pem = '-----BEGIN CERTIFICATE-----\nYQ==\n-----END CERTIFICATE-----\n';

function load(yaml: string) {
  const files: Record<string, string> = { 'c.pem': pem, 'k.pem': pem, 'r.pem': pem };
  return loadConfig(yaml, {
    name: 'x.yaml',
    env: () => undefined,
    readFile(path) {
      const text = files[path];
      if (text === undefined) throw new Error('there is no such file');
      return text;
    },
  });
}

function errorsOf(yaml: string): string[] {
  const loaded = load(yaml);
  return loaded.ok ? [] : loaded.errors.map(({ line, column, path, message }) => `${line}:${column} ${path}: ${message}`);
}

const listener = (keys: string) => `binds:\n- port: 443\n  listeners:\n  - ${keys}\n    routes: []\n`;

describe('tls of listeners', () => {
  it('is read from its files, with names as OpenSSL has them', () => {
    const loaded = load(
      listener(`protocol: HTTPS
    tls:
      cert: c.pem
      key: k.pem
      root: r.pem
      minTLSVersion: TLS_V1_3
      maxTlsVersion: TLS_V1_3
      cipherSuites: [TLS13_AES_256_GCM_SHA384, TLS_AES_256_GCM_SHA384, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]
      keyExchangeGroups: [X25519, SECP256R1]`),
    );
    expect(loaded.ok ? loaded.config.binds[0]?.listeners[0]?.tls : loaded.errors).toEqual({
      cert: pem,
      key: pem,
      root: pem,
      minVersion: 'TLSv1.3',
      maxVersion: 'TLSv1.3',
      cipherSuites: ['TLS_AES_256_GCM_SHA384', 'ECDHE-RSA-AES128-GCM-SHA256'],
      keyExchangeGroups: ['X25519', 'P-256'],
    });
  });

  it.each([
    ['protocol: HTTPS', "4:15 binds[0].listeners[0].protocol: HTTPS listener requires 'tls'"],
    ['tls: { cert: c.pem, key: k.pem }', '4:5 binds[0].listeners[0].tls: tls needs protocol: HTTPS'],
    ['protocol: TLS', '4:15 binds[0].listeners[0].protocol: "TLS" is known to agentgateway'],
    ['protocol: https', '4:15 binds[0].listeners[0].protocol: expected "HTTP" or "HTTPS", in capitals'],
    [
      'protocol: HTTPS\n    tls: { cert: no.pem, key: k.pem }',
      '5:18 binds[0].listeners[0].tls.cert: "no.pem" cannot be read: there is no such file',
    ],
    ['protocol: HTTPS\n    tls: { cert: c.pem }', '5:5 binds[0].listeners[0].tls.key: missing'],
    [
      'protocol: HTTPS\n    tls: { mode: dynamicCa, cert: c.pem, key: k.pem }',
      '5:18 binds[0].listeners[0].tls.mode: dynamicCa is known to agentgateway, not supported',
    ],
    [
      'protocol: HTTPS\n    tls: { cert: c.pem, key: k.pem, minTLSVersion: TLS_V1_1 }',
      '5:52 binds[0].listeners[0].tls.minTLSVersion: only TLS 1.2 and 1.3 are spoken',
    ],
    [
      'protocol: HTTPS\n    tls: { cert: c.pem, key: k.pem, minTLSVersion: TLS_V1_3, maxTLSVersion: TLS_V1_2 }',
      '5:10 binds[0].listeners[0].tls: minTLSVersion is newer than maxTLSVersion',
    ],
    [
      'protocol: HTTPS\n    tls: { cert: c.pem, key: k.pem, cipherSuites: [RC4] }',
      '5:52 binds[0].listeners[0].tls.cipherSuites[0]: expected one of',
    ],
  ])('%s', (keys, expected) => {
    expect(errorsOf(listener(keys))[0]).toContain(expected);
  });

  it('may not mix with plain HTTP on one port', () => {
    const yaml = `binds:
- port: 443
  listeners:
  - protocol: HTTPS
    hostname: a.example
    tls: { cert: c.pem, key: k.pem }
    routes: []
  - protocol: HTTP
    hostname: b.example
    routes: []
`;
    expect(errorsOf(yaml)).toEqual([
      '8:15 binds[0].listeners[1].protocol: listeners on port 443 may not mix HTTPS and HTTP; give one of them another port',
    ]);
  });

  it('makes a gateway speak HTTPS without a word about the protocol', () => {
    const loaded = load('gateways:\n  default: { port: 443, tls: { cert: c.pem, key: k.pem } }\n');
    expect(loaded.ok ? loaded.config.gateways.default?.tls?.cert : loaded.errors).toBe(pem);
    expect(errorsOf('gateways:\n  default: { port: 443, protocol: HTTP, tls: { cert: c.pem, key: k.pem } }\n')[0]).toContain(
      '2:41 gateways.default.tls: tls needs protocol: HTTPS',
    );
  });

  it('is for llm on a port of its own', () => {
    const llm = (keys: string) => `llm:\n  tls: { cert: c.pem, key: k.pem }\n  models: []\n${keys}`;
    expect(errorsOf(llm('  port: 4443\n'))).toEqual([]);
    expect(errorsOf(llm('  gateways: g\ngateways:\n  g: { port: 1 }\n'))[0]).toContain(
      'llm.gateways cannot be used with llm.tls',
    );
    expect(errorsOf(llm('gateways:\n  default: { port: 1 }\n'))[0]).toContain('llm is served by the gateway "default" here');
  });
});
