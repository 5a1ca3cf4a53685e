import { describe, expect, it } from 'vitest';
import { createWorkersPlatform, workersPeer } from '../../../src/entry/workers-platform.ts';

const { refuses } = createWorkersPlatform();

describe('what Workers cannot do', () => {
  it('a Host that is not the dialled name', () => {
    expect(refuses({ url: 'https://box.example', host: 'localhost:11434' })).toMatch(/rewrite it in the tunnel/);
    expect(refuses({ url: 'https://box.example', host: 'box.example' })).toBeUndefined();
    expect(refuses({ url: 'https://box.example' })).toBeUndefined();
  });

  it('TLS settings per upstream', () => {
    expect(refuses({ url: 'https://box.example', tls: { insecure: true } })).toMatch(/TLS/);
    expect(refuses({ url: 'https://box.example', tls: {} })).toBeUndefined();
  });
});

describe('T2: a Workers VPC service', () => {
  const asked: string[] = [];
  const service = {
    async fetch(url: string, init: RequestInit) {
      asked.push(`${init.method} ${url} ${new Headers(init.headers).get('x-a')}`);
      return new Response('{"version":"0.99.0"}');
    },
  };
  const bound: Record<string, unknown> = { DESK: service, NAME: 'text' };
  const platform = createWorkersPlatform((name) => bound[name]);

  it('takes the requests for its box', async () => {
    const { status, body } = await platform.send({
      method: 'GET',
      url: 'http://desk.internal:11434/api/version',
      headers: { 'x-a': '1' },
      body: undefined,
      signal: new AbortController().signal,
      binding: 'DESK',
    });
    expect([status, new TextDecoder().decode(await body.read(100))]).toEqual([200, '{"version":"0.99.0"}']);
    expect(asked).toEqual(['GET http://desk.internal:11434/api/version 1']);
  });

  it('must be bound', () => {
    const url = 'http://desk.internal:11434';
    expect(platform.refuses({ url, binding: 'DESK' })).toBeUndefined();
    expect(platform.refuses({ url, binding: 'NAME' })).toMatch(/no binding NAME .*vpc_services/);
    expect(platform.refuses({ url, binding: 'OTHER' })).toMatch(/no binding OTHER/);
  });
});

describe('a client on Workers', () => {
  const peerFrom = (address: string | undefined) =>
    workersPeer(
      3000,
      new Request('https://corral.example/', { headers: address === undefined ? {} : { 'cf-connecting-ip': address } }),
      {
        waitUntil: () => undefined,
      },
    );

  it('T7: tells of a client that has left, also whoever asks afterwards', async () => {
    const leaving = new AbortController();
    const request = new Request('https://corral.example/', { signal: leaving.signal });
    const peer = workersPeer(undefined, request, { waitUntil: () => undefined } as never);
    const told: string[] = [];
    peer.onGone(() => told.push('before'));
    leaving.abort();
    peer.onGone(() => told.push('after'));
    await Promise.resolve();
    expect(told).toEqual(['before', 'after']);
  });

  it('has the address that the edge wrote down', () => {
    expect(peerFrom('203.0.113.7').address()).toBe('203.0.113.7');
    expect(peerFrom('2001:db8::7').address()).toBe('2001:db8::7');
  });

  it.each([
    '127.0.0.1',
    '127.9.9.9',
    '::1',
    '0:0:0:0:0:0:0:1',
    '::ffff:127.0.0.1',
    '0.0.0.0',
    '::',
    'localhost',
    'x\ty'.replace('\t', ' '),
    '',
  ])('is never on this machine, whatever a header says: "%s"', (claimed) => {
    expect(peerFrom(claimed).address()).toBeUndefined();
  });

  it('hands work on to the runtime, failures included', async () => {
    const handed: Promise<unknown>[] = [];
    const peer = workersPeer(undefined, new Request('https://corral.example/'), { waitUntil: (work) => handed.push(work) });
    peer.waitUntil(Promise.reject(new Error('lost')));
    await expect(handed[0]).resolves.toBeUndefined();
  });
});
