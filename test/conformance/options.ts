/** Options of Ollama on every path (issue: point 6; T6, T13; D16): they reach the box, and clients with different habits share one load. */
import { describe, expect } from 'vitest';
import type { FakeOllama } from '../support/fake-ollama/index.ts';
import { ask, hello, herdOf, inferencesOf, type Json, type Stage, untilListed } from './stage.ts';

const surfaces = [
  ['/v1/chat/completions', { messages: hello }, '/api/chat'],
  ['/v1/completions', { prompt: 'Hello' }, '/api/generate'],
  ['/v1/responses', { input: 'Hello' }, '/api/chat'],
  ['/v1/messages', { messages: hello, max_tokens: 100 }, '/api/chat'],
  ['/api/chat', { messages: hello }, '/api/chat'],
  ['/api/generate', { prompt: 'Hello' }, '/api/generate'],
] as const;

/** The prompts that the box has seen, without loads that Corral makes by itself. */
function prompted(box: FakeOllama): { readonly path: string; readonly body: Json }[] {
  return inferencesOf(box)
    .map((request) => ({ path: request.path, body: request.json() as Json }))
    .filter(({ body }) => body.messages?.length > 0 || Boolean(body.prompt) || body.input !== undefined);
}

export function options(stage: Stage): void {
  describe('options of Ollama', () => {
    stage.it('num_ctx reaches the box from every path, streamed and not, and the answer is the path’s own (T6)', async () => {
      const box = await stage.box();
      const corral = await stage.corral({ yaml: herdOf([{ name: 'desk', at: box.port }]) });
      await untilListed(corral.url, ['llama3.2:latest']);
      for (const [path, members, native] of surfaces) {
        for (const stream of [false, true]) {
          const plain = await ask(corral.url + path, { body: { model: 'llama3.2', stream, ...members, temperature: 0 } });
          const reply = await ask(corral.url + path, {
            body: { model: 'llama3.2', stream, ...members, options: { num_ctx: 32_768 } },
          });
          expect([path, reply.status]).toEqual([path, 200]);
          expect(reply.headers.get('content-type')?.split(';')[0]).toBe(plain.headers.get('content-type')?.split(';')[0]);
          expect(wordsOf(reply.text)).toEqual(wordsOf(plain.text));
          const sent = prompted(box).at(-1);
          expect([sent?.path, sent?.body.options.num_ctx]).toEqual([native, 32_768]);
        }
      }
    });

    stage.it('four clients with different habits on one model: one load (T6, T13)', async () => {
      const box = await stage.box();
      const corral = await stage.corral({ yaml: herdOf([{ name: 'desk', at: box.port }]) });
      await untilListed(corral.url, ['llama3.2:latest']);
      const before = box.loads.started;
      const asks: [string, object, Record<string, string>][] = [
        ['/v1/chat/completions', { messages: hello, num_ctx: 16_384 }, {}],
        ['/api/chat', { messages: hello, stream: false, options: { num_ctx: 8192 } }, {}],
        ['/v1/messages', { messages: hello, max_tokens: 9 }, { 'x-ollama-num-ctx': '2048' }],
        ['/v1/chat/completions', { messages: hello }, {}],
      ];
      for (const [path, members, headers] of asks) {
        const reply = await ask(corral.url + path, { body: { model: 'llama3.2', ...members }, headers });
        expect(reply.status).toBe(200);
      }
      expect(box.loads.started - before).toBe(1);
      expect(prompted(box).map(({ body }) => body.options.num_ctx)).toEqual([16_384, 16_384, 16_384, 16_384]);
    });

    stage.it('a pin of the configuration holds for everybody: one load, whoever comes first (T6, T13)', async () => {
      const box = await stage.box();
      const pin = { ai: { overrides: { num_ctx: 12_288 } } };
      const corral = await stage.corral({ yaml: herdOf([{ name: 'desk', at: box.port }], { policies: pin }) });
      await untilListed(corral.url, ['llama3.2:latest']);
      for (const [path, members] of surfaces) {
        for (const more of [{}, { options: { num_ctx: 2048 } }]) {
          const reply = await ask(corral.url + path, { body: { model: 'llama3.2', stream: false, ...members, ...more } });
          expect([path, reply.status]).toEqual([path, 200]);
        }
      }
      expect(box.loads.started).toBe(1);
      expect(new Set(prompted(box).map(({ body }) => body.options.num_ctx))).toEqual(new Set([12_288]));
    });

    stage.it('keep_alive of a client does not reach the box, and it is told so (D16)', async () => {
      const box = await stage.box();
      const corral = await stage.corral({ yaml: herdOf([{ name: 'desk', at: box.port }]) });
      await untilListed(corral.url, ['llama3.2:latest']);
      for (const path of ['/v1/chat/completions', '/api/chat']) {
        const reply = await ask(corral.url + path, {
          body: { model: 'llama3.2', messages: hello, stream: false, keep_alive: -1 },
        });
        expect([reply.status, reply.headers.get('x-corral-warning')]).toEqual([
          200,
          expect.stringContaining('keep_alive was left out'),
        ]);
        expect(prompted(box).at(-1)?.body).not.toHaveProperty('keep_alive');
      }
    });

    stage.it('a num_ctx that is none is refused in the shape of each protocol, and no box is asked', async () => {
      const box = await stage.box();
      const corral = await stage.corral({ yaml: herdOf([{ name: 'desk', at: box.port }]) });
      for (const [path, members] of surfaces) {
        const reply = await ask(corral.url + path, { body: { model: 'llama3.2', ...members, options: { num_ctx: 'big' } } });
        expect([path, reply.status]).toEqual([path, 400]);
        expect(reply.text).toContain('must be a whole number of tokens');
      }
      expect(prompted(box)).toEqual([]);
    });

    stage.it('a box that dies in the middle of such a stream is told in the client’s protocol', async () => {
      const box = await stage.box();
      box.set({ crashAfterTokens: 2 });
      const corral = await stage.corral({ yaml: herdOf([{ name: 'desk', at: box.port }]) });
      for (const [path, members, wanted] of [
        ['/v1/chat/completions', { messages: hello }, /data: \{"error":\{"message"/],
        ['/v1/messages', { messages: hello, max_tokens: 9 }, /event: error\n/],
        ['/v1/responses', { input: 'Hello' }, /event: response\.failed\n/],
      ] as const) {
        const reply = await ask(corral.url + path, { body: { model: 'llama3.2', stream: true, num_ctx: 512, ...members } });
        expect([path, reply.status]).toEqual([path, 200]);
        expect(reply.text).toMatch(wanted);
      }
    });
  });
}

/** What the model said, whole or in pieces, in any protocol: the texts of the answer put together, without what repeats them. */
function wordsOf(text: string): string {
  const pieces = [...text.matchAll(/"(?:content|text|response|delta)":"((?:[^"\\]|\\.)*)"/g)].map(([, said = '']) => said);
  return [...new Set(pieces)].sort().join('|');
}
