import { describe, expect, test } from 'vitest';
import { runner } from './fake-herd.ts';
import type { Answer, Sent, Stage, StageOptions } from './stage.ts';
import { createStage } from './stage.ts';
import { boxes, byHost, json } from './words.ts';

/** So many words, of five bytes each. */
const words = (count: number) => 'word '.repeat(count);
const event = (body: object) => `data: ${JSON.stringify(body)}\n\n`;

const runnerWith = (contextLength: number) => ({ ...runner('m:latest'), contextLength });

const good = json({ choices: [], usage: { prompt_tokens: 10, completion_tokens: 1 } });

function stageWith(
  contexts: Readonly<Record<string, number | undefined>>,
  truncation = '{}',
  script: StageOptions['script'] = byHost(Object.fromEntries(Object.keys(contexts).map((name) => [name, good]))),
): Stage {
  const stage = createStage(boxes(Object.keys(contexts), { more: `fleet: { truncation: ${truncation} }` }), { script });
  for (const [name, context] of Object.entries(contexts))
    stage.herd.know(name, context === undefined ? {} : { running: [runnerWith(context)] });
  return stage;
}

const chatOf = (count: number, more: object = {}) => ({
  body: { model: 'm', messages: [{ role: 'user', content: words(count) }], ...more },
});

describe('T6: a prompt that cannot fit is refused in the words that agents act on', () => {
  test('chat completions', async () => {
    const stage = stageWith({ a: 4_096 });
    const { status, text } = await stage.read('/v1/chat/completions', chatOf(8_000));
    expect(status).toBe(400);
    expect(JSON.parse(text)).toEqual({
      error: {
        message:
          "This model's maximum context length is 4096 tokens. However, your messages resulted in 10004 tokens. " +
          'Please reduce the length of the messages, or give the model more context (num_ctx, OLLAMA_CONTEXT_LENGTH).',
        type: 'invalid_request_error',
        param: 'messages',
        code: 'context_length_exceeded',
      },
    });
    expect(stage.sent).toEqual([]);
    expect(stage.told[0]?.exchange).toMatchObject({ outcome: 'refused', error: { code: 'context_exceeded' } });
  });

  test('a model that was made for no more is not to be given more', async () => {
    const stage = stageWith({ a: 4_096 });
    stage.herd.know('a', { model: { capabilities: ['completion'], contextLength: 8_192 } });
    const { text } = await stage.read('/v1/chat/completions', chatOf(8_200));
    expect(JSON.parse(text).error.message).toMatch(
      /resulted in \d+ tokens\. Please reduce the length of the messages: the model was made for 8192 tokens at most\.$/,
    );
  });

  test('messages', async () => {
    const stage = stageWith({ a: 4_096 });
    const { status, text } = await stage.read('/v1/messages', chatOf(8_000, { max_tokens: 10 }));
    expect([status, JSON.parse(text)]).toEqual([
      400,
      expect.objectContaining({
        type: 'error',
        error: expect.objectContaining({
          type: 'invalid_request_error',
          message: 'prompt is too long: 10004 tokens > 4096 maximum',
        }),
      }),
    ]);
  });

  test('responses', async () => {
    const stage = stageWith({ a: 4_096 });
    const { status, text } = await stage.read('/v1/responses', { body: { model: 'm', input: words(8_000), stream: true } });
    expect([status, JSON.parse(text).error]).toEqual([
      400,
      expect.objectContaining({ code: 'context_length_exceeded', param: 'input', type: 'invalid_request_error' }),
    ]);
  });

  test('completions', async () => {
    const stage = stageWith({ a: 4_096 });
    const { status, text } = await stage.read('/v1/completions', { body: { model: 'm', prompt: words(8_000) } });
    expect([status, JSON.parse(text).error]).toEqual([
      400,
      expect.objectContaining({ code: 'context_length_exceeded', param: 'prompt' }),
    ]);
  });
});

describe('goes on to the box', () => {
  const statusOf = async (stage: Stage, count: number, more: object = {}, path = '/v1/chat/completions') =>
    (await stage.read(path, chatOf(count, more))).status;

  test.each([
    ['a prompt that just fits', 4_096, 4_096],
    ['a long prompt in a long context', 32_768, 32_768],
    ['a context that is not known', undefined, 20_000],
  ] as const)('%s', async (_, context, count) => {
    expect(await statusOf(stageWith({ a: context }), count)).toBe(200);
  });

  test('one word more does not', async () => {
    expect(await statusOf(stageWith({ a: 4_096 }), 4_097)).toBe(400);
  });

  test('a context that the call asks for', async () => {
    expect(await statusOf(stageWith({ a: 4_096 }), 8_000, { options: { num_ctx: 16_384 } })).toBe(200);
    expect(await statusOf(stageWith({ a: undefined }), 8_000, { options: { num_ctx: 4_096 } })).toBe(400);
  });

  test('images are not counted by their bytes', async () => {
    const stage = stageWith({ a: 2_048 });
    const url = `data:image/png;base64,${'QUJD '.repeat(20_000)}`;
    const { status } = await stage.read('/v1/chat/completions', {
      body: { model: 'm', messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url } }] }] },
    });
    expect(status).toBe(200);
  });

  test('Ollama’s own paths, unless always', async () => {
    expect(await statusOf(stageWith({ a: 4_096 }), 8_000, {}, '/api/chat')).toBe(200);
    const stage = stageWith({ a: 4_096 }, '{ refuse: always }');
    expect(await statusOf(stage, 8_000, {}, '/api/chat')).toBe(200);
    expect(await statusOf(stage, 8_000, { truncate: true }, '/api/chat')).toBe(200);
    expect(stage.sent.map(({ text }) => JSON.parse(text ?? '').truncate)).toEqual([false, true]);
  });

  test('with refuse: never', async () => {
    const stage = stageWith({ a: 4_096 }, '{ refuse: never }');
    expect(await statusOf(stage, 8_000)).toBe(200);
    expect(stage.sent[0]?.text).not.toContain('truncate');
  });
});

describe('several boxes', () => {
  const askedOf = ({ sent }: Stage) => sent.map(({ url }) => new URL(url).hostname).join(' ');

  test('the ones whose context is too small are passed over', async () => {
    const stage = stageWith({ a: 4_096, b: 32_768 });
    expect([(await stage.read('/v1/chat/completions', chatOf(8_000))).status, askedOf(stage)]).toEqual([200, 'b']);
  });

  test('all too small', async () => {
    const stage = stageWith({ a: 4_096, b: 2_048 });
    expect([(await stage.read('/v1/chat/completions', chatOf(8_000))).status, askedOf(stage)]).toEqual([400, '']);
  });

  test('a load tells how large the context is: the slot is given back', async () => {
    const stage = stageWith({ a: undefined });
    stage.herd.know('a', { loadMs: 3_000 });
    const { admit } = stage.herd;
    stage.herd.admit = (upstream) => {
      stage.herd.know('a', { running: [runnerWith(4_096)] });
      return admit(upstream);
    };
    const { status } = await stage.read('/v1/chat/completions', chatOf(8_000));
    expect([status, askedOf(stage), stage.herd.facts.get('a')?.inFlight]).toEqual([400, '', 0]);
  });
});

describe('a box that refuses by its own count', () => {
  const inner = JSON.stringify({
    error: {
      code: 400,
      message: 'request (6010 tokens) exceeds …',
      type: 'exceed_context_size_error',
      n_prompt_tokens: 6010,
      n_ctx: 2048,
    },
  });
  const refusing: StageOptions['script'] = () => json({ error: inner }, 400);

  test.each([
    [
      '/v1/chat/completions',
      { messages: [] },
      "This model's maximum context length is 2048 tokens. However, your messages resulted in 6010 tokens.",
    ],
    ['/v1/messages', { messages: [], max_tokens: 1 }, 'prompt is too long: 6010 tokens > 2048 maximum'],
    [
      '/v1/responses',
      { input: 'x' },
      "This model's maximum context length is 2048 tokens. However, your prompt resulted in 6010 tokens.",
    ],
  ])('%s', async (path, body, message) => {
    const { status, text } = await stageWith({ a: undefined }, '{}', refusing).read(path, { body: { model: 'm', ...body } });
    expect([status, JSON.parse(text).error.message]).toEqual([400, expect.stringContaining(message)]);
  });

  test('of a model that was made for no more', async () => {
    const stage = stageWith({ a: undefined }, '{}', refusing);
    stage.herd.know('a', { model: { capabilities: ['completion'], contextLength: 2_048 } });
    const { text } = await stage.read('/v1/chat/completions', { body: { model: 'm', messages: [] } });
    expect(JSON.parse(text).error.message).toMatch(/Please reduce the length of the messages: the model was made for 2048/);
  });

  test('Ollama’s own clients get its own words', async () => {
    const { status, text } = await stageWith({ a: undefined }, '{}', refusing).read('/api/chat', chatOf(1));
    expect([status, JSON.parse(text)]).toEqual([400, { error: inner }]);
  });
});

describe('T6: a prompt that a box has cut all the same is told of', () => {
  const answering =
    (prompt_tokens: number, more: Partial<Answer> = {}): StageOptions['script'] =>
    () => ({
      ...json({ model: 'm', choices: [], usage: { prompt_tokens, completion_tokens: 1 } }),
      ...more,
    });
  const streaming =
    (prompt_tokens: number): StageOptions['script'] =>
    () => ({
      headers: { 'content-type': 'text/event-stream' },
      body: [
        event({ model: 'm', choices: [{ delta: { content: 'x' } }] }),
        event({ choices: [], usage: { prompt_tokens, completion_tokens: 1 } }),
        'data: [DONE]\n\n',
      ],
    });
  const told = 'truncated: a read 2050 tokens of a prompt of 8000 or more; give m more context (num_ctx, OLLAMA_CONTEXT_LENGTH)';

  async function warned(stage: Stage, init: { body: object }, path = '/v1/chat/completions') {
    await stage.read(path, init);
    const metrics = stage.observation.metrics.text({
      version: '',
      inFlight: 0,
      boxes: [],
      reloads: { succeeded: 0, failed: 0, isSynchronized: true },
    });
    return {
      warnings: stage.told[0]?.exchange.warnings,
      log: stage.lines.some((line) => line.includes('truncated: a read 2050')),
      metric: /corral_prompts_truncated_total\{[^}]*model="m:latest",box="a"[^}]*\} 1\n/.test(metrics),
    };
  }

  test.each([
    ['a whole answer', answering(2_050), {}],
    ['a stream', streaming(2_050), { stream: true, stream_options: { include_usage: true } }],
    ['a stream whose client asked for no usage', streaming(2_050), { stream: true }],
  ])('%s', async (_, script, more) => {
    const stage = stageWith({ a: undefined }, '{}', script);
    expect(await warned(stage, chatOf(8_000, more))).toEqual({ warnings: [told], log: true, metric: true });
  });

  test('in a comment before the end of a stream, where its headers have left already', async () => {
    const stage = stageWith({ a: undefined }, '{}', streaming(2_050));
    const { text } = await stage.read(
      '/v1/chat/completions',
      chatOf(8_000, { stream: true, stream_options: { include_usage: true } }),
    );
    expect(text.split('\n\n').map((frame) => frame.slice(0, 40))).toEqual([
      'data: {"model":"m","choices":[{"delta":{',
      'data: {"choices":[],"usage":{"prompt_tok',
      told.slice(0, 38).replace(/^/, ': '),
      'data: [DONE]',
      '',
    ]);
    expect(text).toContain(`: ${told}\n\n`);
    expect(
      stage.observation.metrics.text({
        version: '',
        inFlight: 0,
        boxes: [],
        reloads: { succeeded: 0, failed: 0, isSynchronized: true },
      }),
    ).toMatch(/corral_prompts_truncated_total\{[^}]*\} 1\n/);
  });

  test('in a comment before the end of a stream that came in Ollama’s own words', async () => {
    const native: StageOptions['script'] = () => ({
      headers: { 'content-type': 'application/x-ndjson' },
      body: [
        `${JSON.stringify({ model: 'm', message: { role: 'assistant', content: 'x' }, done: false })}\n`,
        `${JSON.stringify({ model: 'm', message: { role: 'assistant', content: '' }, done: true, done_reason: 'stop', prompt_eval_count: 2_050, eval_count: 1 })}\n`,
      ],
    });
    const stage = stageWith({ a: undefined }, '{ refuse: never }', native);
    const { text } = await stage.read('/v1/chat/completions', chatOf(8_000, { stream: true, num_ctx: 4_096 }));
    const frames = text.split('\n\n');
    expect(frames.indexOf(`: ${told}`)).toBeGreaterThan(0);
    expect(frames.indexOf(`: ${told}`)).toBeLessThan(frames.indexOf('data: [DONE]'));
    expect(frames.filter((frame) => frame.startsWith(':'))).toHaveLength(1);
  });

  test('not in lines of JSON, where a comment would be an event', async () => {
    const lines: StageOptions['script'] = () => ({
      headers: { 'content-type': 'application/x-ndjson' },
      body: [
        `${JSON.stringify({ model: 'm', message: { role: 'assistant', content: 'x' }, done: true, prompt_eval_count: 2_050 })}\n`,
      ],
    });
    const stage = stageWith({ a: undefined }, '{}', lines);
    const { text } = await stage.read('/api/chat', chatOf(8_000));
    expect(
      text
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line).done),
    ).toEqual([true]);
    expect(stage.told[0]?.exchange.warnings).toEqual([told]);
  });

  const embedded: StageOptions['script'] = () => json({ data: [], usage: { prompt_tokens: 512, total_tokens: 512 } });

  test.each([
    ['has all that it was made for', 512, 512, 'split texts of more than 512 tokens: m was made for no more'],
    [
      'could have more',
      256,
      512,
      'split texts of more than 256 tokens, or give m more context (num_ctx, OLLAMA_CONTEXT_LENGTH): 512 at most',
    ],
    ['has more than it was made for', 4_096, 512, 'split texts of more than 512 tokens: m was made for no more'],
    ['nobody knows what it was made for', 512, undefined, 'split texts of more than 512 tokens for m'],
    ['nothing is known', undefined, undefined, 'split long texts for m'],
  ] as const)('T6: embeddings: the mend is one that helps (%s)', async (_, context, contextLength, mend) => {
    const stage = stageWith({ a: context }, '{}', embedded);
    stage.herd.know('a', { model: { capabilities: ['embedding'], contextLength } });
    const { warnings } = await warned(stage, { body: { model: 'm', input: words(2_000) } }, '/v1/embeddings');
    expect(warnings).toEqual([`truncated: a read 512 tokens of texts of 2000 or more; ${mend}`]);
  });

  test('T6: a model that was made for less than the prompt is not to be given more context', async () => {
    const stage = stageWith({ a: undefined }, '{}', answering(2_050));
    stage.herd.know('a', { model: { capabilities: ['completion'], contextLength: 4_096 } });
    expect((await warned(stage, chatOf(8_000))).warnings).toEqual([
      'truncated: a read 2050 tokens of a prompt of 8000 or more; m was made for 4096 at most: shorten the prompt',
    ]);
  });

  test('a known context of twice as many tokens', async () => {
    const stage = stageWith({ a: 4_096 }, '{ refuse: never }', answering(2_050));
    expect((await warned(stage, chatOf(8_000))).metric).toBe(true);
  });

  test.each([
    ['the whole prompt was read', 8_003, undefined, {}],
    ['a context that it would have fitted into', 2_050, 32_768, {}],
    ['next to nothing: an old box leaves out what it had in its cache', 20, undefined, {}],
    [
      'images',
      2_050,
      undefined,
      { messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: words(8_000) } }] }] },
    ],
  ] as const)('no false alarm: %s', async (_, read, context, more) => {
    const stage = stageWith({ a: context }, '{ refuse: never }', answering(read));
    expect(await warned(stage, chatOf(8_000, more))).toEqual({ warnings: [], log: false, metric: false });
  });

  test('not with warn: false', async () => {
    const stage = stageWith({ a: undefined }, '{ warn: false }', answering(2_050));
    expect((await warned(stage, chatOf(8_000))).warnings).toEqual([]);
  });

  test('nobody counts the words of a small request', async () => {
    const stage = stageWith({ a: 512 }, '{}', answering(300));
    const sent: Sent[] = stage.sent;
    expect((await stage.read('/v1/chat/completions', chatOf(700))).status).toBe(200);
    expect(sent).toHaveLength(1);
  });
});
