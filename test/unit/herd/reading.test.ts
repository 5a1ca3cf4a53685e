/** The judge of all the others: what counts as a whole answer, as an error, and as neither. */
import { describe, expect, it } from 'vitest';
import { readAnswer } from '../../support/herd/reading.ts';
import type { SurfacePath } from '../../support/herd/trace.ts';

async function judged(surface: SurfacePath, isStream: boolean, status: number, type: string, body: string) {
  const response = new Response(body, { status, headers: { 'content-type': type } });
  const { verdict, text, error } = await readAnswer(response, {
    surface,
    isStream,
    leaving: new AbortController().signal,
    nowMs: () => 0,
  });
  return { verdict, text, error };
}

const sse = 'text/event-stream';
const json = 'application/json';
const chunk = (text: string) => `data: {"choices":[{"delta":{"content":"${text}"}}]}\n\n`;

describe('an answer is', () => {
  it.each<[SurfacePath, string, string]>([
    ['/v1/chat/completions', sse, `: beat\n\n${chunk('one')}${chunk(' two')}data: [DONE]\n\n`],
    [
      '/v1/messages',
      sse,
      'event: ping\ndata: {"type":"ping"}\n\ndata: {"type":"content_block_delta","delta":{"type":"text_delta","text":"one two"}}\n\ndata: {"type":"message_stop"}\n\n',
    ],
    [
      '/v1/responses',
      sse,
      'data: {"type":"response.output_text.delta","delta":"one two"}\n\ndata: {"type":"response.completed","response":{"error":null}}\n\n',
    ],
    [
      '/api/chat',
      'application/x-ndjson',
      '{"message":{"content":"one two"},"done":false}\n{"message":{"content":""},"done":true}\n',
    ],
    ['/api/generate', 'application/x-ndjson', '{"response":"one two","done":false}\n{"response":"","done":true}\n'],
  ])('whole with its terminator: a stream of %s', async (surface, type, body) => {
    expect(await judged(surface, true, 200, type, body)).toEqual({ verdict: 'whole', text: 'one two', error: undefined });
  });

  it('broken without it, however cleanly it ended, and with half a line at its end', async () => {
    expect((await judged('/v1/chat/completions', true, 200, sse, chunk('one'))).verdict).toBe('broken');
    expect(
      (await judged('/api/chat', true, 200, 'application/x-ndjson', '{"message":{"content":"one"},"done":false}\n')).verdict,
    ).toBe('broken');
    expect((await judged('/v1/chat/completions', true, 200, sse, `${chunk('one')}data: {"cho`)).verdict).toBe('broken');
  });

  it('an error where its protocol says so', async () => {
    const openai = '{"error":{"message":"no box","type":"api_error"}}';
    expect(await judged('/v1/chat/completions', true, 503, json, openai)).toMatchObject({ verdict: 'error', error: 'no box' });
    expect((await judged('/v1/chat/completions', true, 200, sse, `${chunk('one')}data: ${openai}\n\n`)).verdict).toBe('error');
    expect((await judged('/api/chat', false, 503, json, '{"error":"no box"}')).verdict).toBe('error');
    const anthropic = '{"type":"error","error":{"type":"api_error","message":"no box"}}';
    expect((await judged('/v1/messages', false, 503, json, anthropic)).verdict).toBe('error');
    const failed = 'data: {"type":"response.failed","response":{"error":{"code":"x","message":"no box"}}}\n\n';
    expect((await judged('/v1/responses', true, 200, sse, failed)).verdict).toBe('error');
  });

  it('broken with an error that its protocol does not know', async () => {
    expect((await judged('/v1/chat/completions', true, 502, 'text/html', '<h1>502</h1>')).verdict).toBe('broken');
    expect((await judged('/v1/messages', false, 500, json, '{"error":{"message":"no box"}}')).verdict).toBe('broken');
    expect((await judged('/api/chat', false, 500, json, '{"error":{"message":"no box"}}')).verdict).toBe('broken');
  });
});
