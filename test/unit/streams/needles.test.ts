import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { createNeedleSearch } from '../../../src/streams/needles.ts';
import { bytesOf } from './run-tap.ts';

const finds = (needles: string[], text: string) => createNeedleSearch(needles)(bytesOf(text), 0, bytesOf(text).length);

test.each([
  [['"usage"', '[DONE]'], 'data: [DONE]', true],
  [['"usage"', '[DONE]'], 'data: [DON]', false],
  [['"usage"', '[DONE]'], '{"usage":1}', true],
  [['aab'], 'aaaaab', true],
  [['abcabd', 'cab'], 'abcab', true],
  [['a'], 'a', true],
  [['long needle', 'b'], 'xb', true],
  [['b', 'long needle'], 'long needl', false],
  [[], 'anything', false],
  [['x'], '', false],
])('%j in %j: %s', (needles, text, expected) => {
  expect(finds(needles, text)).toBe(expected);
});

test('only within the borders', () => {
  const search = createNeedleSearch(['abc']);
  const bytes = bytesOf('abcabc');
  expect([search(bytes, 0, 3), search(bytes, 1, 5), search(bytes, 1, 6), search(bytes, 4, 6), search(bytes, 6, 6)]).toEqual([
    true,
    false,
    true,
    false,
    false,
  ]);
  const longer = createNeedleSearch(['zz', 'abcd']);
  expect([longer(bytesOf('abcd'), 0, 3), longer(bytesOf('abcd'), 0, 4)]).toEqual([false, true]);
});

test('an empty needle is refused', () => {
  expect(() => createNeedleSearch(['a', ''])).toThrow(RangeError);
});

test('finds what includes finds', () => {
  const letters = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength: 1, maxLength: 5 });
  const text = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 40 });
  fc.assert(
    fc.property(fc.array(letters, { minLength: 1, maxLength: 4 }), text, (needles, hay) => {
      expect(finds(needles, hay)).toBe(needles.some((needle) => hay.includes(needle)));
    }),
    { numRuns: 2000 },
  );
});

test('needles longer than a byte can count', () => {
  const needle = 'ab'.repeat(200);
  expect(finds([needle], `${'b'.repeat(1000)}${needle}x`)).toBe(true);
  expect(finds([needle], `${'b'.repeat(1000)}${needle.slice(1)}`)).toBe(false);
});
