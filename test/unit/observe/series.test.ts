import { describe, expect, test } from 'vitest';
import { createCounterFamily, createHistogramFamily, gaugeText } from '../../../src/observe/series.ts';

describe('counters', () => {
  test('one series for each tuple of labels, found again', () => {
    const family = createCounterFamily({ name: 'x_total', help: 'Xs.', labels: ['a', 'b'] });
    family.with('1', '2').value++;
    family.with('1', '2').value += 4;
    family.with('1', '3').value++;
    expect(family.write()).toBe('# HELP x_total Xs.\n# TYPE x_total counter\nx_total{a="1",b="2"} 5\nx_total{a="1",b="3"} 1\n');
  });

  test('nothing is written before there is something to count; without labels there are no braces', () => {
    const family = createCounterFamily({ name: 'x_total', help: 'Xs.', labels: [] });
    expect(family.write()).toBe('');
    family.with().value++;
    expect(family.write()).toContain('\nx_total 1\n');
  });

  test('label values are escaped, and cut when they are long', () => {
    const family = createCounterFamily({ name: 'x_total', help: 'Xs.', labels: ['a'] });
    family.with('q"b\\n\nx').value++;
    family.with('y'.repeat(1_000)).value++;
    family.with('y'.repeat(2_000)).value++;
    expect(family.write().split('\n').slice(2)).toEqual([
      'x_total{a="q\\"b\\\\n\\nx"} 1',
      `x_total{a="${'y'.repeat(128)}"} 2`,
      '',
    ]);
  });

  test('beyond the limit what is new is counted as other, and that is counted', () => {
    const family = createCounterFamily({ name: 'x_total', help: 'Xs.', labels: ['a', 'b'], maxSeries: 2 });
    for (const value of ['1', '2', '3', '4', '1']) family.with(value, 'v').value++;
    expect(family.write().split('\n').slice(2, -1)).toEqual([
      'x_total{a="1",b="v"} 2',
      'x_total{a="2",b="v"} 1',
      'x_total{a="other",b="other"} 2',
    ]);
    expect(family.overflows).toBe(2);
  });

  test('one that is not kept counts nowhere', () => {
    const family = createCounterFamily({ name: 'x_total', help: 'Xs.', labels: ['a'], isKept: false });
    for (let count = 0; count < 10_000; count++) family.with(String(count)).value++;
    expect(family.write()).toBe('');
    expect(family.overflows).toBe(0);
  });
});

test('histograms: a value on a bound belongs to it, buckets add up, the last one holds everything', () => {
  const family = createHistogramFamily({ name: 'h', help: 'Hs.', labels: ['a'], bounds: [0.1, 1] });
  for (const value of [0.1, 0.05, 0.5, 7]) family.with('x').observe(value);
  expect(family.write()).toBe(
    '# HELP h Hs.\n# TYPE h histogram\n' +
      'h_bucket{a="x",le="0.1"} 2\nh_bucket{a="x",le="1"} 3\nh_bucket{a="x",le="+Inf"} 4\n' +
      'h_sum{a="x"} 7.65\nh_count{a="x"} 4\n',
  );
});

test('gauges', () => {
  expect(gaugeText('g', 'Gs.', [])).toBe('');
  expect(gaugeText('g', 'Gs.', [{ value: 1 }])).toBe('# HELP g Gs.\n# TYPE g gauge\ng 1\n');
  expect(gaugeText('g', 'Gs.', [{ labels: { box: 'a"b' }, value: 0 }])).toContain('g{box="a\\"b"} 0\n');
});
