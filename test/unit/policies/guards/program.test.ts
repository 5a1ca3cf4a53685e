import { describe, expect, test } from 'vitest';
import { rustRegexOf } from '../../../../src/fields/rust-regex.ts';
import { Program } from '../../../../src/policies/guards/program.ts';
import { Watcher } from '../../../../src/policies/guards/watcher.ts';

const programOf = (pattern: string) => new Program(rustRegexOf(pattern));

describe('the longest match', () => {
  test.each([
    ['abc', 3],
    ['a?b{2,4}', 5],
    ['a|bcd|ef', 3],
    ['(ab){3}c?', 7],
    ['\\bab$', 2],
    ['a+', Number.POSITIVE_INFINITY],
    ['(ab)*c', Number.POSITIVE_INFINITY],
    ['x.*', Number.POSITIVE_INFINITY],
    ['[a-z]{2,1000}', 1000],
    ['(?i)pass', 4],
  ])('%s: %d', (pattern, length) => {
    expect(programOf(pattern).maxLength).toBe(length);
  });
});

describe('what may still become a match', () => {
  const openAfter = (pattern: string, ...texts: readonly string[]): number => {
    const watcher = new Watcher(programOf(pattern));
    for (const text of texts) watcher.feed(text);
    return watcher.openFrom;
  };
  const nothing = Number.POSITIVE_INFINITY;

  test.each([
    ['secret', 'a secr', 2],
    ['secret', 'a secx', nothing],
    ['secret', 'sese', 2],
    // A match that is whole may still be followed by what a word boundary asks for.
    ['secret', 'a secret', 2],
    ['secret', 'a secret.', nothing],
    ['\\bab\\b', 'xab', nothing],
    ['\\bab\\b', 'x ab', 2],
    ['^ab', 'xa', nothing],
    ['^ab', 'a', 0],
    ['(?m)^ab', 'x\na', 2],
    ['a[^b]*b', 'xa123', 1],
    ['(?i)SEC', 'x Se', 2],
    ['é+x', 'aéé', 1],
    ['😀x', 'a😀', 1],
    ['.{3}', 'abc', 0],
  ])('%s in %s', (pattern, text, open) => {
    expect(openAfter(pattern, text)).toBe(open);
    // However it came.
    expect(openAfter(pattern, ...[...text])).toBe(open);
  });

  test('it tells that a match has ended, and forgets at a restart', () => {
    const watcher = new Watcher(programOf('ab'));
    watcher.feed('xab');
    expect(watcher.hasMatched).toBe(false);
    watcher.feed('.');
    expect([watcher.hasMatched, watcher.openFrom]).toEqual([true, nothing]);
    watcher.feed('a');
    watcher.restart(10, 'x'.charCodeAt(0));
    expect([watcher.hasMatched, watcher.openFrom]).toEqual([false, nothing]);
    watcher.feed('a');
    expect(watcher.openFrom).toBe(10);
  });
});

test('the machine that RE2 makes is the one that is read here', () => {
  const { re2Input } = rustRegexOf('a(b|c)*\\b') as unknown as { re2Input: { prog: { inst: object[]; start: number } } };
  expect(re2Input.prog.inst.map(String)).toEqual([
    'fail',
    'rune1 "a" -> 5',
    'cap 2 -> 3',
    'rune "bc" -> 4',
    'cap 3 -> 5',
    'alt -> 2, 6',
    'empty 16 -> 7',
    'match',
  ]);
  expect(re2Input.prog.start).toBe(1);
});
