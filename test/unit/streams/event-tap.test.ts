import { describe, expect, test } from 'vitest';
import type { StreamShape } from '../../../src/exchange.ts';
import { createEventTap, type TapReport } from '../../../src/streams/tap.ts';
import { bytesOf, cutAt, ndjsonError, runTap, sseError } from './run-tap.ts';
import { ollamaShape, openaiShape, sseEvents } from './shapes.ts';

const content = (text: string) => `data: {"choices":[{"delta":{"content":"${text}"}}]}\n\n`;
const usage =
  'data: {"model":"gemma3:270m","choices":[],"usage":{"prompt_tokens":19,"completion_tokens":12,"total_tokens":31}}\n\n';
const done = 'data: [DONE]\n\n';

describe('what passes', () => {
  test('the same array comes back, with and without removal, as long as nothing is taken out', () => {
    for (const removeUsageOnly of [false, true]) {
      const tap = createEventTap({ shape: openaiShape, removeUsageOnly, errorEvent: () => '', onFirstByte() {}, onEnd() {} });
      for (const text of [content('a'), content('b') + content('c'), done]) {
        const chunk = bytesOf(text);
        expect(tap.push(chunk)).toBe(chunk);
      }
    }
  });

  test('half frames pass at once when nothing is to be removed', () => {
    const tap = createEventTap({
      shape: openaiShape,
      removeUsageOnly: false,
      errorEvent: () => '',
      onFirstByte() {},
      onEnd() {},
    });
    const half = bytesOf('data: {"choi');
    expect(tap.push(half)).toBe(half);
  });

  test('only events that hold a telling text are parsed', () => {
    const seen: string[] = [];
    const shape: StreamShape = {
      ...openaiShape,
      factsOf(data, event) {
        seen.push(data);
        return openaiShape.factsOf(data, event);
      },
    };
    runTap(shape, [bytesOf(content('a') + content('say \\"usage\\" or DONE') + usage + done)]);
    expect(seen).toEqual([usage.slice(6, -2), '[DONE]']);
  });

  test('the listeners hear of the first byte once and of every chunk that has bytes', () => {
    const heard: string[] = [];
    const tap = createEventTap({
      shape: openaiShape,
      removeUsageOnly: false,
      errorEvent: () => '',
      onFirstByte: () => heard.push('first'),
      onBytes: () => heard.push('bytes'),
      onEnd: () => heard.push('end'),
    });
    tap.push(new Uint8Array(0));
    tap.push(bytesOf(content('a')));
    tap.push(bytesOf(done));
    tap.end();
    tap.gone();
    expect(heard).toEqual(['first', 'bytes', 'bytes', 'end']);
  });
});

describe('what is learnt', () => {
  test('usage, model, content events and bytes of a whole stream', () => {
    const text = content('a') + content('b') + usage + done;
    expect(runTap(openaiShape, [bytesOf(text)]).report).toEqual({
      how: 'completed',
      bytes: text.length,
      events: 2,
      usage: { inputTokens: 19, outputTokens: 12 },
      model: 'gemma3:270m',
    });
  });

  test('a zero usage in every chunk (/v1/completions) neither counts as usage nor hides content', () => {
    const zero = 'data: {"choices":[{"text":"a"}],"usage":{"prompt_tokens":0,"completion_tokens":0}}\n\n';
    const { report } = runTap(openaiShape, [bytesOf(zero + zero + usage + done)]);
    expect(report).toMatchObject({ events: 2, usage: { inputTokens: 19, outputTokens: 12 } });
  });

  test('comments and blank lines are no events', () => {
    const text = `: ping\n\n\n\n${content('a')}: ping\n\n${done}`;
    expect(runTap(openaiShape, [bytesOf(text)]).report.events).toBe(1);
  });

  test.each([
    ['\\r\\n', '\r\n'],
    ['\\r', '\r'],
  ])('%s ends lines too, wherever chunks end', (_, lineEnd) => {
    const text = `\ufeff${(content('a') + content('b') + usage + done).replaceAll('\n', lineEnd)}`;
    const bytes = bytesOf(text);
    for (let at = 0; at <= bytes.length; at++) {
      const { report, text: output } = runTap(openaiShape, cutAt(bytes, [at]));
      expect([report.how, report.events, report.usage?.outputTokens]).toEqual(['completed', 2, 12]);
      expect(output).toBe(text);
    }
  });

  test('line ends of all three kinds in one stream, byte by byte', () => {
    const text = `data: {"a":1}\rid: 1\n\ndata: {"a":2}\r\n\ndata: {"a":3}\n\r\n${usage}data: [DONE]\r\r`;
    const bytes = bytesOf(text);
    for (const removeUsageOnly of [false, true]) {
      const { report, text: output } = runTap(openaiShape, cutAt(bytes, [...bytes.keys()]), { removeUsageOnly });
      expect([report.how, report.events, report.usage?.outputTokens]).toEqual(['completed', 3, 12]);
      // Half a `\r\n` may go with the frame behind it: the other half still ends its line.
      expect(sseEvents(output)).toEqual(sseEvents(removeUsageOnly ? text.replace(usage, '') : text));
      if (!removeUsageOnly) expect(output).toBe(text);
    }
  });

  test('data over several lines is one event with its name', () => {
    const shape: StreamShape = {
      framing: 'sse',
      telling: ['last'],
      factsOf: (data, event) => ({ model: `${event}|${data}` }),
      isTerminator: (_, event) => event === 'stop',
    };
    const { report } = runTap(shape, [bytesOf('id: 7\nevent:stop\n: note\ndata: one\ndata:last\nretry\n\n')]);
    expect(report).toMatchObject({ how: 'completed', model: 'stop|one\nlast' });
  });

  test('NDJSON: blank lines pass and count for nothing', () => {
    const text = '{"response":"a","done":false}\n\n\r\n{"model":"m","done":true,"prompt_eval_count":3,"eval_count":1}\n';
    const { report, text: output } = runTap(ollamaShape, [bytesOf(text)]);
    expect(output).toBe(text);
    expect(report).toMatchObject({ how: 'completed', events: 1, usage: { inputTokens: 3, outputTokens: 1 } });
  });
});

describe('usage that the client did not ask for', () => {
  test('is taken out of the middle of a chunk', () => {
    const { text, report } = runTap(openaiShape, [bytesOf(content('a') + usage + done)], { removeUsageOnly: true });
    expect(text).toBe(content('a') + done);
    expect(report).toMatchObject({ usage: { inputTokens: 19, outputTokens: 12 }, bytes: text.length });
  });

  test('a chunk of nothing else vanishes', () => {
    const tap = createEventTap({ shape: openaiShape, removeUsageOnly: true, errorEvent: () => '', onFirstByte() {}, onEnd() {} });
    expect(tap.push(bytesOf(usage))).toHaveLength(0);
  });

  test('two in one chunk, and one whose line end is missing at the end of the stream', () => {
    expect(runTap(openaiShape, [bytesOf(usage + content('a') + usage + done)], { removeUsageOnly: true }).text).toBe(
      content('a') + done,
    );
    const { text, report } = runTap(openaiShape, [bytesOf(content('a') + usage.trim())], { removeUsageOnly: true });
    expect(text).toBe(content('a') + sseError);
    expect(report).toMatchObject({ how: 'broken', usage: { inputTokens: 19, outputTokens: 12 } });
  });

  test('a frame of 16 KiB waits for its end, one byte more and it passes', () => {
    const tap = createEventTap({ shape: openaiShape, removeUsageOnly: true, errorEvent: () => '', onFirstByte() {}, onEnd() {} });
    const frame = bytesOf(content('x'.repeat(20_000)));
    expect(tap.push(frame.subarray(0, 10_000))).toHaveLength(0);
    expect(tap.push(frame.subarray(10_000, 16_384))).toHaveLength(0);
    expect(tap.push(frame.subarray(16_384, 16_385))).toEqual(frame.subarray(0, 16_385));
    expect(tap.push(frame.subarray(16_385))).toEqual(frame.subarray(16_385));
    expect(tap.push(bytesOf(usage + done))).toEqual(bytesOf(done));
  });

  test('frames beyond every limit pass whole, held beginning included', () => {
    const long = bytesOf(content('x'.repeat(5_000_000)));
    const chunks = [long.subarray(0, 100), long.subarray(100), bytesOf(usage + done)];
    const { output, report } = runTapLoosely(chunks);
    expect(output.length).toBe(long.length + done.length);
    expect(output.findIndex((byte, at) => byte !== (at < long.length ? long[at] : done.charCodeAt(at - long.length)))).toBe(-1);
    expect(report.how).toBe('completed');
  });
});

/** `runTap` without its copies, which are slow for megabytes. */
function runTapLoosely(chunks: readonly Uint8Array[]): { output: Uint8Array; report: TapReport } {
  const reports: TapReport[] = [];
  const tap = createEventTap({
    shape: openaiShape,
    removeUsageOnly: true,
    errorEvent: () => '',
    onFirstByte() {},
    onEnd: (report) => reports.push(report),
  });
  const parts = [...chunks.map((chunk) => tap.push(chunk)), tap.end().bytes];
  const output = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    output.set(part, at);
    at += part.length;
  }
  return { output, report: reports[0] as TapReport };
}

describe('how it ends', () => {
  test('without its terminator a stream is broken, although the connection ended cleanly', () => {
    const { text, report, end } = runTap(openaiShape, [bytesOf(content('a'))]);
    expect(text).toBe(content('a') + sseError);
    expect(end?.complete).toBe(true);
    expect(report).toMatchObject({ how: 'broken', events: 1, failure: expect.stringContaining('before it was whole') });
    expect(report.bytes).toBe(text.length);
  });

  test('a break tells its cause to the log, and the error event what was seen', () => {
    const shape: StreamShape = { ...openaiShape, telling: ['id'], factsOf: () => ({ answerId: 'resp_1', model: 'm' }) };
    const seen: unknown[] = [];
    const reports: TapReport[] = [];
    const tap = createEventTap({
      shape,
      removeUsageOnly: false,
      errorEvent(message, story) {
        seen.push(message, story);
        return sseError;
      },
      onFirstByte() {},
      onEnd: (report) => reports.push(report),
    });
    const cause = new Error('ECONNRESET');
    tap.push(bytesOf('data: {"id":1}\n\n'));
    tap.fail(cause);
    expect(seen).toEqual([expect.stringContaining('broke off'), { answerId: 'resp_1', model: 'm', events: 1 }]);
    expect(reports[0]).toMatchObject({ how: 'broken', cause, model: 'm' });
  });

  test('a break after the terminator breaks nothing', () => {
    const { text, report, end } = runTap(openaiShape, [bytesOf(content('a') + done)], { close: 'fail' });
    expect([text, report.how, end?.complete]).toEqual([content('a') + done, 'completed', true]);
  });

  test('a failure that the box told itself is reported and not told again', () => {
    const line = '{"error":"an error was encountered while running the model: unexpected EOF"}\n';
    for (const close of ['end', 'fail'] as const) {
      const { text, report, end } = runTap(ollamaShape, [bytesOf(line)], { close });
      expect(text).toBe(line);
      expect(end?.complete).toBe(true);
      expect(report).toMatchObject({
        how: 'broken',
        failure: 'an error was encountered while running the model: unexpected EOF',
      });
    }
  });

  test('a failure is a failure even with [DONE] behind it', () => {
    const { report, text } = runTap(openaiShape, [bytesOf(`data: {"error":{"message":"no memory"}}\n\n${done}`)]);
    expect(report).toMatchObject({ how: 'broken', failure: 'no memory' });
    expect(text).not.toContain('event: error');
  });

  test('a client that leaves has abandoned, unless everything was there', () => {
    expect(runTap(openaiShape, [bytesOf(content('a'))], { close: 'gone' }).report).toMatchObject({ how: 'abandoned', events: 1 });
    expect(runTap(openaiShape, [bytesOf(content('a') + done)], { close: 'gone' }).report.how).toBe('completed');
    expect(runTap(openaiShape, [], { close: 'gone' }).report).toEqual({ how: 'abandoned', bytes: 0, events: 0 });
  });

  test('an empty answer is a broken one', () => {
    expect(runTap(openaiShape, []).text).toBe(sseError);
    expect(runTap(ollamaShape, []).text).toBe(ndjsonError);
  });

  test.each([['data: [DONE]'], ['data: [DONE]\n'], ['data: [DONE]\r'], ['data: [DONE]\r\n']])(
    'a terminator without its blank line counts, and reaches the client: %j',
    (last) => {
      for (const removeUsageOnly of [false, true]) {
        const { report, text } = runTap(openaiShape, [bytesOf(content('a') + last)], { removeUsageOnly });
        expect(report.how).toBe('completed');
        expect(sseEvents(text).map((event) => event.data)).toEqual(['{"choices":[{"delta":{"content":"a"}}]}', '[DONE]']);
      }
    },
  );

  test('an error event without its blank line reaches the client', () => {
    const { report, text } = runTap(openaiShape, [bytesOf('data: {"error":{"message":"no memory"}}')]);
    expect(report).toMatchObject({ how: 'broken', failure: 'no memory' });
    expect(sseEvents(text)).toEqual([{ name: undefined, data: '{"error":{"message":"no memory"}}' }]);
  });

  test('no blank line gets between two NDJSON lines (ollama-python would crash)', () => {
    expect(runTap(ollamaShape, [bytesOf('{"done":false}\n')]).text).toBe(`{"done":false}\n${ndjsonError}`);
    expect(runTap(ollamaShape, [bytesOf('{"done":fal')]).text).toBe(`{"done":fal\n${ndjsonError}`);
  });

  test.each([
    ['data', 'data-\n\n'],
    ['dat', 'dat-\n\n'],
    ['data: {"a', 'data: {"a\n\n'],
    ['data: {}\n', 'data: {}\n\n'],
    ['data: {}\r', 'data: {}\r\n\n'],
    ['event: x\ndata', 'event: x\ndata-\n\n'],
  ])('after the half frame %j the error is an event of its own', (half, closed) => {
    const { text } = runTap(openaiShape, [bytesOf(half)], { close: 'fail' });
    expect(text).toBe(closed + sseError);
    expect(sseEvents(text).at(-1)).toEqual({ name: 'error', data: '{"error":{"message":"broken"}}' });
  });

  test('a half frame that was held is left out', () => {
    const { text } = runTap(openaiShape, [bytesOf(`${content('a')}data: {"a`)], { removeUsageOnly: true });
    expect(text).toBe(content('a') + sseError);
  });

  test('what is called twice answers twice and tells once', () => {
    const reports: TapReport[] = [];
    const tap = createEventTap({
      shape: openaiShape,
      removeUsageOnly: false,
      errorEvent: () => sseError,
      onFirstByte() {},
      onEnd: (report) => reports.push(report),
    });
    expect(tap.end().bytes.length).toBeGreaterThan(0);
    expect(tap.end().bytes.length).toBe(0);
    tap.gone();
    expect(reports).toHaveLength(1);
  });
});
