import { describe, expect, it } from 'vitest';
import { answerDemo, demoModel, isDemoModel } from '../../../../src/fleet/demo/demo.ts';
import { createFakeClock, type FakeClock } from '../../../support/fake-clock.ts';

const call = { isStream: false, wantsUsage: false, model: 'Demo:latest', id: 'abc' };
const paths = ['/v1/chat/completions', '/v1/messages', '/api/chat', '/api/generate'];

async function readStream(path: string, clock: FakeClock, wantsUsage = false): Promise<{ text: string; tookMs: number }> {
  const response = answerDemo({ ...call, path, isStream: true, wantsUsage }, clock);
  const startedMs = clock.now();
  let doneMs: number | undefined;
  const text = response?.text() ?? Promise.resolve('');
  void text.then(() => {
    doneMs = clock.now();
  });
  for (let step = 0; doneMs === undefined && step < 1_000; step++) await clock.advance(10);
  return { text: await text, tookMs: (doneMs ?? 0) - startedMs };
}

const dataOf = (text: string) =>
  text
    .split('\n\n')
    .filter((event) => event !== '')
    .map((event) => event.replace(/^(event: .*\n)?data: /, ''));

describe('the demo box', () => {
  it('is meant by its own name only', () => {
    expect(['demo', 'DEMO', 'demo:latest', 'demo:1b', 'demo2', undefined].map(isDemoModel)).toEqual([
      true,
      true,
      true,
      false,
      false,
      false,
    ]);
    expect(JSON.parse(demoModel.tag)).toMatchObject({ name: 'demo', model: 'demo', details: { family: 'demo' } });
  });

  it.each(paths)('is labelled on %s', (path) => {
    for (const isStream of [false, true]) {
      expect(answerDemo({ ...call, path, isStream }, createFakeClock())?.headers.get('x-corral-demo')).toBe('true');
    }
  });

  it('speaks no other path', () => {
    expect(answerDemo({ ...call, path: '/v1/embeddings' }, createFakeClock())).toBeUndefined();
  });

  it('answers chat completions whole', async () => {
    const answer = await answerDemo({ ...call, path: '/v1/chat/completions' }, createFakeClock())?.json();
    expect(answer).toMatchObject({
      id: 'chatcmpl-abc',
      object: 'chat.completion',
      created: 1_767_225_600,
      model: 'Demo:latest',
      choices: [{ index: 0, message: { role: 'assistant' }, finish_reason: 'stop' }],
    });
    expect(answer.choices[0].message.content).toContain('ollama serve');
    expect(answer.usage.total_tokens).toBe(answer.usage.prompt_tokens + answer.usage.completion_tokens);
  });

  it('answers messages whole', async () => {
    const answer = await answerDemo({ ...call, path: '/v1/messages' }, createFakeClock())?.json();
    expect(answer).toMatchObject({ type: 'message', role: 'assistant', stop_reason: 'end_turn', content: [{ type: 'text' }] });
    expect(answer.usage.output_tokens).toBeGreaterThan(10);
  });

  it('streams chat completions with usage only when asked, and ends them', async () => {
    const clock = createFakeClock();
    const plain = dataOf((await readStream('/v1/chat/completions', clock)).text);
    expect(plain.at(-1)).toBe('[DONE]');
    expect(plain.some((data) => data.includes('"usage"'))).toBe(false);
    const chunks = plain.slice(0, -1).map((data) => JSON.parse(data));
    expect(chunks[0].choices[0].delta.role).toBe('assistant');
    expect(chunks.at(-1).choices[0]).toMatchObject({ delta: {}, finish_reason: 'stop' });
    const whole = await answerDemo({ ...call, path: '/v1/chat/completions' }, clock)?.json();
    expect(chunks.map((chunk) => chunk.choices[0].delta.content ?? '').join('')).toBe(whole.choices[0].message.content);

    const told = dataOf((await readStream('/v1/chat/completions', clock, true)).text);
    expect(JSON.parse(told.at(-2) ?? '')).toMatchObject({ choices: [], usage: whole.usage });
  });

  it('streams messages in their order', async () => {
    const { text } = await readStream('/v1/messages', createFakeClock());
    const types = dataOf(text).map((data) => JSON.parse(data).type as string);
    expect(types.slice(0, 3)).toEqual(['message_start', 'content_block_start', 'content_block_delta']);
    expect(types.slice(-4)).toEqual(['content_block_delta', 'content_block_stop', 'message_delta', 'message_stop']);
    expect(text.match(/^event: (.*)$/gm)).toEqual(types.map((type) => `event: ${type}`));
  });

  it.each([
    ['/api/chat', (line: { message?: { content?: string } }) => line.message?.content],
    ['/api/generate', (line: { response?: string }) => line.response],
  ] as const)('streams %s line by line', async (path, contentOf) => {
    const { text } = await readStream(path, createFakeClock());
    expect(text.endsWith('\n')).toBe(true);
    const lines = text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines.slice(0, -1).every((line) => line.done === false)).toBe(true);
    expect(lines.at(-1)).toMatchObject({ model: 'Demo:latest', done: true, done_reason: 'stop', eval_count: lines.length - 1 });
    expect(lines.map(contentOf).join('')).toContain('ollama pull llama3.2');
  });

  it('takes 40 ms a word', async () => {
    const { text, tookMs } = await readStream('/api/generate', createFakeClock());
    const words = text.trimEnd().split('\n').length - 1;
    expect(tookMs).toBeGreaterThanOrEqual(words * 40);
    expect(tookMs).toBeLessThan(words * 40 + 50);
  });

  it('stops when its reader leaves', async () => {
    const clock = createFakeClock();
    const reader = answerDemo({ ...call, path: '/api/chat', isStream: true }, clock)?.body?.getReader();
    await reader?.read();
    const next = reader?.read();
    await clock.advance(10);
    await reader?.cancel();
    await next;
    expect(clock.pending).toBe(0);
  });
});
