import { describe, expect, it } from 'vitest';
import { chatOverMessages, translated } from './translating.ts';

const ask = (more: object) => translated(chatOverMessages, { model: 'm', messages: [], ...more });
const say = (...messages: object[]) => ask({ messages }).body;
const text = (words: string) => ({ type: 'text', text: words });

describe('the conversation', () => {
  it('system and developer come first; turns of one side become one', () => {
    expect(
      say(
        { role: 'system', content: 'a' },
        { role: 'developer', content: [{ type: 'text', text: 'b' }] },
        { role: 'user', content: 'one' },
        { role: 'user', content: [{ type: 'text', text: 'two' }] },
        { role: 'assistant', content: 'yes' },
        { role: 'assistant', content: 'and ' },
      ),
    ).toMatchObject({
      system: [text('a'), text('b')],
      messages: [
        { role: 'user', content: [text('one'), text('two')] },
        { role: 'assistant', content: [text('yes'), text('and')] },
      ],
    });
  });

  it('a system message within the conversation is moved, and that is said', () => {
    const { body, warnings } = ask({
      messages: [
        { role: 'user', content: 'a' },
        { role: 'system', content: 'b' },
      ],
    });
    expect(body.system).toEqual([text('b')]);
    expect(warnings).toEqual(['a system message within the conversation was moved to its beginning']);
  });

  it('images and files', () => {
    const content = [
      { type: 'image_url', image_url: { url: 'data:image/PNG;charset=x;base64,AAAA' } },
      { type: 'image_url', image_url: { url: 'https://x/y.png' }, cache_control: { type: 'ephemeral' } },
      { type: 'file', file: { filename: 'a.pdf', file_data: 'data:application/pdf;base64,BBBB' } },
    ];
    expect(say({ role: 'user', content }).messages[0].content).toEqual([
      { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'AAAA' } },
      { type: 'image', source: { type: 'url', url: 'https://x/y.png' }, cache_control: { type: 'ephemeral' } },
      { type: 'document', source: { type: 'base64', media_type: 'application/pdf', data: 'BBBB' }, title: 'a.pdf' },
    ]);
  });

  it('texts of blanks are left out, which Anthropic refuses', () => {
    expect(say({ role: 'user', content: ' ' }, { role: 'user', content: [text(''), text('a')] }).messages).toEqual([
      { role: 'user', content: [text('a')] },
    ]);
  });

  it('calls of tools and their results, letter by letter', () => {
    const { text: out } = ask({
      messages: [
        {
          role: 'assistant',
          content: null,
          tool_calls: [
            { id: 'functions.f:0', type: 'function', function: { name: 'f', arguments: '{"id": 12345678901234567890}' } },
            { id: 'b', type: 'function', function: { name: 'g', arguments: '' } },
            { id: 'c', type: 'function', function: { name: 'h', arguments: '{"half' } },
          ],
        },
        { role: 'tool', tool_call_id: 'functions.f:0', content: 'one' },
        { role: 'tool', tool_call_id: 'b', content: [text('two'), { type: 'image_url', image_url: { url: 'https://x/y' } }] },
        { role: 'tool', tool_call_id: 'c', content: '' },
        { role: 'user', content: 'go on' },
      ],
    });
    expect(out).toContain('"id":"functions_f_0","name":"f","input":{"id": 12345678901234567890}}');
    expect(JSON.parse(out).messages).toEqual([
      {
        role: 'assistant',
        content: [
          { type: 'tool_use', id: 'functions_f_0', name: 'f', input: expect.anything() },
          { type: 'tool_use', id: 'b', name: 'g', input: {} },
          { type: 'tool_use', id: 'c', name: 'h', input: { arguments: '{"half' } },
        ],
      },
      {
        role: 'user',
        content: [
          { type: 'tool_result', tool_use_id: 'functions_f_0', content: 'one' },
          {
            type: 'tool_result',
            tool_use_id: 'b',
            content: [text('two'), { type: 'image', source: { type: 'url', url: 'https://x/y' } }],
          },
          { type: 'tool_result', tool_use_id: 'c' },
          text('go on'),
        ],
      },
    ]);
  });

  it('thinking goes along with its signature only', () => {
    expect(
      say(
        { role: 'assistant', content: 'a', reasoning_content: 'hm', reasoning_signature: 'EqQB' },
        { role: 'user', content: 'b' },
        { role: 'assistant', content: 'c', reasoning_content: 'hm' },
      ).messages,
    ).toEqual([
      { role: 'assistant', content: [{ type: 'thinking', thinking: 'hm', signature: 'EqQB' }, text('a')] },
      { role: 'user', content: [text('b')] },
      { role: 'assistant', content: [text('c')] },
    ]);
  });

  it.each([
    [{ type: 'input_audio', input_audio: {} }, /content of type input_audio/],
    [{ type: 'file', file: { file_id: 'f' } }, /named by "file_id"/],
  ])('refuses %j', (part, reason) => {
    expect(() => say({ role: 'user', content: [part] })).toThrow(reason);
  });

  it('refuses what is no conversation, with the place', () => {
    expect(() => translated(chatOverMessages, { model: 'm' })).toThrow('"messages" is missing');
    expect(() => say({ role: 'function', content: 'x' })).toThrow(/"messages\[0\]\.role" must be system, developer, user/);
  });
});

describe('the limit of tokens', () => {
  it.each([
    [{}, 4096],
    [{ max_tokens: 5 }, 5],
    [{ max_completion_tokens: 6 }, 6],
    [{ max_tokens: 5, max_completion_tokens: 6 }, 6],
    [{ max_tokens: null }, 4096],
  ])('%j is %d', (given, expected) => {
    const { body } = ask(given);
    expect([body.max_tokens, body.max_completion_tokens]).toEqual([expected, undefined]);
  });
});

describe('reasoning_effort', () => {
  it.each([
    [{ reasoning_effort: 'low' }, 1024, 5120],
    [{ reasoning_effort: 'high' }, 4096, 8192],
    [{ reasoning_effort: 'high', max_tokens: 3000 }, 2999, 3000],
  ])('%j is a budget', (given, budget, limit) => {
    const { body } = ask(given);
    expect([body.thinking, body.max_tokens, body.reasoning_effort]).toEqual([
      { type: 'enabled', budget_tokens: budget },
      limit,
      undefined,
    ]);
  });

  it.each(['none', 'whatever'])('%s asks for nothing', (effort) => {
    expect(ask({ reasoning_effort: effort }).body.thinking).toBeUndefined();
  });

  it('what cannot stand beside it goes, and that is said', () => {
    const { body, warnings } = ask({ reasoning_effort: 'low', temperature: 0.2 });
    expect([body.temperature, warnings]).toEqual([
      undefined,
      ["left out, as Anthropic's Messages have nothing like it: temperature"],
    ]);
    expect(ask({ reasoning_effort: 'low', temperature: 1 }).warnings).toEqual([]);
  });

  it.each([
    [{ max_tokens: 1024 }, /leaves no room/],
    [{ tools: [{ type: 'function', function: { name: 'f' } }], tool_choice: 'required' }, /a tool is forced/],
    [
      {
        messages: [
          { role: 'user', content: 'a' },
          { role: 'assistant', tool_calls: [{ id: 'a', type: 'function', function: { name: 'f', arguments: '{}' } }] },
          { role: 'tool', tool_call_id: 'a', content: 'x' },
        ],
      },
      /came without their thinking/,
    ],
  ])('is left out where Anthropic would refuse it: %j', (given, reason) => {
    const { body, warnings } = ask({ reasoning_effort: 'low', ...given });
    expect([body.thinking, warnings]).toEqual([undefined, [expect.stringMatching(reason)]]);
  });

  it('a thinking of its own stays as it is', () => {
    const thinking = { type: 'adaptive' };
    expect(ask({ reasoning_effort: 'low', thinking }).body.thinking).toEqual(thinking);
  });
});

describe('tools', () => {
  const tools = [{ type: 'function', function: { name: 'f', description: 'd', parameters: { type: 'object' }, strict: true } }];

  it('with their schema; one without arguments has an empty one', () => {
    expect(ask({ tools: [...tools, { type: 'function', function: { name: 'g' } }] }).body.tools).toEqual([
      { name: 'f', description: 'd', input_schema: { type: 'object' }, strict: true },
      { name: 'g', input_schema: { type: 'object', properties: {} } },
    ]);
  });

  it("Anthropic's own pass as they are, other kinds are left out", () => {
    const own = { type: 'web_search_20250305', name: 'web_search', max_uses: 2 };
    const { body, warnings } = ask({ tools: [own, { type: 'custom', custom: { name: 'patch' } }] });
    expect([body.tools, warnings]).toEqual([[own], ["left out, as Anthropic's Messages have nothing like it: the tool patch"]]);
  });

  it.each([
    ['auto', { type: 'auto' }],
    ['required', { type: 'any' }],
    ['none', { type: 'none' }],
    [
      { type: 'function', function: { name: 'f' } },
      { type: 'tool', name: 'f' },
    ],
    [undefined, undefined],
  ])('tool_choice %j', (given, expected) => {
    expect(ask({ tools, tool_choice: given }).body.tool_choice).toEqual(expected);
    expect(ask({ tool_choice: given }).body.tool_choice).toBeUndefined();
  });

  it('one call at a time', () => {
    const { body } = ask({ tools, parallel_tool_calls: false });
    expect([body.tool_choice, body.parallel_tool_calls]).toEqual([{ type: 'auto', disable_parallel_tool_use: true }, undefined]);
  });
});

describe('other parameters', () => {
  it('those that are called otherwise, and those that only Anthropic knows', () => {
    const given = {
      stop: 'END',
      user: 'u',
      temperature: 0.5,
      top_p: 0.9,
      stream: true,
      stream_options: { include_usage: true },
      top_k: 3,
    };
    expect(ask(given)).toMatchObject({
      body: {
        model: 'm',
        messages: [],
        max_tokens: 4096,
        stop_sequences: ['END'],
        metadata: { user_id: 'u' },
        temperature: 0.5,
        top_p: 0.9,
        stream: true,
        top_k: 3,
      },
      warnings: [],
    });
    expect(ask(given).body.stream_options).toBeUndefined();
  });

  it('what is lost is told, what asks for nothing is not', () => {
    const { body, warnings } = ask({
      seed: 7,
      logit_bias: { a: 1 },
      presence_penalty: 0,
      logprobs: false,
      store: true,
      metadata: { a: 'b' },
    });
    expect(Object.keys(body).toSorted()).toEqual(['max_tokens', 'messages', 'model']);
    expect(warnings).toEqual(["left out, as Anthropic's Messages have nothing like it: metadata, logit_bias, seed"]);
  });

  it('temperatures end at 1', () => {
    expect(ask({ temperature: 1.5 })).toMatchObject({ body: { temperature: 1 }, warnings: [/end at 1/] });
  });

  it('stop sequences of blanks are left out', () => {
    expect(ask({ stop: ['\n', 'a'] })).toMatchObject({ body: { stop_sequences: ['a'] }, warnings: [/stop sequences of blanks/] });
  });

  it('structured answers: schemas are carried, mere JSON is not', () => {
    const schema = { type: 'object', additionalProperties: false };
    expect(ask({ response_format: { type: 'json_schema', json_schema: { name: 'x', schema } } }).body).toMatchObject({
      output_config: { format: { type: 'json_schema', schema } },
    });
    expect(ask({ response_format: { type: 'json_object' } })).toMatchObject({ warnings: [/json_object was left out/] });
    expect(ask({ response_format: { type: 'text' } }).warnings).toEqual([]);
  });

  it.each([
    [{ n: 2 }, /"n"/],
    [{ modalities: ['text', 'audio'] }, /"modalities"/],
    [{ functions: [] }, /"functions" is OpenAI's old way/],
  ])('refuses %j', (given, reason) => {
    expect(() => ask(given)).toThrow(reason);
    expect(ask({ n: 1, modalities: ['text'] }).warnings).toEqual([]);
  });
});
