/** Streams (issue: "Streams"): first byte at once, bytes unchanged, usage always learned, breaks told, clients that leave. */
import { beforeAll, describe, expect } from 'vitest';
import type { FakeOllama } from '../support/fake-ollama/index.ts';
import { parseNdjson } from '../support/ndjson.ts';
import { requestBytes } from '../support/raw-client.ts';
import type { RunningCorral } from '../support/runtimes/index.ts';
import { parseSse } from '../support/sse.ts';
import { ask, chat, hello, herdOf, inferencesOf, isPath, type Stage, until, untilListed } from './stage.ts';

const chatPath = '/v1/chat/completions';

/** The eight inference streams of Ollama that a crash looks different on. */
const surfaces = [
  { path: chatPath, body: { messages: hello, stream: true }, framing: 'sse', last: 'data: [DONE]\n\n' },
  { path: '/v1/completions', body: { prompt: 'Hello', stream: true }, framing: 'sse', last: 'data: [DONE]\n\n' },
  { path: '/v1/responses', body: { input: 'Hello', stream: true }, framing: 'sse', last: 'event: response.completed' },
  { path: '/v1/messages', body: { messages: hello, max_tokens: 50, stream: true }, framing: 'sse', last: 'event: message_stop' },
  { path: '/api/chat', body: { messages: hello }, framing: 'ndjson', last: '"done":true' },
  { path: '/api/generate', body: { prompt: 'Hello' }, framing: 'ndjson', last: '"done":true' },
] as const;

const streamRequest = (body: object = {}) =>
  requestBytes({
    path: chatPath,
    headers: [['Content-Type', 'application/json']],
    body: JSON.stringify({ model: 'llama3.2', messages: hello, stream: true, ...body }),
  });

/** What an error at the end of a stream looks like in each protocol; `undefined` when there is none. */
function errorIn(framing: 'sse' | 'ndjson', text: string): unknown {
  if (framing === 'ndjson') return parseNdjson(text).at(-1)?.error;
  const last = parseSse(text).at(-1);
  const json = last?.json as { error?: { message?: string }; response?: { error?: { message?: string } } } | undefined;
  return json?.error?.message ?? json?.response?.error?.message;
}

export function streams(stage: Stage): void {
  describe('streams', () => {
    let box: FakeOllama;
    let corral: RunningCorral;
    beforeAll(async () => {
      box = await stage.box({ models: ['llama3.2', { name: 'warm', resident: true }] });
      corral = await stage.corral({
        yaml: herdOf([{ name: 'desk', at: box.port }], { fleet: { probeInterval: '1s', idleTimeout: '1s' } }),
      });
      await untilListed(corral.url, ['llama3.2:latest', 'warm:latest']);
    });

    stage.it('the first byte leaves when it arrives, and each chunk by itself', async () => {
      box.clear();
      box.set({ stallAfterChunks: 1 });
      const client = await stage.raw(corral.url);
      await client.send(streamRequest());
      const text = await client.until('"content":"was"');
      expect(text).toMatch(/^HTTP\/1\.1 200/);
      expect(text).toMatch(/content-type: text\/event-stream/i);
      client.reset();
      box.clear();
    });

    stage.it('each piece is passed on as it comes: nothing is gathered', async () => {
      box.clear();
      box.set({ tokensPerSecond: 20 });
      const client = await stage.raw(corral.url);
      await client.send(streamRequest());
      const reply = await client.reply();
      box.clear();
      const times = reply.chunks.map(({ atMs }) => atMs);
      // 12 tokens at 20 a second: gathered ones would arrive together.
      expect(new Set(times).size).toBeGreaterThanOrEqual(8);
    });

    for (const { path, body } of surfaces) {
      stage.it(`bytes are unchanged: ${path}`, async () => {
        box.clear();
        const sent = { model: 'llama3.2', ...body };
        const through = await ask(corral.url + path, { body: sent });
        const direct = await ask(box.url + path, { body: sent });
        expect(through.status).toBe(200);
        expect(through.headers.get('content-type')).toBe(direct.headers.get('content-type'));
        expect(unstamped(through.text)).toBe(unstamped(direct.text));
      });
    }

    stage.it('usage is asked of the box and taken out again, unless the client asked itself', async () => {
      box.clear();
      const silent = await chat(corral.url, { stream: true });
      const asked = (
        await box.nextRequest((request) => request.path === chatPath && request.body.includes('include_usage'))
      ).json();
      expect(asked).toMatchObject({ stream_options: { include_usage: true } });
      expect(silent.text).not.toContain('usage');
      expect(silent.text.endsWith('data: [DONE]\n\n')).toBe(true);
      const asking = await chat(corral.url, { stream: true, stream_options: { include_usage: true } });
      expect(asking.text.match(/"usage":/g)).toHaveLength(1);
      const refusing = await chat(corral.url, { stream: true, stream_options: { include_usage: false } });
      expect(refusing.text).not.toContain('usage');
    });

    stage.it('usage split over many segments is taken out all the same', async () => {
      box.clear();
      box.set({ slowBody: { bytes: 7, pauseMs: 0 } });
      const silent = await chat(corral.url, { stream: true });
      box.clear();
      expect(silent.text).not.toContain('usage');
      expect(parseSse(silent.text).at(-1)?.data).toBe('[DONE]');
      expect(parseSse(silent.text)).toHaveLength(14);
    });

    stage.it('the client leaves in the middle: the box is told at once', async () => {
      box.clear();
      box.set({ tokensPerSecond: 5 });
      const client = await stage.raw(corral.url);
      await client.send(streamRequest({ model: 'warm' }));
      await client.until('"content":"was"');
      const received = await box.nextRequest((request) => request.path === chatPath && request.body.includes('warm'));
      const leftAt = performance.now();
      client.reset();
      expect(await received.over).toBe('client left');
      // A bound, not a measurement: 12 tokens at 5 a second would go on for more than 2 s.
      expect(performance.now() - leftAt).toBeLessThan(2000);
      box.clear();
    });

    stage.it(
      'A7: clients that leave at the fifth token: the box is told within 250 ms, and nothing is held against it',
      async () => {
        const tokens = Array.from({ length: 400 }, (_, at) => ` t${at}`);
        const told = await stage.box({ models: [{ name: 'warm', resident: true, tokens }], faults: { tokensPerSecond: 20 } });
        const gateway = await stage.corral({
          yaml: herdOf([{ name: 'told', at: told.port }], {
            config: stage.runtime === 'workerd' ? {} : { adminAddr: '127.0.0.1:0' },
          }),
          env: { CORRAL_ADMIN_TOKEN: 'admin-token-of-the-tests' },
        });
        await untilListed(gateway.url, ['warm:latest']);
        const took: number[] = [];
        // More than any breaker lets pass.
        for (let round = 0; round < 10; round++) {
          const client = await stage.raw(gateway.url);
          await client.send(streamRequest({ model: 'warm', marker: `round ${round}` }));
          await client.until('"content":" t4"');
          const received = await told.nextRequest((request) => request.body.includes(`round ${round}"`));
          const leftAt = performance.now();
          client.reset();
          expect(await received.over).toBe('client left');
          took.push(performance.now() - leftAt);
        }
        // What some of them take longer is this machine's.
        expect(took.toSorted((a, b) => a - b)[4]).toBeLessThanOrEqual(250);
        const admin = await until('the admin address', () => gateway.adminUrl);
        const headers = { authorization: 'Bearer admin-token-of-the-tests' };
        const [known] = (await ask(`${admin}/fleet`, { headers })).json().boxes;
        expect(known).toMatchObject({ isAlive: true, tripped: [], inFlight: 0, trouble: null });
        const metrics = (await ask(`${admin}/metrics`, { headers })).text;
        expect(metrics).toContain('corral_breaker_open{box="told"} 0\n');
        expect(inferencesOf(told).filter(({ body }) => body.includes('round'))).toHaveLength(10);
        told.clear();
        expect((await chat(gateway.url, { model: 'warm', max_tokens: 3 })).status).toBe(200);
      },
    );

    stage.it('the client closes without a reset (FIN) in the middle: the box is told, too', async () => {
      box.clear();
      box.set({ tokensPerSecond: 5 });
      const client = await stage.raw(corral.url);
      await client.send(streamRequest({ model: 'warm' }));
      await client.until('"content":"was"');
      const received = await box.nextRequest((request) => request.path === chatPath && request.body.includes('warm'));
      client.close();
      expect(await received.over).toBe('client left');
      box.clear();
    });

    stage.it(
      'the client leaves before the first byte and the model is resident: the attempt is ended',
      async () => {
        box.clear();
        box.set({ startDelayMs: 20_000 });
        const client = await stage.raw(corral.url);
        await client.send(streamRequest({ model: 'warm', marker: 'resident' }));
        const received = await box.nextRequest((request) => request.body.includes('resident'));
        client.reset();
        expect(await within(5000, received.over)).toBe('client left');
        box.clear();
      },
      {
        deno: 'its server tells of a client that leaves before headers only after the answer',
        workerd: 'a client that leaves before headers is seen at the next write only',
      },
    );

    stage.beside('the client leaves during a cold load: it is held, and exactly one load completes', async () => {
      const cold = await stage.box({ faults: { loadMs: 1500 } });
      const gateway = await stage.corral({ yaml: herdOf([{ name: 'cold', at: cold.port }]) });
      await untilListed(gateway.url, ['llama3.2:latest']);
      const client = await stage.raw(gateway.url);
      await client.send(streamRequest());
      await cold.nextRequest(isPath(chatPath));
      await until('the load has begun', () => cold.loads.started === 1);
      client.reset();
      const second = await chat(gateway.url, { stream: true });
      expect(second.status).toBe(200);
      expect(cold.loads).toEqual({ started: 1, completed: 1, aborted: 0 });
    });

    stage.beside('five impatient clients, one load', async () => {
      const cold = await stage.box({ faults: { loadMs: 1500 } });
      const gateway = await stage.corral({ yaml: herdOf([{ name: 'cold', at: cold.port }]) });
      await untilListed(gateway.url, ['llama3.2:latest']);
      for (let round = 1; round <= 5; round++) {
        const client = await stage.raw(gateway.url);
        await client.send(streamRequest({ marker: `round ${round}` }));
        await cold.nextRequest((request) => request.body.includes(`round ${round}`));
        client.reset();
      }
      await until('the load is done', () => cold.loads.completed === 1);
      expect(cold.loads).toEqual({ started: 1, completed: 1, aborted: 0 });
      // What was held ends: nobody generates for clients that are gone.
      await until('nothing is under way', () => Promise.all(inferencesOf(cold).map(({ over }) => over)).then(() => true));
    });

    stage.beside(
      'back-pressure: while the client does not read, the box must wait',
      async () => {
        const big = await stage.box({ models: [{ name: 'big', tokens: Array.from({ length: 700 }, () => 'x'.repeat(32_768)) }] });
        const slow = await stage.corral({ yaml: herdOf([{ name: 'big', at: big.port }]) });
        const client = await stage.raw(slow.url);
        await client.send(streamRequest({ model: 'big' }));
        // At the first of it, in the same turn: on a busy machine the rest would be here before a promise has settled.
        await client.until((text) => {
          const hasBegun = text.includes('"content":"x');
          if (hasBegun) client.pause();
          return hasBegun;
        });
        const received = await big.nextRequest(isPath(chatPath));
        // 23 MB are on their way: a gateway that does not hold back would take all of it, and the box would be done.
        const outcome = await Promise.race([received.over, stillAfter(1500)]);
        expect(outcome).toBe('waiting');
        client.resume();
        expect(await received.over).toBe('answered');
      },
      {},
      60_000,
    );

    stage.beside('a silent stream is not cut while the box answers probes (idleTimeout passes several times)', async () => {
      const silent = await stage.box({ models: ['llama3.2'], faults: { stallAfterChunks: 3 } });
      const gateway = await stage.corral({
        yaml: herdOf([{ name: 'silent', at: silent.port }], { fleet: { probeInterval: '1s', idleTimeout: '1s' } }),
      });
      const client = await stage.raw(gateway.url);
      await client.send(streamRequest());
      await client.until('very');
      const outcome = await Promise.race([client.closed, stillAfter(4000)]);
      expect(outcome).toBe('waiting');
      client.reset();
    });

    stage.beside('a stream of a box that is gone without a word ends with an error after idleTimeout', async () => {
      const dying = await stage.box({ models: ['llama3.2'], faults: { stallAfterChunks: 3 } });
      const gateway = await stage.corral({
        yaml: herdOf([{ name: 'dying', at: dying.port }], { fleet: { idleTimeout: '1s' } }),
      });
      const client = await stage.raw(gateway.url);
      await client.send(streamRequest());
      await client.until('very');
      dying.set({ hang: 'all' });
      const reply = await client.reply({ timeoutMs: 15_000 });
      expect(errorIn('sse', reply.text)).toMatch(/fell silent|broke off/);
      expect(reply.text).not.toContain('[DONE]');
    });

    for (const { path, body, framing, last } of surfaces) {
      stage.it(`a crash of the runner is told in the stream: ${path}`, async () => {
        box.clear();
        box.set({ crashAfterTokens: 3, times: 1 });
        const reply = await ask(corral.url + path, { body: { model: 'llama3.2', ...body } });
        box.clear();
        expect(reply.status).toBe(200);
        expect(reply.text).not.toContain(last);
        expect(errorIn(framing, reply.text)).toEqual(expect.stringMatching(/./));
      });

      stage.it(`a clean end without terminator is a break: ${path}`, async () => {
        box.clear();
        box.set({ endAfterChunks: 5, times: 1 });
        const reply = await ask(corral.url + path, { body: { model: 'llama3.2', ...body } });
        box.clear();
        expect(reply.text).not.toContain(last);
        expect(errorIn(framing, reply.text)).toEqual(expect.stringMatching(/./));
      });

      for (const cutByReset of [false, true]) {
        stage.it(`a connection ${cutByReset ? 'reset' : 'cut'} in the middle is told in the stream: ${path}`, async () => {
          box.clear();
          box.set({ cutAfterChunks: 5, cutByReset, times: 1 });
          const reply = await ask(corral.url + path, { body: { model: 'llama3.2', ...body } });
          box.clear();
          expect(reply.text).not.toContain(last);
          expect(errorIn(framing, reply.text)).toEqual(expect.stringMatching(/./));
        });
      }
    }

    stage.it('half a UTF-8 character before the cut: what comes after is still a well-formed event', async () => {
      const runes = await stage.box({ models: [{ name: 'runes', tokens: ['a', 'é', '漢', '🐎', 'b', 'é', '漢', '🐎'] }] });
      const gateway = await stage.corral({ yaml: herdOf([{ name: 'runes', at: runes.port }]) });
      for (const [path, framing] of [
        [chatPath, 'sse'],
        ['/api/chat', 'ndjson'],
      ] as const) {
        runes.set({ cutAfterChunks: 2, cutMidRune: true });
        const reply = await ask(gateway.url + path, { body: { model: 'runes', messages: hello, stream: true } });
        expect(reply.text).not.toContain('[DONE]');
        const error = framing === 'sse' ? lastSseError(reply.text) : lastLineError(reply.text);
        expect([path, error]).toEqual([path, expect.stringMatching(/./)]);
      }
    });

    stage.it('an error before the first token is plain JSON with its status, streaming or not', async () => {
      box.clear();
      const reply = await chat(corral.url, { stream: true, temperature: 'hot' });
      expect(reply.status).toBe(400);
      expect(reply.headers.get('content-type')).toMatch(/^application\/json/);
      expect(reply.json().error.message).toMatch(/cannot unmarshal string into Go struct field/);
    });

    stage.it('many streams at once arrive whole', async () => {
      box.clear();
      box.set({ tokensPerSecond: 100 });
      const replies = await Promise.all(Array.from({ length: 40 }, () => chat(corral.url, { stream: true })));
      box.clear();
      for (const reply of replies) expect(parseSse(reply.text).at(-1)?.data).toBe('[DONE]');
    });
  });
}

/** Without what differs from one answer to the next: ids, times, durations. */
function unstamped(text: string): string {
  return text
    .replaceAll(/"(id|item_id)":"[^"]*"/g, '"$1":"…"')
    .replaceAll(/"(created|created_at|completed_at)":("[^"]*"|\d+)/g, '"$1":0')
    .replaceAll(/"((?:total|load|prompt_eval|eval)_duration)":\d+/g, '"$1":0')
    .replaceAll(/call_\w+/g, 'call_…');
}

async function stillAfter(ms: number): Promise<'waiting'> {
  await new Promise<void>((resolve) => setTimeout(resolve, ms));
  return 'waiting';
}

async function within<T>(ms: number, work: Promise<T>): Promise<T | 'waiting'> {
  return Promise.race([work, stillAfter(ms)]);
}

function lastSseError(text: string): unknown {
  const block = text.trimEnd().split('\n\n').at(-1) ?? '';
  const data =
    block
      .split('\n')
      .at(-1)
      ?.replace(/^data: /, '') ?? '';
  return (JSON.parse(data) as { error?: { message?: string } }).error?.message;
}

function lastLineError(text: string): unknown {
  return (JSON.parse(text.trimEnd().split('\n').at(-1) ?? '') as { error?: string }).error;
}
