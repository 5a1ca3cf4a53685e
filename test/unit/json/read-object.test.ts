import { describe, expect, test } from 'vitest';
import { GatewayError } from '../../../src/errors.ts';
import { readObject } from '../../../src/json/read-object.ts';

const read = (text: string, limits?: { maxDepth: number }) => readObject(new TextEncoder().encode(text), limits);

function complaint(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof GatewayError && error.code === 'invalid_body') return error.message;
    throw error;
  }
  throw new Error('nothing was thrown');
}

test.each([
  ['', 'The request has no body. A JSON object is expected.'],
  [' \n\t ', 'The body is empty but for white space. A JSON object is expected.'],
  ['[{"model":"a"}]', 'The body must be a JSON object; this is an array.'],
  ['"model"', 'The body must be a JSON object; this is a string.'],
  [' -1', 'The body must be a JSON object; this is a number.'],
  ['null', 'The body must be a JSON object; this is null.'],
  ['true\n', 'The body must be a JSON object; this is true.'],
  ['nullify', 'The body is not valid JSON: it should start with "{" at character 0.'],
  ['  model=a', 'The body is not valid JSON: it should start with "{" at character 2.'],
  ['\ufeff{}', 'The body starts with a byte order mark. JSON over HTTP must not have one.'],
  ['{"model":"a"', 'The body is not valid JSON: it ends at character 12, before the object is closed.'],
  ['{"model":"a', 'The body is not valid JSON: it ends at character 11, before the object is closed.'],
  ['{"model":"a\\"}', 'The body is not valid JSON: it ends at character 14, before the object is closed.'],
  ['{"a":[1,2', 'The body is not valid JSON: it ends at character 9, before the object is closed.'],
  ['{"model" "a"}', 'The body is not valid JSON: error at character 9.'],
  ['{"model":"a",}', 'The body is not valid JSON: error at character 13.'],
  ['  {"model":nope}', 'The body is not valid JSON: error at character 11.'],
  ['{"a":{"b":]}}', 'The body is not valid JSON: error at character 10.'],
  ["{'model':'a'}", 'The body is not valid JSON: error at character 1.'],
  ['{"a":01}', 'The body is not valid JSON: error at character 6.'],
  ['{"a":"\n"}', 'The body is not valid JSON: error at character 6.'],
  ['{"a":"\\x"}', 'The body is not valid JSON: error at character 6.'],
  ['{"\\x":1}', 'The body is not valid JSON: error at character 2.'],
  ['{]', 'The body is not valid JSON: error at character 1.'],
  ['{"a":1 "b":2}', 'The body is not valid JSON: error at character 7.'],
])('%j: %s', (text, message) => {
  expect(complaint(() => read(text))).toBe(message);
});

test('bytes that are no UTF-8 are refused, with the place', () => {
  const bytes = new TextEncoder().encode(`{"a":"${'x'.repeat(1000)}"}`);
  bytes[700] = 0xff;
  expect(complaint(() => readObject(bytes))).toBe('The body is not valid UTF-8 near byte 512.');
  const cut = new TextEncoder().encode('{"a":"é"}').subarray(0, 7);
  expect(complaint(() => readObject(cut))).toBe('The body is not valid UTF-8 near byte 0.');
  // gzip: what a client sends that compresses and does not say so.
  expect(complaint(() => readObject(new Uint8Array([0x1f, 0x8b, 8, 0])))).toContain('UTF-8');
});

test('a replacement character that was sent is no fault', () => {
  expect(read('{"a":"\ufffd"}').get('a')).toBe('\ufffd');
});

test('an error message never quotes the body', () => {
  expect(complaint(() => read('{"prompt": the secret plan}'))).not.toContain('secret');
});

describe('nesting', () => {
  const nested = (levels: number) => `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`;

  test('10,000 levels are read, as Go does; one more is refused', () => {
    expect(read(nested(10_000)).has('a')).toBe(true);
    expect(complaint(() => read(nested(10_001)))).toBe('The body is nested deeper than 10000 levels, at character 50000.');
  });

  test('arrays and objects count alike; another limit may be given', () => {
    expect(read('{"a":[{"b":[]}]}', { maxDepth: 4 }).textOf('a')).toBe('[{"b":[]}]');
    expect(complaint(() => read('{"a":[{"b":[]}]}', { maxDepth: 3 }))).toContain('deeper than 3 levels, at character 11');
  });

  test('a million brackets crash nothing', () => {
    expect(complaint(() => read(`{"a":${'['.repeat(1_000_000)}`))).toContain('nested deeper');
    expect(complaint(() => read('['.repeat(1_000_000)))).toContain('an array');
    expect(complaint(() => read(`{"a":${'{"a":'.repeat(1_000_000)}`))).toContain('nested deeper');
  });

  test('brackets inside strings do not count', () => {
    expect(read(`{"a":"${'['.repeat(20_000)}"}`).has('a')).toBe(true);
  });
});

test('what follows the object is ignored and not forwarded; white space behind it stays', () => {
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  expect(decode(read('{"model":"a"}{"model":"b"}').draft().bytes())).toBe('{"model":"a"}');
  expect(decode(read(' {"é":1} trailing, no JSON').draft().bytes())).toBe(' {"é":1}');
  expect(decode(read('{"model":"a"}\n').draft().bytes())).toBe('{"model":"a"}\n');
});

test('a body with a 7 MB string and another of a million escapes are read and edited', () => {
  const image = 'A'.repeat(7_000_000);
  const bytes = new TextEncoder().encode(`{"model":"a","images":["${image}"],"prompt":"${'\\\\\\"'.repeat(500_000)}","n":1}`);
  const object = readObject(bytes);
  expect(object.draft().bytes()).toBe(bytes);
  expect(object.get('n')).toBe(1);
  const draft = object.draft();
  draft.set('model', 'bb');
  expect(draft.bytes()).toHaveLength(bytes.length + 1);
});
