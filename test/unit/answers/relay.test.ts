import { describe, expect, test } from 'vitest';
import { runner } from './fake-herd.ts';
import { type Answer, textBeforeCut } from './stage.ts';
import { boxes, chat, json, stageOf } from './words.ts';

describe('warnings', () => {
  test('of what Ollama drops: in the header and in the log', async () => {
    const stage = stageOf(boxes(['a']), { a: json({}) });
    const { headers } = await stage.read('/v1/chat/completions', chat('m', { n: 2 }));
    expect(headers.get('x-corral-warning')).toBe('n is not read by Ollama: there is one choice');
    expect(stage.told[0]?.exchange.warnings).toEqual(['n is not read by Ollama: there is one choice']);
  });

  test('of a model that runs on the CPU; names that no header can hold do no harm', async () => {
    const stage = stageOf(boxes(['{ ai: { name: "Büro 🦙\\nx: y", hostOverride: "a:1", provider: { openAI: {} } } }']), {
      a: json({}),
    });
    stage.herd.know('Büro 🦙\nx: y', { running: [runner('m', 500)] });
    const { status, headers } = await stage.read('/v1/chat/completions', chat('m'));
    expect(status).toBe(200);
    expect(headers.get('x-corral-warning')).toBe('slow: m runs 50% on the CPU of B?ro ??x: y; a smaller model would be faster');
    expect(stage.told[0]?.exchange.warnings[0]).toContain('Büro 🦙');
  });

  test.each([
    ['slow: m runs 50% on the CPU of den; a smaller model would be faster', undefined],
    ['seed is not read, slow: m runs 50% on the CPU of den; a smaller model would be faster', undefined],
    ['truncated: of a prompt that began with slow: well', 'slow: m runs 50% on the CPU of a; a smaller model would be faster'],
  ])('of slowness are said once where a relay stands before the box: %s', async (said, added) => {
    const answer = json({});
    const stage = stageOf(boxes(['a']), { a: { ...answer, headers: { ...answer.headers, 'x-corral-warning': said } } });
    stage.herd.know('a', { running: [runner('m', 500)] });
    const { headers } = await stage.read('/v1/chat/completions', chat('m'));
    expect(headers.get('x-corral-warning')).toBe(added === undefined ? said : `${said}, ${added}`);
    expect(stage.told[0]?.exchange.warnings).toEqual(added === undefined ? [] : [added]);
  });

  test('a model in GPU memory is not slow', async () => {
    const stage = stageOf(boxes(['a']), { a: json({}) });
    stage.herd.know('a', { running: [runner('m', 1000)] });
    expect((await stage.read('/v1/chat/completions', chat('m'))).headers.has('x-corral-warning')).toBe(false);
  });
});

describe('streams', () => {
  const event = (text: string) => `data: {"model":"m","choices":[{"delta":{"content":"${text}"}}]}\n\n`;
  const usage = 'data: {"model":"m","choices":[],"usage":{"prompt_tokens":7,"completion_tokens":2}}\n\n';
  const done = 'data: [DONE]\n\n';
  const sse = (body: readonly string[], ends: Answer['ends'] = 'clean'): Answer => ({
    headers: { 'content-type': 'text/event-stream' },
    body,
    ends,
  });
  const asked = chat('m', { stream: true });

  test('usage is asked for, learned, and taken out again', async () => {
    const stage = stageOf(boxes(['a']), { a: sse([event('x'), event('y'), usage, done]) });
    const { text } = await stage.read('/v1/chat/completions', asked);
    expect(text).toBe(event('x') + event('y') + done);
    expect(JSON.parse(stage.sent[0]?.text ?? '').stream_options).toEqual({ include_usage: true });
    expect(stage.told[0]?.exchange).toMatchObject({
      outcome: 'completed',
      usage: { inputTokens: 7, outputTokens: 2, estimated: false },
      responseModel: 'm',
    });
  });

  test('a client that asked for it gets it', async () => {
    const stage = stageOf(boxes(['a']), { a: sse([event('x'), usage, done]) });
    const { text } = await stage.read(
      '/v1/chat/completions',
      chat('m', { stream: true, stream_options: { include_usage: true } }),
    );
    expect(text).toBe(event('x') + usage + done);
  });

  test('without it the events are counted', async () => {
    const stage = stageOf(boxes(['a']), { a: sse([event('x'), event('y'), event('z'), done]) });
    await stage.read('/v1/chat/completions', asked);
    expect(stage.told[0]?.exchange.usage).toEqual({ inputTokens: 0, outputTokens: 3, estimated: true });
  });

  test.each([
    [
      'a box',
      '{ ai: { name: den, hostOverride: "a:1", provider: { openAI: {} } } }',
      'The box ended its answer before it was whole; its log tells why.',
      'The connection to the box broke off in the middle of its answer.',
    ],
    [
      'another server',
      '{ ai: { name: openrouter, hostOverride: "a:1", provider: { openAI: {} } }, policies: { backendAuth: { key: k } } }',
      'openrouter ended its answer before it was whole.',
      'The connection to openrouter broke off in the middle of its answer.',
    ],
  ])('a cut answer of %s says whose it was, to the client and in the log', async (_who, backend, stopped, brokenOff) => {
    for (const [ends, message] of [
      ['clean', stopped],
      ['broken', brokenOff],
    ] as const) {
      for (const streams of [true, false]) {
        const answer: Answer = streams
          ? sse(['data: {"choices":[{"delta":{"content":"a"}}]}\n\n'], ends)
          : { ...json({}), body: '{"choices":[', ends };
        const stage = stageOf(boxes([backend]), { a: answer });
        const { text } = await textBeforeCut(await stage.ask('/v1/chat/completions', chat('m', { stream: streams })));
        if (streams) expect(text).toContain(`"message":"${message}"`);
        expect(stage.told.map(({ exchange }) => exchange.error?.message)).toEqual([message]);
      }
    }
  });

  test.each(['clean', 'broken'] as const)(
    'one that stops short (%s) ends with an error and without the end’s mark',
    async (ends) => {
      const stage = stageOf(boxes(['a']), { a: sse([event('x')], ends) });
      const { text, isCut } = await textBeforeCut(await stage.ask('/v1/chat/completions', asked));
      expect(text.startsWith(event('x'))).toBe(true);
      expect(text).toContain('"code":"broken_stream"');
      expect(text).not.toContain('[DONE]');
      expect(isCut || text.endsWith('\n\n')).toBe(true);
      expect(stage.told.map(({ exchange }) => [exchange.outcome, exchange.error?.code])).toEqual([['broken', 'broken_stream']]);
    },
  );

  test('a client that leaves ends the generation', async () => {
    const stage = stageOf(boxes(['a']), { a: sse([event('x')], 'silent') });
    const response = await stage.ask('/v1/chat/completions', asked);
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    await reader.read();
    expect(stage.herd.inFlight(stage.plan.upstreams[0] as never)).toBe(1);
    await reader.cancel();
    expect(stage.sent[0]?.isAborted).toBe(true);
    expect(stage.told.map(({ exchange }) => exchange.outcome)).toEqual(['abandoned']);
    expect(stage.herd.inFlight(stage.plan.upstreams[0] as never)).toBe(0);
  });

  test('silence: a box that answers its probe is waited for, a dead one is not', async () => {
    const stage = stageOf(boxes(['a']), { a: sse([event('x')], 'silent') });
    const response = await stage.ask('/v1/chat/completions', asked);
    const ending = textBeforeCut(response);
    await stage.clock.advance(120_000);
    expect(stage.told).toEqual([]);
    expect(stage.herd.probed.length).toBeGreaterThan(2);
    stage.herd.know('a', { answersProbe: false });
    await stage.clock.advance(32_000);
    expect((await ending).text).toContain('broken_stream');
    expect(stage.told.map(({ exchange }) => exchange.outcome)).toEqual(['broken']);
    expect(stage.clock.pending).toBe(0);
  });
});

test('HEAD of a probe: headers alone, and that is a whole answer', async () => {
  const stage = stageOf(boxes(['a']), {
    a: { headers: { 'content-type': 'application/json', 'content-length': '20' }, body: '' },
  });
  const { status, text } = await stage.read('/api/version', { method: 'HEAD' });
  expect([status, text]).toEqual([200, '']);
  expect(stage.told.map(({ exchange }) => exchange.outcome)).toEqual(['completed']);
});
