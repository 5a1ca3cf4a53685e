import { describe, expect, test } from 'vitest';
import { rustRegexOf } from '../../../src/fields/rust-regex.ts';
import { FieldError } from '../../../src/fields/text-field.ts';

function found(pattern: string, text: string): string | undefined {
  const matcher = rustRegexOf(pattern).matcher(text);
  return matcher.find() ? text.slice(matcher.start(), matcher.end()) : undefined;
}

describe('patterns of the Rust crate', () => {
  test.each([
    ['(?i)PASS(?:word)?', 'my password', 'password'],
    ['(?P<name>[A-Z]{2})\\d{4}', 'xAB1234', 'AB1234'],
    ['[[:alpha:]]+[[:^alpha:]]', '12ab3', 'ab3'],
    ['[]x]+', 'a]x]b', ']x]'],
    ['[^]x]+', ']ab]', 'ab'],
    ['\\x41\\x{42}\\u0043\\u{44}', '-ABCD-', 'ABCD'],
    ['\\pL+', '12é34', 'é'],
    ['a|b', 'xb', 'b'],
    ['\\Aab\\z', 'ab', 'ab'],
    ['\\.\\-\\@', 'x.-@', '.-@'],
    ['(?u)a(?iu:B)', 'xab', 'ab'],
    ['a{2,}b{1}', 'aaab', 'aaab'],
    ['[{}]a}\\{', '{a}{', '{a}{'],
  ])('%s in %s', (pattern, text, expected) => {
    expect(found(pattern, text)).toBe(expected);
  });

  test('its classes know all of Unicode, inside of brackets too', () => {
    expect(found('\\d+', 'x٣٤y')).toBe('٣٤');
    expect(found('[\\d-]+', 'x٣-٤y')).toBe('٣-٤');
    expect(found('\\w+', '-héllo-')).toBe('héllo');
    expect(found('[\\w.]+', '-hé.o-')).toBe('hé.o');
    expect(found('a\\sb', 'a\u00a0b')).toBe('a\u00a0b');
    expect(found('\\S+', '\u00a0ab\u00a0')).toBe('ab');
    expect(found('\\W+', 'é--é')).toBe('--');
    expect(found('\\D+', '٣ab٣')).toBe('ab');
  });

  test.each([
    ['a(?=b)', /column 2.*\(\?=/s],
    ['(a)\\1', /\\1/],
    ['ab[cd', /column 3/],
    ['[a[bc]]', /column 3.*class inside a class/],
    ['[a&&b]', /column 3.*set operations/],
    ['[a--b]', /column 3.*set operations/],
    ['x(?x) a', /column 2.*flag x/],
    ['ab{', /column 3.*begins a repetition/],
    ['\\<ab', /column 1.*half word/],
    ['\\b{start}ab', /column 1.*half word/],
    ['[\\W]', /column 2.*cannot stand inside/],
    ['a**', /a\*\*|\*\*/],
    ['a{2000}', /2000/],
    ['a'.repeat(5000), /4096/],
  ])('%s is refused with its place', (pattern, message) => {
    expect(() => rustRegexOf(pattern)).toThrow(FieldError);
    expect(() => rustRegexOf(pattern)).toThrow(message);
  });

  test('no pattern makes it slow', () => {
    const text = 'a'.repeat(20_000);
    const startedMs = performance.now();
    expect(found('(a+)+$b|(a|aa)+c', text)).toBeUndefined();
    expect(performance.now() - startedMs).toBeLessThan(4_000);
  });
});

test('look-around and back-references are spoken of where they were tried, and nowhere else', () => {
  const words = 'look-around and back-references do not exist in this syntax';
  for (const pattern of ['(?<=a)b', 'a(?!b)', '(?=a)b', '(?<!a)b', '(a)\\1']) expect(() => rustRegexOf(pattern)).toThrow(words);
  expect(() => rustRegexOf('[a-z')).toThrow(/^this is no pattern: missing closing \] at column 1: \[a-z$/);
});
