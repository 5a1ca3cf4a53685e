import { describe, expect, it } from 'vitest';
import { durationField, durationMsOf } from '../../../src/fields/duration.ts';
import { FieldError } from '../../../src/fields/text-field.ts';

describe('durationMsOf', () => {
  it.each([
    ['300ms', 300],
    ['1.5s', 1_500],
    ['2m', 120_000],
    ['1h30m', 5_400_000],
    ['1h30m10s5ms', 5_410_005],
    ['30d', 2_592_000_000],
    ['.5s', 500],
    ['1.s', 1_000],
    ['250us', 0.25],
    ['250µs', 0.25],
    ['250μs', 0.25],
    ['500000ns', 0.5],
    ['0s', 0],
    ['0', 0],
  ])('%s', (text, ms) => {
    expect(durationMsOf(text)).toBeCloseTo(ms, 9);
  });

  it.each(['', '5', '5 s', '5 parsecs', 's', '.', '1h 30m', '1hour', '+5s', '1e3s', ' 5s', '5s ', '1.5.5s'])(
    'refuses "%s"',
    (text) => {
      expect(() => durationMsOf(text)).toThrow(FieldError);
    },
  );

  it('says that a duration cannot be negative', () => {
    expect(() => durationMsOf('-5s')).toThrow('a duration cannot be negative, but this is "-5s"');
  });

  it('is bounded at ten years and at 64 characters', () => {
    expect(durationMsOf('3650d')).toBe(315_360_000_000);
    expect(() => durationMsOf('3661d')).toThrow('"3661d" is longer than ten years');
    expect(() => durationMsOf('1s'.repeat(40))).toThrow(FieldError);
  });
});

describe('durationField', () => {
  it('gives milliseconds', () => {
    expect(durationField.parse('15m')).toBe(900_000);
  });

  it('refuses plain numbers with what is expected', () => {
    expect(durationField.safeParse(5).error?.issues[0]?.message).toBe(
      'expected a duration with a unit, such as "500ms", "30s", "15m" or "1h30m"',
    );
  });
});
