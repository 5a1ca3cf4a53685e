import { describe, expect, it } from 'vitest';
import { connectionNames, contentLengthOf, endToEndHeaders, staysBehind } from '../../../src/http/hop-headers.ts';

describe('endToEndHeaders', () => {
  it('leaves behind what belongs to the connection and what Connection names', () => {
    const received = new Headers({
      connection: 'close, X-Hop , not a name',
      'keep-alive': 'timeout=5',
      'transfer-encoding': 'chunked',
      trailer: 'x-t',
      upgrade: 'h2c',
      te: 'trailers',
      'proxy-authenticate': 'Basic',
      'x-hop': '1',
      'x-end': '2',
      'content-length': '3',
    });
    expect([...endToEndHeaders(received)]).toEqual([
      ['content-length', '3'],
      ['x-end', '2'],
    ]);
  });

  it('gives a copy', () => {
    const received = new Headers({ a: '1' });
    endToEndHeaders(received).set('a', '2');
    expect(received.get('a')).toBe('1');
  });
});

describe('staysBehind', () => {
  it('judges by name and by the list in Connection', () => {
    expect(staysBehind('transfer-encoding', undefined)).toBe(true);
    expect(staysBehind('x-hop', 'close, X-Hop')).toBe(true);
    expect(staysBehind('x-hop', 'close')).toBe(false);
    expect(staysBehind('content-type', 'keep-alive, x-hop')).toBe(false);
  });
});

describe('connectionNames', () => {
  it.each([[null], [undefined], ['close'], ['keep-alive']])('%s names nothing', (value) => {
    expect(connectionNames(value)).toBeUndefined();
  });

  it('reads the list whatever its letters and spaces', () => {
    expect([...(connectionNames('Keep-Alive , X-Hop,x-Other') ?? [])]).toEqual(['keep-alive', 'x-hop', 'x-other']);
  });
});

describe('contentLengthOf', () => {
  it.each([
    ['0', 0],
    ['949', 949],
    ['', undefined],
    ['-1', undefined],
    ['1e3', undefined],
    ['5, 5', undefined],
    ['99999999999999999999', undefined],
  ])('%s', (text, length) => {
    expect(contentLengthOf(new Headers({ 'content-length': text }))).toBe(length);
  });
});
