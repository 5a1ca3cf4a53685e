/** Cold loads and other silences (T1, T2, T7, T20): one load for all, early headers, heartbeats, errors in the stream. */
import { beforeAll, describe, expect } from 'vitest';
import type { FakeOllama } from '../support/fake-ollama/index.ts';
import { parseNdjson } from '../support/ndjson.ts';
import { requestBytes } from '../support/raw-client.ts';
import type { RunningCorral } from '../support/runtimes/index.ts';
import { parseSse, sseComments } from '../support/sse.ts';
import { ask, chat, errorOf, hello, herdOf, inferencesOf, isLoad, isPath, type Stage, until, untilListed } from './stage.ts';

const impatient = { probeInterval: '1s', loads: { headersAfter: '150ms', heartbeat: '250ms' } };

const surfaces = [
  { path: '/v1/chat/completions', body: { messages: hello, stream: true }, framing: 'sse' },
  { path: '/v1/completions', body: { prompt: 'Hello', stream: true }, framing: 'sse' },
  { path: '/v1/responses', body: { input: 'Hello', stream: true }, framing: 'sse' },
  { path: '/v1/messages', body: { messages: hello, max_tokens: 50, stream: true }, framing: 'sse' },
  { path: '/api/chat', body: { messages: hello }, framing: 'ndjson' },
  { path: '/api/generate', body: { prompt: 'Hello' }, framing: 'ndjson' },
] as const;

type Framing = (typeof surfaces)[number]['framing'];

/** How many heartbeats there are, and how the events would read without them: their kinds alone, as ids and times differ. */
function read(framing: Framing, text: string): { beats: number; kinds: unknown[] } {
  if (framing === 'ndjson') {
    const lines = parseNdjson(text) as { done?: boolean; response?: string; message?: { content: string } }[];
    const isBeat = (line: (typeof lines)[number]) => line.done === false && (line.response ?? line.message?.content) === '';
    const kinds = lines.filter((line) => !isBeat(line)).map(({ done, response, message }) => [done, response, message]);
    return { beats: lines.filter(isBeat).length, kinds };
  }
  const events = parseSse(text);
  const others = events.filter(({ event }) => event !== 'ping');
  return {
    beats: sseComments(text).length + events.length - others.length,
    kinds: others.map(({ event, data, json }) => [event, json === undefined ? data : Object.keys(json as object)]),
  };
}

const streamRequest = (body: object = {}) =>
  requestBytes({
    path: '/v1/chat/completions',
    headers: [['Content-Type', 'application/json']],
    body: JSON.stringify({ model: 'llama3.2', messages: hello, stream: true, ...body }),
  });

export function coldLoads(stage: Stage): void {
  describe('cold loads and silences', () => {
    // A box for each case, so that none waits while another one waits.
    const boxes = new Map<string, FakeOllama>();
    const boxOf = (name: string): FakeOllama => {
      const box = boxes.get(name);
      if (box === undefined) throw new Error(`there is no box ${name}`);
      return box;
    };
    let corral: RunningCorral;
    beforeAll(async () => {
      const broken = { status: 500, contentType: 'application/json', body: '{"error":"it broke"}' };
      for (const at of surfaces.keys()) {
        boxes.set(`cold${at}`, await stage.box({ models: [`cold${at}`], faults: { loadMs: 1200 } }));
        const resident = (name: string) => [{ name, resident: true }];
        boxes.set(`pausing${at}`, await stage.box({ models: resident(`pausing${at}`), faults: { tokensPerSecond: 1.5 } }));
        const failing = { startDelayMs: 600, failWith: broken };
        boxes.set(`failing${at}`, await stage.box({ models: resident(`failing${at}`), faults: failing }));
      }
      boxes.set('stuck', await stage.box({ models: [{ name: 'stuck', resident: true }], faults: { startDelayMs: 30_000 } }));
      const entries = [...boxes].map(([name, { port }]) => ({ name, at: port }));
      corral = await stage.corral({ yaml: herdOf(entries, { fleet: impatient }) });
      await untilListed(
        corral.url,
        [...boxes.keys()].map((name) => `${name}:latest`),
      );
    });

    for (const [at, { path, body, framing }] of surfaces.entries()) {
      stage.beside(`T1, T2: headers and heartbeats during a cold load, then the stream as ever: ${path}`, async () => {
        const box = boxOf(`cold${at}`);
        const sent = { model: `cold${at}`, ...body };
        const reply = await ask(corral.url + path, { body: sent });
        box.clear();
        const direct = await ask(box.url + path, { body: sent });
        expect([reply.status, reply.headers.get('x-accel-buffering')]).toEqual([200, 'no']);
        expect(reply.headers.get('content-type')).toBe(direct.headers.get('content-type'));
        expect(reply.headers.get('cache-control')).toContain('no-transform');
        const seen = read(framing, reply.text);
        expect(seen.beats).toBeGreaterThanOrEqual(3);
        expect(seen.kinds).toEqual(read(framing, direct.text).kinds);
        if (path === '/v1/chat/completions') expect(reply.text).toMatch(/^: loading cold0 on cold0\n\n/);
        expect(box.loads).toEqual({ started: 1, completed: 1, aborted: 0 });
      });

      stage.beside(`T2, T20: heartbeats in a stream that pauses: ${path}`, async () => {
        const sent = { model: `pausing${at}`, ...body, max_tokens: 2, max_output_tokens: 2, options: { num_predict: 2 } };
        const reply = await ask(corral.url + path, { body: sent });
        const direct = await ask(boxOf(`pausing${at}`).url + path, { body: sent });
        const seen = read(framing, reply.text);
        expect(seen.beats).toBeGreaterThanOrEqual(2);
        expect(seen.kinds).toEqual(read(framing, direct.text).kinds);
      });

      stage.beside(`A2: an error after the headers is told in the stream: ${path}`, async () => {
        const reply = await ask(corral.url + path, { body: { model: `failing${at}`, ...body } });
        expect(reply.status).toBe(200);
        const last = framing === 'sse' ? parseSse(reply.text).at(-1)?.json : parseNdjson(reply.text).at(-1);
        expect(JSON.stringify(last)).toContain('it broke');
        expect(reply.text).not.toContain('[DONE]');
      });
    }

    stage.beside('T7: a client that leaves while it waits is seen, also where headers would not show it', async () => {
      const client = await stage.raw(corral.url);
      await client.send(streamRequest({ model: 'stuck', marker: 'leaves' }));
      const received = await boxOf('stuck').nextRequest((request) => request.body.includes('leaves'));
      await client.until(/: .*\n\n/);
      client.reset();
      expect(await Promise.race([received.over, until('nothing', () => false, 8_000).catch(() => 'waiting')])).toBe(
        'client left',
      );
    });

    stage.beside('T1: impatient clients take no load along, and share one', async () => {
      const cold = await stage.box({ faults: { loadMs: 2000 } });
      const gateway = await stage.corral({ yaml: herdOf([{ name: 'cold', at: cold.port }], { fleet: impatient }) });
      await untilListed(gateway.url, ['llama3.2:latest']);
      for (let round = 1; round <= 4; round++) {
        const client = await stage.raw(gateway.url);
        await client.send(streamRequest());
        await client.until(': loading llama3.2 on cold');
        client.reset();
      }
      const last = await chat(gateway.url, { stream: true });
      expect([last.status, parseSse(last.text).at(-1)?.data]).toEqual([200, '[DONE]']);
      expect(cold.loads).toEqual({ started: 1, completed: 1, aborted: 0 });
      expect(cold.requests.filter(isLoad)).toHaveLength(1);
      expect(inferencesOf(cold).filter(isPath('/v1/chat/completions'))).toHaveLength(1);
    });

    stage.beside('what the model cannot do is refused with its status, before anything is loaded', async () => {
      const cold = await stage.box({ models: [{ name: 'plain', capabilities: ['completion'] }], faults: { loadMs: 2000 } });
      const gateway = await stage.corral({
        yaml: herdOf([{ name: 'cold', at: cold.port }], {
          fleet: impatient,
          config: stage.runtime === 'workerd' ? {} : { adminAddr: '127.0.0.1:0' },
        }),
        env: { CORRAL_ADMIN_TOKEN: 'admin-token-of-the-tests' },
      });
      await untilListed(gateway.url, ['plain:latest']);
      const headers = { authorization: 'Bearer admin-token-of-the-tests' };
      const admin = await until('the admin address', () => gateway.adminUrl);
      await until('what the model can do is known', async () => {
        // On workerd nothing is learnt between requests.
        await ask(`${gateway.url}/v1/models`);
        return (await ask(`${admin}/fleet`, { headers })).json().boxes[0].models[0].capabilities !== null;
      });
      const tools = [{ type: 'function', function: { name: 'now', parameters: { type: 'object', properties: {} } } }];
      const reply = await chat(gateway.url, { model: 'plain', stream: true, tools });
      expect([reply.status, errorOf(reply)]).toEqual([400, expect.stringContaining('does not support tools')]);
      const image = { type: 'image_url', image_url: { url: 'data:image/png;base64,aGVsbG8=' } };
      const seen = await chat(gateway.url, { model: 'plain', stream: true, messages: [{ role: 'user', content: [image] }] });
      expect([seen.status, errorOf(seen)]).toEqual([400, expect.stringContaining('does not support multimodal requests')]);
      expect(cold.loads.started).toBe(0);
    });

    stage.beside('fleet.loads.own: false leaves loads to the calls', async () => {
      const cold = await stage.box({ faults: { loadMs: 300 } });
      const fleet = { probeInterval: '1s', loads: { own: false } };
      const gateway = await stage.corral({ yaml: herdOf([{ name: 'cold', at: cold.port }], { fleet }) });
      await untilListed(gateway.url, ['llama3.2:latest']);
      expect((await chat(gateway.url)).status).toBe(200);
      expect(cold.requests.filter(isLoad)).toHaveLength(0);
      expect(cold.loads.completed).toBe(1);
    });

    stage.beside('a call that only unloads a model loads nothing first', async () => {
      const idle = await stage.box();
      const gateway = await stage.corral({
        yaml: herdOf([{ name: 'idle', at: idle.port }], { fleet: impatient }),
        env: { CORRAL_ADMIN_TOKEN: 'root' },
      });
      await untilListed(gateway.url, ['llama3.2:latest']);
      const body = { model: 'llama3.2', keep_alive: 0 };
      await ask(`${gateway.url}/api/generate`, { body, headers: { authorization: 'Bearer root' } });
      expect(idle.requests.filter(({ path }) => path === '/api/generate').map((request) => request.json())).toEqual([
        expect.objectContaining({ keep_alive: 0 }),
      ]);
    });

    stage.beside('T2: padJson: spaces before an answer that is no stream, an error object where it fails', async () => {
      const slow = await stage.box({ models: [{ name: 'llama3.2', resident: true }], faults: { startDelayMs: 800 } });
      const fleet = { ...impatient, loads: { ...impatient.loads, padJson: true } };
      const gateway = await stage.corral({ yaml: herdOf([{ name: 'slow', at: slow.port }], { fleet }) });
      await untilListed(gateway.url, ['llama3.2:latest']);
      const reply = await chat(gateway.url);
      expect([reply.status, reply.headers.get('content-type')]).toEqual([200, 'application/json']);
      expect(reply.text).toMatch(/^ {2,}\{/);
      expect(reply.json().choices[0].message.content).toMatch(/./);
      slow.set({ startDelayMs: 800, failWith: { status: 500, contentType: 'application/json', body: '{"error":"it broke"}' } });
      const failed = await chat(gateway.url);
      expect([failed.status, errorOf(failed)]).toEqual([200, 'it broke']);
    });
  });
}
