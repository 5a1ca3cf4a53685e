/// <reference types="node" />
/** docs/runtimes.md says of what a runtime refuses that it is refused there, and of nothing else. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { refusedByBun, refusedByDeno, refusedByWorkers } from '../../src/entry/server-tls.ts';
import { createWorkersPlatform } from '../../src/entry/workers-platform.ts';
import type { ServerTls } from '../../src/platform.ts';
import { apiKey } from '../../src/policies/apiKey.ts';

const page = readFileSync(new URL('../../docs/runtimes.md', import.meta.url), 'utf8');
const [header = [], ...rows] = page
  .split('\n')
  .filter((line) => line.startsWith('| ') && !line.startsWith('|---'))
  .map((line) => line.split('|').map((cell) => cell.trim()));

/** Whether the page says that a runtime refuses it. */
function isRefused(row: string, runtime: string): boolean {
  const cells = rows.find(([, first = '']) => first.startsWith(row));
  if (cells === undefined) throw new Error(`there is no row "${row}"`);
  const column = header.findIndex((cell) => cell.startsWith(runtime));
  return (cells[column] ?? '').startsWith('refused');
}

const certificate = { hostname: '*', cert: 'cert', key: 'key' };
const plain = { certificates: [certificate] } as unknown as ServerTls;
const clients: readonly (readonly [row: string, tls: ServerTls])[] = [
  ['TLS towards clients', plain],
  ['… client certificates', { ...plain, root: 'root' }],
  ['… client certificates', { ...plain, minVersion: 'TLSv1.3' }],
  ['… cipher suites', { ...plain, cipherSuites: ['TLS_AES_128_GCM_SHA256'] }],
  ['… cipher suites', { ...plain, keyExchangeGroups: ['X25519'] }],
  ['… several certificates', { ...plain, certificates: [certificate, certificate] } as unknown as ServerTls],
];

describe('docs/runtimes.md', () => {
  it.each(clients)('%s', (row, tls) => {
    const refused = { Bun: refusedByBun(tls), Deno: refusedByDeno(tls), Workers: refusedByWorkers(), Node: undefined };
    for (const [runtime, refusal] of Object.entries(refused))
      expect([runtime, isRefused(row, runtime)]).toEqual([runtime, refusal !== undefined]);
  });

  it('TLS towards boxes, and their Host, on Workers', () => {
    const { refuses } = createWorkersPlatform();
    const url = 'https://box.example.com';
    expect(isRefused('TLS towards boxes', 'Workers')).toBe(refuses({ url, tls: { root: 'root' } }) !== undefined);
    expect(isRefused('… another name', 'Workers')).toBe(refuses({ url, tls: { hostname: 'other' } }) !== undefined);
    expect(isRefused('… `alpn`', 'Workers')).toBe(refuses({ url, tls: { alpn: ['h2'] } }) !== undefined);
    expect(isRefused('A Host that differs', 'Workers')).toBe(refuses({ url, host: 'localhost' }) !== undefined);
    expect(refuses({ url, tls: {} })).toBeUndefined();
  });

  it.each(['Bun', 'Node', 'Deno', 'Workers'])('keys by network on %s', (runtime) => {
    const options = apiKey.options.parse({ keys: [{ key: 'k', metadata: { networks: ['10.0.0.0/8'] } }] });
    const name = runtime === 'Workers' ? 'workerd' : (runtime.toLowerCase() as 'bun');
    expect(isRefused('Keys by network', runtime)).toBe(apiKey.refuses?.(options, name) !== undefined);
  });
});
