import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  type FakeOllama,
  openBlackHole,
  reserveClosedPort,
  startFakeOllama,
  unresolvableUrl,
} from '../../../support/fake-ollama/index.ts';
import { openRawClient, type RawClient, type RawReply, requestBytes } from '../../../support/raw-client.ts';

let box: FakeOllama;
let clients: RawClient[] = [];
beforeEach(async () => {
  box = await startFakeOllama({ models: ['llama3.2'] });
});
afterEach(async () => {
  for (const client of clients) client.close();
  clients = [];
  await box.stop();
});

const chat = (more: object = {}) =>
  requestBytes({
    path: '/api/chat',
    body: JSON.stringify({ model: 'llama3.2', messages: [{ role: 'user', content: 'x' }], ...more }),
  });
const v1Chat = requestBytes({
  path: '/v1/chat/completions',
  body: JSON.stringify({ model: 'llama3.2', messages: [{ role: 'user', content: 'x' }], stream: true }),
});

async function open(bytes: Uint8Array): Promise<RawClient> {
  const client = await openRawClient(box.url);
  clients.push(client);
  await client.send(bytes);
  return client;
}

async function ask(bytes: Uint8Array): Promise<RawReply> {
  return (await open(bytes)).reply();
}

const version = requestBytes({ path: '/api/version' });
const ps = async () => JSON.parse((await ask(requestBytes({ path: '/api/ps' }))).text).models;

describe('cold load', () => {
  it('says nothing until the model is loaded', async () => {
    box.set({ loadMs: 120 });
    const reply = await ask(v1Chat);
    expect(reply.headAtMs).toBeGreaterThan(110);
    expect(box.loads).toEqual({ started: 1, completed: 1, aborted: 0 });
    // Now it is warm.
    expect((await ask(v1Chat)).headAtMs).toBeLessThan(110);
    expect(box.loads.started).toBe(1);
  });

  it('dies when its client leaves', async () => {
    box.set({ loadMs: 60_000 });
    const client = await open(v1Chat);
    const request = await box.nextRequest();
    expect(await ps()).toEqual([]);
    client.close();
    expect(await request.over).toBe('client left');
    expect(request.closedByClientAt).toBeGreaterThan(request.startedAt);
    expect(box.loads).toEqual({ started: 1, completed: 0, aborted: 1 });
    expect(await ps()).toEqual([]);
  });

  it('is started anew by those who waited, when the one who started it leaves', async () => {
    box.set({ loadMs: 150 });
    const first = await open(v1Chat);
    await box.nextRequest();
    const second = await open(chat({ stream: false }));
    await box.nextRequest();
    first.close();
    expect((await second.reply()).status).toBe(200);
    expect(box.loads).toEqual({ started: 2, completed: 1, aborted: 1 });
  });

  it('goes on when one who only waited leaves', async () => {
    box.set({ loadMs: 150 });
    const first = await open(v1Chat);
    await box.nextRequest();
    const second = await open(v1Chat);
    const waiting = await box.nextRequest();
    second.close();
    expect(await waiting.over).toBe('client left');
    expect((await first.reply()).status).toBe(200);
    expect(box.loads).toEqual({ started: 1, completed: 1, aborted: 0 });
  });
});

describe('streams that go wrong', () => {
  it.each([0, 3])('are cut after %i chunks', async (chunks) => {
    box.set({ cutAfterChunks: chunks });
    const client = await open(v1Chat);
    const reply = await client.reply();
    expect([reply.status, reply.chunks.length, reply.complete]).toEqual([200, chunks, false]);
    expect(await client.closed).toBe('end');
    expect(await box.requests[0]?.over).toBe('cut');
  });

  it('are reset', async () => {
    box.set({ cutAfterChunks: 2, cutByReset: true });
    const client = await open(v1Chat);
    await client.until('" very"');
    expect(await client.closed).toBe('reset');
  });

  it('break off in the middle of a character', async () => {
    box.setModels([{ name: 'llama3.2', tokens: ['a', 'b', 'ü', 'c'] }]);
    box.set({ cutAfterChunks: 2, cutMidRune: true });
    const reply = await ask(v1Chat);
    expect(reply.complete).toBe(false);
    expect(reply.chunks).toHaveLength(3);
    expect([...reply.body.subarray(-2)]).toEqual([0x22, 0xc3]);
  });

  it('end well-formed but too early', async () => {
    box.set({ endAfterChunks: 2 });
    const reply = await ask(v1Chat);
    expect([reply.chunks.length, reply.complete, reply.text.includes('[DONE]')]).toEqual([2, true, false]);
  });

  it('stall, and see their client leave', async () => {
    box.set({ stallAfterChunks: 2 });
    const client = await open(v1Chat);
    await client.until('" very"');
    client.close();
    expect(await box.requests[0]?.over).toBe('client left');
  });

  it('end as recorded when the runner crashes', async () => {
    box.set({ crashAfterTokens: 2 });
    const native = await ask(chat());
    expect(native.chunks.map(({ text }) => text).slice(2)).toEqual([
      '{"error":"an error was encountered while running the model: unexpected EOF"}\n',
    ]);
    const openai = await ask(v1Chat);
    expect(openai.complete).toBe(true);
    expect(openai.chunks).toHaveLength(3);
    expect(openai.chunks[2]?.text).toMatch(
      /"model":"","system_fingerprint":"fp_ollama","choices":\[\{"index":0,"delta":\{"content":""\},"finish_reason":null\}\]\}\n\n$/,
    );
    const whole = await ask(chat({ stream: false }));
    expect([whole.status, whole.text]).toEqual([
      500,
      '{"error":"an error was encountered while running the model: unexpected EOF"}',
    ]);
    // The dead runner stays listed until the next request finds out.
    expect(await ps()).toHaveLength(1);
    box.clear();
    const started = box.loads.started;
    expect((await ask(chat())).status).toBe(200);
    expect(box.loads.started).toBe(started + 1);
  });

  it('come in small slow pieces', async () => {
    box.set({ slowBody: { bytes: 100, pauseMs: 5 } });
    const reply = await ask(chat({ stream: false }));
    expect(reply.body.length).toBeGreaterThan(200);
    expect((reply.chunks.at(-1)?.atMs ?? 0) - reply.headAtMs).toBeGreaterThan(9);
  });

  it('come at a pace', async () => {
    box.set({ tokensPerSecond: 100 });
    const { chunks } = await ask(v1Chat);
    expect((chunks[11]?.atMs ?? 0) - (chunks[0]?.atMs ?? 0)).toBeGreaterThan(100);
  });

  it('start late', async () => {
    box.set({ startDelayMs: 80 });
    const reply = await ask(v1Chat);
    expect(reply.headAtMs).toBeGreaterThan(75);
    expect(reply.chunks).toHaveLength(13);
  });
});

describe('boxes that refuse', () => {
  it('are busy', async () => {
    box.set({ busy: true });
    const reply = await ask(chat());
    expect([reply.status, reply.text]).toEqual([
      503,
      '{"error":"server busy, please try again.  maximum pending requests exceeded"}',
    ]);
    expect((await ask(version)).status).toBe(200);
  });

  it('are out of memory, until the model is in it', async () => {
    box.set({ outOfMemory: true });
    const reply = await ask(chat());
    expect([reply.status, reply.text]).toEqual([
      500,
      '{"error":"model requires more system memory (5.3 GiB) than is available (3.9 GiB)"}',
    ]);
    box.setModels([{ name: 'llama3.2', resident: true }]);
    expect((await ask(chat())).status).toBe(200);
  });

  it('take every Host for foreign', async () => {
    box.set({ foreignHost: true });
    const reply = await ask(version);
    expect([reply.status, reply.text, reply.header('content-length')]).toEqual([403, '', '0']);
  });

  it('answer what a tunnel answers, so many times', async () => {
    box.set({ failWith: { status: 502, contentType: 'text/html', body: '<h1>Bad gateway</h1>' }, times: 1 });
    expect((await ask(chat())).text).toBe('<h1>Bad gateway</h1>');
    expect((await ask(chat())).status).toBe(200);
  });
});

describe('boxes that are silent', () => {
  it('hang altogether', async () => {
    box.set({ hang: 'all' });
    const client = await open(version);
    await box.nextRequest();
    await expect(client.reply({ timeoutMs: 60 })).rejects.toThrow('waited 60 ms');
    client.close();
    expect(await box.requests[0]?.over).toBe('client left');
  });

  it('hang in the runner alone', async () => {
    box.set({ hang: 'inference' });
    await open(chat());
    await box.nextRequest();
    expect((await ask(version)).status).toBe(200);
  });

  it('keep generations in line and forget those who leave', async () => {
    await box.stop();
    box = await startFakeOllama({ parallel: 1, faults: { tokensPerSecond: 5 } });
    const first = await open(v1Chat);
    await first.until('"was"');
    const second = await open(v1Chat);
    const waiting = await box.nextRequest(({ remotePort }) => remotePort === second.socket.localPort);
    await expect.poll(() => box.waiting).toBe(1);
    second.close();
    expect(await waiting.over).toBe('client left');
    expect(box.waiting).toBe(0);
    box.set({ tokensPerSecond: 0 });
    first.close();
    expect((await ask(v1Chat)).complete).toBe(true);
  });
});

describe('boxes that are not there', () => {
  it('refuse connections and come back on the same port', async () => {
    const { url } = box;
    const client = await openRawClient(url);
    await box.refuse();
    await client.closed;
    await expect(openRawClient(url)).rejects.toThrow('ECONNREFUSED');
    await expect(fetch(url)).rejects.toThrow('fetch failed');
    await box.listen();
    expect(box.url).toBe(url);
    expect(await (await fetch(url)).text()).toBe('Ollama is running');
    await box.refuse();
    await expect(openRawClient(url)).rejects.toThrow('ECONNREFUSED');
  });

  it('have a port that nobody else is given', async () => {
    const closed = await reserveClosedPort();
    await expect(openRawClient(closed.url)).rejects.toThrow('ECONNREFUSED');
    const others = await Promise.all(Array.from({ length: 20 }, () => startFakeOllama()));
    expect(others.map(({ port }) => port)).not.toContain(closed.port);
    await expect(openRawClient(closed.url)).rejects.toThrow('ECONNREFUSED');
    await Promise.all(others.map((other) => other.stop()));
    await closed.release();
  });

  it('swallow SYNs: a connect neither succeeds nor fails', async () => {
    const hole = await openBlackHole();
    const sockets = Array.from({ length: 5 }, () => connect(hole.port, '127.0.0.1'));
    const seen: string[] = [];
    for (const socket of sockets) {
      socket.once('connect', () => seen.push('connect'));
      socket.once('error', (error) => seen.push(String(error)));
    }
    // Longer than the kernel's first repetition of the SYN, one second.
    await new Promise((resolve) => setTimeout(resolve, 1300));
    expect(seen).toEqual([]);
    expect(sockets.every((socket) => socket.connecting)).toBe(true);
    for (const socket of sockets) socket.destroy();
    await hole.close();
    await expect(openRawClient(hole.port)).rejects.toThrow('ECONNREFUSED');
  });

  it('have names that do not resolve', async () => {
    await expect(openRawClient(unresolvableUrl)).rejects.toThrow(/ENOTFOUND|EAI_AGAIN/);
  });
});

it('holds a stream back while its client does not read', async () => {
  box.setModels([{ name: 'llama3.2', tokens: Array.from({ length: 400 }, () => 'x'.repeat(65_536)) }]);
  const client = await openRawClient(box.url);
  clients.push(client);
  client.pause();
  await client.send(v1Chat);
  const request = await box.nextRequest();
  const state = await Promise.race([request.over, new Promise((resolve) => setTimeout(() => resolve('held back'), 300))]);
  expect(state).toBe('held back');
  client.resume();
  expect((await client.reply()).complete).toBe(true);
});
