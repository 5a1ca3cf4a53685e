import { describe, expect, test } from 'vitest';
import { GatewayError } from '../../../src/errors.ts';
import { type Answer, client, type Stage } from './stage.ts';
import { boxes, chat, json, missing, stageOf } from './words.ts';

const crash = json(
  { error: { message: 'an error was encountered while running the model: unexpected EOF', type: 'api_error' } },
  500,
);
const outOfMemory = json({ error: { message: 'model requires more system memory (5.3 GiB) than is available (3.9 GiB)' } }, 500);
const busy = json({ error: { message: 'server busy, please try again.  maximum pending requests exceeded' } }, 503);
const good = json({ choices: [], usage: { prompt_tokens: 1, completion_tokens: 1 } });

const askedOf = ({ sent }: Stage) => sent.map(({ url }) => new URL(url).hostname).join(' ');

describe('T9: before the first byte the next box answers, in the same request', () => {
  test.each<[string, Answer | GatewayError]>([
    ['out of memory', outOfMemory],
    ['a crash', crash],
    ['busy', busy],
    ['a model that has gone', missing('m')],
    ['a tunnel without its box', { status: 502, body: 'bad gateway' }],
    ['a proxy that waited in vain', { status: 504, body: '' }],
    ['a connection that broke', new GatewayError('upstream_closed', 'a broke off')],
    ['an error that breaks off itself', { status: 500, body: '{', ends: 'broken' }],
  ])('%s', async (_, first) => {
    const stage = stageOf(boxes(['a', 'b']), { a: first, b: good });
    const { status, text } = await stage.read('/v1/chat/completions', chat('m'));
    expect([status, JSON.parse(text).choices, askedOf(stage)]).toEqual([200, [], 'a b']);
    expect(stage.told).toHaveLength(1);
    expect([
      stage.herd.inFlight(stage.plan.upstreams[0] as never),
      stage.herd.inFlight(stage.plan.upstreams[1] as never),
    ]).toEqual([0, 0]);
  });

  test.each(['queue_full', 'queue_timeout', 'load_failed', 'box_cordoned'] as const)('%s: it is not even asked', async (code) => {
    const stage = stageOf(boxes(['a', 'b']), { a: good, b: good });
    stage.herd.know('a', { turnsAway: new GatewayError(code, 'a: no') });
    const { status } = await stage.read('/v1/chat/completions', chat('m'));
    expect([status, askedOf(stage)]).toEqual([200, 'b']);
  });

  test('what any box would get wrong is asked of one', async () => {
    const stage = stageOf(boxes(['a', 'b']), {
      a: json({ error: 'option "temperature" must be of type float32' }, 500),
      b: good,
    });
    const { status } = await stage.read('/api/chat', chat('m'));
    expect([status, askedOf(stage)]).toEqual([500, 'a']);
  });
});

describe('T9: a stream that fails before it has said anything', () => {
  const sse = (body: string | readonly string[], ends: Answer['ends'] = 'clean'): Answer => ({
    headers: { 'content-type': 'text/event-stream' },
    body,
    ends,
  });
  const ndjson = (body: string): Answer => ({ headers: { 'content-type': 'application/x-ndjson' }, body });
  const chunk = 'data: {"model":"m","choices":[{"index":0,"delta":{"content":"hi"}}]}\n\n';
  const whole = sse([chunk, 'data: [DONE]\n\n']);
  const emptyChunk = sse('data: {"id":"x","model":"","choices":[{"index":0,"delta":{"content":""},"finish_reason":null}]}\n\n');

  test.each<[string, Answer]>([
    ['nothing but headers', sse('')],
    ['headers, and the connection breaks', sse('', 'broken')],
    ['the empty chunk of a crash', emptyChunk],
    ['an error as the first event', sse('data: {"error":{"message":"llama runner process has terminated"}}\n\n')],
  ])('%s: the next box', async (_, first) => {
    const stage = stageOf(boxes(['a', 'b']), { a: first, b: whole });
    const { text } = await stage.read('/v1/chat/completions', chat('m', { stream: true }));
    expect([text, askedOf(stage)]).toEqual([`${chunk}data: [DONE]\n\n`, 'a b']);
    expect(stage.herd.ends.map(({ how }) => how)).toEqual(['broken', 'completed']);
    expect(stage.sent.map(({ isCancelled }) => isCancelled)).toEqual([true, false]);
  });

  test('an error as the first line of Ollama’s own stream: the next box', async () => {
    const line = '{"model":"m","message":{"role":"assistant","content":"hi"},"done":true}\n';
    const stage = stageOf(boxes(['a', 'b']), {
      a: ndjson('{"error":"an error was encountered while running the model: EOF"}\n'),
      b: ndjson(line),
    });
    const { text } = await stage.read('/api/chat', chat('m'));
    expect([text, askedOf(stage)]).toEqual([line, 'a b']);
  });

  test('when it has said something, the client gets an error event and nobody else is asked', async () => {
    const stage = stageOf(boxes(['a', 'b']), { a: sse([chunk], 'broken'), b: whole });
    const { text } = await stage.read('/v1/chat/completions', chat('m', { stream: true }));
    expect(text).toMatch(/^data: .*hi.*\n\ndata: \{"error":/);
    expect(askedOf(stage)).toBe('a');
  });

  test('the last box’s failure is an error event as ever', async () => {
    const stage = stageOf(boxes(['a', 'b']), { a: emptyChunk, b: emptyChunk });
    const { status, text } = await stage.read('/v1/chat/completions', chat('m', { stream: true }));
    expect([status, askedOf(stage)]).toEqual([200, 'a b']);
    expect(text).toContain('"error"');
    expect(text).not.toContain('[DONE]');
  });

  test('headers without a byte are taken for a beginning after 15 s', async () => {
    const stage = stageOf(boxes(['a', 'b']), { a: sse('', 'silent'), b: whole });
    const asking = stage.ask('/v1/chat/completions', chat('m', { stream: true }));
    await stage.clock.advance(15_000);
    expect([(await asking).status, askedOf(stage)]).toEqual([200, 'a']);
  });

  test('T7: a client that leaves meanwhile ends the try, and nobody else is asked', async () => {
    const stage = stageOf(boxes(['a', 'b']), { a: sse('', 'silent'), b: whole });
    const leaving = client();
    const asking = stage.ask('/v1/chat/completions', { ...chat('m', { stream: true }), client: leaving });
    await stage.clock.advance(100);
    leaving.leave();
    expect([(await asking).status, askedOf(stage), stage.sent[0]?.isAborted]).toEqual([499, 'a', true]);
    expect(stage.herd.ends.map(({ how }) => how)).toEqual(['abandoned']);
  });
});

test('a box that keeps failing with the model is asked last, and asked all the same when nobody else is left', async () => {
  const stage = stageOf(boxes(['a', 'b']), { a: good, b: good });
  stage.herd.know('a', { isTripped: true });
  await stage.read('/v1/chat/completions', chat('m'));
  expect(askedOf(stage)).toBe('b');
  stage.herd.know('b', { isTripped: true });
  expect((await stage.read('/v1/chat/completions', chat('m'))).status).toBe(200);
  const alone = stageOf(boxes(['a']), { a: good });
  alone.herd.know('a', { isTripped: true });
  expect((await alone.read('/v1/chat/completions', chat('m'))).status).toBe(200);
});

describe('when all fail, the client gets the error that says most, once', () => {
  const errorOf = async (answers: Parameters<typeof stageOf>[1], turnsAway?: GatewayError) => {
    const stage = stageOf(boxes(['a', 'b']), answers);
    if (turnsAway !== undefined) stage.herd.know('b', { turnsAway });
    const { status, text } = await stage.read('/v1/chat/completions', chat('m'));
    expect(stage.told).toHaveLength(1);
    return [status, JSON.parse(text).error.message as string] as const;
  };

  test('what is full may be free in a moment', async () => {
    const [status, message] = await errorOf({ a: busy, b: outOfMemory });
    expect([status, message]).toEqual([503, expect.stringContaining('a is busy')]);
  });

  test('a queue that is full', async () => {
    const [status, message] = await errorOf({ a: crash }, new GatewayError('queue_full', 'b is full'));
    expect([status, message]).toEqual([503, 'b is full']);
  });

  test('what memory would mend, and who else could not be reached', async () => {
    const [status, message] = await errorOf({ a: outOfMemory, b: new GatewayError('upstream_refused', 'refused') });
    expect(status).toBe(500);
    expect(message).toContain('a has not enough memory for m.');
    expect(message).toContain('Use a smaller variant');
    expect(message).toContain('b refused the connection');
  });
});

describe('what a box is told of for its breaker', () => {
  const endsOf = async (answer: Answer | GatewayError) => {
    const stage = stageOf(boxes(['a']), { a: answer });
    await stage.read('/v1/chat/completions', chat('m')).catch(() => undefined);
    return stage.herd.ends.map(({ how, fault }) => [how, fault]);
  };

  test.each<[string, Answer | GatewayError, unknown]>([
    ['an answer', good, ['completed', undefined]],
    ['out of memory', outOfMemory, ['failed', 'out of memory']],
    ['a crash', crash, ['failed', 'its runner failed']],
    ['a full queue', busy, ['failed', undefined]],
    ['a missing model', missing('m'), ['failed', undefined]],
    ['a bad request', json({ error: 'no' }, 400), ['failed', undefined]],
    ['a connection that broke', new GatewayError('upstream_closed', 'closed'), ['failed', 'it broke off the connection']],
    ['a box that is off', new GatewayError('upstream_refused', 'refused'), ['failed', undefined]],
    [
      'a stream that stopped short',
      { headers: { 'content-type': 'text/event-stream' }, body: 'data: {"choices":[]}\n\n' },
      ['broken', undefined],
    ],
  ])('%s', async (_, answer, end) => {
    expect(await endsOf(answer)).toEqual([end]);
  });

  test('T7: a client that leaves, before and in the answer', async () => {
    const stage = stageOf(boxes(['a']), {
      a: { headers: { 'content-type': 'text/event-stream' }, body: ['data: {"choices":[]}\n\n'], ends: 'silent' },
    });
    const response = await stage.ask('/v1/chat/completions', chat('m', { stream: true }));
    const reader = response.body?.getReader();
    await reader?.read();
    await reader?.cancel();
    expect(stage.herd.ends.map(({ how }) => how)).toEqual(['abandoned']);
  });
});
