/** The queue (T11): a box with one slot never sees two calls at once; who waits is told so; who is too many is sent away at once. */
import { describe, expect } from 'vitest';
import type { FakeOllama, ReceivedRequest } from '../support/fake-ollama/index.ts';
import { ask, chat, errorOf, hello, herdOf, inferencesOf, isLoad, type Reply, type Stage, until, untilListed } from './stage.ts';

const model = 'llama3.2:latest';

/** The same question in the words of each protocol. */
const questions = [
  ['/v1/chat/completions', { model, messages: hello }],
  ['/v1/messages', { model, messages: hello, max_tokens: 50 }],
  ['/api/chat', { model, messages: hello }],
] as const;

export function queue(stage: Stage): void {
  const open = async (box: FakeOllama, fleetQueue: object = {}) => {
    const corral = await stage.corral({
      yaml: herdOf([{ name: 'attic', at: box.port }], {
        fleet: { boxes: [{ url: box.url, slots: 1 }], queue: fleetQueue },
      }),
    });
    await untilListed(corral.url, [model]);
    // The model is in memory from now on.
    expect((await chat(corral.url)).status).toBe(200);
    return corral;
  };

  describe('queue', () => {
    stage.it('a box with one slot never sees two calls at once, and the answers say who has waited', async () => {
      const box = await stage.box();
      const corral = await open(box);
      box.set({ startDelayMs: 250 });
      const spans = watchSpans(box, 6);
      const asked: Promise<Reply>[] = [];
      for (const [path, body] of questions) {
        for (const stream of [true, false]) asked.push(ask(`${corral.url}${path}`, { body: { ...body, stream } }));
      }
      const replies = await Promise.all(asked);
      expect(replies.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200, 200]);
      for (const [index, span] of (await spans).entries()) {
        const before = (await spans)[index - 1];
        if (before !== undefined) expect(span.startedAt).toBeGreaterThanOrEqual(before.endedAt - 5);
      }
      const positions = replies.map(({ headers }) => headers.get('x-corral-queue-position'));
      expect(positions.filter((position) => position === null)).toHaveLength(1);
      expect(positions.flatMap((position) => position ?? []).sort()).toEqual(['1', '2', '3', '4', '5']);
      const waited = replies.flatMap(({ headers }) => headers.get('x-corral-queued') ?? []).map(Number);
      expect(Math.max(...waited)).toBeGreaterThanOrEqual(5 * 240);
    });

    stage.it('A11: a full queue: 503 with Retry-After in the words of each protocol, and the box is not asked', async () => {
      const box = await stage.box();
      const corral = await open(box, { maxWaiting: 1 });
      box.set({ startDelayMs: 1_500 });
      const before = inferencesOf(box).length;
      const held = [chat(corral.url)];
      await until('the first call at the box', () => inferencesOf(box).length > before);
      held.push(chat(corral.url));
      // Until the second one waits, a third one might come before it.
      await new Promise((resolve) => setTimeout(resolve, 100));
      for (const [path, body] of questions) {
        const reply = await ask(`${corral.url}${path}`, { body: { ...body, stream: true } });
        expect([path, reply.status]).toEqual([path, 503]);
        expect(reply.headers.get('retry-after')).toMatch(/^[1-9]\d?$/);
        expect(errorOf(reply)).toContain('1 wait already (fleet.queue.maxWaiting)');
      }
      // A11: within 10 ms; what most of them take longer is this machine's, and the client's in this process.
      const took: number[] = [];
      for (let round = 0; round < 20; round++) {
        const startedAt = performance.now();
        expect((await chat(corral.url)).status).toBe(503);
        took.push(performance.now() - startedAt);
      }
      expect(Math.min(...took)).toBeLessThanOrEqual(10);
      expect((await Promise.all(held)).map(({ status }) => status)).toEqual([200, 200]);
      expect(inferencesOf(box)).toHaveLength(before + 2);
    });

    stage.it(
      'a client that leaves the queue never reaches the box',
      async () => {
        const box = await stage.box();
        const corral = await open(box);
        box.set({ startDelayMs: 600 });
        const before = inferencesOf(box).length;
        const first = chat(corral.url);
        await until('the first call at the box', () => inferencesOf(box).length > before);
        const leaving = new AbortController();
        const left = ask(`${corral.url}/v1/chat/completions`, {
          body: { model, messages: [{ role: 'user', content: 'never mind' }] },
          signal: leaving.signal,
        }).catch(() => undefined);
        await new Promise((resolve) => setTimeout(resolve, 150));
        leaving.abort();
        await left;
        expect((await first).status).toBe(200);
        expect((await chat(corral.url)).status).toBe(200);
        expect(inferencesOf(box).filter(({ body }) => body.includes('never mind'))).toEqual([]);
      },
      {
        deno: 'its server tells of a client that leaves before headers only after the answer',
        workerd: 'a client that leaves before headers is seen at the next write only',
      },
    );
  });
}

interface Span {
  readonly startedAt: number;
  readonly endedAt: number;
}

/** When each of the next calls came to the box, and when it was over. */
async function watchSpans(box: FakeOllama, count: number): Promise<readonly Span[]> {
  const known = new Set<ReceivedRequest>(box.requests);
  const isNew = (request: ReceivedRequest) =>
    !known.has(request) && request.method === 'POST' && !isLoad(request) && /chat|messages/.test(request.path);
  const spans: Promise<Span>[] = [];
  for (let index = 0; index < count; index++) {
    const request = await box.nextRequest(isNew, 20_000);
    spans.push(request.over.then(() => ({ startedAt: request.startedAt, endedAt: performance.now() })));
  }
  return Promise.all(spans);
}
