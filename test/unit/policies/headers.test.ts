import { describe, expect, it } from 'vitest';
import type { Outgoing } from '../../../src/exchange.ts';
import { requestHeaderModifier } from '../../../src/policies/requestHeaderModifier.ts';
import { responseHeaderModifier } from '../../../src/policies/responseHeaderModifier.ts';
import { ask, fakeAttempt, fakeExchange, fakeScope } from './fake-exchange.ts';

const scope = fakeScope();

function edited(options: unknown, headers: Record<string, string>): Outgoing {
  const attempt = fakeAttempt({ outgoing: headers });
  requestHeaderModifier.onAttempt?.(requestHeaderModifier.options.parse(options), scope)?.(attempt);
  return attempt.outgoing;
}

describe('requestHeaderModifier', () => {
  it("does what agentgateway's own run did", () => {
    const outgoing = edited(
      { add: { 'x-add': 'v1' }, set: { 'x-set': 'v2', host: 'sethost.example' }, remove: ['x-remove', 'User-Agent'] },
      { 'x-add': 'orig', 'x-set': 'orig', 'x-remove': 'gone', 'user-agent': 'probe', accept: '*/*' },
    );
    expect(outgoing.headers).toEqual({ 'x-add': 'orig, v1', 'x-set': 'v2', accept: '*/*' });
    expect(outgoing.authority).toBe('sethost.example');
  });

  it('adds, then sets, then removes', () => {
    expect(edited({ add: { a: '1', b: '1' }, set: { b: '2', c: '2' }, remove: ['c'] }, {}).headers).toEqual({ a: '1', b: '2' });
  });

  it('writes names in lower case and joins cookies by their own rule', () => {
    expect(edited({ set: { 'X-Team': 'a' }, add: { Cookie: 'b=2' } }, { cookie: 'a=1' }).headers).toEqual({
      'x-team': 'a',
      cookie: 'a=1; b=2',
    });
  });

  it('takes :authority for host, and leaves the Host alone otherwise', () => {
    expect(edited({ set: { ':authority': 'a:1' } }, {}).authority).toBe('a:1');
    expect(edited({ add: { Host: 'a:1' } }, {})).toMatchObject({ authority: 'a:1', headers: {} });
    expect(edited({ set: { x: 'y' }, remove: ['host'] }, {})).toMatchObject({ authority: undefined, headers: { x: 'y' } });
  });
});

describe('responseHeaderModifier', () => {
  const options = {
    add: { 'x-radd': 'r1', 'set-cookie': 'b=2' },
    set: { 'content-type': 'text/x-changed' },
    remove: ['x-upstream-port'],
  };
  const middleware = () => {
    const made = responseHeaderModifier.onRequest?.(responseHeaderModifier.options.parse(options), scope);
    if (made === undefined) throw new Error('no middleware');
    return made;
  };

  it('edits the answer in place', async () => {
    const answer = new Response('x', {
      headers: [
        ['content-type', 'application/json'],
        ['x-upstream-port', '1'],
        ['set-cookie', 'a=1'],
      ],
    });
    const { response } = await ask(middleware(), {}, () => answer);
    expect(response).toBe(answer);
    expect([...response.headers]).toEqual([
      ['content-type', 'text/x-changed'],
      ['set-cookie', 'a=1'],
      ['set-cookie', 'b=2'],
      ['x-radd', 'r1'],
    ]);
  });

  it('edits errors as well', async () => {
    const { response } = await ask([
      middleware(),
      () => {
        throw new Error('broken');
      },
    ]);
    expect(response.status).toBe(500);
    expect(response.headers.get('x-radd')).toBe('r1');
  });

  it("edits a backend's own answers", () => {
    const headers = new Headers({ 'x-upstream-port': '1' });
    const edit = responseHeaderModifier.onBackendAnswer?.(responseHeaderModifier.options.parse(options), scope);
    edit?.(fakeExchange(), { status: 200, headers });
    expect(headers.has('x-upstream-port')).toBe(false);
  });
});

describe('header edits', () => {
  const refused: [string, unknown][] = [
    ['a line end in a value', { set: { x: 'a\r\nevil: 1' } }],
    ['a NUL in a value', { add: { x: 'a\0' } }],
    ['a letter that no header can hold', { add: { x: '→' } }],
    ['a line end in a name', { set: { 'x\r\ny': 'a' } }],
    ['an empty name', { set: { '': 'a' } }],
    ['a number', { set: { x: 5 } }],
    ['content-length', { set: { 'Content-Length': '5' } }],
    ['transfer-encoding', { add: { 'transfer-encoding': 'chunked' } }],
    ['connection', { set: { connection: 'x' } }],
    ['a pseudo header', { set: { ':path': '/x' } }],
    ['another key', { replace: {} }],
  ];
  it.each(refused)('refuse %s', (_, options) => {
    expect(requestHeaderModifier.options.safeParse(options).success).toBe(false);
    expect(responseHeaderModifier.options.safeParse(options).success).toBe(false);
  });

  it('tell where the bad name stands', () => {
    const result = requestHeaderModifier.options.safeParse({ set: { 'content-length': '5' } });
    expect(result.error?.issues[0]).toMatchObject({
      path: ['set', 'content-length'],
      message: '"content-length" is decided by the connection and the body, not by a policy',
    });
  });
});
