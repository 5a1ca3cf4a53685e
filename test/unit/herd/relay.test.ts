/** A Corral in front, a tunnel with a 100 s rule, a relay beside the box: T1 and T2. */
import { describe, expect, it } from 'vitest';
import { type LegSetting, type LegStage, openLeg } from '../../support/herd/leg.ts';

const gigabyte = 1_000_000_000;

/** Loads for 201 s: a second to start, 200 GB at 1 GB a second. */
const slowBox = { models: [{ name: 'big:latest', sizeBytes: 200 * gigabyte, outputTokens: 4 }], vramBytes: 400 * gigabyte };

const calls = [
  ['/v1/chat/completions', { messages: [{ role: 'user', content: 'hi' }] }],
  ['/v1/completions', { prompt: 'hi' }],
  ['/v1/responses', { input: 'hi' }],
  ['/v1/messages', { max_tokens: 50, messages: [{ role: 'user', content: 'hi' }] }],
  ['/api/chat', { messages: [{ role: 'user', content: 'hi' }] }],
  ['/api/generate', { prompt: 'hi' }],
] as const;

function open(more: Partial<LegSetting> = {}): Promise<LegStage> {
  return openLeg({ boxes: [slowBox], ...more });
}

async function textOf(stage: LegStage, asked: Promise<Response>): Promise<{ status: number; headers: Headers; text: string }> {
  const read = asked.then(async (response) => ({
    status: response.status,
    headers: response.headers,
    text: await response.text(),
  }));
  return await stage.until(read, 1_000_000);
}

describe('a relay behind a tunnel', () => {
  it.each(calls)('T1 T2: 200 s of loading come through on %s, whole and streamed', async (path, body) => {
    for (const stream of [false, true]) {
      const stage = await open();
      const { status, headers, text } = await textOf(stage, stage.ask(path, { model: 'big', stream, ...body }));
      expect(stage.clock.now()).toBeGreaterThan(200_000);
      expect({ status, stream, text }).toEqual({ status: 200, stream, text: expect.stringContaining('clever') });
      expect(headers.get('x-corral-early')).toBeNull();
      if (stream) continue;
      expect(headers.get('content-type')).toContain('application/json');
      expect(JSON.parse(text)).toMatchObject({ model: expect.stringContaining('big') });
      expect(text[0]).toBe('{');
    }
  });

  it('T2: without the relay the same load ends in 524 that says what to do, in the protocol of the client', async () => {
    const stage = await open({ intercept: () => undefined, tunnelSilenceMs: 10_000 });
    expect(stage.front.herd.describe()[0]).toMatchObject({ isAlive: true });
  });
});
