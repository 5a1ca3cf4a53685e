import { describe, expect, it } from 'vitest';
import { byteSizeField, bytesOf } from '../../../src/fields/byte-size.ts';

describe('bytesOf', () => {
  it.each([
    ['512', 512],
    ['512B', 512],
    ['1k', 1_024],
    ['1KiB', 1_024],
    ['1kB', 1_000],
    ['32MiB', 33_554_432],
    ['32 MiB', 33_554_432],
    ['1.5Gi', 1_610_612_736],
    ['2GB', 2_000_000_000],
  ])('%s', (text, bytes) => {
    expect(bytesOf(text)).toBe(bytes);
  });

  it.each(['', 'MiB', '-1', '1XB', '1 000', '1e6', '999999999999999GiB'])('refuses "%s"', (text) => {
    expect(() => bytesOf(text)).toThrow();
  });
});

describe('byteSizeField', () => {
  it('takes numbers and texts', () => {
    expect(byteSizeField.parse(2_097_152)).toBe(2_097_152);
    expect(byteSizeField.parse('2MiB')).toBe(2_097_152);
  });

  it.each([-1, 1.5, true, null])('refuses %s', (value) => {
    expect(byteSizeField.safeParse(value).success).toBe(false);
  });
});
