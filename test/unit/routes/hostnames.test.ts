import { describe, expect, test } from 'vitest';
import { createHostTable, suffixOf } from '../../../src/routes/hostnames.ts';

function listenerOf(hostnames: readonly string[]): (host: string) => string | undefined {
  return createHostTable(hostnames.map((hostname) => ({ hostname, listener: hostname === '' ? 'any' : hostname })));
}

describe('which listener a host belongs to', () => {
  test('the exact name, else the longest suffix, else the one for any host', () => {
    const of = listenerOf(['', '*.example.com', 'llm.example.com', '*.a.example.com']);
    expect(of('llm.example.com')).toBe('llm.example.com');
    expect(of('x.a.example.com')).toBe('*.a.example.com');
    expect(of('x.y.a.example.com')).toBe('*.a.example.com');
    expect(of('x.example.com')).toBe('*.example.com');
    expect(of('other.test')).toBe('any');
    expect(of('')).toBe('any');
  });

  test('a suffix is not the name below which it stands, nor the end of another name', () => {
    const of = listenerOf(['*.example.com']);
    expect(of('example.com')).toBeUndefined();
    expect(of('badexample.com')).toBeUndefined();
    expect(of('.example.com')).toBeUndefined();
  });

  test('nobody is there for a host that no listener takes', () => {
    expect(listenerOf(['llm.example.com'])('other.test')).toBeUndefined();
    expect(listenerOf([])('llm.example.com')).toBeUndefined();
  });

  test('"*" and nothing mean every host, and the first of several wins', () => {
    expect(listenerOf(['*', ''])('anything')).toBe('*');
    expect(listenerOf(['', '*'])('anything')).toBe('any');
    expect(
      createHostTable([
        { hostname: 'a.test', listener: 1 },
        { hostname: 'A.test', listener: 2 },
      ])('a.test'),
    ).toBe(1);
  });

  test('names in the configuration may be written in capitals', () => {
    expect(listenerOf(['LLM.Example.COM'])('llm.example.com')).toBe('LLM.Example.COM');
    expect(listenerOf(['*.Example.COM'])('x.example.com')).toBe('*.Example.COM');
  });
});

test('suffixOf tells patterns from names', () => {
  expect([suffixOf(''), suffixOf('*'), suffixOf('*.Example.com'), suffixOf('example.com')]).toEqual([
    '',
    '',
    '.example.com',
    undefined,
  ]);
});
