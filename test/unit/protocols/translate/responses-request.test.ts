import { describe, expect, it } from 'vitest';
import { responsesOverChat, translated } from './translating.ts';

const ask = (more: object) => translated(responsesOverChat, { model: 'm', input: [], ...more });
const items = (...input: object[]) => ask({ input }).body.messages;

describe('the conversation', () => {
  it('a text, with instructions before it', () => {
    expect(ask({ instructions: 'Be brief.', input: 'hi' }).body).toEqual({
      model: 'm',
      messages: [
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: 'hi' },
      ],
    });
  });

  it('messages with and without a type, and all kinds of parts', () => {
    expect(
      items(
        { role: 'developer', content: 'd' },
        {
          type: 'message',
          role: 'user',
          content: [
            { type: 'input_text', text: 'a' },
            { type: 'input_text', text: 'b' },
          ],
        },
        {
          role: 'assistant',
          content: [
            { type: 'output_text', text: 'yes' },
            { type: 'refusal', refusal: ' no' },
          ],
        },
        {
          role: 'user',
          content: [
            { type: 'input_image', image_url: 'https://x/y', detail: 'low' },
            { type: 'input_file', filename: 'a', file_data: 'data:x' },
          ],
        },
      ),
    ).toEqual([
      { role: 'system', content: 'd' },
      { role: 'user', content: 'a\n\nb' },
      { role: 'assistant', content: 'yes no' },
      {
        role: 'user',
        content: [
          { type: 'image_url', image_url: { url: 'https://x/y', detail: 'low' } },
          { type: 'file', file: { filename: 'a', file_data: 'data:x' } },
        ],
      },
    ]);
  });

  it('thinking, words and calls of one turn become one message', () => {
    const call = (id: string, more: object = {}) => ({
      type: 'function_call',
      call_id: id,
      name: 'f',
      arguments: '{"n":1}',
      ...more,
    });
    expect(
      items(
        { role: 'user', content: 'go' },
        { type: 'reasoning', id: 'rs_1', summary: [{ type: 'summary_text', text: 'hm' }], encrypted_content: 'corral:reasoning' },
        { type: 'reasoning', id: 'rs_2', summary: [{ type: 'summary_text', text: 'of others' }], encrypted_content: 'gAAAA' },
        { role: 'assistant', content: [{ type: 'output_text', text: 'so' }] },
        call('a'),
        call('b'),
        { type: 'function_call_output', call_id: 'a', output: 'one' },
        { type: 'function_call_output', call_id: 'b', output: [{ type: 'input_text', text: 'two' }] },
        { type: 'reasoning', summary: [{ type: 'summary_text', text: 'again' }], encrypted_content: 'corral:reasoning_content' },
        call('c'),
      ),
    ).toEqual([
      { role: 'user', content: 'go' },
      {
        role: 'assistant',
        content: 'so',
        reasoning: 'hm',
        tool_calls: ['a', 'b'].map((id) => ({ id, type: 'function', function: { name: 'f', arguments: '{"n":1}' } })),
      },
      { role: 'tool', tool_call_id: 'a', content: 'one' },
      { role: 'tool', tool_call_id: 'b', content: 'two' },
      {
        role: 'assistant',
        content: null,
        reasoning_content: 'again',
        tool_calls: [{ id: 'c', type: 'function', function: { name: 'f', arguments: '{"n":1}' } }],
      },
    ]);
  });

  it('a call after a result is another turn', () => {
    const call = (id: string) => ({ type: 'function_call', call_id: id, name: 'f', arguments: '{}' });
    const result = { type: 'function_call_output', call_id: 'a', output: 'one' };
    expect(items(call('a'), result, call('b')).map(({ role }: { role: string }) => role)).toEqual([
      'assistant',
      'tool',
      'assistant',
    ]);
  });

  it('images of tools go with the user, who comes after all results', () => {
    const shown = (id: string) => ({
      type: 'function_call_output',
      call_id: id,
      output: [{ type: 'input_image', image_url: `https://x/${id}` }],
    });
    expect(items(shown('a'), shown('b'), { type: 'function_call_output', call_id: 'c', output: 'ok' })).toEqual([
      { role: 'tool', tool_call_id: 'a', content: '(an image: see below)' },
      { role: 'tool', tool_call_id: 'b', content: '(an image: see below)' },
      { role: 'tool', tool_call_id: 'c', content: 'ok' },
      {
        role: 'user',
        content: [
          { type: 'image_url', image_url: { url: 'https://x/a' } },
          { type: 'image_url', image_url: { url: 'https://x/b' } },
        ],
      },
    ]);
  });

  it('calls of free-form tools become calls with one argument', () => {
    expect(items({ type: 'custom_tool_call', call_id: 'a', name: 'patch', input: 'x"y' })[0].tool_calls).toEqual([
      { id: 'a', type: 'function', function: { name: 'patch', arguments: '{"input":"x\\"y"}' } },
    ]);
  });

  it('what OpenAI did by itself is left out; what cannot be understood is refused', () => {
    expect(ask({ input: [{ type: 'web_search_call', id: 'w' }] })).toMatchObject({
      body: { messages: [] },
      warnings: ['left out, as chat completions have nothing like it: items of type web_search_call'],
    });
    expect(() => items({ type: 'item_reference', id: 'x' })).toThrow(/"input\[0\]" is of type item_reference/);
    expect(() => items({ role: 'user', content: [{ type: 'input_audio' }] })).toThrow(/content of type input_audio/);
    expect(() => items({ role: 'user', content: [{ type: 'input_image', file_id: 'f' }] })).toThrow(
      /an image named by "file_id"/,
    );
    expect(() => translated(responsesOverChat, { model: 'm' })).toThrow('"input" is missing');
  });

  it.each(['previous_response_id', 'conversation', 'prompt'])('%s is refused: nothing is kept', (name) => {
    expect(() => ask({ [name]: 'x' })).toThrow(new RegExp(`"${name}" names something that is not kept here`));
    expect(ask({ [name]: null }).body).toEqual({ model: 'm', messages: [] });
  });
});

describe('tools', () => {
  const tool = { type: 'function', name: 'f', description: 'd', parameters: { type: 'object' }, strict: false };
  const described = {
    type: 'function',
    function: { name: 'f', description: 'd', parameters: { type: 'object' }, strict: false },
  };

  it('are described one level deeper; those among the items count', () => {
    expect(ask({ tools: [tool] }).body.tools).toEqual([described]);
    expect(ask({ input: [{ type: 'additional_tools', role: 'developer', tools: [tool] }] }).body).toEqual({
      model: 'm',
      messages: [],
      tools: [described],
    });
  });

  it("OpenAI's own are left out, and with the last tool all that speaks of tools", () => {
    const given = {
      tools: [{ type: 'web_search' }, { type: 'custom', name: 'patch' }],
      tool_choice: 'auto',
      parallel_tool_calls: true,
    };
    expect(ask(given)).toMatchObject({
      body: { model: 'm', messages: [] },
      warnings: ['left out, as chat completions have nothing like it: the tool web_search, the tool patch'],
    });
    expect(Object.keys(ask(given).body)).toEqual(['model', 'messages']);
  });

  it.each([
    ['required', 'required'],
    [
      { type: 'function', name: 'f' },
      { type: 'function', function: { name: 'f' } },
    ],
    [{ type: 'web_search' }, undefined],
  ])('tool_choice %j', (given, expected) => {
    expect(ask({ tools: [tool], tool_choice: given }).body.tool_choice).toEqual(expected);
  });
});

describe('parameters', () => {
  it('those that are called otherwise, those that say nothing here, and those that nobody knows', () => {
    const { body, warnings } = ask({
      max_output_tokens: 5,
      temperature: 0.1,
      reasoning: { effort: 'low', summary: 'auto' },
      text: { verbosity: 'low', format: { type: 'text' } },
      store: false,
      include: ['reasoning.encrypted_content'],
      prompt_cache_key: 'k',
      truncation: 'disabled',
      background: false,
      metadata: {},
      user: 'u',
      seed: 7,
      stream: true,
      stream_options: { include_obfuscation: false },
    });
    expect(body).toEqual({
      model: 'm',
      messages: [],
      max_tokens: 5,
      temperature: 0.1,
      reasoning_effort: 'low',
      verbosity: 'low',
      user: 'u',
      seed: 7,
      stream: true,
      stream_options: { include_usage: true },
    });
    expect(warnings).toEqual([]);
  });

  it('what is lost is told', () => {
    expect(ask({ background: true, max_tool_calls: 3, metadata: { a: 'b' }, truncation: 'auto' }).warnings).toEqual([
      'left out, as chat completions have nothing like it: background, max_tool_calls, metadata, truncation',
    ]);
  });

  it.each([
    [{ type: 'json_object' }, { type: 'json_object' }],
    [
      { type: 'json_schema', name: 'n', schema: { type: 'object' }, strict: true },
      { type: 'json_schema', json_schema: { name: 'n', schema: { type: 'object' }, strict: true } },
    ],
  ])('text.format %j', (format, expected) => {
    expect(ask({ text: { format } }).body.response_format).toEqual(expected);
  });
});
