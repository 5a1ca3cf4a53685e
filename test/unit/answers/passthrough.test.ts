import { describe, expect, test } from 'vitest';
import { GatewayError } from '../../../src/errors.ts';
import { box, boxes, chat, json, stageOf } from './words.ts';

describe('passing through', () => {
  const host = (name: string) => `{ host: "${name}:1" }`;
  const refusedFirst = { a: new GatewayError('upstream_refused', 'refused'), b: json({}) };

  test('a body streams, so it is sent once; without a body the next one is asked', async () => {
    const stage = stageOf(boxes([host('a'), host('b')]), refusedFirst, { random: () => 0.5 });
    expect((await stage.read('/x', { body: 'once' })).status).toBe(503);
    expect((await stage.read('/x')).status).toBe(200);
    expect(stage.sent.map(({ url, text }) => [new URL(url).hostname, text])).toEqual([
      ['a', 'once'],
      ['a', undefined],
      ['b', undefined],
    ]);
  });

  test('a retry policy keeps the body, its coding too', async () => {
    const stage = stageOf(boxes([host('a'), host('b')], { route: '{ retry: { attempts: 2, codes: [503] } }' }), refusedFirst);
    const before = stage.budgetLeft();
    const { status } = await stage.read('/x', { body: 'twice', headers: { 'content-encoding': 'x-own' } });
    expect(status).toBe(200);
    expect(stage.sent.map(({ text, headers }) => [text, headers['content-encoding']])).toEqual([
      ['twice', 'x-own'],
      ['twice', 'x-own'],
    ]);
    expect(stage.budgetLeft()).toBe(before);
  });

  test('weights of backends of different kinds', async () => {
    const draws = [0.0, 0.74, 0.76];
    const yaml = boxes([host('a').replace('{', '{ weight: 3,'), box('b').replace('{', '{ weight: 1,')]);
    const stage = stageOf(yaml, { a: json({}), b: json({}) }, { random: () => draws.shift() ?? 0 });
    for (const _ of [1, 2, 3]) await stage.read('/v1/chat/completions', chat('m'));
    expect(stage.sent.map(({ url }) => new URL(url).hostname)).toEqual(['a', 'a', 'b']);
  });

  test('nothing to choose from: 500', async () => {
    expect((await stageOf(boxes([])).read('/x')).text).toBe('no valid backends');
    expect((await stageOf(boxes([host('a').replace('{', '{ weight: 0,')])).read('/x')).status).toBe(500);
  });
});
