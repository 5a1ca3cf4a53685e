/** What leaves for a box natively, member by member, as Ollama's own /v1 would hand it on (openai.go, anthropic.go, responses.go). */
import { describe, expect, it } from 'vitest';
import { hasNativeWay, putNatively } from '../../../../src/protocols/translate/ollama.ts';
import { isUnload } from '../../../../src/protocols/translate/ollama-asked.ts';
import { nativeBody, protocolAt, put } from './natively.ts';

const pixel = 'iVBORw0KGgo=';
const chat = (more: object) =>
  nativeBody('/v1/chat/completions', { model: 'm', messages: [{ role: 'user', content: 'x' }], ...more });
const chatMessages = (...messages: object[]) => nativeBody('/v1/chat/completions', { model: 'm', messages }).messages;
const messages = (more: object) =>
  nativeBody('/v1/messages', { model: 'm', max_tokens: 9, messages: [{ role: 'user', content: 'x' }], ...more });
const responses = (input: unknown, more: object = {}) => nativeBody('/v1/responses', { model: 'm', input, ...more });
const textOfBody = (path: string, request: object) => new TextDecoder().decode(put(path, request).bytes);

describe('chat completions to /api/chat', () => {
  it('all sampling parameters, and a stop that is a text', () => {
    const { options } = chat({
      max_tokens: 5,
      seed: 3,
      stop: 'END',
      temperature: 0.3,
      top_p: 0.4,
      frequency_penalty: 0.5,
      presence_penalty: 0.6,
    });
    expect(options).toEqual({
      num_predict: 5,
      seed: 3,
      stop: ['END'],
      temperature: 0.3,
      top_p: 0.4,
      frequency_penalty: 0.5,
      presence_penalty: 0.6,
    });
    expect(chat({ stop: ['a', 1, 'b'] }).options.stop).toEqual(['a', 'b']);
    expect(chat({ seed: null, stop: null, max_tokens: null }).options).toEqual({ temperature: 1, top_p: 1 });
  });

  it.each([
    ['none', false],
    ['minimal', 'low'],
    ['low', 'low'],
    ['medium', 'medium'],
    ['high', 'high'],
    ['xhigh', 'max'],
    ['ultra', 'max'],
    ['max', 'max'],
  ])('reasoning_effort %s is think %j', (effort, think) => {
    expect(chat({ reasoning_effort: effort }).think).toBe(think);
    expect(chat({ reasoning: { effort }, reasoning_effort: 'wild' }).think).toBe(think);
  });

  it('an own think outdoes the effort; none of both says nothing', () => {
    expect(chat({ think: 'low', reasoning_effort: 'high' }).think).toBe('low');
    expect(chat({})).not.toHaveProperty('think');
  });

  it('parts become messages of their own, with images and sound as base64', () => {
    const content = [
      { type: 'text', text: 'look' },
      { type: 'image_url', image_url: { url: `data:image/png;base64,${pixel}` } },
      { type: 'image_url', image_url: `data:;base64,${pixel}` },
      { type: 'input_audio', input_audio: { data: pixel, format: 'wav' } },
    ];
    expect(chatMessages({ role: 'user', content })).toEqual([
      { role: 'user', content: 'look' },
      { role: 'user', content: '', images: [pixel] },
      { role: 'user', content: '', images: [pixel] },
      { role: 'user', content: '', images: [pixel] },
    ]);
  });

  it.each([
    ['https://x/y.png', 'image URLs are not currently supported, please use base64 encoded data instead'],
    [`data:image/gif;base64,${pixel}`, 'invalid image input'],
    ['data:image/png;base64,abc', 'invalid image input'],
    ['data:image/png;base64,ab*=', 'invalid image input'],
  ])('the image %s is refused as on /v1', (url, message) => {
    const content = [{ type: 'image_url', image_url: { url } }];
    expect(() => chatMessages({ role: 'user', content })).toThrow(message);
  });

  it('calls of tools, their results, and the name that templates want with them', () => {
    const call = { id: 'c1', type: 'function', function: { name: 'weather', arguments: '{"id":12345678901234567890}' } };
    const request = {
      model: 'm',
      messages: [
        { role: 'user', content: 'x' },
        { role: 'assistant', content: null, reasoning: 'hm', tool_calls: [call] },
        { role: 'tool', tool_call_id: 'c1', content: 'sunny' },
        { role: 'TOOL', name: 'own', tool_call_id: 'c1', content: 'rain' },
      ],
    };
    expect(nativeBody('/v1/chat/completions', request).messages.slice(1)).toEqual([
      {
        role: 'assistant',
        content: '',
        thinking: 'hm',
        tool_calls: [{ id: 'c1', function: { name: 'weather', arguments: expect.anything() } }],
      },
      { role: 'tool', content: 'sunny', tool_name: 'weather', tool_call_id: 'c1' },
      { role: 'TOOL', content: 'rain', tool_name: 'own', tool_call_id: 'c1' },
    ]);
    expect(textOfBody('/v1/chat/completions', request)).toContain('"arguments":{"id":12345678901234567890}');
  });

  it.each(['', 'null', '[1]', '"x"', '{bad'])('arguments %j are refused as on /v1', (args) => {
    const call = { id: 'c', function: { name: 'f', arguments: args } };
    expect(() => chatMessages({ role: 'assistant', content: '', tool_calls: [call] })).toThrow('invalid tool call arguments');
  });

  it('tools and schemas byte by byte', () => {
    const tools = '[{"type":"function","function":{"name":"f","parameters":{"type":"object","x":1.50,"a":1,"A":2}}}]';
    const body = `{"model":"m","messages":[{"role":"user","content":"x"}],"tools":${tools},"num_ctx":512,
      "response_format":{"type":" JSON_Schema ","json_schema":{"name":"n","schema":{"b":1.0,"a":[]}}}}`;
    const native = putNatively(protocolAt('/v1/chat/completions'), new TextEncoder().encode(body), {
      isStream: false,
      wantsUsage: false,
    });
    const text = new TextDecoder().decode(native?.bytes);
    expect(text).toContain(`"tools":${tools}`);
    expect(text).toContain('"format":{"b":1.0,"a":[]}');
    expect(chat({ response_format: { type: 'json_object' } }).format).toBe('json');
    expect(chat({ response_format: { type: 'text' } })).not.toHaveProperty('format');
  });

  it('what belongs to Ollama goes along', () => {
    expect(
      chat({ keep_alive: '5m', truncate: false, shift: false, num_ctx: 512, options: { num_ctx: 1, mirostat: 2 } }),
    ).toMatchObject({
      keep_alive: '5m',
      truncate: false,
      shift: false,
      options: { num_ctx: 512, mirostat: 2 },
    });
  });
});

describe('text completions to /api/generate', () => {
  it('prompt, suffix, and log probabilities by number', () => {
    const sent = nativeBody('/v1/completions', {
      model: 'm',
      prompt: 'a',
      suffix: 'b',
      logprobs: 3,
      top_p: 0,
      stop: 'x',
      think: false,
    });
    expect(sent).toEqual({
      model: 'm',
      prompt: 'a',
      suffix: 'b',
      stream: false,
      think: false,
      logprobs: true,
      top_logprobs: 3,
      options: { stop: ['x'], temperature: 1, top_p: 1, frequency_penalty: 0, presence_penalty: 0 },
    });
    expect(() => nativeBody('/v1/completions', { model: 'm', prompt: 'a', stop: ['x', 1] })).toThrow("invalid type for 'stop'");
  });
});

describe('embeddings to /api/embed', () => {
  it('one empty text is a text; options and dimensions go along', () => {
    expect(nativeBody('/v1/embeddings', { model: 'm', input: '', dimensions: 8, options: { num_ctx: 512 } })).toEqual({
      model: 'm',
      input: [''],
      dimensions: 8,
      options: { num_ctx: 512 },
    });
  });

  it('base64 on the way back: little-endian floats of four bytes', () => {
    const { rewrite } = put('/v1/embeddings', { model: 'm', input: 'x', encoding_format: 'BASE64' });
    const answer = rewrite.whole('{"model":"m","embeddings":[[1,-0.5],[0,2]],"prompt_eval_count":4}', 200) as { text: string };
    expect(JSON.parse(answer.text)).toEqual({
      object: 'list',
      data: [
        { object: 'embedding', embedding: 'AACAPwAAAL8=', index: 0 },
        { object: 'embedding', embedding: 'AAAAAAAAAEA=', index: 1 },
      ],
      model: 'm',
      usage: { prompt_tokens: 4, total_tokens: 4 },
    });
  });
});

describe('Messages to /api/chat', () => {
  it('system, sampling, stops; nothing is filled in', () => {
    const sent = messages({
      system: [
        { type: 'text', text: 'be ' },
        { type: 'text', text: 'brief' },
      ],
      stop_sequences: ['a'],
      top_k: 4,
      temperature: 0.5,
    });
    expect(sent.messages[0]).toEqual({ role: 'system', content: 'be brief' });
    expect(sent.options).toEqual({ num_predict: 9, temperature: 0.5, top_k: 4, stop: ['a'] });
    expect(messages({}).options).toEqual({ num_predict: 9 });
  });

  it.each([
    [{ thinking: { type: 'enabled', budget_tokens: 5 } }, true],
    [{ thinking: { type: 'disabled' }, output_config: { effort: 'high' } }, false],
    [{ thinking: { type: 'adaptive' }, output_config: { effort: ' XHIGH ' } }, 'high'],
    [{ output_config: { effort: 'low' } }, 'low'],
    [{ output_config: { effort: 'odd' } }, undefined],
    [{}, undefined],
  ])('%j thinks %j', (more, think) => {
    expect(messages(more).think).toBe(think);
  });

  it('blocks of one message, results before what the person adds', () => {
    const image = { type: 'image', source: { type: 'base64', media_type: 'image/png', data: pixel } };
    const sent = messages({
      messages: [
        {
          role: 'assistant',
          content: [
            { type: 'thinking', thinking: 'hm', signature: '' },
            { type: 'text', text: 'one ' },
            { type: 'text', text: 'two' },
            { type: 'tool_use', id: 't1', name: 'f', input: { a: 1 } },
          ],
        },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'and' },
            { type: 'tool_result', tool_use_id: 't1', content: [{ type: 'text', text: 'sunny' }, image] },
            { type: 'tool_result', tool_use_id: 't2', content: 'rain' },
            image,
          ],
        },
      ],
      tools: [{ name: 'f', description: 'd', input_schema: { type: 'object' } }],
    });
    expect(sent.messages).toEqual([
      {
        role: 'assistant',
        content: 'one two',
        thinking: 'hm',
        tool_calls: [{ id: 't1', function: { name: 'f', arguments: { a: 1 } } }],
      },
      { role: 'tool', content: 'sunny', images: [pixel], tool_call_id: 't1' },
      { role: 'tool', content: 'rain', tool_call_id: 't2' },
      { role: 'user', content: 'and', images: [pixel] },
    ]);
    expect(sent.tools).toEqual([{ type: 'function', function: { name: 'f', description: 'd', parameters: { type: 'object' } } }]);
  });

  it.each([
    [
      [{ type: 'image', source: { type: 'url', url: 'https://x' } }],
      'invalid image source type: url. Only base64 images are supported.',
    ],
    [[{ type: 'image' }], 'invalid image source'],
    [[{ type: 'tool_use', name: 'f', input: {} }], "tool_use block missing required 'id' field"],
    [[{ type: 'tool_use', id: 'x', input: {} }], "tool_use block missing required 'name' field"],
  ])('%j is refused as by the box', (content, message) => {
    expect(() => messages({ messages: [{ role: 'user', content }] })).toThrow(message);
  });
});

describe('Responses to /api/chat', () => {
  it('instructions, items, thinking before words, words between a call and its result', () => {
    const sent = responses(
      [
        {
          role: 'user',
          content: [
            { type: 'input_text', text: 'hi' },
            { type: 'input_image', image_url: `data:image/png;base64,${pixel}` },
          ],
        },
        { type: 'reasoning', encrypted_content: 'hm' },
        { type: 'function_call', call_id: 'c1', name: 'f', arguments: '{"a":1}' },
        { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'wait' }] },
        { type: 'function_call_output', call_id: 'c1', output: 'sunny' },
        { type: 'web_search_call', id: 'w' },
        { type: 'reasoning', encrypted_content: 'last' },
      ],
      { instructions: 'be brief', max_output_tokens: 7, top_p: 0.5 },
    );
    expect(sent.messages).toEqual([
      { role: 'system', content: 'be brief' },
      { role: 'user', content: 'hi', images: [pixel] },
      {
        role: 'assistant',
        content: 'wait',
        thinking: 'hm',
        tool_calls: [{ id: 'c1', function: { name: 'f', arguments: { a: 1 } } }],
      },
      { role: 'tool', content: 'sunny', tool_call_id: 'c1' },
      { role: 'assistant', content: '', thinking: 'last' },
    ]);
    expect(sent.options).toEqual({ num_predict: 7, top_p: 0.5, temperature: 1 });
  });

  it('namespaces of tools, schemas, efforts', () => {
    const sent = responses('x', {
      reasoning: { effort: 'minimal' },
      text: { format: { type: 'json_schema', name: 'n', schema: { type: 'object' } } },
      tools: [
        { type: 'function', name: 'f', description: 'd', parameters: { type: 'object' } },
        {
          type: 'namespace',
          name: 'ns',
          tools: [
            { type: 'function', name: 'g' },
            { type: 'function', name: 'ns.h' },
          ],
        },
      ],
    });
    expect(sent.think).toBe('low');
    expect(sent.format).toEqual({ type: 'object' });
    expect(sent.tools.map((tool: { function: { name: string } }) => tool.function.name)).toEqual(['f', 'ns.g', 'ns.h']);
  });

  it.each([
    [7, 'input must be a string or array'],
    [[{ content: 'x' }], "input[0]: input item missing required 'type' field"],
    [[{ role: 'user', content: [{ type: 'input_file', file_id: 'f' }] }], 'file inputs are not currently supported'],
    [[{ role: 'user', content: [{ type: 'odd' }] }], 'unknown content type: odd'],
    [[{ type: 'function_call', name: 'f', arguments: '[' }], 'failed to parse function call arguments'],
  ])('%j is refused as by the box', (input, message) => {
    expect(() => responses(input)).toThrow(message);
  });
});

it('what only the box’s own path can serve stays there', () => {
  const search = { model: 'm', input: 'x', tools: [{ type: 'web_search' }], num_ctx: 512 };
  const bytes = new TextEncoder().encode(JSON.stringify(search));
  expect(putNatively(protocolAt('/v1/responses'), bytes, { isStream: false, wantsUsage: false })).toBeUndefined();
  expect(hasNativeWay(protocolAt('/v1/responses/compact'))).toBe(false);
  expect(hasNativeWay(protocolAt('/v1/audio/transcriptions'))).toBe(false);
  expect(hasNativeWay(protocolAt('/api/chat'))).toBe(false);
});

/** Milliseconds that one call takes away from all others. */
function timeOf(work: () => unknown): number {
  const startedMs = performance.now();
  work();
  return performance.now() - startedMs;
}

describe('a request that is made to take long', () => {
  it('by zeros that can be read in many ways, does not', () => {
    expect(timeOf(() => expect(isUnload(`"${'0.000'.repeat(12)}x"`)).toBe(false))).toBeLessThan(500);
    expect(timeOf(() => expect(isUnload(`"${'0ms'.repeat(100_000)}x"`)).toBe(false))).toBeLessThan(500);
  });

  it('by results of tools that nobody has called, does not', () => {
    const results = Array.from({ length: 6_000 }, (_, index) => ({ role: 'tool', tool_call_id: `c${index}`, content: '' }));
    expect(timeOf(() => chatMessages(...results))).toBeLessThan(2_000);
  });

  it('by namespaces in namespaces, is refused', () => {
    const deep = (levels: number): object =>
      levels === 0 ? { type: 'function', name: 'f' } : { type: 'namespace', name: '', tools: [deep(levels - 1)] };
    expect(responses('x', { tools: [deep(16)] }).tools).toMatchObject([{ function: { name: 'f' } }]);
    expect(() => responses('x', { tools: [deep(17)] })).toThrow('namespaces of tools are more than 16 deep');
  });
});

describe('a keep_alive that unloads at once', () => {
  it.each(['0', '-0', '0.0', '0e5', '"0"', '"0s"', '"0m0s"', '"0.0s"', '"-0h"', '"+0s"', '"0µs"'])('%s does', (json) =>
    expect(isUnload(json)).toBe(true),
  );
  it.each(['1', '0.5', '"5m"', '"0m1s"', '""', '"s"', 'null', '"0d"', '-1'])('%s does not', (json) =>
    expect(isUnload(json)).toBe(false),
  );
});

describe('results of tools that are called twice by one id', () => {
  it('have the name that the last message gives them, and of its calls the first', () => {
    const calling = (...names: string[]) => ({
      role: 'assistant',
      tool_calls: names.map((name) => ({ id: 'c1', type: 'function', function: { name, arguments: '{}' } })),
    });
    const result = { role: 'tool', tool_call_id: 'c1', content: 'x' };
    expect(chatMessages(calling('old'), calling('first', 'second'), result).at(-1)).toMatchObject({ tool_name: 'first' });
  });
});
