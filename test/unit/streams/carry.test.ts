import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { Carry, joined, Tail } from '../../../src/streams/carry.ts';

const pieces = fc.array(fc.uint8Array({ maxLength: 30 }), { maxLength: 30 });
const flat = (parts: readonly Uint8Array[]) => parts.flatMap((part) => [...part]);

test('a carry keeps the first bytes up to its limit, and copies them', () => {
  fc.assert(
    fc.property(pieces, fc.nat(200), (parts, maxBytes) => {
      const carry = new Carry(maxBytes);
      for (const part of parts) {
        const own = part.slice();
        carry.append(own);
        own.fill(0);
      }
      expect([...carry.bytes]).toEqual(flat(parts).slice(0, maxBytes));
      expect(carry.length).toBe(carry.bytes.length);
      carry.clear();
      expect(carry.length).toBe(0);
    }),
  );
});

test('a carry never holds more memory than its limit, and gives a large buffer back', () => {
  const carry = new Carry(100_000);
  for (let times = 0; times < 30; times++) carry.append(new Uint8Array(10_000));
  expect(carry.length).toBe(100_000);
  expect(carry.bytes.buffer.byteLength).toBe(100_000);
  carry.clear();
  expect(carry.bytes.buffer.byteLength).toBe(0);
});

test('a tail keeps the last bytes, in twice its size of memory', () => {
  fc.assert(
    fc.property(pieces, fc.integer({ min: 1, max: 100 }), (parts, size) => {
      const tail = new Tail(size);
      for (const part of parts) tail.append(part);
      expect([...tail.bytes]).toEqual(flat(parts).slice(-size));
      expect(tail.bytes.buffer.byteLength).toBeLessThanOrEqual(size * 2);
    }),
    { numRuns: 500 },
  );
});

test('joined copies only what it must', () => {
  const one = new Uint8Array([1, 2]);
  expect(joined([new Uint8Array(0), one])).toBe(one);
  expect(joined([])).toHaveLength(0);
  expect([...joined([one, new Uint8Array(0), one])]).toEqual([1, 2, 1, 2]);
});
