import { describe, expect, it } from 'vitest';
import type { Exchange } from '../../../src/exchange.ts';
import type { AnswerMemory } from '../../../src/policies/answer-memory.ts';
import { buffer } from '../../../src/policies/buffer.ts';
import { createMemoryState } from '../../../src/state/memory.ts';
import { ask, type FakeRequest, fakeScope } from './fake-exchange.ts';

const maxBodyBytes = 100;

function middlewareOf(options: unknown, state = createMemoryState()) {
  return buffer.onRequest?.(buffer.options.parse(options), fakeScope({ maxBodyBytes, state }));
}

function asked(options: unknown, request: FakeRequest, answer?: () => Response, state = createMemoryState()) {
  const middleware = middlewareOf(options, state);
  if (middleware === undefined) throw new Error('no middleware');
  return ask(middleware, request, answer);
}

/** A request whose length the client announces. */
function announcing(body: string): FakeRequest {
  return { body, headers: { 'content-length': String(body.length) } };
}

describe('buffer.request', () => {
  it('reads a body before it goes on', async () => {
    const { exchange, reached } = await asked({ request: {} }, announcing('12345'));
    expect(new TextDecoder().decode(exchange.heldBody)).toBe('12345');
    expect([reached, exchange.answerIsRead]).toEqual([true, false]);
  });

  it('refuses what is too long: announced or not', async () => {
    for (const request of [announcing('12345'), { body: '12345' }]) {
      const { reached, code, message, response } = await asked({ request: { maxBytes: 4 } }, request);
      expect([reached, response.status, code]).toEqual([false, 413, 'body_too_large']);
      expect(message).toBe('the request body is larger than the 4 bytes that this route takes');
    }
    for (const request of [announcing('1234'), { body: '1234' }]) {
      expect((await asked({ request: { maxBytes: 4 } }, request)).reached).toBe(true);
    }
  });

  it('reads nothing of a body that is announced as too long', async () => {
    const { exchange } = await asked({ request: { maxBytes: 4 } }, announcing('12345'));
    expect([exchange.heldBody, exchange.request.bodyUsed]).toEqual([undefined, false]);
  });

  it('failOpen leaves a long body to stream through, and holds one whose length nobody told', async () => {
    const options = { request: { maxBytes: 4, failureMode: 'failOpen' } };
    const announced = await asked(options, announcing('12345'));
    expect([announced.reached, announced.exchange.heldBody, announced.exchange.request.bodyUsed]).toEqual([
      true,
      undefined,
      false,
    ]);
    const unknown = await asked(options, { body: '12345' });
    expect([unknown.reached, unknown.exchange.heldBody?.length]).toEqual([true, 5]);
  });

  it('never takes more than the limit for request bodies', async () => {
    for (const request of [{}, { maxBytes: 1_000 }]) {
      const { message } = await asked({ request }, announcing('x'.repeat(101)));
      expect(message).toBe('the request body is larger than the 100 bytes that this route takes');
    }
  });

  it.each([
    ['stops at the limit', {}, 4],
    ['failOpen goes on to the limit for request bodies', { failureMode: 'failOpen' }, undefined],
  ])('%s where nobody told the length', async (_, more, limit) => {
    const middleware = middlewareOf({ request: { maxBytes: 4, ...more } });
    if (middleware === undefined) throw new Error('no middleware');
    const limits: unknown[] = [];
    const watch: typeof middleware = (c, next) => {
      const { bodies } = c.env;
      const read = (exchange: Exchange, maxBytes?: number) => {
        limits.push(maxBytes);
        return bodies.read(exchange);
      };
      Object.assign(c.env, { bodies: { ...bodies, read } });
      return next() as Promise<undefined>;
    };
    await ask([watch, middleware], { body: '12' });
    expect(limits).toEqual([limit]);
  });

  it('judges a body that a policy before it has read or made', async () => {
    const middleware = middlewareOf({ request: { maxBytes: 4 } });
    if (middleware === undefined) throw new Error('no middleware');
    const { reached, code } = await ask(
      [
        (c, next) => {
          c.env.heldBody = new Uint8Array(5);
          return next();
        },
        middleware,
      ],
      { body: '1' },
    );
    expect([reached, code]).toEqual([false, 'body_too_large']);
  });
});

describe('buffer.response', () => {
  /** An answer in chunks, and what became of it. */
  function chunked(chunks: readonly string[], ends: 'clean' | 'broken' = 'clean') {
    const seen = { pulls: 0, isCancelled: false };
    const left = [...chunks];
    const stream = new ReadableStream<Uint8Array<ArrayBuffer>>(
      {
        pull(controller) {
          seen.pulls++;
          const chunk = left.shift();
          if (chunk !== undefined) controller.enqueue(new TextEncoder().encode(chunk));
          else if (ends === 'broken') controller.error(new Error('broken'));
          else controller.close();
        },
        cancel() {
          seen.isCancelled = true;
        },
      },
      { highWaterMark: 0 },
    );
    const answer = () => new Response(stream, { status: 201, headers: { 'x-a': '1', 'content-length': '7' } });
    return { answer, seen };
  }

  it('reads the whole answer before anything of it leaves', async () => {
    const { answer, seen } = chunked(['ab', 'cd', 'e']);
    const { response, exchange } = await asked({ response: {} }, {}, answer);
    expect(seen.pulls).toBe(4);
    expect(exchange.answerIsRead).toBe(true);
    expect([response.status, response.headers.get('x-a'), response.headers.get('content-length')]).toEqual([201, '1', null]);
    expect(await response.text()).toBe('abcde');
  });

  it('answers 502 when it is too long, and lets it go', async () => {
    const { answer, seen } = chunked(['ab', 'cd', 'e']);
    const { response, exchange, code, message } = await asked({ response: { maxBytes: 3 } }, {}, answer);
    expect([response.status, code]).toEqual([502, 'answer_too_large']);
    expect(message).toBe('the answer is larger than the 3 bytes that this route holds');
    expect(seen).toEqual({ pulls: 2, isCancelled: true });
    // What the log will say, however the end of the answer is told.
    expect([exchange.status, exchange.error?.code]).toEqual([502, 'answer_too_large']);
  });

  it('takes as much as it may', async () => {
    const { answer } = chunked(['ab', 'cd']);
    const { response } = await asked({ response: { maxBytes: 4 } }, {}, answer);
    expect(await response.text()).toBe('abcd');
  });

  it('failOpen sends what was held, then the rest as it comes', async () => {
    const { answer, seen } = chunked(['ab', 'cd', 'e']);
    const { response } = await asked({ response: { maxBytes: 3, failureMode: 'failOpen' } }, {}, answer);
    expect([response.status, response.headers.get('content-length')]).toEqual([201, '7']);
    expect(seen.pulls).toBe(2);
    const reader = response.body?.getReader();
    const next = async () => new TextDecoder().decode((await reader?.read())?.value);
    expect([await next(), await next(), seen.pulls]).toEqual(['ab', 'cd', 2]);
    expect([await next(), seen.pulls]).toEqual(['e', 3]);
    expect((await reader?.read())?.done).toBe(true);
  });

  it('failOpen tells the upstream when the client leaves', async () => {
    const { answer, seen } = chunked(['ab', 'cd', 'e']);
    const { response } = await asked({ response: { maxBytes: 1, failureMode: 'failOpen' } }, {}, answer);
    await response.body?.cancel();
    expect(seen.isCancelled).toBe(true);
  });

  it('tells of an answer that breaks off, instead of passing on its beginning', async () => {
    const { answer } = chunked(['ab'], 'broken');
    const { response, code } = await asked({ response: {} }, {}, answer);
    expect([response.status, code]).toEqual([502, 'upstream_closed']);
  });

  it('leaves answers without a body alone', async () => {
    const { response } = await asked({ response: {} }, {}, () => new Response(null, { status: 204 }));
    expect([response.status, response.body]).toEqual([204, null]);
  });

  it('refuses, or streams on, when the process holds too many answers, and gives back what it took', async () => {
    const state = createMemoryState();
    await asked({ response: {} }, {}, () => new Response('x'), state);
    const memory = state.kept<AnswerMemory>('buffer/answers', () => {
      throw new Error('kept under another name');
    });
    const others = memory.open(1_000_000);
    others.take(maxBodyBytes * 8 - 3);
    const tooMany = () => asked({ response: {} }, {}, () => new Response('1234'), state);
    const refused = await tooMany();
    expect([refused.response.status, refused.code, refused.response.headers.get('retry-after')]).toEqual([
      503,
      'overloaded',
      '1',
    ]);
    const open = await asked({ response: { failureMode: 'failOpen' } }, {}, () => new Response('1234'), state);
    expect(await open.response.text()).toBe('1234');
    for (let round = 0; round < 3; round++) {
      expect(await (await asked({ response: {} }, {}, () => new Response('123'), state)).response.text()).toBe('123');
    }
    others.close();
    expect((await tooMany()).response.status).toBe(200);
  });
});

describe('buffer', () => {
  it('costs nothing where it is empty', () => {
    expect(middlewareOf({})).toBeUndefined();
    expect(middlewareOf({ request: null, response: null })).toBeUndefined();
  });

  it('holds both ways at once', async () => {
    let body: Exchange['heldBody'];
    const middleware = middlewareOf({ request: {}, response: {} });
    if (middleware === undefined) throw new Error('no middleware');
    const { response } = await ask(
      [
        middleware,
        (c, next) => {
          body = c.env.heldBody;
          return next();
        },
      ],
      { body: 'in' },
      () => new Response('out'),
    );
    expect([new TextDecoder().decode(body), await response.text()]).toEqual(['in', 'out']);
  });

  it.each([
    ['a negative limit', { request: { maxBytes: -1 } }],
    ['a text', { request: { maxBytes: '1MiB' } }],
    ['another mode', { response: { failureMode: 'FailOpen' } }],
    ['another side', { answer: {} }],
  ])('refuses %s', (_, options) => {
    expect(buffer.options.safeParse(options).success).toBe(false);
  });
});
