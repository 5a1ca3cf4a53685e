import { describe, expect, test } from 'vitest';
import { createAnswerTap, createPlainTap, type TapReport } from '../../../src/streams/tap.ts';
import { bodyTextOf, recordingOf } from '../../support/recordings.ts';
import { bytesOf, cutAt } from './run-tap.ts';

type Json = Record<string, unknown>;

function usageOf(answer: unknown) {
  const { usage, prompt_eval_count: input, eval_count: output = 0 } = (answer ?? {}) as Json;
  const counts = usage as Json | undefined;
  if (counts) return { inputTokens: Number(counts.prompt_tokens), outputTokens: Number(counts.completion_tokens ?? 0) };
  return input === undefined ? undefined : { inputTokens: Number(input), outputTokens: Number(output) };
}

function run(text: string, options: { at?: number[]; expectedBytes?: number; close?: 'end' | 'fail' | 'gone' } = {}) {
  const reports: TapReport[] = [];
  const heard: string[] = [];
  const tap = createAnswerTap({
    usageOf,
    expectedBytes: options.expectedBytes,
    onFirstByte: () => heard.push('first'),
    onEnd: (report) => reports.push(report),
  });
  for (const chunk of cutAt(bytesOf(text), options.at ?? [])) {
    const own = chunk.slice();
    expect(tap.push(own)).toBe(own);
    own.fill(0x20);
  }
  const end = options.close === 'gone' ? tap.gone() : options.close === 'fail' ? tap.fail(new Error('reset')) : tap.end();
  expect(reports).toHaveLength(1);
  return { report: reports[0] as TapReport, end: end ?? undefined, heard };
}

describe('an answer that is kept whole', () => {
  test.each([
    ['v1-chat-nostream', { inputTokens: 19, outputTokens: 12 }],
    ['chat-nostream', { inputTokens: 19, outputTokens: 12 }],
    ['v1-embeddings-string', { inputTokens: 4, outputTokens: 0 }],
  ])('%s, cut anywhere', (name, usage) => {
    const text = bodyTextOf(recordingOf(name));
    for (const at of [[], [1], [text.length >> 1], [3, 40, 41]]) {
      const { report, end } = run(text, { at });
      expect(report).toMatchObject({ how: 'completed', usage, events: 0, bytes: bytesOf(text).length });
      expect(report.model).toBe((JSON.parse(text) as Json).model);
      expect(end?.complete).toBe(true);
    }
  });

  test('no JSON, no counts, and no harm', () => {
    expect(run('Ollama is running').report).toEqual({ how: 'completed', bytes: 17, events: 0 });
    expect(run('').report).toEqual({ how: 'completed', bytes: 0, events: 0 });
    expect(run('', {}).heard).toEqual([]);
    expect(run('{}', { at: [1] }).heard).toEqual(['first']);
  });
});

describe('an answer too long to keep', () => {
  const vectors = `"embedding":[${'0.123456,'.repeat(9_000)}1]`;

  test('OpenAI: usage from its end', () => {
    const text = `{"object":"list","data":[{${vectors}}],"model":"all-minilm","usage":{"prompt_tokens":8,"details":{"x":1},"total_tokens":8}}\n`;
    for (const at of [[], [65_536], [65_537], [10, 70_000, text.length - 20]]) {
      expect(run(text, { at }).report).toEqual({
        how: 'completed',
        bytes: text.length,
        events: 0,
        model: 'all-minilm',
        usage: { inputTokens: 8, outputTokens: 0 },
      });
    }
  });

  test('Ollama: its own counters, and that it is done', () => {
    const seen: unknown[] = [];
    const tap = createAnswerTap({
      usageOf(answer) {
        seen.push(answer);
        return undefined;
      },
      onFirstByte() {},
      onEnd() {},
    });
    tap.push(bytesOf(`{${vectors},"done":true,"eval_count":12}`));
    tap.end();
    expect(seen).toEqual([{ done: true, eval_count: 12 }]);
  });

  test('Ollama: counters as usage', () => {
    const text = `{${vectors},"done":true,"prompt_eval_count":19,"prompt_eval_duration":5,"eval_count": 12}`;
    expect(run(text).report.usage).toEqual({ inputTokens: 19, outputTokens: 12 });
  });

  test('what a model wrote is not taken for a count', () => {
    const said = JSON.stringify('"usage":{"prompt_tokens":1} "prompt_eval_count":1,"eval_count":1,"done":true,"model":"x"');
    const text = `{${vectors},"prompt_eval_count":19,"eval_count":12,"said":${said},"x\\"eval_count":1}`;
    expect(run(text).report).toEqual({
      how: 'completed',
      bytes: text.length,
      events: 0,
      usage: { inputTokens: 19, outputTokens: 12 },
    });
  });

  test('exactly 64 KiB is kept, one byte more is not', () => {
    const text = (length: number) => {
      const head = '{"usage":{"prompt_tokens":1},"x":"';
      return `${head}${'x'.repeat(length - head.length - 2)}"}`;
    };
    expect(run(text(65_536)).report.usage).toEqual({ inputTokens: 1, outputTokens: 0 });
    expect(run(text(65_537)).report.usage).toBe(undefined);
  });
});

describe('an answer that breaks is cut', () => {
  test.each([
    ['fewer bytes than announced', '{"a":1}', { expectedBytes: 8 }],
    ['no closing brace', '{"a":[1,2', {}],
    ['an empty one that should not be', '', { expectedBytes: 2 }],
    ['a long one without its end', `{"a":"${'x'.repeat(100_000)}`, {}],
  ])('%s', (_, text, options) => {
    const { report, end } = run(text, options);
    expect(end).toEqual({ bytes: new Uint8Array(0), complete: false });
    expect(report).toMatchObject({ how: 'broken', failure: expect.stringContaining('before it was whole') });
  });

  test('by the connection', () => {
    const { report, end } = run('{"usage":{"prompt_tokens":1}}', { close: 'fail' });
    expect(end?.complete).toBe(false);
    expect(report).toMatchObject({ how: 'broken', cause: new Error('reset'), failure: expect.stringContaining('broke off') });
  });

  test('or is abandoned', () => {
    expect(run('{"a":', { close: 'gone' }).report).toEqual({ how: 'abandoned', bytes: 5, events: 0 });
  });
});

describe('a plain tap', () => {
  function plain(expectedBytes?: number) {
    const heard: unknown[] = [];
    const tap = createPlainTap({
      expectedBytes,
      onFirstByte: () => heard.push('first'),
      onBytes: () => heard.push('bytes'),
      onEnd: (report) => heard.push(report),
    });
    return { tap, heard };
  }

  test('passes everything and counts it', () => {
    const { tap, heard } = plain(5);
    const chunk = bytesOf('hello');
    tap.push(new Uint8Array(0));
    expect(tap.push(chunk)).toBe(chunk);
    expect(tap.end()).toEqual({ bytes: new Uint8Array(0), complete: true });
    tap.gone();
    expect(heard).toEqual(['first', 'bytes', { how: 'completed', bytes: 5, events: 0 }]);
  });

  test('is broken when cut short, by length or by the connection', () => {
    const short = plain(6);
    short.tap.push(bytesOf('hello'));
    expect(short.tap.end().complete).toBe(false);
    expect(plain().tap.fail('reset').complete).toBe(false);
  });
});
