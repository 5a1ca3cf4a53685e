import { describe, expect, test } from 'vitest';
import { GatewayError } from '../../../src/errors.ts';
import type { Answer } from './stage.ts';
import { client, textBeforeCut } from './stage.ts';
import { boxes, chat, json, stageOf } from './words.ts';

const guarded = (promptGuard: object, more = {}) =>
  boxes(['a'], { route: `{ ai: { promptGuard: ${JSON.stringify(promptGuard)} } }`, ...more });
const masking = { response: [{ regex: { rules: [{ builtin: 'email' }] } }] };
const rejecting = {
  response: [{ regex: { action: 'reject', rules: [{ pattern: 'bomb' }] }, rejection: { headers: { set: { 'x-why': 'bomb' } } } }],
};

const completion = (content: string) =>
  json({ model: 'm', choices: [{ message: { role: 'assistant', content } }], usage: { prompt_tokens: 3, completion_tokens: 4 } });

describe('a whole answer that is changed', () => {
  test('has its new length, and its usage is known', async () => {
    const answer = completion('write to a@b.com');
    const stage = stageOf(guarded(masking), {
      a: { ...answer, headers: { ...answer.headers, 'content-length': String(String(answer.body).length), etag: '"1"' } },
    });
    const { status, headers, text } = await stage.read('/v1/chat/completions', chat('m'));
    expect([status, JSON.parse(text).choices[0].message.content]).toEqual([200, 'write to <EMAIL_ADDRESS>']);
    expect(headers.get('content-length')).toBe(String(text.length));
    expect(headers.get('etag')).toBeNull();
    expect(stage.told.map(({ exchange }) => [exchange.outcome, exchange.status, exchange.usage?.outputTokens])).toEqual([
      ['completed', 200, 4],
    ]);
    expect(stage.herd.inFlight(stage.plan.upstreams[0] as never)).toBe(0);
    expect(stage.clock.pending).toBe(0);
  });

  test('that is refused is an ordinary error, in the client’s protocol, and counted as refused', async () => {
    const stage = stageOf(guarded(rejecting), { a: completion('a bomb') });
    const { status, headers, text } = await stage.read('/v1/chat/completions', chat('m'));
    expect([status, JSON.parse(text).error.code, headers.get('x-why')]).toEqual([403, 'guard_rejected', 'bomb']);
    expect(stage.told.map(({ exchange }) => [exchange.outcome, exchange.error?.code, exchange.usage?.inputTokens])).toEqual([
      ['refused', 'guard_rejected', 3],
    ]);
  });

  test('that a body of the configuration takes the place of has no content type', async () => {
    const given = { response: [{ ...rejecting.response[0], rejection: { body: 'no', status: 418 } }] };
    const { status, headers, text } = await stageOf(guarded(given), { a: completion('a bomb') }).read(
      '/v1/chat/completions',
      chat('m'),
    );
    expect([status, text, headers.get('content-type')]).toEqual([418, 'no', null]);
  });

  test('that is too large to be looked through', async () => {
    const more = 'fleet: { maxBodyBytes: 1000 }';
    const stage = stageOf(guarded(masking, { more }), { a: completion('x'.repeat(1_001)) });
    const { status, text } = await stage.read('/v1/chat/completions', chat('m'));
    expect([status, JSON.parse(text).error.code]).toEqual([502, 'answer_too_large']);
    expect(stage.sent[0]?.isAborted).toBe(true);
    const fits = stageOf(guarded(masking, { more }), { a: completion('x'.repeat(800)) });
    expect((await fits.read('/v1/chat/completions', chat('m'))).status).toBe(200);
  });

  test('that breaks off, or is cut short, is an error, and never half an answer', async () => {
    const broken = stageOf(guarded(masking), { a: { ...completion('x'), ends: 'broken' } });
    expect((await broken.read('/v1/chat/completions', chat('m'))).status).toBe(502);
    expect(broken.herd.ends.map(({ how }) => how)).toEqual(['broken']);
    expect(broken.told.map(({ exchange }) => [exchange.outcome, exchange.error?.code])).toEqual([['failed', 'upstream_closed']]);
    const short = stageOf(guarded(masking), { a: { headers: { 'content-type': 'application/json' }, body: '{"choices":[' } });
    const { status, text } = await short.read('/v1/chat/completions', chat('m'));
    expect([status, JSON.parse(text).error.code]).toEqual([502, 'broken_stream']);
  });

  test('that a client does not wait for', async () => {
    const stage = stageOf(guarded(masking), { a: { ...completion('x'), ends: 'silent' } });
    const leaving = client();
    const response = stage.ask('/v1/chat/completions', { ...chat('m'), client: leaving });
    await new Promise((resolve) => setImmediate(resolve));
    leaving.leave();
    expect((await response).status).toBe(499);
    expect(stage.sent[0]?.isAborted).toBe(true);
    expect(stage.told.map(({ exchange }) => exchange.outcome)).toEqual(['abandoned']);
    // T7: that says nothing of the box.
    expect(stage.herd.ends.map(({ how }) => how)).toEqual(['abandoned']);
  });

  test('that is compressed is read all the same; codings that cannot be are an error', async () => {
    const gzip = new Response(completion('a@b.com').body as string).body?.pipeThrough(new CompressionStream('gzip'));
    const bytes = new Uint8Array(await new Response(gzip).arrayBuffer());
    const coded = { ...completion(''), headers: { 'content-type': 'application/json', 'content-encoding': 'gzip' }, bytes };
    const { text, headers } = await stageOf(guarded(masking), { a: coded }).read('/v1/chat/completions', chat('m'));
    expect(JSON.parse(text).choices[0].message.content).toBe('<EMAIL_ADDRESS>');
    expect(headers.get('content-encoding')).toBeNull();
    const strange = { ...coded, headers: { ...coded.headers, 'content-encoding': 'br' } };
    const stage = stageOf(guarded(masking), { a: strange });
    expect((await stage.read('/v1/chat/completions', chat('m'))).text).toContain('content-encoding: br');
    expect(stage.sent[0]?.isCancelled).toBe(true);
  });

  test('errors of an upstream pass', async () => {
    const yaml = boxes(
      ['{ ai: { name: v, hostOverride: "a:1", provider: { openAI: { model: m } }, policies: { backendAuth: { key: k } } } }'],
      {
        route: `{ ai: { promptGuard: ${JSON.stringify(masking)} } }`,
      },
    );
    const { status, text } = await stageOf(yaml, { a: json({ error: { message: 'ask a@b.com' } }, 429) }).read(
      '/v1/chat/completions',
      chat('m'),
    );
    expect([status, text]).toEqual([429, '{"error":{"message":"ask a@b.com"}}']);
  });
});

describe('a stream that is changed', () => {
  const event = (text: string) => `data: {"model":"m","choices":[{"index":0,"delta":{"content":"${text}"}}]}\n\n`;
  const usage = 'data: {"model":"m","choices":[],"usage":{"prompt_tokens":7,"completion_tokens":2}}\n\n';
  const done = 'data: [DONE]\n\n';
  const sse = (body: readonly string[], ends: Answer['ends'] = 'clean'): Answer => ({
    headers: { 'content-type': 'text/event-stream', 'content-length': '9' },
    body,
    ends,
  });
  const asked = chat('m', { stream: true });

  test('keeps its events; usage is learned and taken out as without guards', async () => {
    const stage = stageOf(guarded(masking), { a: sse([event('to a@'), event('b.com now'), usage, done]) });
    const { headers, text } = await stage.read('/v1/chat/completions', asked);
    const added = 'data: {"model":"m","choices":[{"index":0,"delta":{"content":"now"},"finish_reason":null}]}\n\n';
    expect(text).toBe(event('to ') + event('<EMAIL_ADDRESS> ') + added + done);
    expect(headers.get('content-length')).toBeNull();
    expect(stage.told.map(({ exchange }) => [exchange.outcome, exchange.usage])).toEqual([
      ['completed', { inputTokens: 7, outputTokens: 2, estimated: false }],
    ]);
    expect(stage.clock.pending).toBe(0);
  });

  test('that is refused ends with the error, and lets the upstream go', async () => {
    const stage = stageOf(guarded(rejecting), { a: sse([event('a bo'), event('mb and'), event('more'), done], 'silent') });
    const { text } = await stage.read('/v1/chat/completions', asked);
    expect(text.startsWith(event('a '))).toBe(true);
    expect(text).toContain('"code":"guard_rejected"');
    expect(text).not.toMatch(/mb|more|DONE/);
    expect([stage.sent[0]?.isAborted, stage.sent[0]?.isCancelled]).toEqual([true, true]);
    expect(stage.told.map(({ exchange }) => [exchange.outcome, exchange.error?.code])).toEqual([['refused', 'guard_rejected']]);
    expect(stage.herd.inFlight(stage.plan.upstreams[0] as never)).toBe(0);
  });

  test.each(['clean', 'broken'] as const)('that stops short (%s) ends with what was held and the error', async (ends) => {
    const stage = stageOf(guarded(masking), { a: sse([event('to a@')], ends) });
    const { text, isCut } = await textBeforeCut(await stage.ask('/v1/chat/completions', asked));
    expect(text.startsWith(event('to '))).toBe(true);
    expect(text.indexOf('"a@"')).toBeLessThan(text.indexOf('"code":"broken_stream"'));
    expect(text).toContain('"a@"');
    expect([text.includes('[DONE]'), isCut]).toEqual([false, false]);
    expect(stage.told.map(({ exchange }) => [exchange.outcome, exchange.error?.code])).toEqual([['broken', 'broken_stream']]);
  });

  test('a client that leaves ends the generation', async () => {
    const stage = stageOf(guarded(masking), { a: sse([event('x ')], 'silent') });
    const reader = ((await stage.ask('/v1/chat/completions', asked)).body as ReadableStream<Uint8Array>).getReader();
    await reader.read();
    await reader.cancel();
    expect([stage.sent[0]?.isAborted, stage.sent[0]?.isCancelled]).toEqual([true, true]);
    expect(stage.told.map(({ exchange }) => exchange.outcome)).toEqual(['abandoned']);
  });

  test('nothing is read that the client does not take', async () => {
    const stage = stageOf(guarded(masking), { a: sse(Array.from({ length: 50 }, () => event('x '))) });
    const reader = ((await stage.ask('/v1/chat/completions', asked)).body as ReadableStream<Uint8Array>).getReader();
    await reader.read();
    await reader.read();
    await new Promise((resolve) => setImmediate(resolve));
    expect(stage.sent[0]?.chunksTaken).toBeLessThanOrEqual(3);
    await reader.cancel();
  });

  test('silence is watched: a dead box ends it', async () => {
    const stage = stageOf(guarded(masking), { a: sse([event('x ')], 'silent') });
    const ending = textBeforeCut(await stage.ask('/v1/chat/completions', asked));
    stage.herd.know('a', { answersProbe: false });
    await stage.clock.advance(180_000);
    expect((await ending).text).toContain('answers no probe');
  });

  test('streaming: Disabled leaves it alone', async () => {
    const stage = stageOf(guarded({ streaming: 'Disabled', ...masking }), { a: sse([event('a@b.com'), done]) });
    expect((await stage.read('/v1/chat/completions', asked)).text).toBe(event('a@b.com') + done);
    expect(stage.plan.warnings.join()).toContain('Disabled');
  });
});

test('without guards an answer passes by the short way', async () => {
  const stage = stageOf(boxes(['a']), { a: completion('a@b.com') });
  const { response } = await stage.read('/v1/chat/completions', chat('m'));
  expect(stage.relayed).toContain(response);
  const changed = stageOf(guarded(masking), { a: completion('a@b.com') });
  await changed.read('/v1/chat/completions', chat('m'));
  expect(changed.relayed).toEqual([]);
});

test('a request that is refused reaches nobody', async () => {
  const stage = stageOf(guarded({ request: [{ regex: { action: 'reject', rules: [{ builtin: 'ssn' }] } }] }), {
    a: completion('x'),
  });
  const body = { model: 'm', messages: [{ role: 'user', content: 'ssn 078-05-1120' }] };
  const { status, text } = await stage.read('/v1/chat/completions', { body });
  expect([status, JSON.parse(text).error]).toEqual([
    403,
    {
      message: 'The request was rejected due to inappropriate content',
      type: 'permission_error',
      param: null,
      code: 'guard_rejected',
    },
  ]);
  expect(stage.sent).toEqual([]);
  const anthropic = await stage.read('/v1/messages', { body: { ...body, max_tokens: 9 } });
  expect(JSON.parse(anthropic.text)).toMatchObject({ type: 'error', error: { type: 'permission_error' } });
  expect(JSON.parse((await stage.read('/api/chat', { body })).text)).toEqual({
    error: 'The request was rejected due to inappropriate content',
  });
  expect(stage.told.map(({ exchange }) => exchange.outcome)).toEqual(['refused', 'refused', 'refused']);
  expect(new GatewayError('guard_rejected', '').status).toBe(403);
});

test('an upstream is asked for an answer without encoding only where it is looked into', async () => {
  const vendor =
    '{ ai: { name: v, hostOverride: "a:1", provider: { openAI: { model: m } }, policies: { backendAuth: { key: k } } } }';
  const codingOf = async (promptGuard: object) => {
    const stage = stageOf(boxes([vendor], { route: `{ ai: { promptGuard: ${JSON.stringify(promptGuard)} } }` }), {
      a: completion('x'),
    });
    await stage.read('/v1/chat/completions', { ...chat('m'), headers: { 'accept-encoding': 'gzip' } });
    return stage.sent[0]?.headers['accept-encoding'];
  };
  expect([await codingOf(masking), await codingOf({ request: masking.response })]).toEqual([undefined, 'gzip']);
});
