import { describe, expect, it } from 'vitest';
import { GatewayError } from '../../../src/errors.ts';
import { answerEarly, isEarly, OpenedBody, openEarly } from '../../../src/http/early-answer.ts';
import type { UpstreamResponse } from '../../../src/platform.ts';
import { createFakeClock } from '../../support/fake-clock.ts';

function relay(answer: Promise<Response>, mayBegin = true) {
  const clock = createFakeClock();
  let departures = 0;
  const early = answerEarly(answer, {
    clock,
    runtime: 'node',
    afterMs: 1_000,
    heartbeatMs: 15_000,
    mayBegin: () => mayBegin,
    onGone: () => departures++,
  });
  return { clock, early, departures: () => departures };
}

/** A body that tells whether it was let go of. */
function watched(start?: (controller: ReadableStreamDefaultController<Uint8Array>) => void) {
  const seen = { isCancelled: false };
  const stream = new ReadableStream<Uint8Array<ArrayBuffer>>({
    start: (controller) => start?.(controller as ReadableStreamDefaultController<Uint8Array>),
    cancel() {
      seen.isCancelled = true;
    },
  });
  return Object.assign(seen, { stream });
}

const never = new Promise<Response>(() => undefined);

/** As the upstream's client would have it. */
function received(body: ReadableStream<Uint8Array> | string | readonly string[]): UpstreamResponse {
  const chunks = typeof body === 'string' ? [body] : body;
  const source = chunks instanceof ReadableStream ? chunks : streamOf(chunks);
  return {
    status: 200,
    headers: new Headers({ 'x-corral-early': '1' }),
    body: new OpenedBody(source.getReader(), new Uint8Array()),
  };
}

function streamOf(chunks: readonly string[]): ReadableStream<Uint8Array> {
  const left = chunks.map((chunk) => new TextEncoder().encode(chunk));
  return new ReadableStream({
    pull(controller) {
      const chunk = left.shift();
      if (chunk === undefined) controller.close();
      else controller.enqueue(chunk);
    },
  });
}

const textOf = async ({ body }: UpstreamResponse) => new TextDecoder().decode(await body.read(1_000_000));

describe('an answer that begins early', () => {
  it('is the answer itself where that comes in time', async () => {
    const response = new Response('x', { status: 404 });
    const { early, clock } = relay(Promise.resolve(response));
    expect(await early).toBe(response);
    expect(clock.pending).toBe(0);
  });

  it('never begins early for whoever would not understand it', async () => {
    let answer: (response: Response) => void = () => undefined;
    const { early, clock } = relay(
      new Promise((resolve) => {
        answer = resolve;
      }),
      false,
    );
    await clock.advance(60_000);
    const response = new Response('x');
    answer(response);
    expect(await early).toBe(response);
  });

  it('sends a sign of life at once and every 15 s, and then all that the answer is', async () => {
    let answer: (response: Response) => void = () => undefined;
    const { early, clock } = relay(
      new Promise((resolve) => {
        answer = resolve;
      }),
    );
    await clock.advance(1_000);
    const response = await early;
    expect([response.status, response.headers.get('content-type')]).toEqual([200, 'text/event-stream']);
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    const next = async () => new TextDecoder().decode((await reader.read()).value);
    expect(await next()).toBe(':\n\n');
    const second = next();
    await clock.advance(15_000);
    expect(await second).toBe(':\n\n');
    const head = next();
    answer(new Response('{"error":"x"}', { status: 503, headers: { 'retry-after': '5', 'content-type': 'application/json' } }));
    expect(JSON.parse((await head).replace('data: ', ''))).toEqual({
      status: 503,
      headers: [
        ['content-type', 'application/json'],
        ['retry-after', '5'],
      ],
    });
    expect(await next()).toBe('{"error":"x"}');
    expect((await reader.read()).done).toBe(true);
    expect(clock.pending).toBe(0);
  });

  it('tells of a client that leaves while there is no answer, and lets go of one that comes later', async () => {
    let answer: (response: Response) => void = () => undefined;
    const { early, clock, departures } = relay(
      new Promise((resolve) => {
        answer = resolve;
      }),
    );
    await clock.advance(1_000);
    await (await early).body?.cancel();
    expect(departures()).toBe(1);
    expect(clock.pending).toBe(0);
    const body = watched();
    answer(new Response(body.stream));
    await clock.settle();
    expect(body.isCancelled).toBe(true);
  });

  it('hands a client that leaves later on to the answer', async () => {
    const body = watched();
    let answer: (response: Response) => void = () => undefined;
    const { early, clock, departures } = relay(
      new Promise((resolve) => {
        answer = resolve;
      }),
    );
    await clock.advance(1_000);
    const response = await early;
    answer(new Response(body.stream));
    await clock.settle();
    await response.body?.cancel();
    expect([body.isCancelled, departures()]).toEqual([true, 0]);
  });

  it('breaks off where the answer does', async () => {
    const broken = new ReadableStream({ pull: (controller) => controller.error(new Error('planted')) });
    let answer: (response: Response) => void = () => undefined;
    const { early, clock } = relay(
      new Promise((resolve) => {
        answer = resolve;
      }),
    );
    await clock.advance(1_000);
    const response = await early;
    answer(new Response(broken));
    const read = response.text();
    read.catch(() => undefined);
    await clock.advance(1_000);
    await expect(read).rejects.toThrow();
  });

  it('has no answer to give where there never is one', async () => {
    const { early, clock } = relay(never);
    await clock.advance(1_000);
    expect((await early).status).toBe(200);
  });
});

describe('what the other end makes of it', () => {
  it('is recognised by its header, from whoever was shown a caller', () => {
    const shown = { 'x-corral-caller': 'payload.signature' };
    expect(isEarly(received(''), shown)).toBe(true);
    expect(isEarly({ headers: new Headers() }, shown)).toBe(false);
    expect(isEarly(received(''), undefined)).toBe(false);
    expect(isEarly(received(''), { 'x-corral-challenge': 'a', 'cf-access-client-id': 'b' })).toBe(false);
  });

  it('says nothing of the connection, nor of a length that nothing was held to', async () => {
    const headers = [
      ['content-length', '5'],
      ['transfer-encoding', 'chunked'],
      ['connection', 'x-mine'],
      ['x-mine', '1'],
      ['x-other', '2'],
    ];
    const answer = await openEarly(received(`data: ${JSON.stringify({ status: 200, headers })}\n\nlonger than five`), 'desk');
    expect([...answer.headers]).toEqual([['x-other', '2']]);
    expect(await textOf(answer)).toBe('longer than five');
  });

  const head = 'data: {"status":201,"headers":[["content-type","text/event-stream"],["set-cookie","a"],["set-cookie","b"]]}\n\n';

  it.each([
    ['in one piece', [`:\n\n:\n\n${head}data: 1\n\n`]],
    ['letter by letter', [...`:\n\n:\n\n${head}data: 1\n\n`]],
    ['with a chunk for each', [':\n\n', ':\n\n', head, 'data: 1\n\n']],
  ])('sees status, headers and body as they are, %s', async (_, chunks) => {
    const opened = await openEarly(received(chunks), 'desk');
    expect(opened.status).toBe(201);
    expect(opened.headers.get('content-type')).toBe('text/event-stream');
    expect(opened.headers.getSetCookie()).toEqual(['a', 'b']);
    expect(await textOf(opened)).toBe('data: 1\n\n');
  });

  it.each([
    ['nothing', []],
    ['signs of life alone', [':\n\n', ':\n\n']],
    ['half a head', ['data: {"status":200']],
    ['no JSON', ['data: x\n\n']],
    ['no status', ['data: {"headers":[]}\n\n']],
    ['a status that is none', ['data: {"status":99,"headers":[]}\n\n']],
    ['a head without end', ['x'.repeat(70_000)]],
  ])('is a broken connection where it gets %s', async (_, chunks) => {
    await expect(openEarly(received(chunks), 'desk')).rejects.toMatchObject({ code: 'upstream_closed' });
  });

  it('keeps the reason of a try that was ended', async () => {
    const reason = new GatewayError('upstream_timeout', 'planted');
    const stream = new ReadableStream<Uint8Array>({ pull: (controller) => controller.error(reason) });
    await expect(openEarly(received(stream), 'desk')).rejects.toBe(reason);
  });

  it('reads no more than it may', async () => {
    const opened = await openEarly(received([head, 'x'.repeat(100)]), 'desk');
    await expect(opened.body.read(99)).rejects.toMatchObject({ code: 'upstream_closed' });
  });

  it('lets go of the connection', async () => {
    const body = watched((controller) => controller.enqueue(new TextEncoder().encode(head)));
    const opened = await openEarly(received(body.stream), 'desk');
    await opened.body.stream().cancel();
    expect(body.isCancelled).toBe(true);
  });
});
