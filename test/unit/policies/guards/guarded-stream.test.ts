import Anthropic from '@anthropic-ai/sdk';
import * as fc from 'fast-check';
import { Ollama } from 'ollama';
import OpenAI from 'openai';
import { describe, expect, test, vi } from 'vitest';
import { GatewayError } from '../../../../src/errors.ts';
import type { Protocol } from '../../../../src/exchange.ts';
import { builtinNames, builtinRule } from '../../../../src/policies/guards/builtins.ts';
import { GuardedStream } from '../../../../src/policies/guards/guarded-stream.ts';
import { type GuardRule, patternRule } from '../../../../src/policies/guards/rule.ts';
import { RuleStage, type Stage } from '../../../../src/policies/guards/stage.ts';
import { anthropicMessages } from '../../../../src/protocols/anthropic-messages.ts';
import { ollamaChat } from '../../../../src/protocols/ollama-chat.ts';
import { ollamaGenerate } from '../../../../src/protocols/ollama-generate.ts';
import { openaiChat } from '../../../../src/protocols/openai-chat.ts';
import { openaiCompletions } from '../../../../src/protocols/openai-completions.ts';
import { openaiResponses } from '../../../../src/protocols/openai-responses.ts';
import { bodyTextOf, recordingNames, recordingOf } from '../../../support/recordings.ts';
import { bytesOf, cutAt } from '../../streams/run-tap.ts';
import { type Dialect, eventsOf, planted, type Recorded, recordedStreams, repeatedIn, textIn } from './planted-streams.ts';

vi.setConfig({ testTimeout: 60_000 });

const protocols: Readonly<Record<Dialect, Protocol>> = {
  chat: openaiChat,
  completions: openaiCompletions,
  responses: openaiResponses,
  messages: anthropicMessages,
  ollamaChat,
  ollamaGenerate,
};

interface Run {
  readonly text: string;
  readonly stream: GuardedStream;
  readonly ends: readonly (GatewayError | undefined)[];
}

async function guard(dialect: Dialect, stagesFor: () => readonly Stage[], chunks: readonly Uint8Array[]): Promise<Run> {
  const protocol = protocols[dialect];
  const { texts } = protocol;
  if (texts === undefined) throw new Error('no texts');
  const ends: (GatewayError | undefined)[] = [];
  const stream = new GuardedStream({ protocol, texts, exchangeId: 'x1', stagesFor, onEnd: (rejection) => ends.push(rejection) });
  const decoder = new TextDecoder();
  let text = '';
  for (const chunk of chunks) {
    const own = chunk.slice();
    text += decoder.decode((await stream.push(own)).slice(), { stream: true });
    own.fill(0x78);
    if (stream.isOver) return { text, stream, ends };
  }
  text += decoder.decode(await stream.end());
  return { text, stream, ends };
}

const masking = (rules: readonly GuardRule[]) => () => rules.map((rule) => new RuleStage(rule, () => rule.mask));
const rejecting =
  (rule: GuardRule, message = 'that must not be said') =>
  () => [
    new RuleStage(rule, () => {
      throw new GatewayError('guard_rejected', message);
    }),
  ];

const terminators: Readonly<Record<Dialect, RegExp>> = {
  chat: /data: \[DONE\]\n\n$/,
  completions: /data: \[DONE\]\n\n$/,
  responses: /event: response\.completed\ndata: .*\n\n$/,
  messages: /event: message_stop\ndata: .*\n\n$/,
  ollamaChat: /"done":true.*\n$/,
  ollamaGenerate: /"done":true.*\n$/,
};

const secrets: readonly [rules: readonly GuardRule[], secret: string, mask: string][] = [
  [[builtinRule('ssn')], '078-05-1120', '<SSN>'],
  [[builtinRule('creditCard')], '4111 1111 1111 1111', '<CREDIT_CARD>'],
  [[builtinRule('phoneNumber')], '+1 415 555 2671', '<PHONE_NUMBER>'],
  [[builtinRule('email')], 'jane.doe+x@mail.example.org', '<EMAIL_ADDRESS>'],
  [[builtinRule('caSin')], '046-454-286', '<CA_SIN>'],
  [builtinNames.map(builtinRule), '078-05-1120', '<SSN>'],
  [[patternRule('sk-[A-Za-z0-9]{20,60}')], 'sk-AbCdEfGhIjKlMnOpQrStUvWx', '<masked>'],
  [[patternRule('(?i)password\\s*[:=]\\s*\\S+')], 'Password:\n\t"hün\\ter2"', '<masked>'],
  [[patternRule('BEGIN[^E]*END')], `BEGIN${'x"\\\u00e9😀\n'.repeat(90)}END`, '<masked>'],
];

describe.each(recordedStreams)('$name with a secret in it', (recorded: Recorded) => {
  const { dialect } = recorded;
  const places = fc.array(fc.nat(100_000), { maxLength: 40 });

  test.each(secrets.map(([rules, secret, mask]) => [rules.map(({ name }) => name).join(), rules, secret, mask] as const))(
    '%s: it never leaves, however it is cut, and all else does',
    async (_, rules, secret, mask) => {
      const before = 'Well, “this” is it: ';
      const behind = ' . And <b>that</b> was all…';
      const property = fc.asyncProperty(places, places, async (textCuts, byteCuts) => {
        const whole = before + secret + behind;
        const stream = planted(recorded, textPieces(whole, textCuts));
        const bytes = bytesOf(stream);
        const run = await guard(
          dialect,
          masking(rules),
          cutAt(
            bytes,
            byteCuts.map((place) => place % bytes.length),
          ),
        );
        expect(run.text).not.toContain(secret);
        expect(textIn(dialect, run.text)).toBe(before + mask + behind);
        expect(run.text).toMatch(terminators[dialect]);
        expect(run.ends).toEqual([undefined]);
        if (dialect === 'responses') {
          expect([...new Set(repeatedIn(run.text))]).toEqual([before + mask + behind]);
          const numbers = eventsOf(dialect, run.text).map(({ data }) => JSON.parse(data).sequence_number);
          expect(numbers).toEqual(numbers.map((_number, index) => index));
        }
      });
      await fc.assert(property, { numRuns: 40 });
    },
  );

  test('character by character and byte by byte', async () => {
    const stream = planted(recorded, [...'My ssn is 078-05-1120, ok? 123-45-678']);
    const bytes = bytesOf(stream);
    const run = await guard(dialect, masking([builtinRule('ssn')]), cutAt(bytes, [...bytes.keys()]));
    expect(textIn(dialect, run.text)).toBe('My ssn is <SSN>, ok? 123-45-678');
    expect(run.text).toMatch(terminators[dialect]);
  });

  test('a secret at the very end leaves masked, before the end', async () => {
    const run = await guard(dialect, masking([builtinRule('email')]), [bytesOf(planted(recorded, ['mail a@', 'b.co', 'm']))]);
    expect(textIn(dialect, run.text)).toBe('mail <EMAIL_ADDRESS>');
    expect(run.text).toMatch(terminators[dialect]);
    if (dialect !== 'responses') return;
    const numbers = eventsOf(dialect, run.text).map(({ data }) => JSON.parse(data).sequence_number);
    expect(numbers).toEqual(numbers.map((_number, index) => index));
  });

  test('a rejection is the last event, in the client’s protocol, and nothing of the match has left', async () => {
    const stream = planted(recorded, ['This is a for', 'bid', 'den word', ' and more', ' and more']);
    const run = await guard(dialect, rejecting(patternRule('forbidden')), [bytesOf(stream)]);
    expect(textIn(dialect, run.text.slice(0, run.text.lastIndexOf('that must')))).toBe('This is a ');
    expect(run.text).not.toMatch(/"for"|bid|den word/);
    expect(run.stream.isOver).toBe(true);
    expect(run.ends.map((end) => end?.code)).toEqual(['guard_rejected']);
    const last = eventsOf(dialect, run.text).at(-1);
    expect(`${last?.name}: ${last?.data}`).toMatch(rejections[dialect]);
    expect(run.text).not.toMatch(/\[DONE\]|message_stop|response\.completed|"done":true/);
  });

  test('a stream that breaks off gives what it held, and no end', async () => {
    const stream = planted(recorded, ['abc 078-05-1']);
    const run = await guard(dialect, masking([builtinRule('ssn')]), [
      bytesOf(stream.slice(0, stream.indexOf('\n', stream.indexOf('078-05-1')) + 2)),
    ]);
    expect(textIn(dialect, run.text)).toBe('abc 078-05-1');
    expect(run.text).not.toMatch(terminators[dialect]);
  });
});

const rejections: Readonly<Record<Dialect, RegExp>> = {
  chat: /^undefined: {"error":{"message":"that must not be said","type":"permission_error","param":null,"code":"guard_rejected"}}$/,
  completions: /^undefined: {"error":{"message":"that must not be said","type":"permission_error"/,
  responses:
    /^response\.failed: {"type":"response\.failed","sequence_number":\d+,"response":{"id":"resp_579461".*that must not be said/,
  messages: /^error: {"type":"error","error":{"type":"permission_error","message":"that must not be said"/,
  ollamaChat: /^undefined: {"error":"that must not be said"}$/,
  ollamaGenerate: /^undefined: {"error":"that must not be said"}$/,
};

/** Pieces of a text, cut between characters. */
function textPieces(text: string, places: readonly number[]): string[] {
  const characters = [...text];
  const sorted = [0, ...places.map((place) => place % (characters.length + 1)).sort((a, b) => a - b), characters.length];
  return sorted.slice(1).map((to, index) => characters.slice(sorted[index], to).join(''));
}

describe('streams without anything to mask', () => {
  const dialectOf = (path: string): Dialect | undefined =>
    (
      ({
        '/v1/chat/completions': 'chat',
        '/v1/completions': 'completions',
        '/v1/responses': 'responses',
        '/v1/messages': 'messages',
        '/api/chat': 'ollamaChat',
        '/api/generate': 'ollamaGenerate',
      }) as Record<string, Dialect>
    )[path];
  const streams = recordingNames().flatMap((name) => {
    const recording = recordingOf(name);
    const type = new Map(recording.response_headers?.map(([key, value]) => [key.toLowerCase(), value])).get('content-type') ?? '';
    const dialect = dialectOf(recording.request.path);
    const isStream = type.startsWith('text/event-stream') || type.startsWith('application/x-ndjson');
    return dialect !== undefined && isStream && !/logprobs/.test(name) ? [[name, dialect] as const] : [];
  });

  test('there are enough of them', () => {
    expect(streams.length).toBeGreaterThan(25);
  });

  test.each(streams)('%s passes byte for byte', async (name, dialect) => {
    const text = bodyTextOf(recordingOf(name));
    const { texts } = protocols[dialect];
    const run = await guard(dialect, masking([patternRule('\\x00never')]), cutAt(bytesOf(text), [1, 17, 400, 401, 2_000]));
    // A last frame without its line end may get one.
    expect(run.text.trimEnd()).toBe(text.trimEnd());
    expect(texts).toBeDefined();
  });
});

describe('lanes', () => {
  const delta = (content: object, index = 0, rest = '') =>
    `data: {"id":"c1","choices":[{"index":${index},"delta":${JSON.stringify(content)}${rest}}]}\n\n`;
  const email = [builtinRule('email')];

  test('choices are apart from each other', async () => {
    const stream = [delta({ content: 'a@b' }), delta({ content: 'x y' }, 1), delta({ content: '.com z' }), 'data: [DONE]\n\n'];
    const run = await guard('chat', masking(email), stream.map(bytesOf));
    const events = eventsOf('chat', run.text)
      .slice(0, -1)
      .map(({ data }) => JSON.parse(data).choices[0]);
    const textOf = (index: number) =>
      events
        .filter((one) => one.index === index)
        .map((one) => one.delta.content)
        .join('');
    expect([textOf(0), textOf(1)]).toEqual(['<EMAIL_ADDRESS> z', 'x y']);
  });

  test('reasoning gives what it holds as soon as the answer begins', async () => {
    const stream = [delta({ reasoning: 'it is so' }), delta({ content: 'Yes.' }), 'data: [DONE]\n\n'];
    const run = await guard('chat', masking(email), stream.map(bytesOf));
    const deltas = eventsOf('chat', run.text)
      .slice(0, -1)
      .map(({ data }) => JSON.parse(data).choices[0].delta);
    expect(deltas).toEqual([{ reasoning: 'it is ' }, { reasoning: 'so' }, { content: '' }, { content: 'Yes.' }]);
    expect(
      eventsOf('chat', run.text)
        .slice(0, -1)
        .every(({ data }) => JSON.parse(data).id === 'c1'),
    ).toBe(true);
  });

  test('arguments of tools, in pieces and whole', async () => {
    const call = (args: string, more = {}) =>
      delta({ tool_calls: [{ index: 0, ...more, function: { arguments: args, ...more } }] });
    const stream = [call('{"to":"a@', { name: 'send', id: 'k' }), call('b.com"}'), delta({}, 0, ',"finish_reason":"tool_calls"')];
    const run = await guard('chat', masking(email), stream.map(bytesOf));
    const calls = eventsOf('chat', run.text).flatMap(({ data }) => JSON.parse(data).choices[0].delta.tool_calls ?? []);
    expect(calls.map((one: { function: { arguments: string } }) => one.function.arguments).join('')).toBe(
      '{"to":"<EMAIL_ADDRESS>"}',
    );
    expect(calls.filter((one: { id?: string }) => one.id === 'k')).toHaveLength(1);
    const native =
      '{"model":"m","message":{"role":"assistant","content":"","tool_calls":[{"id":"k","function":{"name":"send","arguments":{"to":["a@b.com"],"n":12345678901234567890}}}]},"done":false}\n';
    const own = await guard('ollamaChat', masking(email), [bytesOf(native)]);
    expect(own.text).toBe(native.replace('a@b.com', '<EMAIL_ADDRESS>'));
  });

  test('log probabilities spell the answer out: they go', async () => {
    const stream = `data: {"choices":[{"index":0,"delta":{"content":"a@b.cd "},"logprobs":{"content":[{"token":"a@b.cd"}]}}]}\n\n`;
    const run = await guard('chat', masking(email), [bytesOf(stream)]);
    expect(run.text).toBe('data: {"choices":[{"index":0,"delta":{"content":"<EMAIL_ADDRESS> "},"logprobs":null}]}\n\n');
    const name = 'chat-logprobs';
    if (!recordingNames().includes(name)) return;
    const native = '{"message":{"content":"a@b.cd "},"logprobs":[{"token":"a@b.cd"}],"done":false}\n';
    expect((await guard('ollamaChat', masking(email), [bytesOf(native)])).text).toContain('"logprobs":[]');
  });

  test('members that nobody knows are guarded too', async () => {
    const stream = [delta({ extra: { deep: ['a@b.cd', 'x'] }, role: 'a@b.cd' })];
    const run = await guard('chat', masking(email), stream.map(bytesOf));
    expect(JSON.parse(eventsOf('chat', run.text)[0]?.data ?? '').choices[0].delta).toEqual({
      extra: { deep: ['<EMAIL_ADDRESS>', 'x'] },
      role: 'a@b.cd',
    });
  });

  test('more texts at once than there can be end the stream', async () => {
    const stream = Array.from({ length: 1_025 }, (_, index) => delta({ content: 'x' }, index)).join('');
    const run = await guard('chat', masking(email), [bytesOf(stream)]);
    expect(run.ends.map((end) => end?.code)).toEqual(['guard_failed']);
    expect(run.text).toContain('"code":"guard_failed"');
  });

  test('an event without end ends the stream', async () => {
    const chunk = bytesOf('x'.repeat(1_000_000));
    const run = await guard('chat', masking(email), [bytesOf('data: {"a":"'), chunk, chunk, chunk, chunk, chunk]);
    expect(run.ends.map((end) => end?.code)).toEqual(['answer_too_large']);
  });

  test('the error of a box passes, behind what was held', async () => {
    const stream = [delta({ content: 'so' }), 'data: {"error":{"message":"crash"}}\n\n'];
    const run = await guard('chat', masking(email), stream.map(bytesOf));
    expect(textIn('chat', run.text)).toBe('so');
    expect(run.text.endsWith('data: {"error":{"message":"crash"}}\n\n')).toBe(true);
  });
});

describe('the SDKs read what comes out', () => {
  const pieces = ['Write to ja', 'ne@exam', 'ple.org or', ' to nobody', ' at a'];
  const expected = 'Write to <EMAIL_ADDRESS> or to nobody at a';
  const guarded = async (dialect: Dialect) => {
    const recorded = recordedStreams.find((one) => one.dialect === dialect) as Recorded;
    const run = await guard(dialect, masking([builtinRule('email')]), [bytesOf(planted(recorded, pieces))]);
    const type = dialect.startsWith('ollama') ? 'application/x-ndjson' : 'text/event-stream';
    return () => Promise.resolve(new Response(run.text, { headers: { 'content-type': type } }));
  };
  const openai = async (dialect: Dialect) =>
    new OpenAI({ apiKey: 'k', baseURL: 'http://corral.test/v1', maxRetries: 0, fetch: await guarded(dialect) });
  const messages = [{ role: 'user' as const, content: 'hi' }];

  test('openai: chat, completions, responses', async () => {
    const chat = (await openai('chat')).chat.completions.stream({ model: 'm', messages });
    expect((await chat.finalChatCompletion()).choices[0]?.message.content).toBe(expected);
    let text = '';
    for await (const chunk of await (await openai('completions')).completions.create({ model: 'm', prompt: 'x', stream: true })) {
      text += chunk.choices[0]?.text ?? '';
    }
    expect(text).toBe(expected);
    const responses = (await openai('responses')).responses.stream({ model: 'm', input: 'hi' });
    expect((await responses.finalResponse()).output_text).toBe(expected);
  });

  test('anthropic', async () => {
    const client = new Anthropic({ apiKey: 'k', baseURL: 'http://corral.test', maxRetries: 0, fetch: await guarded('messages') });
    const message = await client.messages.stream({ model: 'm', max_tokens: 9, messages }).finalMessage();
    expect(message.content).toMatchObject([{ type: 'text', text: expected }]);
  });

  test('ollama: chat and generate', async () => {
    let text = '';
    const chat = new Ollama({ host: 'http://corral.test', fetch: await guarded('ollamaChat') });
    for await (const part of await chat.chat({ model: 'm', messages, stream: true })) text += part.message.content;
    expect(text).toBe(expected);
    text = '';
    const generate = new Ollama({ host: 'http://corral.test', fetch: await guarded('ollamaGenerate') });
    for await (const part of await generate.generate({ model: 'm', prompt: 'x', stream: true })) text += part.response;
    expect(text).toBe(expected);
  });
});
