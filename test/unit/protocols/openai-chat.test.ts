import { describe, expect, it } from 'vitest';
import type { CallReading, Protocol } from '../../../src/exchange.ts';
import { readObject } from '../../../src/json/read-object.ts';
import { openaiChat } from '../../../src/protocols/openai-chat.ts';
import { openaiCompletions } from '../../../src/protocols/openai-completions.ts';

function read(body: string | object, protocol: Protocol = openaiChat): CallReading & { changes: Record<string, unknown> } {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const reading = protocol.readCall(readObject(new TextEncoder().encode(text)));
  return { ...reading, changes: Object.fromEntries(reading.boxChanges) };
}

describe('max_completion_tokens', () => {
  it.each([
    [{ max_completion_tokens: 7 }, { max_tokens: 7 }, []],
    [{ MAX_COMPLETION_TOKENS: 7 }, { max_tokens: 7 }, []],
    [{ max_completion_tokens: 7, max_tokens: null }, { max_tokens: 7 }, []],
    [{ max_completion_tokens: 7, max_tokens: 7 }, {}, []],
    [{ max_completion_tokens: 7, max_tokens: 9 }, {}, ['max_tokens and max_completion_tokens differ: max_tokens holds']],
    [{ max_completion_tokens: null }, {}, []],
    [{ max_tokens: 9 }, {}, []],
    // The box refuses it in its own words.
    [{ max_completion_tokens: '7' }, { max_tokens: '7' }, []],
  ])('%j changes %j and warns %j', (body, changes, warnings) => {
    expect(read(body)).toMatchObject({ changes, warnings });
    expect(read(body).changes).toEqual(changes);
    expect(read(body, openaiCompletions).changes).toEqual(changes);
  });
});

describe('tool_choice', () => {
  const tools = [{ type: 'function', function: { name: 'f' } }];

  it('none removes the tools', () => {
    expect(read({ tools, tool_choice: 'none' }).changes).toEqual({ tools: undefined, tool_choice: undefined });
    expect(read({ tools, tool_choice: 'none' }).warnings).toEqual([]);
  });

  it.each(['auto', null, undefined])('%s changes nothing', (choice) => {
    expect(read({ tools, tool_choice: choice })).toMatchObject({ changes: {}, warnings: [] });
    expect(read({ tools, tool_choice: choice }).changes).toEqual({});
  });

  it.each(['required', { type: 'function', function: { name: 'f' } }])('%j cannot be forced, and that is said', (choice) => {
    expect(read({ tools, tool_choice: choice }).warnings).toEqual([
      'tool_choice is not read by Ollama: the model may answer without calling that tool',
    ]);
    expect(read({ tools, tool_choice: choice }).changes).toEqual({});
  });
});

describe('what Ollama ignores', () => {
  it.each([
    [{ n: 2 }, ['n is not read by Ollama: there is one choice']],
    [{ n: 1 }, []],
    [{ n: null }, []],
    [{ logit_bias: { 50256: -100 } }, ['logit_bias is not read by Ollama: no token was made likelier or rarer']],
    [{ logit_bias: {} }, []],
    [{ logit_bias: null }, []],
  ])('%j → %j', (body, warnings) => {
    expect(read(body).warnings).toEqual(warnings);
    expect(read(body, openaiCompletions).warnings).toEqual(warnings);
  });
});

describe('usage in streams', () => {
  it.each([
    [{ stream: true }, { stream_options: { include_usage: true } }, false],
    [{ stream: true, stream_options: null }, { stream_options: { include_usage: true } }, false],
    [{ stream: true, stream_options: { include_usage: false } }, { stream_options: { include_usage: true } }, false],
    [{ stream: true, stream_options: { a: 1 } }, { stream_options: { a: 1, include_usage: true } }, false],
    [{ stream: true, stream_options: { include_usage: true, a: 1 } }, {}, true],
    [{ stream: true, stream_options: { INCLUDE_USAGE: true } }, {}, true],
    [{ STREAM: true, Stream_Options: { Include_Usage: true } }, {}, true],
    [{ stream: false, stream_options: { include_usage: false } }, {}, false],
    [{}, {}, false],
    [{ stream: true, stream_options: 'x' }, {}, false],
    [{ stream: true, stream_options: [] }, {}, false],
  ])('%j changes %j', (body, changes, wantsUsage) => {
    const reading = read(body);
    expect(reading.changes).toEqual(changes);
    expect(reading.wantsUsage).toBe(wantsUsage);
  });

  it('the last spelling of include_usage decides, and no other one is sent on', () => {
    const reading = read('{"stream":true,"stream_options":{"include_usage":true,"Include_Usage":false,"a":1}}');
    expect(reading.wantsUsage).toBe(false);
    expect(reading.changes).toEqual({ stream_options: { a: 1, include_usage: true } });
  });

  it('is not asked for on /v1/completions, where every chunk would carry a zero usage', () => {
    expect(read({ stream: true }, openaiCompletions)).toMatchObject({ isStream: true, wantsUsage: false });
    expect(read({ stream: true }, openaiCompletions).changes).toEqual({});
    expect(read({ stream: true, stream_options: { include_usage: true } }, openaiCompletions).wantsUsage).toBe(true);
  });
});

describe('stream', () => {
  it.each([
    ['{"stream":true}', true],
    ['{"stream":false}', false],
    ['{}', false],
    ['{"stream":null}', false],
    // The box refuses these two; until then they are no streams.
    ['{"stream":"true"}', false],
    ['{"stream":1}', false],
    ['{"stream":false,"STREAM":true}', true],
  ])('%s → %s', (body, isStream) => {
    expect(read(body).isStream).toBe(isStream);
  });
});
