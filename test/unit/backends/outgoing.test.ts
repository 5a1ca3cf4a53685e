import { describe, expect, test } from 'vitest';
import { createOutgoing, hasPassed } from '../../../src/backends/outgoing.ts';
import { fakeExchange } from '../policies/fake-exchange.ts';

interface Given {
  readonly isBox: boolean;
  readonly bodyWasRead?: boolean;
  readonly consumed?: readonly string[];
}

/** What of these headers leaves. */
function leaving(headers: Readonly<Record<string, string>>, { isBox, bodyWasRead = true, consumed = [] }: Given) {
  const exchange = fakeExchange({ method: 'POST', host: 'gateway.test', headers });
  for (const name of consumed) exchange.consumedHeaders.add(name);
  const outgoing = createOutgoing(exchange, { isBox, bodyWasRead, path: '/p', query: '?q', instanceId: 'me' });
  expect(outgoing).toMatchObject({ method: 'POST', path: '/p', query: '?q', authority: undefined });
  return outgoing.headers;
}

const connectionOnly = {
  'keep-alive': 'timeout=5',
  'proxy-connection': 'keep-alive',
  'proxy-authenticate': 'Basic',
  te: 'trailers',
  trailer: 'x',
  'transfer-encoding': 'chunked',
  upgrade: 'h2c',
  'content-length': '3',
  expect: '100-continue',
};

const ofTheClient = {
  authorization: 'Bearer secret',
  'proxy-authorization': 'Basic x',
  'x-api-key': 'secret',
  'api-key': 'secret',
  cookie: 'a=b',
  origin: 'https://evil.test',
  referer: 'https://evil.test/',
  forwarded: 'for=1.2.3.4',
  via: '1.1 proxy',
  'x-real-ip': '1.2.3.4',
  'true-client-ip': '1.2.3.4',
  'accept-encoding': 'gzip',
  'access-control-request-method': 'POST',
  'access-control-request-headers': 'x-a',
  'sec-fetch-site': 'cross-site',
  'sec-websocket-key': 'x',
  'x-forwarded-for': '1.2.3.4',
  'x-forwarded-host': 'a.test',
  'cf-connecting-ip': '1.2.3.4',
  'x-corral-box': 'a',
};

const plain = {
  'content-type': 'application/json',
  accept: 'text/event-stream',
  'user-agent': 'openai-python',
  'openai-beta': 'x',
  'anthropic-version': '2023-06-01',
  'x-team': 'red',
};

describe('headers to a box', () => {
  test.each(Object.entries({ ...connectionOnly, ...ofTheClient }))('%s stays here', (name, value) => {
    expect(leaving({ [name]: value }, { isBox: true })).toEqual({ 'x-corral-via': 'me' });
  });

  test.each(Object.entries(plain))('%s goes on', (name, value) => {
    expect(leaving({ [name]: value }, { isBox: true })).toEqual({ [name]: value, 'x-corral-via': 'me' });
  });

  test('the gateway signs, after those before it', () => {
    expect(leaving({ 'x-corral-via': 'other' }, { isBox: true })).toEqual({ 'x-corral-via': 'other, me' });
  });
});

describe('headers to another host', () => {
  test.each(Object.entries(connectionOnly))('%s stays here', (name, value) => {
    expect(leaving({ [name]: value }, { isBox: false })).toEqual({});
  });

  test.each(Object.entries({ ...ofTheClient, ...plain }))('%s goes on', (name, value) => {
    expect(leaving({ [name]: value }, { isBox: false })).toEqual({ [name]: value });
  });
});

describe.each([true, false])('to a box: %s', (isBox) => {
  const own = isBox ? { 'x-corral-via': 'me' } : {};

  test('the Host is the upstream’s own', () => {
    expect(leaving({}, { isBox })).toEqual(own);
  });

  test('headers that Connection names belong to the connection, in any case and spacing', () => {
    const headers = { connection: 'Keep-Alive,X-Hop ,  x-other', 'x-hop': '1', 'x-other': '2', 'x-kept': '3' };
    expect(leaving(headers, { isBox })).toEqual({ 'x-kept': '3', ...own });
    expect(leaving({ connection: 'keep-alive', 'x-kept': '3' }, { isBox })).toEqual({ 'x-kept': '3', ...own });
  });

  test('a credential that was used up here goes nowhere', () => {
    expect(leaving({ 'x-my-key': 'secret', 'x-kept': '1' }, { isBox, consumed: ['x-my-key'] })).toEqual({
      'x-kept': '1',
      ...own,
    });
    expect(leaving({ authorization: 'Bearer secret' }, { isBox, consumed: ['authorization'] })).toEqual(own);
  });

  test('a content coding is told exactly as long as the body has it', () => {
    const headers = { 'content-encoding': 'gzip' };
    expect(leaving(headers, { isBox, bodyWasRead: true })).toEqual(own);
    expect(leaving(headers, { isBox, bodyWasRead: false })).toEqual({ ...headers, ...own });
  });
});

test('a request that has passed this gateway is known by its mark', () => {
  const passed = (via: string | undefined) =>
    hasPassed(new Request('http://a.test', via === undefined ? {} : { headers: { 'x-corral-via': via } }), 'me-1234');
  expect(passed('me-1234')).toBe(true);
  expect(passed('other, me-1234')).toBe(true);
  expect(passed('other')).toBe(false);
  expect(passed(undefined)).toBe(false);
});
