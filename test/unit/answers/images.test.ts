import { describe, expect, test } from 'vitest';
import type { Facts } from './fake-herd.ts';
import { runner } from './fake-herd.ts';
import { boxes, json, stageOf } from './words.ts';

const png = 'aGVsbG8=';
const url = `data:image/png;base64,${png}`;
const anthropicImage = { type: 'image', source: { type: 'base64', media_type: 'image/png', data: png } };
const user = (content: unknown, more: object = {}) => ({ messages: [{ role: 'user', content, ...more }] });

/** Each place that a protocol has for an image. */
const calls: readonly (readonly [string, object])[] = [
  [
    '/v1/chat/completions',
    user([
      { type: 'text', text: 'what' },
      { type: 'image_url', image_url: { url } },
    ]),
  ],
  ['/v1/messages', { max_tokens: 9, ...user([{ type: 'text', text: 'what' }, anthropicImage]) }],
  ['/v1/messages', { max_tokens: 9, ...user([{ type: 'tool_result', tool_use_id: 't', content: [anthropicImage] }]) }],
  ['/v1/responses', { input: [{ role: 'user', content: [{ type: 'input_image', image_url: url }] }] }],
  [
    '/v1/responses',
    { input: [{ type: 'function_call_output', call_id: 'c', output: [{ type: 'input_image', image_url: url }] }] },
  ],
  ['/api/chat', user('what', { images: [png] })],
  ['/api/generate', { prompt: 'what', images: [png] }],
];
const [[, chat]] = calls as readonly [readonly [string, object]];

const blind: Facts = { model: { capabilities: ['completion', 'tools'], contextLength: 8_192 }, running: [] };
const seeing: Facts = { model: { capabilities: ['completion', 'vision'], contextLength: 8_192 }, running: [] };
const words = 'Multimodal data provided, but model does not support multimodal requests.';

function stageWith(facts: Readonly<Record<string, Facts>>, more = '') {
  const names = Object.keys(facts);
  const answers = Object.fromEntries(names.map((name) => [name, json({ choices: [], served: name })]));
  const stage = stageOf(boxes(names, { more }), answers);
  for (const name of names) stage.herd.know(name, { models: ['m'], ...facts[name] });
  return stage;
}

describe('images for a cold model that reads none', () => {
  test.each(calls)('are refused before anything is asked of its box: %s %j', async (path, body) => {
    const stage = stageWith({ a: blind });
    const { status, text } = await stage.read(path, { body: { model: 'm', stream: true, ...body } });
    expect([status, text]).toEqual([400, expect.stringContaining(words)]);
    expect(stage.sent).toEqual([]);
    expect(stage.herd.noted).toEqual([]);
    expect(stage.told[0]?.exchange).toMatchObject({ outcome: 'refused', error: { code: 'image_unsupported', status: 400 } });
  });

  test("in the shape of the client's protocol", async () => {
    const message = `${words} Use a model that has the capability vision, or leave the images out.`;
    const refused = async (path: string, body: object) =>
      JSON.parse((await stageWith({ a: blind }).read(path, { body: { model: 'm', ...body } })).text);
    expect(await refused('/v1/chat/completions', chat)).toEqual({
      error: { message, type: 'invalid_request_error', param: null, code: 'image_unsupported' },
    });
    expect(await refused('/api/generate', { prompt: 'what', images: [png] })).toEqual({ error: message });
    expect(await refused('/v1/messages', { max_tokens: 9, ...user([anthropicImage]) })).toMatchObject({
      type: 'error',
      error: { type: 'invalid_request_error', message },
    });
  });

  test('go to another box whose copy reads them', async () => {
    const stage = stageWith({ a: blind, b: seeing });
    const { status, text } = await stage.read('/v1/chat/completions', { body: { model: 'm', ...chat } });
    expect([status, JSON.parse(text).served]).toEqual([200, 'b']);
    expect(stage.sent.map((sent) => new URL(sent.url).hostname)).toEqual(['b']);
  });
});

describe('goes to the box', () => {
  const statusOf = async (facts: Facts, body: object = chat) =>
    (
      await stageWith({ a: facts }, 'fleet: { allowCloudModels: true }').read('/v1/chat/completions', {
        body: { model: 'm', ...body },
      })
    ).status;

  test.each([
    ['a model that reads images', seeing],
    [
      'a model that hears: Ollama takes sounds for images',
      { model: { capabilities: ['completion', 'audio'], contextLength: 1 } },
    ],
    ['a model of which nothing is known', {}],
    ['a model of a box that does not tell', { model: { capabilities: undefined, contextLength: 8_192 } }],
    ['a model that is in memory', { ...blind, running: [runner('m')] }],
    ["a model of Ollama's cloud", { ...blind, remote: ['m'] }],
  ] as const)('%s', async (_, facts) => {
    expect(await statusOf(facts)).toBe(200);
  });

  test.each([
    ['text only', user('what is in image_url?')],
    ['parts that are text', user([{ type: 'text', text: '{"type":"image_url"}' }])],
    ['an empty list of images', user('what', { images: [] })],
  ])('%s', async (_, body) => {
    expect(await statusOf(blind, body)).toBe(200);
  });
});
