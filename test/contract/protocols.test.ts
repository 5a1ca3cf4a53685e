/** What every protocol must keep, and what the recorded boxes said. Expected figures are the recordings' own, read off by hand. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type ErrorCode, errorTable, GatewayError } from '../../src/errors.ts';
import type { EventFacts, Protocol, StreamShape } from '../../src/exchange.ts';
import { readObject } from '../../src/json/read-object.ts';
import { managementProtocols, protocols, verdictOf } from '../../src/protocols/index.ts';
import { bodyTextOf, recordingNames, recordingOf } from '../support/recordings.ts';

const all = [...protocols, ...managementProtocols];
const named = (list: readonly Protocol[]) => list.map((protocol) => [protocol.name, protocol] as const);
const codes = Object.keys(errorTable) as ErrorCode[];
const awkward = 'line one\nline two: "quoted", größer, \u2028 </script> data: [DONE]';

interface SeenEvent {
  readonly event: string | undefined;
  readonly data: string;
}

/** A plain parser of its own: SSE by blank lines, NDJSON by lines. Throws when the text does not end where an event ends. */
function eventsOf(text: string, framing: StreamShape['framing']): SeenEvent[] {
  const end = framing === 'sse' ? '\n\n' : '\n';
  if (text !== '' && !text.endsWith(end)) throw new Error('the text ends within an event');
  const blocks = text.split(end).slice(0, -1);
  if (framing === 'ndjson') return blocks.map((data) => ({ event: undefined, data }));
  return blocks.map((block) => {
    const lines = block.split('\n');
    const field = (name: string) =>
      lines.filter((line) => line.startsWith(`${name}: `)).map((line) => line.slice(name.length + 2));
    return { event: field('event')[0], data: field('data').join('\n') };
  });
}

function shapeOf(protocol: Protocol | undefined): StreamShape {
  if (protocol?.stream === undefined) throw new Error(`${protocol?.name} does not stream`);
  return protocol.stream;
}

describe('the list', () => {
  it('has names and paths once', () => {
    expect(new Set(all.map(({ name }) => name)).size).toBe(all.length);
    expect(new Set(all.map(({ path }) => path)).size).toBe(all.length);
  });

  it('can be written in YAML without quotes', () => {
    for (const { name } of all) expect(name).toMatch(/^[a-z][A-Za-z]+$/);
  });

  it.each(named(protocols))('%s is found by its own path and each of its methods', (_, protocol) => {
    const path = protocol.path.replace(':id', 'm:1');
    expect(protocol.methods.length).toBeGreaterThan(0);
    for (const method of protocol.methods) expect(verdictOf(method, path)).toMatchObject({ kind: 'served', protocol });
  });

  it.each(named(managementProtocols))('%s needs the admin scope', (_, protocol) => {
    expect(protocol.kind).toBe('management');
    for (const method of protocol.methods)
      expect(verdictOf(method, protocol.path)).toEqual({ kind: 'management', protocol, path: protocol.path });
  });

  it.each(named(all))('%s has a canonical path', (_, { path }) => {
    expect(path).toMatch(/^\/(?:[a-z0-9_]+(?:\/[a-z0-9_]+)*(?:\/:id)?)?$/);
    expect(new URL(`http://x${path}`).pathname).toBe(path);
  });

  it('streams exactly where Ollama streams, with a telling mark for each end', () => {
    const streaming = protocols.filter(({ stream }) => stream !== undefined).map(({ name }) => name);
    expect(streaming).toEqual(['completions', 'textCompletions', 'responses', 'messages', 'ollamaChat', 'ollamaGenerate']);
    for (const protocol of protocols) {
      if (protocol.streamsByDefault) expect(protocol.stream).toBeDefined();
      for (const mark of protocol.stream?.telling ?? []) expect(mark).toMatch(/^[\x21-\x7e]+$/);
    }
  });

  it('reads an empty object everywhere', () => {
    const empty = readObject(new TextEncoder().encode('{}'));
    for (const protocol of all) {
      expect(protocol.readCall(empty)).toMatchObject({ isStream: protocol.streamsByDefault, wantsUsage: false, warnings: [] });
      expect(protocol.readCall(empty).boxChanges.size).toBe(0);
    }
  });
});

describe('usage and facts', () => {
  const nonsense = [
    undefined,
    null,
    0,
    '',
    'x',
    [],
    {},
    { usage: null },
    { usage: 'x' },
    { usage: { prompt_tokens: -1 } },
    { done: true },
  ];

  it.each(named(all))('%s never throws on an answer', (_, protocol) => {
    for (const answer of nonsense) expect(() => protocol.usageOf(answer)).not.toThrow();
    for (const data of [
      '',
      '{',
      '[]',
      'null',
      '5',
      '"x"',
      '{"error":5}',
      '{"response":[]}',
      '{"usage":{}}',
      '{"message":null}',
    ]) {
      expect(() => protocol.stream?.factsOf(data, undefined)).not.toThrow();
      expect(protocol.stream?.isTerminator(data, undefined) ?? false).toBe(false);
    }
  });
});

describe('errors', () => {
  it.each(named(all))('%s writes every error as JSON with the message', (_, protocol) => {
    for (const code of codes) {
      const { contentType, text } = protocol.errorBody(new GatewayError(code, awkward), 'exchange-1');
      expect(contentType).toMatch(/^application\/json/);
      const body = JSON.parse(text);
      expect(body.error?.message ?? body.error).toBe(awkward);
      expect(text).not.toContain('internal cause');
    }
  });

  it.each(named(all))('%s ends a stream with whole frames that its own shape reads as a failure', (_, protocol) => {
    for (const code of codes) {
      const error = new GatewayError(code, awkward, { cause: new Error('internal cause') });
      const text = protocol.errorInStream(error, 'exchange-1', { answerId: 'resp_1', model: 'm', events: 3 });
      expect(text).not.toContain('internal cause');
      const [event, ...more] = eventsOf(text, protocol.family === 'ollama' ? 'ndjson' : 'sse');
      expect(more).toEqual([]);
      expect(JSON.parse(event?.data ?? '')).toBeTypeOf('object');
      if (protocol.stream !== undefined) {
        expect(protocol.stream.factsOf(event?.data ?? '', event?.event).failed).toBe(awkward);
        expect(protocol.stream.telling.some((mark) => text.includes(mark))).toBe(true);
      }
    }
  });
});

// ---------------------------------------------------------------------------------------------------------------------
// What was recorded.

/**
 * Name of the recording → input and output tokens as its text says, read off without the code under test. `none`: it tells no
 * usage, because it was not asked to, or because Ollama stopped in silence and left out the line with the counts.
 */
const recordedUsage: Readonly<Record<string, readonly [number, number] | 'none'>> = JSON.parse(
  readFileSync(new URL('../fixtures/protocols/usage.json', import.meta.url), 'utf8'),
);

function protocolOf(name: string): Protocol | undefined {
  const { method, path } = recordingOf(name).request;
  const verdict = verdictOf(method, path.split('?')[0] ?? '');
  return verdict.kind === 'served' ? verdict.protocol : undefined;
}

function contentTypeOf(name: string): string {
  return recordingOf(name).response_headers?.find(([header]) => header.toLowerCase() === 'content-type')?.[1] ?? '';
}

/** All facts of a stream, later ones over earlier ones, asked for only where the marks tell so. */
function learnt(name: string): { facts: EventFacts; ends: number[]; count: number } {
  const shape = shapeOf(protocolOf(name));
  const events = eventsOf(bodyTextOf(recordingOf(name)), shape.framing);
  const facts: EventFacts = {};
  const ends: number[] = [];
  for (const [index, { event, data }] of events.entries()) {
    if (!shape.telling.some((mark) => `event: ${event}\ndata: ${data}`.includes(mark))) continue;
    Object.assign(facts, shape.factsOf(data, event));
    if (shape.isTerminator(data, event)) ends.push(index);
  }
  return { facts, ends, count: events.length };
}

const isStreamAnswer = (name: string) =>
  protocolOf(name)?.stream !== undefined && /event-stream|ndjson/.test(contentTypeOf(name)) && recordingOf(name).status === 200;
const isCut = (name: string) =>
  /^(?:crash|disconnect|server-sig|jinja-crash|queued-disconnect)/.test(name) ||
  recordingOf(name).client_closed_at_ms !== undefined;
const streams = recordingNames().filter(isStreamAnswer);
const wholeStreams = streams.filter((name) => !isCut(name));
const cutStreams = streams.filter(isCut);
const wholeAnswers = recordingNames().filter(
  (name) =>
    protocolOf(name)?.kind === 'inference' &&
    contentTypeOf(name).startsWith('application/json') &&
    recordingOf(name).status === 200,
);

describe('recorded streams', () => {
  it('are all of the kinds', () => {
    expect(new Set(wholeStreams.map((name) => protocolOf(name)?.name)).size).toBe(6);
    expect(new Set(cutStreams.map((name) => protocolOf(name)?.name)).size).toBeGreaterThanOrEqual(6);
  });

  it.each(wholeStreams)('%s ends with its one terminator', (name) => {
    const { ends, count } = learnt(name);
    expect(ends).toEqual([count - 1]);
  });

  it.each(cutStreams)('%s has none, however cleanly the connection closed', (name) => {
    const shape = shapeOf(protocolOf(name));
    const text = bodyTextOf(recordingOf(name));
    const whole = text.slice(0, text.lastIndexOf(shape.framing === 'sse' ? '\n\n' : '\n') + (shape.framing === 'sse' ? 2 : 1));
    for (const { event, data } of eventsOf(whole, shape.framing)) expect(shape.isTerminator(data, event)).toBe(false);
  });

  it.each(wholeStreams)('%s tells the usage it was recorded with', (name) => {
    const { usage } = learnt(name).facts;
    expect(usage === undefined ? 'none' : [usage.inputTokens, usage.outputTokens]).toEqual(recordedUsage[name]);
  });

  it.each(wholeStreams)('%s: no event is missed by the telling marks', (name) => {
    const shape = shapeOf(protocolOf(name));
    for (const { event, data } of eventsOf(bodyTextOf(recordingOf(name)), shape.framing)) {
      if (shape.telling.some((mark) => `event: ${event}\ndata: ${data}`.includes(mark))) continue;
      const { model: _, ...facts } = shape.factsOf(data, event);
      expect(facts).toEqual({});
      expect(shape.isTerminator(data, event)).toBe(false);
    }
  });

  it.each(streams.filter((name) => name.startsWith('crash-native')))('%s says that it failed', (name) => {
    expect(learnt(name).facts.failed).toBe('an error was encountered while running the model: unexpected EOF');
  });
});

describe('recorded answers', () => {
  it.each(wholeAnswers)('%s tells the usage it was recorded with', (name) => {
    const usage = protocolOf(name)?.usageOf(JSON.parse(bodyTextOf(recordingOf(name))));
    expect(usage === undefined ? 'none' : [usage.inputTokens, usage.outputTokens]).toEqual(recordedUsage[name]);
  });
});
