import { describe, expect, it } from 'vitest';
import { createAdmin, createReadinessPort } from '../../../src/admin/index.ts';
import { readinessOf } from '../../../src/admin/readiness.ts';
import type { BoxReport } from '../../../src/fleet/fleet.ts';
import type { Peer } from '../../../src/platform.ts';
import { noKeeper } from '../fleet/no-keeper.ts';

function peerAt(address: string | undefined): Peer {
  return { port: undefined, address: () => address, onGone: () => undefined, waitUntil: () => undefined };
}

interface Asked {
  readonly headers?: Record<string, string>;
  readonly from?: string | undefined;
  readonly token?: string | undefined;
  readonly isLoopback?: boolean;
  readonly isReady?: boolean;
  readonly path?: string;
}

async function ask({
  headers = {},
  from = '127.0.0.1',
  token,
  isLoopback = true,
  isReady = true,
  path = '/healthz/ready',
}: Asked) {
  const app = createAdmin({
    readiness: () => ({ isReady, detail: 'no box answers' }),
    metricsText: () => 'corral_in_flight 0\n',
    configDump: () => '{"version":"0"}\n',
    keeper: () => noKeeper,
    adminToken: token,
    isLoopback,
  });
  const response = await app.request(
    `http://localhost:15000${path}`,
    { headers: { host: 'localhost:15000', ...headers } },
    { peer: peerAt(from) },
  );
  return { status: response.status, text: await response.text() };
}

describe('the admin address', () => {
  it('says ready, or why not', async () => {
    expect(await ask({})).toEqual({ status: 200, text: 'ready\n' });
    expect(await ask({ isReady: false })).toEqual({ status: 503, text: 'no box answers\n' });
    expect(await ask({ path: '/else' })).toMatchObject({ status: 404 });
  });

  it('tells metrics at both of agentgateway’s paths, and what is in force', async () => {
    expect(await ask({ path: '/metrics' })).toEqual({ status: 200, text: 'corral_in_flight 0\n' });
    expect(await ask({ path: '/stats/prometheus' })).toEqual({ status: 200, text: 'corral_in_flight 0\n' });
    expect(await ask({ path: '/config_dump' })).toEqual({ status: 200, text: '{"version":"0"}\n' });
  });

  it.each(['/metrics', '/stats/prometheus', '/config_dump'])('guards %s as it does the rest', async (path) => {
    expect(await ask({ path, from: '10.0.0.7' })).toMatchObject({ status: 403 });
    expect(await ask({ path, from: '10.0.0.7', token: 't' })).toMatchObject({ status: 401 });
    expect(await ask({ path, from: '10.0.0.7', token: 't', headers: { authorization: 'Bearer t' } })).toMatchObject({
      status: 200,
    });
    expect(await ask({ path, headers: { origin: 'http://evil.example' } })).toMatchObject({ status: 403 });
  });

  it.each(['localhost:15000', '127.0.0.1', '[::1]:15000', 'box.local'])('knows the name %s', async (host) => {
    expect(await ask({ headers: { host } })).toMatchObject({ status: 200 });
  });

  it.each(['evil.example', 'localhost.evil.example', 'localhost.'])(
    'refuses the name %s: DNS can point any name here',
    async (host) => {
      expect(await ask({ headers: { host } })).toMatchObject({ status: 403 });
    },
  );

  it('refuses pages of other addresses, with the token, too', async () => {
    const bearer = { authorization: 'Bearer t' };
    expect(await ask({ headers: { origin: 'http://evil.example' } })).toMatchObject({ status: 403 });
    expect(await ask({ headers: { origin: 'http://localhost:3000', ...bearer }, token: 't' })).toMatchObject({ status: 403 });
    expect(await ask({ headers: { origin: 'null' } })).toMatchObject({ status: 403 });
    expect(await ask({ headers: { 'sec-fetch-site': 'cross-site' } })).toMatchObject({ status: 403 });
    expect(await ask({ headers: { origin: 'http://localhost:15000' } })).toMatchObject({ status: 200 });
    expect(await ask({ headers: { 'sec-fetch-site': 'none' } })).toMatchObject({ status: 200 });
  });

  it('wants the token from everybody off this machine', async () => {
    const bearer = { authorization: 'Bearer t' };
    for (const from of ['10.0.0.7', undefined]) {
      const strange = { from: from ?? '', isLoopback: false };
      expect(await ask({ ...strange })).toMatchObject({ status: 403, text: expect.stringContaining('CORRAL_ADMIN_TOKEN') });
      expect(await ask({ ...strange, token: 't' })).toMatchObject({ status: 401 });
      expect(await ask({ ...strange, token: 't', headers: { authorization: 'Bearer tt' } })).toMatchObject({ status: 401 });
      expect(await ask({ ...strange, token: 't', headers: bearer })).toMatchObject({ status: 200 });
    }
  });

  it('wants it on a port that others can reach even from this machine, because proxies sit there', async () => {
    expect(await ask({ isLoopback: false, token: 't' })).toMatchObject({ status: 401 });
    expect(await ask({ headers: { 'x-forwarded-for': '10.0.0.7' }, token: 't' })).toMatchObject({ status: 401 });
  });

  it('takes the token under any name', async () => {
    expect(await ask({ headers: { host: 'corral.example', authorization: 'Bearer t' }, token: 't' })).toMatchObject({
      status: 200,
    });
  });

  it('never takes an empty token', async () => {
    expect(await ask({ from: '10.0.0.7', headers: { authorization: 'Bearer ' }, isLoopback: false })).toMatchObject({
      status: 403,
    });
  });
});

describe('a readiness port of its own', () => {
  it('says yes or no to everybody, and nothing else', async () => {
    const app = createReadinessPort(() => ({ isReady: false, detail: 'box b is at 10.0.0.7' }));
    const response = await app.request('http://10.0.0.1:15021/healthz/ready');
    expect([response.status, await response.text()]).toEqual([503, 'not ready\n']);
  });
});

describe('readinessOf', () => {
  const box = (name: string, isAlive: boolean | undefined, why?: string): BoxReport => ({
    name,
    url: 'http://b',
    isAlive,
    isBox: true,
    version: undefined,
    models: undefined,
    why,
    mend: undefined,
  });

  it('one box that answers is enough', () => {
    expect(readinessOf([box('a', false), box('b', true)], false)).toEqual({ isReady: true, detail: '1 of 2 boxes answer' });
  });

  it('a configuration without boxes is ready', () => {
    expect(readinessOf([], false).isReady).toBe(true);
  });

  it('says what is wrong with each box', () => {
    expect(readinessOf([box('a', false, 'refused'), box('b', undefined)], false)).toEqual({
      isReady: false,
      detail: 'no box answers (a: refused; b: not asked yet)',
    });
  });

  it('is over when Corral shuts down', () => {
    expect(readinessOf([box('a', true)], true)).toEqual({ isReady: false, detail: 'shutting down' });
  });
});
