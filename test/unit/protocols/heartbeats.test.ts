import { Stream as AnthropicStream } from '@anthropic-ai/sdk/core/streaming';
import { EventSourceParserStream } from 'eventsource-parser/stream';
import * as fc from 'fast-check';
import { Ollama } from 'ollama';
import { Stream as OpenaiStream } from 'openai/core/streaming';
import { describe, expect, test, vi } from 'vitest';
import type { Protocol } from '../../../src/exchange.ts';
import { anthropicMessages } from '../../../src/protocols/anthropic-messages.ts';
import { ollamaChat } from '../../../src/protocols/ollama-chat.ts';
import { ollamaGenerate } from '../../../src/protocols/ollama-generate.ts';
import { openaiChat } from '../../../src/protocols/openai-chat.ts';
import { openaiCompletions } from '../../../src/protocols/openai-completions.ts';
import { openaiResponses } from '../../../src/protocols/openai-responses.ts';
import { FrameBoundary } from '../../../src/streams/heartbeat.ts';
import { createEventTap } from '../../../src/streams/tap.ts';
import { bodyTextOf, recordingOf } from '../../support/recordings.ts';

vi.setConfig({ testTimeout: 60_000 });

const beat = { wait: undefined, model: 'llama3.2', wallTimeMs: Date.UTC(2026, 0, 1) };

describe('the form of a heartbeat', () => {
  test('a comment, with the blank line that ends a block', () => {
    for (const protocol of [openaiChat, openaiCompletions, openaiResponses]) {
      expect(protocol.heartbeat?.(beat)).toBe(': still working\n\n');
      expect(protocol.heartbeat?.({ ...beat, wait: { for: 'load', boxName: 'gpu1', position: 0 } })).toBe(
        ': loading llama3.2 on gpu1\n\n',
      );
      expect(protocol.heartbeat?.({ ...beat, wait: { for: 'slot', boxName: 'gpu1', position: 3 } })).toBe(
        ': waiting for box gpu1, position 3\n\n',
      );
    }
  });

  test('names cannot leave the comment, nor make it long', () => {
    const wait = { for: 'load', boxName: 'a\n\ndata: x\r\n\r\n', position: 0 } as const;
    const text = openaiChat.heartbeat?.({ ...beat, model: `é${'x'.repeat(9_999)}`, wait }) ?? '';
    expect(text).toMatch(/^: loading \?x+\n\n$/);
    expect(text.length).toBeLessThan(310);
    expect(openaiChat.heartbeat?.({ ...beat, wait })).toBe(': loading llama3.2 on a??data: x????\n\n');
  });

  test('Anthropic has an event for it', () => {
    expect(anthropicMessages.heartbeat?.(beat)).toBe('event: ping\ndata: {"type": "ping"}\n\n');
  });

  test('lines say nothing yet', () => {
    const head = '{"model":"llama3.2","created_at":"2026-01-01T00:00:00.000Z",';
    expect(ollamaChat.heartbeat?.(beat)).toBe(`${head}"message":{"role":"assistant","content":""},"done":false}\n`);
    expect(ollamaGenerate.heartbeat?.(beat)).toBe(`${head}"response":"","done":false}\n`);
  });
});

type Read = (text: string) => Promise<unknown[]>;

const readOpenai: Read = (text) => all(OpenaiStream.fromSSEResponse(new Response(text), new AbortController()));
const readAnthropic: Read = (text) => all(AnthropicStream.fromSSEResponse(new Response(text), new AbortController()));
/** The parser of the AI SDK and of many small clients, with everything that it hands out. */
const readEvents: Read = async (text) =>
  all(bytesOf(text).pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream()));
const readOllama =
  (path: 'chat' | 'generate'): Read =>
  async (text) => {
    const ollama = new Ollama({ host: 'http://box', fetch: async () => new Response(text) });
    const parts: unknown[] =
      path === 'chat'
        ? await all(await ollama.chat({ model: 'm', stream: true }))
        : await all(await ollama.generate({ model: 'm', prompt: '', stream: true }));
    return parts.filter((part) => !saysNothing(part as { message?: { content: string }; response?: string; done: boolean }));
  };
const readPings =
  (read: Read): Read =>
  async (text) =>
    (await read(text)).filter((event) => !JSON.stringify(event).includes('ping'));

function saysNothing(part: { message?: { content: string }; response?: string; done: boolean }): boolean {
  const { message, response, done } = part;
  return !done && (message === undefined ? response === '' : message.content === '' && !('tool_calls' in message));
}

function bytesOf(text: string): ReadableStream<Uint8Array<ArrayBuffer>> {
  const { body } = new Response(text);
  if (body === null) throw new Error('no body');
  return body;
}

async function all(stream: AsyncIterable<unknown>): Promise<unknown[]> {
  const items: unknown[] = [];
  for await (const item of stream) items.push(item);
  return items;
}

const streams: readonly (readonly [name: string, protocol: Protocol, readers: readonly Read[]])[] = [
  ['v1-chat-stream-usage', openaiChat, [readOpenai, readEvents]],
  ['thinking-v1-stream', openaiChat, [readOpenai, readEvents]],
  ['tools-v1-stream', openaiChat, [readOpenai, readEvents]],
  ['v1-completions-stream-usage', openaiCompletions, [readOpenai, readEvents]],
  ['v1-responses-stream', openaiResponses, [readOpenai, readEvents]],
  ['anthropic-messages-stream', anthropicMessages, [readAnthropic, readPings(readEvents)]],
  ['chat-stream', ollamaChat, [readOllama('chat')]],
  ['generate-stream', ollamaGenerate, [readOllama('generate')]],
];

const encoder = new TextEncoder();

/** The stream in pieces, with a heartbeat wherever one is asked for and `isBetween` lets it in. */
function spliced(
  bytes: Uint8Array,
  cuts: readonly { at: number; beats: boolean }[],
  push: (chunk: Uint8Array) => Uint8Array,
  isBetween: () => boolean,
  heartbeat: string,
): { text: string; beats: number } {
  const decoder = new TextDecoder();
  let text = '';
  let beats = 0;
  let from = 0;
  for (const { at, beats: wanted } of [...cuts].sort((one, other) => one.at - other.at)) {
    text += decoder.decode(push(bytes.subarray(from, at)), { stream: true });
    from = at;
    if (!wanted || !isBetween()) continue;
    text += decoder.decode(encoder.encode(heartbeat), { stream: true });
    beats++;
  }
  return { text: text + decoder.decode(push(bytes.subarray(from))), beats };
}

describe.each(streams)('T20: heartbeats at any time change nothing that a parser gives: %s', (name, protocol, readers) => {
  const source = bodyTextOf(recordingOf(name));
  const bytes = encoder.encode(source);
  // Anywhere, and where lines end: few heartbeats would come between two frames by chance.
  const lineEnds = [...bytes.keys()].filter((at) => bytes[at - 1] === 10);
  const at = fc.oneof(fc.nat(bytes.length), fc.constantFrom(...lineEnds));
  const cuts = fc.array(fc.record({ at, beats: fc.boolean() }), { maxLength: 40 });
  const heartbeat = protocol.heartbeat?.({ ...beat, wait: { for: 'slot', boxName: 'gpu1', position: 2 } }) ?? '';

  test('as bytes pass', async () => {
    const plain = await Promise.all(readers.map((read) => read(source)));
    let seen = 0;
    await fc.assert(
      fc.asyncProperty(cuts, async (places) => {
        const { stream: shape } = protocol;
        if (shape === undefined) throw new Error('no stream');
        const ignore = () => undefined;
        const tap = createEventTap({
          shape,
          removeUsageOnly: false,
          errorEvent: () => 'broken',
          onFirstByte: ignore,
          onEnd: ignore,
        });
        const { text, beats } = spliced(
          bytes,
          places,
          (chunk) => tap.push(chunk),
          () => tap.isBetweenFrames === true,
          heartbeat,
        );
        seen += beats;
        expect(await Promise.all(readers.map((read) => read(text)))).toEqual(plain);
        // Without the heartbeats it is what the box sent, byte for byte.
        expect(text.replaceAll(heartbeat, '')).toBe(source);
      }),
      { numRuns: 150 },
    );
    expect(seen).toBeGreaterThan(0);
  });

  test('behind rewrites', async () => {
    const plain = await Promise.all(readers.map((read) => read(source)));
    await fc.assert(
      fc.asyncProperty(cuts, async (places) => {
        const boundary = new FrameBoundary(protocol.stream?.framing ?? 'sse');
        const push = (chunk: Uint8Array) => {
          boundary.push(chunk);
          return chunk;
        };
        const { text } = spliced(bytes, places, push, () => boundary.isBetweenFrames, heartbeat);
        expect(await Promise.all(readers.map((read) => read(text)))).toEqual(plain);
      }),
      { numRuns: 100 },
    );
  });

  test('where usage that Corral asked for is taken out, too', async () => {
    const ignore = () => undefined;
    const tapOf = () => {
      if (protocol.stream === undefined) throw new Error('no stream');
      return createEventTap({
        shape: protocol.stream,
        removeUsageOnly: true,
        errorEvent: () => 'broken',
        onFirstByte: ignore,
        onEnd: ignore,
      });
    };
    const without = new TextDecoder().decode(tapOf().push(bytes));
    const plain = await Promise.all(readers.map((read) => read(without)));
    await fc.assert(
      fc.asyncProperty(cuts, async (places) => {
        const tap = tapOf();
        const { text } = spliced(
          bytes,
          places,
          (chunk) => tap.push(chunk),
          () => tap.isBetweenFrames === true,
          heartbeat,
        );
        expect(await Promise.all(readers.map((read) => read(text)))).toEqual(plain);
      }),
      { numRuns: 100 },
    );
  });
});

test('once a stream has said its last word, nothing is put in', () => {
  const ignore = () => undefined;
  const shape = openaiChat.stream;
  if (shape === undefined) throw new Error('no stream');
  const tap = createEventTap({ shape, removeUsageOnly: false, errorEvent: () => '', onFirstByte: ignore, onEnd: ignore });
  tap.push(encoder.encode('data: {"choices":[]}\n\n'));
  expect(tap.isBetweenFrames).toBe(true);
  tap.push(encoder.encode('data: [DONE]\n\n'));
  expect(tap.isBetweenFrames).toBe(false);
});
