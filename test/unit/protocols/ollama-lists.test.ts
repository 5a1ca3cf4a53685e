import { expect, it } from 'vitest';
import { decodeCall } from '../../../src/protocols/decode.ts';
import { ollamaShow } from '../../../src/protocols/ollama-lists.ts';

const request = new Request('http://corral.test/api/show', { method: 'POST' });
const decode = (text: string) => decodeCall(ollamaShow, new TextEncoder().encode(text), { request });

it.each([
  ['{"model":"a"}', 'a', []],
  [
    '{"name":"b"}',
    'b',
    [
      ['model', 'b'],
      ['name', undefined],
    ],
  ],
  [
    '{"model":"a","name":"b"}',
    'a',
    [
      ['model', 'a'],
      ['name', undefined],
    ],
  ],
  [
    '{"model":"","NAME":"b"}',
    'b',
    [
      ['model', 'b'],
      ['name', undefined],
    ],
  ],
  ['{"name":""}', undefined, [['name', undefined]]],
])('%s shows %s, and only that name is sent on', (text, model, changes) => {
  const call = decode(text);
  expect(call.model).toBe(model);
  expect([...call.boxChanges]).toEqual(changes);
});

it('a name must be text', () => {
  expect(() => decode('{"name":5}')).toThrow('"name" must be a string');
});
