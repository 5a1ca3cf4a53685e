/** Streams as a real Ollama sent them, cut wherever bytes can be cut. */
import { isDeepStrictEqual } from 'node:util';
import * as fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import type { StreamShape } from '../../../src/exchange.ts';
import { bodyTextOf, recordingOf } from '../../support/recordings.ts';
import { bytesOf, cutAt, ndjsonError, type Run, runTap, sseError } from './run-tap.ts';
import { anthropicShape, ndjsonLines, ollamaShape, openaiShape, responsesShape, sseEvents } from './shapes.ts';

vi.setConfig({ testTimeout: 60_000 });

type Counts = readonly [input: number, output: number] | undefined;
type Row = readonly [name: string, shape: StreamShape, usage: Counts, contentEvents: number];

const whole: readonly Row[] = [
  ['v1-chat-stream', openaiShape, undefined, 13],
  ['v1-chat-stream-usage', openaiShape, [19, 12], 13],
  ['v1-chat-empty-completion-stream', openaiShape, undefined, 2],
  ['thinking-v1-stream', openaiShape, [16, 20], 15],
  ['tools-v1-stream', openaiShape, [54, 32], 2],
  ['v1-completions-stream-usage', openaiShape, [19, 6], 7],
  ['v1-responses-stream', responsesShape, [19, 12], 19],
  ['anthropic-messages-stream', anthropicShape, [19, 12], 15],
  ['chat-stream', ollamaShape, [19, 12], 12],
  ['generate-stream', ollamaShape, [19, 12], 12],
  ['tools-native-stream', ollamaShape, [54, 32], 1],
];

const crashed: readonly Row[] = [
  ['crash-v1-chat-stream', openaiShape, undefined, 11],
  ['crash-v1-completions-stream', openaiShape, undefined, 11],
  ['crash-anthropic-stream', anthropicShape, undefined, 10],
  ['crash-responses-stream', responsesShape, undefined, 10],
  ['server-sigkill-v1-stream', openaiShape, undefined, 6],
];

const failed: readonly Row[] = [
  ['crash-native-chat-stream', ollamaShape, undefined, 10],
  ['crash-native-generate-stream', ollamaShape, undefined, 10],
  ['jinja-crash-native', ollamaShape, undefined, 6],
];

const eventsOf = (shape: StreamShape, text: string) => (shape.framing === 'sse' ? sseEvents(text) : ndjsonLines(text));
const countsOf = (usage: Counts) => (usage === undefined ? undefined : { inputTokens: usage[0], outputTokens: usage[1] });

function recorded(name: string) {
  const text = bodyTextOf(recordingOf(name));
  return { chunks: recordingOf(name).body.map((chunk) => bytesOf(chunk.text)), text, bytes: bytesOf(text) };
}

/** Every place up to `last`; in long streams those of the first and the last events, as what lies between is more of the same. */
function placesIn(last: number): number[] {
  return Array.from({ length: last + 1 }, (_, at) => at).filter((at) => at < 800 || at > last - 2_200);
}

const told = ({ report }: Run) => [report.how, report.events, report.usage];

describe.each(whole)('%s, whole', (name, shape, usage, contentEvents) => {
  const { chunks, text, bytes } = recorded(name);
  const expected = ['completed', contentEvents, countsOf(usage)];

  test('in the chunks that Ollama sent', () => {
    const run = runTap(shape, chunks);
    expect(told(run)).toEqual(expected);
    expect(run.text).toBe(text);
  });

  test('cut at every byte', () => {
    for (const at of placesIn(bytes.length)) {
      const run = runTap(shape, cutAt(bytes, [at]));
      if (run.end?.complete !== true || !isDeepStrictEqual(told(run), expected))
        expect(told(run), `cut at ${at}`).toEqual(expected);
      if (run.text !== text) expect.fail(`changed when cut at ${at}`);
    }
  });

  test('cut anywhere, any number of times', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(bytes.length), { maxLength: 40 }), (places) => {
        const run = runTap(shape, cutAt(bytes, places));
        expect(told(run)).toEqual(expected);
        expect(run.text).toBe(text);
      }),
      { numRuns: 60 },
    );
  });

  test('byte by byte', () => {
    expect(told(runTap(shape, cutAt(bytes, [...bytes.keys()])))).toEqual(expected);
  });

  test('cut off at every byte it is broken, with an error event and no end that the box did not send', () => {
    const errorText = shape.framing === 'sse' ? sseError : ndjsonError;
    const wholeLength = bytesOf(text.trimEnd()).length;
    for (const at of placesIn(wholeLength - 1)) {
      for (const removeUsageOnly of [false, true]) {
        const run = runTap(shape, [bytes.subarray(0, at)], { removeUsageOnly, close: at % 2 ? 'end' : 'fail' });
        if (run.report.how !== 'broken') expect.fail(`${run.report.how} when cut off at ${at}`);
        if (!run.text.endsWith(errorText)) expect.fail(`no error when cut off at ${at}`);
        // The last events alone: reading thousands of whole streams takes too long.
        // From the last frame that was whole: reading thousands of whole streams takes too long.
        const frameEnd = shape.framing === 'sse' ? '\n\n' : '\n';
        const before = run.text.lastIndexOf(frameEnd, run.text.length - errorText.length - frameEnd.length - 1);
        const events = eventsOf(shape, before < 0 ? run.text : run.text.slice(before + frameEnd.length));
        if (events.at(-1)?.data !== eventsOf(shape, errorText)[0]?.data) expect.fail(`error not seen when cut off at ${at}`);
        if (events.some((event) => event.data === '[DONE]')) expect.fail(`[DONE] invented when cut off at ${at}`);
      }
    }
  });
});

describe.each(whole.filter(([, shape]) => shape === openaiShape))('%s without the usage-only event', (name, shape, usage) => {
  const { chunks, text: original, bytes } = recorded(name);
  const expected = original
    .split('\n\n')
    .filter((event) => !event.includes('"choices":[]'))
    .join('\n\n');

  test('in the chunks that Ollama sent, and cut at every byte', () => {
    const cuts = placesIn(bytes.length).map((at) => cutAt(bytes, [at]));
    for (const pieces of [chunks, ...cuts]) {
      const { report, text } = runTap(shape, pieces, { removeUsageOnly: true });
      expect(text).toBe(expected);
      expect([report.how, report.usage]).toEqual(['completed', countsOf(usage)]);
    }
  });

  test('cut anywhere, any number of times', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(bytes.length), { maxLength: 40 }), (places) => {
        const { text } = runTap(shape, cutAt(bytes, places), { removeUsageOnly: true });
        expect(text).toBe(expected);
      }),
      { numRuns: 60 },
    );
  });
});

describe.each(crashed)('%s, whose runner was killed', (name, shape, _, contentEvents) => {
  test('passes as it came, then says that it broke', () => {
    const { chunks, text: original } = recorded(name);
    const { report, text, end } = runTap(shape, chunks);
    expect(text).toBe(original + sseError);
    expect(end?.complete).toBe(true);
    expect(report).toMatchObject({ how: 'broken', events: contentEvents });
    expect(text).not.toContain('[DONE]');
  });
});

describe.each(failed)('%s, which tells its failure', (name, shape, _, contentEvents) => {
  test('cut at every byte: passes as it came, nothing is added', () => {
    const { text: original, bytes } = recorded(name);
    for (let at = 0; at <= bytes.length; at++) {
      const { report, text } = runTap(shape, cutAt(bytes, [at]));
      expect(report).toMatchObject({
        how: 'broken',
        events: contentEvents,
        failure: 'an error was encountered while running the model: unexpected EOF',
      });
      expect(text).toBe(original);
    }
  });
});

test('a rune cut in two passes in two', () => {
  const text = 'data: {"content":"日本語 🦊"}\n\ndata: [DONE]\n\n';
  const bytes = bytesOf(text);
  for (let at = 0; at <= bytes.length; at++) {
    for (const removeUsageOnly of [false, true]) {
      expect(runTap(openaiShape, cutAt(bytes, [at]), { removeUsageOnly }).text).toBe(text);
    }
  }
});
