/** Streams in any chunking, at their limits, and from servers with habits of their own. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { GatewayError } from '../../../../src/errors.ts';
import type { Translation } from '../../../../src/exchange.ts';
import { parseSse, type SseEvent } from '../../../support/sse.ts';
import {
  callOf,
  chatOverMessages,
  chatStream,
  type Json,
  messagesOverChat,
  recordedText,
  responsesOverChat,
  streamed,
} from './translating.ts';

const asked = new Map<Translation, object>([
  [messagesOverChat, { model: 'm', max_tokens: 9, messages: [], stream: true }],
  [responsesOverChat, { model: 'm', input: [], stream: true, tools: [{ type: 'function', name: 'f', parameters: {} }] }],
  [chatOverMessages, { model: 'm', messages: [], stream: true, stream_options: { include_usage: true } }],
]);
const names = new Map([
  [messagesOverChat, 'messages over chat'],
  [responsesOverChat, 'responses over chat'],
  [chatOverMessages, 'chat over messages'],
]);

const recordings: readonly (readonly [string, Translation])[] = [
  ...['v1-chat-stream-usage', 'tools-v1-stream', 'toolparrot-v1-stream', 'thinking-v1-stream', 'crash-v1-chat-stream'].flatMap(
    (name) => [[name, messagesOverChat] as const, [name, responsesOverChat] as const],
  ),
  ...['anthropic-messages-stream', 'toolparrot-anthropic-stream', 'thinking-anthropic-stream', 'crash-anthropic-stream'].map(
    (name) => [name, chatOverMessages] as const,
  ),
];

const run = (translation: Translation, sse: string, cuts: readonly number[] = []) =>
  streamed(translation, asked.get(translation) ?? {}, sse, cuts);

/** What a stream gave before it threw, with the last words. */
function untilFault(translation: Translation, sse: string, cuts: readonly number[] = []): { text: string; error: GatewayError } {
  const stream = translation.rewriteFor(callOf(translation, asked.get(translation) ?? {})).stream();
  const bytes = new TextEncoder().encode(sse);
  const places = [0, ...cuts, bytes.length];
  let text = '';
  try {
    for (let at = 1; at < places.length; at++)
      text += new TextDecoder().decode(stream?.push(bytes.subarray(places[at - 1], places[at])) as Uint8Array);
    text += new TextDecoder().decode(stream?.end() as Uint8Array);
  } catch (thrown) {
    if (thrown instanceof GatewayError) return { text: text + (thrown.verbatim?.text ?? ''), error: thrown };
    throw thrown;
  }
  throw new Error('nothing was thrown');
}

/** Moments and random ids differ from one run to the next. */
const steady = (text: string) => text.replace(/"(created|created_at|completed_at)":\d+/g, '"$1":0');

describe('any chunking gives the same events', () => {
  it.each(
    recordings
      .filter(([name]) => !name.startsWith('crash'))
      .map(([name, translation]) => [name, names.get(translation), translation] as const),
  )('%s, %s: cut before every byte', (name, _label, translation) => {
    const sse = recordedText(name);
    const whole = steady(run(translation, sse));
    const byteByByte = Array.from({ length: sse.length * 2 }, (_, index) => index);
    expect(steady(run(translation, sse, byteByByte))).toBe(whole);
    for (let cut = 1; cut < Math.min(sse.length, 600); cut += 7) expect(steady(run(translation, sse, [cut]))).toBe(whole);
    expect(parseSse(whole).length).toBeGreaterThan(3);
  });

  it.each(
    recordings
      .filter(([name]) => name.startsWith('crash'))
      .map(([name, translation]) => [name, names.get(translation), translation] as const),
  )('%s, %s: a stream without its end ends in an error', (name, _label, translation) => {
    const sse = recordedText(name);
    const { text, error } = untilFault(translation, sse);
    expect(error).toMatchObject({ code: 'unreadable_answer', message: 'the upstream ended its answer before it was whole' });
    const last = parseSse(text).at(-1) as SseEvent;
    expect(last.data).toContain('the upstream ended its answer before it was whole');
    expect(steady(untilFault(translation, sse, [17, 400]).text)).toBe(steady(text));
  });

  it('letters of several bytes are never torn', () => {
    const sse = chatStream([{ content: 'grüße 👋🏽 漢字' }, { reasoning: '…✓' }]);
    fc.assert(
      fc.property(fc.array(fc.nat(), { maxLength: 20 }), (cuts) => {
        expect(run(messagesOverChat, sse, cuts)).toBe(run(messagesOverChat, sse));
      }),
      { numRuns: 60 },
    );
    expect(run(messagesOverChat, sse)).toContain('grüße 👋🏽 漢字');
  });
});

describe('any completion can be told in both protocols', () => {
  const piece = fc.oneof(
    fc.record({ content: fc.string() }),
    fc.record({ reasoning: fc.string() }),
    fc.record({ refusal: fc.string() }),
    fc.record({ content: fc.constant(null), reasoning_content: fc.string() }),
  );
  /** Calls whose arguments are cut into pieces, and mixed with one another and with words. */
  const calls = fc.array(fc.tuple(fc.string({ minLength: 1 }), fc.jsonValue({ maxDepth: 2 })), { maxLength: 4 });

  it('words and arguments arrive whole, in order, one part at a time', () => {
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), calls, fc.infiniteStream(fc.nat({ max: 7 })), (words, made, chance) => {
        const next = () => chance.next().value as number;
        const queues = made.map(([name, value], index) => {
          const text = JSON.stringify({ value });
          const head = { tool_calls: [{ index, id: `call_${index}`, type: 'function', function: { name, arguments: '' } }] };
          const rest = text.match(/[\s\S]{1,5}/g) ?? [];
          return [head, ...rest.map((one) => ({ tool_calls: [{ index, function: { arguments: one } }] }))] as object[];
        });
        const deltas: object[] = [...words];
        // Servers begin calls in order, however they go on.
        for (const queue of queues) deltas.push(queue.shift() as object);
        for (
          let left = queues.filter(({ length }) => length > 0);
          left.length > 0;
          left = left.filter(({ length }) => length > 0)
        )
          deltas.push(left[next() % left.length]?.shift() as object);
        const sse = chatStream(deltas, { finish: 'tool_calls' });

        const blocks: { type: string; text: string }[] = [];
        let open = -1;
        for (const { json } of parseSse(run(messagesOverChat, sse)) as { json: Json }[]) {
          if (json.type === 'content_block_start') {
            expect([open, json.index]).toEqual([-1, blocks.length]);
            open = json.index;
            blocks.push({ type: json.content_block.type, text: '' });
          } else if (json.type === 'content_block_delta') {
            expect(json.index).toBe(open);
            const { text = '', thinking = '', partial_json = '' } = json.delta;
            (blocks[open] as { text: string }).text += text + thinking + partial_json;
          } else if (json.type === 'content_block_stop') {
            expect(json.index).toBe(open);
            open = -1;
          }
        }
        const said = (type: string) => blocks.filter((block) => block.type === type).map(({ text }) => text);
        const all = (...members: string[]) =>
          words.map((word) => members.map((member) => (word as Json)[member] ?? '').join('')).join('');
        expect(said('thinking').join('')).toBe(all('reasoning', 'reasoning_content'));
        expect(said('text').join('')).toBe(all('content', 'refusal'));
        expect(said('tool_use')).toEqual(made.map(([, value]) => JSON.stringify({ value })));

        const final = (parseSse(run(responsesOverChat, sse)).at(-1) as { json: Json }).json.response;
        expect(final.output.filter(({ type }: Json) => type === 'function_call').map((call: Json) => call.arguments)).toEqual(
          said('tool_use'),
        );
        const content = final.output.flatMap(({ content: parts = [] }: Json) => parts);
        expect(content.map((part: Json) => part.text ?? part.refusal).join('')).toBe(all('content', 'refusal'));
      }),
      { numRuns: 150 },
    );
  });
});

const eventsOf = (translation: Translation, sse: string) => parseSse(run(translation, sse)).map(({ json }) => json) as Json[];
const reasonOf = (sse: string) => eventsOf(messagesOverChat, sse).find(({ type }) => type === 'message_delta').delta;

describe('habits of servers', () => {
  it.each([
    ['stop', 'end_turn'],
    ['length', 'max_tokens'],
    ['content_filter', 'refusal'],
    ['eos', 'end_turn'],
    [null, 'end_turn'],
  ])('finish_reason %s is %s', (finish, reason) => {
    expect(reasonOf(chatStream([{ content: 'a' }], { finish }))).toEqual({ stop_reason: reason, stop_sequence: null });
  });

  it('calls of tools are calls even where the server says stop', () => {
    const call = { tool_calls: [{ index: 0, id: 'a', function: { name: 'f', arguments: '{}' } }] };
    expect(reasonOf(chatStream([call]))).toMatchObject({ stop_reason: 'tool_use' });
    expect(reasonOf(chatStream([call], { finish: 'length' }))).toMatchObject({ stop_reason: 'max_tokens' });
  });

  it('the sequence that ended the answer, where the server tells', () => {
    const frame = {
      id: 'x',
      model: 'm',
      choices: [{ index: 0, delta: { content: 'a' }, finish_reason: 'stop', stop_reason: 'END' }],
    };
    expect(reasonOf(`data: ${JSON.stringify(frame)}\n\ndata: [DONE]\n\n`)).toEqual({
      stop_reason: 'stop_sequence',
      stop_sequence: 'END',
    });
  });

  it('usage in the last chunk, in all of them, or never', () => {
    const usage = { prompt_tokens: 7, completion_tokens: 3 };
    const last = (sse: string) => eventsOf(messagesOverChat, sse).find(({ type }) => type === 'message_delta').usage;
    expect(last(chatStream([{ content: 'a' }], { usage }))).toMatchObject({ input_tokens: 7, output_tokens: 3 });
    const inAll = `data: ${JSON.stringify({ choices: [{ delta: { content: 'a' } }], usage: { prompt_tokens: 7, completion_tokens: 1 } })}\n\ndata: ${JSON.stringify({ choices: [{ delta: {}, finish_reason: 'stop' }], usage })}\n\ndata: [DONE]\n\n`;
    expect(last(inAll)).toMatchObject({ input_tokens: 7, output_tokens: 3 });
    expect(last(chatStream([{ content: 'a' }]))).toMatchObject({ input_tokens: 0, output_tokens: 0 });
  });

  it('calls without numbers, with one number for all, with whole arguments as an object', () => {
    const inputsOf = (...deltas: object[]) =>
      eventsOf(messagesOverChat, chatStream(deltas))
        .filter(({ type }) => type === 'content_block_delta')
        .map(({ delta }) => delta.partial_json);
    const call = (id: string, args: unknown, index?: number) => ({
      ...(index === undefined ? {} : { index }),
      id,
      function: { name: 'f', arguments: args },
    });
    expect(inputsOf({ tool_calls: [call('a', '{"n":1}'), call('b', '{"n":2}')] })).toEqual(['{"n":1}', '{"n":2}']);
    expect(inputsOf({ tool_calls: [call('a', '{"n":1}', 0)] }, { tool_calls: [call('b', '{"n":2}', 0)] })).toEqual([
      '{"n":1}',
      '{"n":2}',
    ]);
    expect(inputsOf({ tool_calls: [call('a', { n: 1 })] })).toEqual(['{"n":1}']);
    expect(inputsOf({ tool_calls: [call('a', '{"n"', 0)] }, { tool_calls: [{ function: { arguments: ':1}' } }] })).toEqual([
      '{"n"',
      ':1}',
    ]);
  });

  it('a call without Json arguments has an empty object; its followers wait for the end', () => {
    const call = (index: number, args: string) => ({
      tool_calls: [{ index, id: `c${index}`, function: { name: 'f', arguments: args } }],
    });
    const response = eventsOf(responsesOverChat, chatStream([call(0, ''), call(1, '{"n":1}')])).at(-1).response;
    expect(response.output.map((item: Json) => item.arguments)).toEqual(['{}', '{"n":1}']);
  });

  it('content in parts, as Mistral sends it', () => {
    const content = [
      { type: 'thinking', thinking: [{ type: 'text', text: 'hm' }] },
      { type: 'text', text: 'yes' },
    ];
    const blocks = eventsOf(messagesOverChat, chatStream([{ content }])).filter(({ type }) => type === 'content_block_delta');
    expect(blocks.map(({ delta }) => delta.thinking ?? delta.text ?? delta.signature)).toEqual([
      'hm',
      'corral:reasoning_content',
      'yes',
    ]);
  });

  it('comments and pings keep the client waiting, too', () => {
    const [first, ...rest] = chatStream([{ content: 'a' }]).split('\n\n');
    const sse = [': PROCESSING', first, ': PROCESSING', ...rest].join('\n\n');
    const text = run(messagesOverChat, sse);
    expect(text.startsWith(': alive\nevent: message_start\n')).toBe(true);
    expect(parseSse(text).filter(({ event }) => event === 'ping')).toHaveLength(2);
    expect(run(responsesOverChat, sse).match(/^: alive$/gm)).toHaveLength(2);
    expect(
      run(chatOverMessages, 'event: ping\ndata: {"type":"ping"}\n\n'.repeat(2) + recordedText('anthropic-messages-stream')).match(
        /^: alive$/gm,
      ),
    ).toHaveLength(2);
  });

  it('a last event that lacks its line end counts', () => {
    const sse = chatStream([{ content: 'a' }]);
    expect(run(messagesOverChat, sse.slice(0, -2))).toBe(run(messagesOverChat, sse));
    expect(run(messagesOverChat, sse.replaceAll('\n', '\r\n'))).toBe(run(messagesOverChat, sse));
  });

  it("Anthropic's input in one piece, where no deltas bring it, digit by digit", () => {
    const events = [
      { type: 'message_start', message: { id: 'msg_1', model: 'm', usage: { input_tokens: 3, cache_read_input_tokens: 2 } } },
      '{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t","name":"f","input":{"id":12345678901234567890}}}',
      { type: 'content_block_stop', index: 0 },
      { type: 'message_delta', delta: { stop_reason: 'tool_use' }, usage: { output_tokens: 4 } },
      { type: 'message_stop' },
    ].map((event) => `data: ${typeof event === 'string' ? event : JSON.stringify(event)}\n\n`);
    const chunks = parseSse(run(chatOverMessages, events.join(''))).map(({ json }) => json as Json);
    expect(chunks[2].choices[0].delta.tool_calls).toEqual([{ index: 0, function: { arguments: '{"id":12345678901234567890}' } }]);
    expect(chunks[3].choices[0].finish_reason).toBe('tool_calls');
    expect(chunks[4].usage).toEqual({
      prompt_tokens: 5,
      completion_tokens: 4,
      total_tokens: 9,
      prompt_tokens_details: { cached_tokens: 2 },
    });
  });

  it("Anthropic's thinking comes with its signature, so that it can be given back", () => {
    const deltas = [
      { type: 'thinking_delta', thinking: 'hm' },
      { type: 'signature_delta', signature: 'EqQB' },
    ];
    const events = [
      { type: 'message_start', message: { id: 'msg_1', model: 'm' } },
      { type: 'content_block_start', index: 0, content_block: { type: 'thinking', thinking: '' } },
      ...deltas.map((delta) => ({ type: 'content_block_delta', index: 0, delta })),
      { type: 'content_block_stop', index: 0 },
      { type: 'message_delta', delta: { stop_reason: 'end_turn' } },
      { type: 'message_stop' },
    ];
    const sse = events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join('');
    const said = parseSse(run(chatOverMessages, sse)).flatMap(({ json }) => (json as Json)?.choices?.[0]?.delta ?? []);
    expect(said).toEqual([{ role: 'assistant', content: '' }, { reasoning_content: 'hm' }, { reasoning_signature: 'EqQB' }, {}]);
  });
});

describe('errors in the stream', () => {
  const error = (body: object) => `data: ${JSON.stringify({ error: body })}\n\n`;

  it.each([
    [{ message: 'slow', type: 'rate_limit_exceeded' }, 'rate_limit_error'],
    [{ message: 'slow', code: 429 }, 'rate_limit_error'],
    [{ message: 'full', type: 'overloaded_error' }, 'overloaded_error'],
    [{ message: 'long', code: 'context_length_exceeded' }, 'invalid_request_error'],
    [{ message: 'odd' }, 'api_error'],
  ])('%j is of type %s', (body, type) => {
    const events = parseSse(run(messagesOverChat, chatStream([{ content: 'a' }]).replace('data: [DONE]\n\n', '') + error(body)));
    expect(events.at(-1)).toMatchObject({ event: 'error', json: { type: 'error', error: { type, message: body.message } } });
  });

  it("vLLM's shape of an error", () => {
    const sse = `data: ${JSON.stringify({ object: 'error', message: 'long', type: 'BadRequestError', code: 400 })}\n\n`;
    expect(parseSse(run(messagesOverChat, sse))[0]?.json).toEqual({
      type: 'error',
      error: { type: 'invalid_request_error', message: 'long', details: { error_code: '400' } },
    });
  });

  it('nothing follows an error', () => {
    const sse = error({ message: 'x' }) + chatStream([{ content: 'a' }]);
    expect(parseSse(run(messagesOverChat, sse))).toHaveLength(1);
    expect(parseSse(run(responsesOverChat, sse)).map(({ event }) => event)).toEqual(['response.failed']);
  });

  it('what cannot be read ends the stream, with the reason', () => {
    const { text, error: thrown } = untilFault(
      messagesOverChat,
      `${chatStream([{ content: 'a' }]).split('data: [DONE]')[0]}data: {half\n\n`,
    );
    expect([thrown.code, thrown.message]).toEqual(['unreadable_answer', 'the upstream sent an event that cannot be read']);
    expect(parseSse(text).at(-1)).toMatchObject({ event: 'error' });
    expect(untilFault(chatOverMessages, 'data: {half\n\n').error.code).toBe('unreadable_answer');
  });
});

describe('limits', () => {
  it('an event of more than 4 MiB cannot be read', () => {
    const sse = chatStream([{ content: 'x'.repeat(4_194_304) }]);
    expect(untilFault(messagesOverChat, sse, [1000]).error.message).toBe('the upstream sent an event that cannot be read');
  });

  it('256 calls of tools, and not one more', () => {
    const many = (count: number) =>
      chatStream(
        Array.from({ length: count }, (_, index) => ({
          tool_calls: [{ index, id: `c${index}`, function: { name: 'f', arguments: '{}' } }],
        })),
      );
    expect(eventsOf(messagesOverChat, many(256)).filter(({ type }) => type === 'content_block_start')).toHaveLength(256);
    expect(untilFault(messagesOverChat, many(257)).error.message).toBe('the answer is too long to be translated');
  });

  it('8 MiB of calls that wait for an earlier one, and not more', () => {
    const waiting = (length: number) =>
      chatStream([
        { tool_calls: [{ index: 0, id: 'a', function: { name: 'f', arguments: '{' } }] },
        ...Array.from({ length }, (_, index) => ({
          tool_calls: [
            { index: 1, ...(index === 0 ? { id: 'b' } : {}), function: { name: 'f', arguments: 'x'.repeat(1_048_576) } },
          ],
        })),
      ]);
    expect(eventsOf(messagesOverChat, waiting(8)).at(-1).type).toBe('message_stop');
    expect(untilFault(messagesOverChat, waiting(9)).error.message).toBe('the answer is too long to be translated');
  });

  it('Responses repeat all at the end: 32 MiB, and not more', () => {
    const long = (count: number) => chatStream(Array.from({ length: count }, () => ({ content: 'x'.repeat(1_048_576) })));
    expect(untilFault(responsesOverChat, long(33)).error.message).toBe('the answer is too long to be translated');
  });
});
