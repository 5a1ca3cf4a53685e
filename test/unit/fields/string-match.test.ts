import { describe, expect, it } from 'vitest';
import { fullRegexOf } from '../../../src/fields/regex.ts';
import { matchesText, stringMatchField } from '../../../src/fields/string-match.ts';
import { FieldError } from '../../../src/fields/text-field.ts';

describe('fullRegexOf: Rust patterns over a whole text', () => {
  it.each([
    ['a|b', 'b', true],
    ['a|b', 'xb', false],
    ['/v[0-9]+', '/v12', true],
    ['/v[0-9]+', '/v12/x', false],
    ['(?i)BOX', 'box', true],
    ['BOX', 'box', false],
    ['(?s)a.b', 'a\nb', true],
    ['a.b', 'a\nb', false],
    ['a.b', 'a\rb', true],
    ['(?im)x', 'X', true],
    ['(?P<name>a)b', 'ab', true],
    ['(?<name>a)b', 'ab', true],
    ['(?:ab)+', 'abab', true],
    ['\\Aab\\z', 'ab', true],
    ['[[:alpha:]]+', 'abC', true],
    ['[[:alpha:]]+', 'ab1', false],
    ['[^[:digit:]]+', 'ab', true],
    ['[^[:digit:]]+', 'a1', false],
    ['\\pL+', 'äb', true],
    ['\\p{Lu}', 'Ä', true],
    ['\\x41\\x{42}', 'AB', true],
    ['a\\-b\\:c\\_', 'a-b:c_', true],
    ['[a\\-z]+', 'a-z', true],
    ['[]a]+', ']a', true],
    ['[^]a]+', 'b', true],
    ['a]b}', 'a]b}', true],
    ['a{2,3}', 'aa', true],
    ['a{2,3}', 'aaaa', false],
    ['\\d{3}', '123', true],
    ['a\\.b', 'a.b', true],
    ['a\\.b', 'axb', false],
    ['', '', true],
  ])('%s on %j: %s', (pattern, text, matches) => {
    expect(fullRegexOf(pattern).test(text)).toBe(matches);
  });

  it.each(['[a', '(a', 'a)|(b', '*a', '(?=a)', '(?<!a)b', '(a)\\1', '(?x)a', '[a&&b]', '[a[b]]', 'a{', '\\p{Nope}'])(
    'refuses %s',
    (pattern) => {
      expect(() => fullRegexOf(pattern)).toThrow(FieldError);
    },
  );

  it.each([
    ['/(a+)+', `/${'a'.repeat(8_000)}!`],
    ['/(a|a)*b', `/${'a'.repeat(8_000)}`],
    ['/(.*a){12}', `/${'a'.repeat(4_000)}b`],
  ])('%s takes no client for ever', (pattern, path) => {
    const regex = fullRegexOf(pattern);
    const startedMs = performance.now();
    expect(regex.test(path)).toBe(false);
    expect(performance.now() - startedMs).toBeLessThan(2_000);
  });
});

describe('stringMatchField', () => {
  it('is exact or a regular expression over the whole value', () => {
    const exact = stringMatchField.parse({ exact: 'a' });
    expect([matchesText(exact, 'a'), matchesText(exact, 'A')]).toEqual([true, false]);
    const regex = stringMatchField.parse({ regex: '(?i)a+' });
    expect([matchesText(regex, 'AA'), matchesText(regex, 'ab')]).toEqual([true, false]);
  });

  it.each([{}, { exact: 'a', regex: 'b' }, 'a', { exact: 1 }, { regex: '[' }])('refuses %j', (value) => {
    expect(stringMatchField.safeParse(value).success).toBe(false);
  });
});
