/** T1, T6: headers have left, heartbeats have gone, and then the prompt turns out too long: said in the stream, as each protocol tells errors. */
import { describe, expect, test } from 'vitest';
import { runner } from './fake-herd.ts';
import { createStage, type Stage } from './stage.ts';
import { boxes, json } from './words.ts';

const words = 'word '.repeat(8_000);
const minutes = 60_000;

const openaiWords = (what: string, tokens: number, context: number) =>
  `This model's maximum context length is ${context} tokens. However, your ${what} resulted in ${tokens} tokens. ` +
  `Please reduce the length of the ${what}, or give the model more context (num_ctx, OLLAMA_CONTEXT_LENGTH).`;

const surfaces = [
  {
    name: 'responses',
    path: '/v1/responses',
    body: { input: words },
    what: (tokens: number, context: number) => openaiWords('prompt', tokens, context),
    frames: (message: string) => [
      { event: 'response.created', data: { type: 'response.created', sequence_number: 0, response: { status: 'in_progress' } } },
      {
        event: 'response.failed',
        data: {
          type: 'response.failed',
          sequence_number: 1,
          response: { status: 'failed', error: { code: 'context_length_exceeded', message } },
        },
      },
    ],
  },
  {
    name: 'messages',
    path: '/v1/messages',
    body: { max_tokens: 10, messages: [{ role: 'user', content: words }] },
    what: (tokens: number, context: number) => `prompt is too long: ${tokens} tokens > ${context} maximum`,
    frames: (message: string) => [{ event: 'error', data: { type: 'error', error: { type: 'invalid_request_error', message } } }],
  },
  {
    name: 'chat completions',
    path: '/v1/chat/completions',
    body: { messages: [{ role: 'user', content: words }] },
    what: (tokens: number, context: number) => openaiWords('messages', tokens, context),
    frames: (message: string) => [
      {
        event: undefined,
        data: { error: { message, type: 'invalid_request_error', param: 'messages', code: 'context_length_exceeded' } },
      },
    ],
  },
  {
    name: 'completions',
    path: '/v1/completions',
    body: { prompt: words },
    what: (tokens: number, context: number) => openaiWords('prompt', tokens, context),
    frames: (message: string) => [
      {
        event: undefined,
        data: { error: { message, type: 'invalid_request_error', param: 'prompt', code: 'context_length_exceeded' } },
      },
    ],
  },
] as const;

/** Events and their data, and the comments between them: signs of life. */
function framesOf(text: string): { frames: object[]; beats: number } {
  const blocks = text.split('\n\n').filter((block) => block !== '');
  const told = blocks.filter((block) => !block.startsWith(':') && !/^event: ping$/m.test(block));
  const frames = told.map((block) => ({
    event: /^event: (.*)$/m.exec(block)?.[1],
    data: JSON.parse(/^data: (.*)$/m.exec(block)?.[1] ?? 'null'),
  }));
  return { frames, beats: blocks.length - told.length };
}

/** The box is let in to after five minutes, and then it is known that its context is small. */
function afterALoad(yaml = boxes(['a'])): Stage {
  const stage = createStage(yaml, { script: () => json({}) });
  const { admit } = stage.herd;
  const slowly = async (...asked: Parameters<typeof admit>) => {
    await new Promise<void>((resolve) => stage.clock.after(5 * minutes, resolve));
    stage.herd.know('a', { running: [{ ...runner('m:latest'), contextLength: 4_096 }], loadMs: 5 * minutes });
    return admit(...asked);
  };
  Object.assign(stage.herd, { admit: slowly });
  return stage;
}

/** The box says so by its own count, five minutes after it was asked: llama-server's words, as Ollama hands them on. */
function bySayingSo(yaml = boxes(['a'])): Stage {
  const inner = {
    error: { code: 400, message: 'exceeds', type: 'exceed_context_size_error', n_prompt_tokens: 6010, n_ctx: 2048 },
  };
  return createStage(yaml, { script: () => ({ ...json({ error: JSON.stringify(inner) }, 400), afterMs: 5 * minutes }) });
}

const ways = [
  { how: 'after a load that tells how large the context is', open: afterALoad, tokens: 10_004, context: 4_096, asked: 0 },
  { how: 'by the count of the box itself', open: bySayingSo, tokens: 6_010, context: 2_048, asked: 1 },
] as const;

async function askLate(stage: Stage, path: string, body: object): Promise<{ response: Response; text: string }> {
  const asking = stage.ask(path, { body: { model: 'm', ...body } });
  await stage.clock.advance(11_000);
  const response = await asking;
  const reading = response.text();
  await stage.clock.advance(6 * minutes);
  return { response, text: await reading };
}

describe.each(ways)('T1, T6: a prompt that is too long, found out late: $how', ({ open, tokens, context, asked }) => {
  test.each(surfaces)('$name, streamed', async ({ path, body, what, frames: expected }) => {
    const stage = open();
    const { response, text } = await askLate(stage, path, { ...body, stream: true });
    expect([response.status, response.headers.get('content-type')]).toEqual([200, 'text/event-stream']);
    // Each message takes four tokens beside its words.
    const counted = tokens === 10_004 && !('messages' in body) ? 10_000 : tokens;
    const { frames, beats } = framesOf(text);
    expect(frames).toMatchObject(expected(what(counted, context)));
    expect(frames).toHaveLength(expected('').length);
    expect(beats).toBeGreaterThan(15);
    expect(text).not.toContain('[DONE]');
    expect(stage.sent).toHaveLength(asked);
    expect(stage.told[0]?.exchange).toMatchObject({ outcome: 'refused', error: { code: 'context_exceeded', status: 400 } });
    // The slot is free again, and nothing is left to do.
    expect([stage.herd.facts.get('a')?.inFlight, stage.clock.pending]).toEqual([0, 0]);
  });

  test('one value that was kept alive by spaces is the error’s', async () => {
    const stage = open(boxes(['a'], { more: 'fleet: { loads: { padJson: true } }' }));
    const { response, text } = await askLate(stage, '/v1/chat/completions', surfaces[2].body);
    const { error } = JSON.parse(text) as { error: object };
    expect(text).toMatch(/^ {15,}\{/);
    expect([response.status, error]).toEqual([
      200,
      {
        message: openaiWords('messages', tokens, context),
        type: 'invalid_request_error',
        param: 'messages',
        code: 'context_length_exceeded',
      },
    ]);
  });
});
