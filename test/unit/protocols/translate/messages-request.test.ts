import { describe, expect, it } from 'vitest';
import { GatewayError } from '../../../../src/errors.ts';
import { messagesOverChat, translated } from './translating.ts';

const ask = (more: object) => translated(messagesOverChat, { model: 'm', max_tokens: 10, messages: [], ...more });
const user = (...content: object[]) => ask({ messages: [{ role: 'user', content }] }).body.messages;
const assistant = (...content: object[]) => ask({ messages: [{ role: 'assistant', content }] }).body.messages;

describe('the conversation', () => {
  it('system as text and as blocks, without the line that concerns billing', () => {
    expect(ask({ system: 'Be brief.' }).body.messages).toEqual([{ role: 'system', content: 'Be brief.' }]);
    const system = [
      { type: 'text', text: 'x-anthropic-billing-header: cc_version=2.1; cch=00f1;' },
      { type: 'text', text: 'One', cache_control: { type: 'ephemeral' } },
      { type: 'text', text: 'Two' },
    ];
    const { body, warnings } = ask({ system });
    expect([body.messages, body.system, warnings]).toEqual([[{ role: 'system', content: 'One\n\nTwo' }], undefined, []]);
  });

  it('text as text, in whatever form', () => {
    expect(ask({ messages: [{ role: 'user', content: 'hi' }] }).body.messages).toEqual([{ role: 'user', content: 'hi' }]);
    expect(user({ type: 'text', text: 'a' }, { type: 'text', text: 'b' })).toEqual([{ role: 'user', content: 'a\n\nb' }]);
    expect(assistant({ type: 'text', text: 'a' }, { type: 'text', text: 'b' })).toEqual([{ role: 'assistant', content: 'ab' }]);
  });

  it('images by their data and by their address', () => {
    expect(
      user(
        { type: 'text', text: 'what is it?' },
        { type: 'image', source: { type: 'base64', media_type: 'image/webp', data: 'AAAA' } },
        { type: 'image', source: { type: 'url', url: 'https://x/y.png' } },
      ),
    ).toEqual([
      {
        role: 'user',
        content: [
          { type: 'text', text: 'what is it?' },
          { type: 'image_url', image_url: { url: 'data:image/webp;base64,AAAA' } },
          { type: 'image_url', image_url: { url: 'https://x/y.png' } },
        ],
      },
    ]);
  });

  it('documents: their text, or the file', () => {
    const pdf = { type: 'document', title: 'a.pdf', source: { type: 'base64', media_type: 'application/pdf', data: 'AAAA' } };
    expect(user(pdf)[0].content).toEqual([
      { type: 'file', file: { filename: 'a.pdf', file_data: 'data:application/pdf;base64,AAAA' } },
    ]);
    const text = { type: 'document', title: 'T', source: { type: 'text', media_type: 'text/plain', data: 'words' } };
    expect(user(text)).toEqual([{ role: 'user', content: 'T\nwords' }]);
  });

  it.each([
    ['image', { type: 'file', file_id: 'f' }],
    ['document', { type: 'url', url: 'https://x/a.pdf' }],
  ])('refuses what is kept elsewhere: %s', (type, source) => {
    expect(() => user({ type, source })).toThrow(GatewayError);
    expect(() => user({ type, source })).toThrow(/source is of type (file|url): chat completions have nothing like it/);
  });

  it('results of tools follow the calls at once; what was said beside them comes after', () => {
    expect(
      user(
        { type: 'text', text: 'here' },
        { type: 'tool_result', tool_use_id: 'a', content: 'sunny' },
        { type: 'tool_result', tool_use_id: 'b', is_error: true, content: [{ type: 'text', text: 'no such city' }] },
        { type: 'tool_result', tool_use_id: 'c' },
      ),
    ).toEqual([
      { role: 'tool', tool_call_id: 'a', content: 'sunny' },
      { role: 'tool', tool_call_id: 'b', content: 'Error: no such city' },
      { role: 'tool', tool_call_id: 'c', content: '' },
      { role: 'user', content: 'here' },
    ]);
  });

  it('images of tools go with the user, who comes after all results', () => {
    const image = { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'AAAA' } };
    expect(
      user(
        { type: 'tool_result', tool_use_id: 'a', content: [{ type: 'text', text: 'a chart' }, image] },
        { type: 'tool_result', tool_use_id: 'b', content: 'ok' },
      ),
    ).toEqual([
      { role: 'tool', tool_call_id: 'a', content: 'a chart\n\n(an image: see below)' },
      { role: 'tool', tool_call_id: 'b', content: 'ok' },
      { role: 'user', content: [{ type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } }] },
    ]);
  });

  it('calls of tools keep their ids, and their arguments letter by letter', () => {
    const { text } = translated(
      messagesOverChat,
      '{"model":"m","max_tokens":1,"messages":[{"role":"assistant","content":[{"type":"text","text":"so"},{"type":"tool_use","id":"toolu_1","name":"f","input":{"id": 12345678901234567890, "x":1.0e2}}]}]}',
    );
    expect(JSON.parse(text).messages).toEqual([
      {
        role: 'assistant',
        content: 'so',
        tool_calls: [
          { id: 'toolu_1', type: 'function', function: { name: 'f', arguments: '{"id": 12345678901234567890, "x":1.0e2}' } },
        ],
      },
    ]);
    expect(assistant({ type: 'tool_use', id: 'a', name: 'f', input: {} })[0]).toMatchObject({ content: null });
  });

  it('thinking goes back under the name it came with, and that of others stays here', () => {
    expect(
      assistant(
        { type: 'thinking', thinking: 'hm', signature: 'corral:reasoning' },
        { type: 'thinking', thinking: 'EqQB', signature: 'EqQBCkYIBxgC' },
        { type: 'redacted_thinking', data: 'x' },
        { type: 'text', text: 'yes' },
      ),
    ).toEqual([{ role: 'assistant', content: 'yes', reasoning: 'hm' }]);
    expect(assistant({ type: 'thinking', thinking: 'hm', signature: 'corral:reasoning_content' })[0]).toMatchObject({
      reasoning_content: 'hm',
    });
    expect(assistant({ type: 'thinking', thinking: 'hm', signature: 'corral:content' })).toEqual([
      { role: 'assistant', content: '' },
    ]);
  });

  it('refuses what is no conversation, with the place', () => {
    expect(() => translated(messagesOverChat, { model: 'm' })).toThrow('"messages" is missing');
    expect(() => ask({ messages: 'hi' })).toThrow('"messages" must be a list');
    expect(() => ask({ messages: ['hi'] })).toThrow('"messages[0]" must be an object');
    expect(() => ask({ messages: [{ role: 'tool', content: 'x' }] })).toThrow('"messages[0].role" must be user or assistant');
  });
});

describe('tools', () => {
  const tools = [{ name: 'f', description: 'd', input_schema: { type: 'object' }, cache_control: { type: 'ephemeral' } }];
  const choose = (tool_choice: object, more: object = { tools }) => ask({ tool_choice, ...more }).body;

  it('are described as functions, schemas letter by letter', () => {
    expect(ask({ tools }).body.tools).toEqual([
      { type: 'function', function: { name: 'f', description: 'd', parameters: { type: 'object' } } },
    ]);
    const schema = '{"type":"object","properties":{"n":{"maximum":9007199254740993}}}';
    const { text } = translated(
      messagesOverChat,
      `{"messages":[],"tools":[{"name":"f","strict":true,"input_schema":${schema}}]}`,
    );
    expect(text).toContain(`"tools":[{"type":"function","function":{"name":"f","parameters":${schema},"strict":true}}]`);
  });

  it.each([
    [{ type: 'auto' }, 'auto'],
    [{ type: 'any' }, 'required'],
    [{ type: 'none' }, 'none'],
    [
      { type: 'tool', name: 'f' },
      { type: 'function', function: { name: 'f' } },
    ],
  ])('tool_choice %j', (given, expected) => {
    expect(choose(given)).toMatchObject({ tool_choice: expected });
    expect(choose(given).parallel_tool_calls).toBeUndefined();
  });

  it('one call at a time; no choice where there are no tools', () => {
    expect(choose({ type: 'auto', disable_parallel_tool_use: true })).toMatchObject({ parallel_tool_calls: false });
    const body = choose({ type: 'any', disable_parallel_tool_use: true }, { tools: [] });
    expect([body.tools, body.tool_choice, body.parallel_tool_calls]).toEqual([undefined, undefined, undefined]);
  });

  it("Anthropic's own are left out, with a warning", () => {
    const { body, warnings } = ask({ tools: [{ type: 'web_search_20250305', name: 'web_search' }, ...tools] });
    expect(body.tools).toHaveLength(1);
    expect(warnings).toEqual(['left out, as chat completions have nothing like it: the tool web_search']);
  });
});

describe('parameters', () => {
  it('those that are the same, those that are called otherwise, and those that nobody knows here', () => {
    const { body, warnings } = ask({
      temperature: 0.5,
      top_p: 0.9,
      stop_sequences: ['END'],
      metadata: { user_id: 'u1' },
      seed: 7,
      chat_template_kwargs: { a: 1 },
    });
    expect(body).toEqual({
      model: 'm',
      max_tokens: 10,
      messages: [],
      temperature: 0.5,
      top_p: 0.9,
      stop: ['END'],
      user: 'u1',
      seed: 7,
      chat_template_kwargs: { a: 1 },
    });
    expect(warnings).toEqual([]);
  });

  it('usage is always asked for in streams', () => {
    expect(ask({ stream: true }).body).toMatchObject({ stream: true, stream_options: { include_usage: true } });
    expect(ask({ stream: false }).body.stream_options).toBeUndefined();
  });

  it('what is lost is told, in one warning', () => {
    const { body, warnings } = ask({ top_k: 5, container: 'c', service_tier: 'auto', metadata: { user_id: 'x'.repeat(65) } });
    expect(Object.keys(body)).toEqual(['model', 'max_tokens', 'messages']);
    expect(warnings).toEqual([
      'left out, as chat completions have nothing like it: metadata.user_id, which is longer than 64 letters, top_k, container, service_tier',
    ]);
  });

  it.each([
    [{ thinking: { type: 'enabled', budget_tokens: 1024 } }, 'low'],
    [{ thinking: { type: 'enabled', budget_tokens: 2000 } }, 'medium'],
    [{ thinking: { type: 'enabled', budget_tokens: 31999 } }, 'high'],
    [{ thinking: { type: 'adaptive' }, output_config: { effort: 'medium' } }, 'medium'],
    [{ output_config: { effort: 'max' } }, 'xhigh'],
    [{ thinking: { type: 'adaptive' } }, undefined],
    [{ thinking: { type: 'disabled' }, output_config: { effort: 'high' } }, undefined],
  ])('%j is the effort %s', (given, effort) => {
    const { body } = ask(given);
    expect([body.reasoning_effort, body.thinking, body.output_config]).toEqual([effort, undefined, undefined]);
  });

  it('models that cannot reason beside tools are told not to', () => {
    const tools = [{ name: 'f', input_schema: {} }];
    const given = { tools, output_config: { effort: 'high' } };
    expect(ask({ ...given, model: 'gpt-5.6' })).toMatchObject({
      body: { reasoning_effort: 'none' },
      warnings: [/answers without/],
    });
    expect(ask({ ...given, model: 'gpt-5.1' }).body.reasoning_effort).toBe('high');
    expect(ask({ output_config: { effort: 'high' }, model: 'gpt-5.6' }).body.reasoning_effort).toBe('high');
  });

  it('structured answers', () => {
    const format = { type: 'json_schema', schema: { type: 'object' } };
    const expected = { type: 'json_schema', json_schema: { name: 'answer', schema: { type: 'object' }, strict: true } };
    expect(ask({ output_config: { format } }).body.response_format).toEqual(expected);
    expect(ask({ output_format: format }).body).toMatchObject({ response_format: expected });
  });

  it('names are read as Ollama reads them: any case, the last one counts', () => {
    const { body } = translated(messagesOverChat, '{"messages":[],"STOP_sequences":["a"],"Top_K":4,"stop_sequences":["b"]}');
    expect(body).toEqual({ messages: [], stop: ['b'] });
  });
});
