import Anthropic from '@anthropic-ai/sdk';
import { Ollama } from 'ollama';
import OpenAI from 'openai';
import { describe, expect, test } from 'vitest';
import type { Upstream, Waiter } from '../../../src/exchange.ts';
import { type Answer, client, createStage, type Stage } from './stage.ts';
import { boxes, json } from './words.ts';

const sse = { 'content-type': 'text/event-stream' };
const lines = { 'content-type': 'application/x-ndjson' };
const events = (...all: readonly (readonly [string, object])[]) =>
  all.map(([event, data]) => `event: ${event}\ndata: ${JSON.stringify({ type: event, ...data })}\n\n`);

const chunk = (delta: object, finish: string | null = null) =>
  `data: ${JSON.stringify({ id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`;

const response = (status: string, output: object[] = []) => ({
  id: 'resp_1',
  object: 'response',
  created_at: 1,
  status,
  model: 'm',
  output,
  usage: null,
  error: null,
});
const message = (content: object[]) => ({ type: 'message', id: 'msg_1', role: 'assistant', status: 'completed', content });
const part = (text: string) => ({ type: 'output_text', text, annotations: [] });

/** What a box says on each surface, in pieces, and how a client library reads it: every event that it hands out. */
const surfaces: readonly {
  readonly name: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly pieces: readonly string[];
  read(fetch: typeof globalThis.fetch): Promise<unknown[]>;
}[] = [
  {
    name: 'openai: chat',
    path: '/v1/chat/completions',
    headers: sse,
    pieces: [chunk({ role: 'assistant', content: 'Hel' }), chunk({ content: 'lo' }), chunk({}, 'stop'), 'data: [DONE]\n\n'],
    read: async (fetch) =>
      all(
        await openai(fetch).chat.completions.create({
          model: 'm',
          messages: [{ role: 'user', content: 'x' }],
          stream: true,
          // Otherwise frames are held until they are whole, and there is no half of one.
          stream_options: { include_usage: true },
        }),
      ),
  },
  {
    name: 'openai: completions',
    path: '/v1/completions',
    headers: sse,
    pieces: ['Hel', 'lo']
      .map((text) => `data: ${JSON.stringify({ id: 'cmpl-1', object: 'text_completion', choices: [{ index: 0, text }] })}\n\n`)
      .concat('data: [DONE]\n\n'),
    read: async (fetch) => all(await openai(fetch).completions.create({ model: 'm', prompt: 'x', stream: true })),
  },
  {
    name: 'openai: responses, with the helper that builds the whole answer',
    path: '/v1/responses',
    headers: sse,
    pieces: events(
      ['response.created', { sequence_number: 0, response: response('in_progress') }],
      ['response.output_item.added', { sequence_number: 1, output_index: 0, item: message([]) }],
      [
        'response.content_part.added',
        { sequence_number: 2, output_index: 0, content_index: 0, item_id: 'msg_1', part: part('') },
      ],
      ['response.output_text.delta', { sequence_number: 3, output_index: 0, content_index: 0, item_id: 'msg_1', delta: 'Hello' }],
      ['response.completed', { sequence_number: 4, response: response('completed', [message([part('Hello')])]) }],
    ),
    async read(fetch) {
      const stream = openai(fetch).responses.stream({ model: 'm', input: 'x' });
      return [...(await all(stream)), (await stream.finalResponse()).output_text];
    },
  },
  {
    name: 'anthropic: messages, with the helper that builds the whole message',
    path: '/v1/messages',
    headers: sse,
    pieces: events(
      [
        'message_start',
        {
          message: {
            id: 'msg_1',
            type: 'message',
            role: 'assistant',
            model: 'm',
            content: [],
            stop_reason: null,
            usage: { input_tokens: 1, output_tokens: 0 },
          },
        },
      ],
      ['content_block_start', { index: 0, content_block: { type: 'text', text: '' } }],
      ['content_block_delta', { index: 0, delta: { type: 'text_delta', text: 'Hello' } }],
      ['content_block_stop', { index: 0 }],
      ['message_delta', { delta: { stop_reason: 'end_turn' }, usage: { input_tokens: 1, output_tokens: 2 } }],
      ['message_stop', {}],
    ),
    async read(fetch) {
      const anthropic = new Anthropic({ apiKey: 'k', baseURL: 'http://localhost:3000', fetch, maxRetries: 0 });
      const stream = anthropic.messages.stream({ model: 'm', max_tokens: 9, messages: [{ role: 'user', content: 'x' }] });
      const seen = await all(stream);
      return [...seen, await stream.finalText()];
    },
  },
  {
    name: 'ollama: chat',
    path: '/api/chat',
    headers: lines,
    pieces: ['Hel', 'lo', '']
      .map((content) => ({ model: 'm', created_at: 't', message: { role: 'assistant', content }, done: content === '' }))
      .map((line) => `${JSON.stringify(line)}\n`),
    async read(fetch) {
      const parts = await all(await ollama(fetch).chat({ model: 'm', messages: [], stream: true }));
      return parts.filter(({ done, message: { content } }) => done || content !== '');
    },
  },
  {
    name: 'ollama: generate',
    path: '/api/generate',
    headers: lines,
    pieces: ['Hel', 'lo', '']
      .map((text) => ({ model: 'm', created_at: 't', response: text, done: text === '' }))
      .map((line) => `${JSON.stringify(line)}\n`),
    async read(fetch) {
      const parts = await all(await ollama(fetch).generate({ model: 'm', prompt: 'x', stream: true }));
      return parts.filter(({ done, response: text }) => done || text !== '');
    },
  },
];

function openai(fetch: typeof globalThis.fetch): OpenAI {
  return new OpenAI({ apiKey: 'k', baseURL: 'http://localhost:3000/v1', fetch, maxRetries: 0 });
}

function ollama(fetch: typeof globalThis.fetch): Ollama {
  return new Ollama({ host: 'http://localhost:3000', fetch });
}

async function all<Item>(stream: AsyncIterable<Item>): Promise<Item[]> {
  const items: Item[] = [];
  for await (const item of stream) items.push(item);
  // What a helper hands out may grow later.
  return structuredClone(items);
}

/** A `fetch` that ends at the stage's gateway; it notes when bytes came. */
function fetchOf(stage: Stage): { fetch: typeof globalThis.fetch; arrivals: number[]; text: () => string } {
  const arrivals: number[] = [];
  let text = '';
  const fetch = async (url: unknown, init?: RequestInit) => {
    const request = new Request(String(url), { ...init, headers: { ...headersOf(init), host: 'localhost:3000' } });
    const answer = await stage.gateway.fetch(request, client());
    arrivals.push(stage.clock.now());
    const decoder = new TextDecoder();
    const seen = new TransformStream<Uint8Array, Uint8Array>({
      transform(bytes, controller) {
        arrivals.push(stage.clock.now());
        text += decoder.decode(bytes, { stream: true });
        controller.enqueue(bytes);
      },
    });
    return new Response(answer.body?.pipeThrough(seen as never) ?? null, { status: answer.status, headers: answer.headers });
  };
  return { fetch: fetch as typeof globalThis.fetch, arrivals, text: () => text };
}

function headersOf(init: RequestInit | undefined): Record<string, string> {
  return Object.fromEntries(new Headers(init?.headers));
}

function stageFor(answer: (path: string) => Answer, yaml = boxes(['a'])): Stage {
  return createStage(yaml, { script: ({ url }) => answer(new URL(url).pathname) });
}

/** Turns of the event loop that a client library may take, at most, before it asks anything: some of them load modules first. */
const maxTurnsToAsk = 20_000;

/** Moves time on until the work is done: from when the upstream was asked, however long the library takes to come to that. */
async function until<Result>(stage: Stage, work: Promise<Result>, limitMs = 4_000_000): Promise<Result> {
  let isDone = false;
  work.then(
    () => {
      isDone = true;
    },
    () => {
      isDone = true;
    },
  );
  for (let turn = 0; !isDone && stage.sent.length === 0 && turn < maxTurnsToAsk; turn++) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  for (let passedMs = 0; !isDone && passedMs < limitMs; passedMs += 1_000) await stage.clock.advance(1_000);
  return await work;
}

const longestGap = (times: readonly number[]) => Math.max(...times.slice(1).map((time, index) => time - (times[index] ?? 0)));

describe.each(surfaces)('T1, T2, T20: $name', ({ path, headers, pieces, read }) => {
  const plain = async (): Promise<unknown[]> => {
    const stage = stageFor(() => ({ headers, body: pieces }));
    return await until(stage, read(fetchOf(stage).fetch));
  };

  test('330 s of silence before the stream: headers after 10 s, a byte every 15 s, the same events, one request', async () => {
    const stage = stageFor(() => ({ headers, body: pieces, afterMs: 330_000 }));
    const { fetch, arrivals, text } = fetchOf(stage);
    expect(await until(stage, read(fetch))).toEqual(await plain());
    expect(arrivals[0]).toBeGreaterThanOrEqual(10_000);
    expect(arrivals[0]).toBeLessThanOrEqual(11_000);
    expect(longestGap(arrivals)).toBeLessThanOrEqual(15_000);
    expect(arrivals.length).toBeGreaterThan(20);
    expect(text()).toContain(pieces.join(''));
    expect(stage.sent.map(({ url, isAborted }) => [new URL(url).pathname, isAborted])).toEqual([[path, false]]);
    await stage.clock.settle();
    expect(stage.told.map(({ exchange: { status, outcome } }) => [status, outcome])).toEqual([[200, 'completed']]);
    // The first token counts, and not the first heartbeat.
    expect(stage.told[0]?.exchange.firstByteMs).toBeGreaterThanOrEqual(330_000);
    expect(stage.clock.pending).toBe(0);
  });

  test('330 s of silence in the stream, twice', async () => {
    const stage = stageFor(() => ({ headers, body: pieces, pausesMs: [0, 330_000, 330_000] }));
    const { fetch, arrivals } = fetchOf(stage);
    expect(await until(stage, read(fetch))).toEqual(await plain());
    expect(longestGap(arrivals)).toBeLessThanOrEqual(15_000);
    expect(arrivals.length).toBeGreaterThan(44);
    expect(stage.sent).toHaveLength(1);
    await stage.clock.settle();
    expect(stage.told.map(({ exchange: { outcome } }) => outcome)).toEqual(['completed']);
    expect(stage.clock.pending).toBe(0);
  });

  test('never inside a frame: silence in the middle of one stays silence', async () => {
    const [first = '', ...others] = pieces;
    const at = Math.floor(first.length / 2);
    const stage = stageFor(() => ({ headers, body: [first.slice(0, at), first.slice(at), ...others], pausesMs: [0, 100_000] }));
    const { fetch, arrivals, text } = fetchOf(stage);
    expect(await until(stage, read(fetch))).toEqual(await plain());
    expect(text()).toBe(pieces.join(''));
    expect(longestGap(arrivals)).toBe(100_000);
  });

  test('silence before and in the stream, one after the other', async () => {
    const stage = stageFor(() => ({ headers, body: pieces, afterMs: 60_000, pausesMs: [20_000, 330_000, 40_000] }));
    const { fetch, arrivals } = fetchOf(stage);
    expect(await until(stage, read(fetch))).toEqual(await plain());
    expect(longestGap(arrivals)).toBeLessThanOrEqual(15_000);
  });
});

describe.each(surfaces)('errors after the headers: $name', ({ read, path }) => {
  const oom = json({ error: 'model requires more system memory (5.3 GiB) than is available (3.9 GiB)' }, 500);

  test('A2: a refusal is an error that the client library throws, or its last event', async () => {
    const stage = stageFor(() => ({ ...oom, afterMs: 100_000 }));
    const failed = await until(stage, read(fetchOf(stage).fetch)).then(
      (items) => JSON.stringify(items),
      (thrown: Error) => `thrown: ${thrown.message}`,
    );
    expect(failed).toContain('model requires more system memory');
    if (path !== '/v1/responses') expect(failed).toMatch(/^thrown/);
    await stage.clock.settle();
    expect(stage.told).toHaveLength(1);
    expect(stage.told[0]?.exchange).toMatchObject({ status: 200, outcome: 'failed', error: { status: 500 } });
    expect(stage.clock.pending).toBe(0);
  });

  test('before that, it keeps its status', async () => {
    const stage = stageFor(() => ({ ...oom, afterMs: 9_000 }));
    const { fetch } = fetchOf(stage);
    let status = 0;
    const noting = async (url: unknown, init?: RequestInit) => {
      const answer = await fetch(String(url), init);
      status = answer.status;
      return answer;
    };
    await until(stage, read(noting as typeof globalThis.fetch)).catch(() => undefined);
    expect(status).toBe(500);
  });
});

describe('what leaves early', () => {
  const chat = { body: { model: 'llama3.2', messages: [], stream: true } };
  const late = (answer: Answer = { headers: sse, body: 'data: [DONE]\n\n' }): Answer => ({ ...answer, afterMs: 60_000 });

  test('headers that keep proxies from gathering, and what policies add', async () => {
    const stage = stageFor(() => late(), boxes(['a'], { route: '{ cors: { allowOrigins: ["http://page.localhost"] } }' }));
    const asking = stage.ask('/v1/chat/completions', { ...chat, headers: { origin: 'http://page.localhost' } });
    const { status, headers, body } = await until(stage, asking);
    expect([status, headers.get('content-type'), headers.get('cache-control'), headers.get('x-accel-buffering')]).toEqual([
      200,
      'text/event-stream',
      'no-cache, no-transform',
      'no',
    ]);
    expect(headers.get('access-control-allow-origin')).toBe('http://page.localhost');
    await body?.cancel();
  });

  test('the first heartbeat says what is waited for', async () => {
    const stage = stageFor(() => late());
    const { admit } = stage.herd;
    const slowly = async (upstream: Upstream, _: unknown, waiter: Waiter) => {
      waiter.onWait?.({ for: 'load', boxName: 'gpu\n1', position: 0 });
      await new Promise<void>((resolve) => stage.clock.after(50_000, resolve));
      return admit(upstream);
    };
    Object.assign(stage.herd, { admit: slowly });
    const answer = await until(stage, stage.ask('/v1/chat/completions', chat));
    expect(answer.headers.get('x-corral-wait')).toBe('loading llama3.2 on gpu?1');
    const text = await until(stage, answer.text());
    expect(text).toMatch(/^: loading llama3\.2 on gpu\?1\n\n/);
    expect(text).toContain(': still working\n\n');
    expect(text.endsWith('data: [DONE]\n\n')).toBe(true);
  });

  test.each(['/api/chat', '/api/generate'])('lines on %s: model, time, nothing said, not done', async (path) => {
    const stage = stageFor(() => ({ ...late(), headers: lines, body: '{"done":true}\n' }));
    const answer = await until(stage, stage.ask(path, { body: { model: 'llama3.2' } }));
    expect(answer.headers.get('content-type')).toBe('application/x-ndjson');
    const [first = ''] = (await until(stage, answer.text())).split('\n');
    const nothing = path === '/api/chat' ? { message: { role: 'assistant', content: '' } } : { response: '' };
    expect(JSON.parse(first)).toEqual({ model: 'llama3.2', created_at: '2026-01-01T00:00:10.000Z', ...nothing, done: false });
  });

  test('one object instead of lines, as calls that only load get it, becomes the last line', async () => {
    const stage = stageFor(() => late(json({ model: 'llama3.2', done: true, done_reason: 'load' })));
    const answer = await until(stage, stage.ask('/api/chat', { body: { model: 'llama3.2' } }));
    const text = await until(stage, answer.text());
    expect(text.endsWith('{"model":"llama3.2","done":true,"done_reason":"load"}\n')).toBe(true);
    await stage.clock.settle();
    expect(stage.told[0]?.exchange.outcome).toBe('completed');
  });

  test('calls that do not stream wait for their status', async () => {
    const stage = stageFor(() => late(json({ ok: true }, 429)));
    const asking = stage.ask('/v1/chat/completions', { body: { model: 'm', messages: [] } });
    await stage.clock.advance(59_000);
    expect(stage.told).toHaveLength(0);
    expect((await until(stage, asking)).status).toBe(429);
  });

  test('a client that leaves while it waits: the try is left, the exchange ends, nothing stays behind', async () => {
    const stage = stageFor(() => late());
    const { body } = await until(stage, stage.ask('/v1/chat/completions', chat));
    const reader = body?.getReader();
    await reader?.read();
    expect(stage.gateway.inFlight).toBe(1);
    await reader?.cancel();
    expect(stage.leavings).toHaveLength(1);
    stage.leavings[0]?.abort();
    await stage.clock.settle();
    expect(stage.sent[0]?.isAborted).toBe(true);
    expect(stage.told.map(({ exchange: { status, outcome, error } }) => [status, outcome, error])).toEqual([
      [200, 'abandoned', undefined],
    ]);
    expect([stage.gateway.inFlight, stage.leavings.length]).toEqual([0, 1]);
    await stage.clock.advance(100_000);
    expect(stage.clock.pending).toBe(0);
  });

  test('a client that leaves the stream that follows: the box is told', async () => {
    const stage = stageFor(() => ({ headers: sse, body: [chunk({ content: 'x' })], afterMs: 20_000, ends: 'silent' }));
    const { body } = await until(stage, stage.ask('/v1/chat/completions', chat));
    const reader = body?.getReader();
    await reader?.read();
    await stage.clock.advance(15_000);
    for (let text = ''; !text.includes('"x"'); ) text = new TextDecoder().decode((await reader?.read())?.value);
    await reader?.cancel();
    await stage.clock.settle();
    expect(stage.sent[0]?.isCancelled || stage.sent[0]?.isAborted).toBe(true);
    expect(stage.told.map(({ exchange: { outcome } }) => outcome)).toEqual(['abandoned']);
    await stage.clock.advance(100_000);
    expect(stage.clock.pending).toBe(0);
  });

  test('a stream that breaks after that tells of it, as any other', async () => {
    const stage = stageFor(() => ({ headers: sse, body: [chunk({ content: 'x' })], afterMs: 20_000, ends: 'broken' }));
    const answer = await until(stage, stage.ask('/v1/chat/completions', chat));
    const text = await until(stage, answer.text());
    expect(text).toMatch(/data: \{"error":\{.*"code":"broken_stream"/);
    await stage.clock.settle();
    expect(stage.told[0]?.exchange).toMatchObject({ status: 200, outcome: 'broken' });
  });

  test('a client that does not read gets no heap of heartbeats', async () => {
    const stage = stageFor(() => ({ ...late(), afterMs: 600_000 }));
    const answer = await until(stage, stage.ask('/v1/chat/completions', chat));
    await stage.clock.advance(500_000);
    const text = await until(stage, answer.text());
    expect(text.match(/^:/gm)?.length).toBeLessThanOrEqual(9);
  });
});

describe('padJson', () => {
  const yaml = boxes(['a'], { more: 'fleet: { loads: { padJson: true } }' });
  const call = { body: { model: 'm', messages: [] } };

  test('spaces, and then the answer', async () => {
    const stage = stageFor(
      () => ({ ...json({ id: 'x', usage: { prompt_tokens: 1, completion_tokens: 2 } }), afterMs: 330_000 }),
      yaml,
    );
    const answer = await until(stage, stage.ask('/v1/chat/completions', call));
    expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'application/json']);
    const text = await until(stage, answer.text());
    expect(text).toMatch(/^ {20,}\{/);
    expect(JSON.parse(text)).toMatchObject({ id: 'x' });
    await stage.clock.settle();
    expect(stage.told[0]?.exchange).toMatchObject({ outcome: 'completed', usage: { inputTokens: 1, outputTokens: 2 } });
  });

  test.each(['/v1/chat/completions', '/v1/embeddings', '/api/embed', '/v1/messages'])(
    'A2: an error object where %s fails',
    async (path) => {
      const stage = stageFor(() => ({ ...json({ error: 'busy' }, 500), afterMs: 60_000 }), yaml);
      const answer = await until(
        stage,
        stage.ask(path, { body: { model: 'm', messages: [], input: 'x', max_tokens: 5, stream: false } }),
      );
      expect(answer.status).toBe(200);
      const body = JSON.parse(await until(stage, answer.text()));
      expect(JSON.stringify(body.error)).toContain('busy');
      await stage.clock.settle();
      expect(stage.told[0]?.exchange).toMatchObject({ status: 200, outcome: 'failed' });
      expect(stage.clock.pending).toBe(0);
    },
  );
});

describe('behind a translation', () => {
  const translated = boxes([
    '{ ai: { name: up, hostOverride: "up:1", provider: { openAI: {} } }, policies: { backendAuth: { key: sk } } }',
  ]);
  const body = { model: 'm', max_tokens: 9, messages: [{ role: 'user', content: 'x' }], stream: true };
  const said = [chunk({ role: 'assistant', content: 'Hel' }), chunk({ content: 'lo' }), chunk({}, 'stop'), 'data: [DONE]\n\n'];
  const readMessage = async (fetch: typeof globalThis.fetch) => {
    const anthropic = new Anthropic({ apiKey: 'k', baseURL: 'http://localhost:3000', fetch, maxRetries: 0 });
    const { stream: _, ...call } = body;
    return await anthropic.messages.stream(call as never).finalText();
  };

  test('T2: pings between the events that come out, however they come in', async () => {
    const text = said.join('');
    const half = Math.floor((said[0]?.length ?? 0) / 2);
    const pieces = [text.slice(0, half), text.slice(half, half + 40), text.slice(half + 40)];
    const stage = stageFor(
      () => ({ headers: sse, body: pieces, afterMs: 60_000, pausesMs: [40_000, 330_000, 40_000] }),
      translated,
    );
    const { fetch, arrivals, text: seen } = fetchOf(stage);
    expect(await until(stage, readMessage(fetch))).toBe('Hello');
    expect(longestGap(arrivals)).toBeLessThanOrEqual(15_000);
    expect(seen().match(/^event: ping$/gm)?.length).toBeGreaterThan(25);
    await stage.clock.settle();
    expect(stage.told.map(({ exchange: { outcome } }) => outcome)).toEqual(['completed']);
    expect(stage.clock.pending).toBe(0);
  });

  test('A2: a late refusal comes in the protocol of the client', async () => {
    const stage = stageFor(() => ({ ...json({ error: { message: 'no such thing' } }, 404), afterMs: 60_000 }), translated);
    await expect(until(stage, readMessage(fetchOf(stage).fetch))).rejects.toThrow(/no such thing/);
    await stage.clock.settle();
    expect(stage.told[0]?.exchange).toMatchObject({ status: 200, outcome: 'refused', error: { status: 404 } });
    expect(stage.clock.pending).toBe(0);
  });

  test('a client that leaves in a silence: the upstream is let go of', async () => {
    const stage = stageFor(() => ({ headers: sse, body: [said[0] ?? ''], ends: 'silent' }), translated);
    const answer = await until(stage, stage.ask('/v1/messages', { body }));
    const reader = answer.body?.getReader();
    await reader?.read();
    await stage.clock.advance(40_000);
    await reader?.cancel();
    await stage.clock.settle();
    expect(stage.sent[0]?.isCancelled || stage.sent[0]?.isAborted).toBe(true);
    expect(stage.told.map(({ exchange: { outcome } }) => outcome)).toEqual(['abandoned']);
    expect(stage.clock.pending).toBe(0);
  });
});

describe('T2: in Ollama’s own words, as options of Ollama want it', () => {
  const line = (more: object) => `${JSON.stringify({ model: 'm', created_at: '2026-01-01T00:00:00Z', done: false, ...more })}\n`;
  const end = { done: true, done_reason: 'stop', prompt_eval_count: 5, eval_count: 2 };
  const turns = (content: string) => ({ message: { role: 'assistant', content } });
  const messages = [{ role: 'user', content: 'x' }];

  test.each([
    ['/v1/chat/completions', { messages }, turns, /^: still working$/gm],
    ['/v1/messages', { messages, max_tokens: 9 }, turns, /^event: ping$/gm],
    ['/v1/responses', { input: 'x' }, turns, /^: still working$/gm],
    ['/v1/completions', { prompt: 'x' }, (response: string) => ({ response }), /^: still working$/gm],
  ])('%s: 330 s of silence in the stream', async (path, members, said, beats) => {
    const body = [line(said('Hel')), line(said('lo')), line({ ...said(''), ...end })];
    const stage = stageFor(() => ({
      headers: { 'content-type': 'application/x-ndjson' },
      body,
      pausesMs: [0, 330_000, 330_000],
    }));
    const { fetch, arrivals, text } = fetchOf(stage);
    const asked = { model: 'm', num_ctx: 4_096, stream: true, ...members };
    const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(asked) };
    await until(
      stage,
      fetch(`http://localhost:3000${path}`, init).then((answer) => answer.text()),
    );
    expect(longestGap(arrivals)).toBeLessThanOrEqual(15_000);
    expect(text().match(beats)?.length).toBeGreaterThan(40);
    expect(text()).toContain('Hel');
    await stage.clock.settle();
    expect(stage.told.map(({ exchange: { outcome } }) => outcome)).toEqual(['completed']);
    expect(stage.clock.pending).toBe(0);
  });
});
