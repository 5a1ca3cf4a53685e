import { describe, expect, test } from 'vitest';
import { type AttemptsResult, type Payload, tryCandidates } from '../../../src/backends/attempts.ts';
import { createHealthState, createTargetHealth } from '../../../src/backends/health.ts';
import type { Candidate } from '../../../src/backends/target.ts';
import { GatewayError } from '../../../src/errors.ts';
import type { Attempt, RetryRule } from '../../../src/exchange.ts';
import { decodeCall } from '../../../src/protocols/decode.ts';
import { openaiChat } from '../../../src/protocols/openai-chat.ts';
import { candidate, createTries, endOf, evictable, type Sent, type Tries, target } from './stage.ts';

function payloadOf(tries: Tries, body: object = { model: 'llama3.2', messages: [] }): Payload {
  const bytes = new TextEncoder().encode(JSON.stringify(body));
  return { call: decodeCall(openaiChat, bytes, tries.exchange), bytes, isPlain: true };
}

const boxes = (...names: string[]): Candidate[] => names.map((name) => candidate(target(name)));
const hosts = (...names: string[]): Candidate[] => names.map((name) => candidate(target(name, { kind: 'host' })));

function retry(rule: Partial<RetryRule> = {}): RetryRule {
  return { attempts: 2, statuses: new Set([503]), backoffMs: 0, ...rule };
}

type Play = Readonly<Record<string, number | string | ((sent: Sent) => void)>>;

/** By upstream: a status, an error code, or something else to do. */
function playing(tries: Tries, play: Play): void {
  tries.script = (name, sent) => {
    const part = play[name];
    if (typeof part === 'number') sent.answer(part, `from ${name}`);
    else if (typeof part === 'string') sent.fail(part as 'upstream_refused');
    else part?.(sent);
  };
}

/** Who was asked, and what came of it: `name status`, or the error's code. */
async function outcomeOf(tries: Tries, candidates: readonly Candidate[], payload = payloadOf(tries)): Promise<[string, unknown]> {
  const end = await endOf(tryCandidates(tries.exchange, payload, candidates, tries.tools));
  const result = typeof end === 'string' ? end : describeResult(end as AttemptsResult);
  return [tries.sent.map(({ name }) => name).join(' '), result];
}

function describeResult(result: AttemptsResult): string {
  const status =
    result.kind === 'answered'
      ? result.answered.response.status
      : result.kind === 'refused'
        ? result.refusal.status
        : result.response.status;
  return `${result.kind} ${result.candidate.target.upstream.name} ${status}`;
}

const saying = (message: string) => (sent: Sent) => sent.answer(500, JSON.stringify({ error: message }));
const crash = saying('an error was encountered while running the model: unexpected EOF');
const outOfMemory = saying('model requires more system memory (5.3 GiB) than is available (3.9 GiB)');
const badOption = saying('option "temperature" must be of type float32');
const missing = (sent: Sent) => sent.answer(404, `{"error":"model 'llama3.2' not found"}`);

describe('the last resort: boxes whose lists lack the model', () => {
  const row = () => boxes('a', 'b').map((one) => ({ ...one, isLastResort: one.target.upstream.name === 'b' }));

  test.each([
    ['is asked once the others say that they have not got it either', missing, 'a b', 'answered b 200'],
    ['is not asked for a box that is busy: its answer says more than theirs', 503, 'a', 'refused a 503'],
    ['is not asked for a box that cannot be reached', 'upstream_refused', 'a', 'upstream_refused'],
  ] as const)('%s', async (_, part, asked, outcome) => {
    const tries = createTries();
    playing(tries, { a: part, b: 200 });
    expect(await outcomeOf(tries, row())).toEqual([asked, outcome]);
  });

  test('retries go round without it', async () => {
    const tries = createTries();
    tries.exchange.retry = retry({ attempts: 3 });
    playing(tries, { a: 503, b: 200 });
    expect(await outcomeOf(tries, row())).toEqual(['a a a', 'refused a 503']);
  });
});

describe('boxes: what leads to the next one', () => {
  test.each([
    ['upstream_refused', 'a b', 'answered b 200'],
    ['upstream_unresolved', 'a b', 'answered b 200'],
    ['upstream_tls', 'a b', 'answered b 200'],
    ['upstream_closed', 'a b', 'answered b 200'],
    [502, 'a b', 'answered b 200'],
    [503, 'a b', 'answered b 200'],
    [504, 'a b', 'answered b 200'],
    [missing, 'a b', 'answered b 200'],
    [200, 'a', 'answered a 200'],
    [302, 'a', 'answered a 302'],
    [400, 'a', 'refused a 400'],
    [404, 'a', 'refused a 404'],
    [429, 'a', 'refused a 429'],
    [500, 'a b', 'answered b 200'],
    [crash, 'a b', 'answered b 200'],
    [outOfMemory, 'a b', 'answered b 200'],
    [badOption, 'a', 'refused a 500'],
    [501, 'a', 'refused a 501'],
  ] as const)('%s', async (fate, asked, result) => {
    const tries = createTries();
    playing(tries, { a: fate, b: 200 });
    expect(await outcomeOf(tries, boxes('a', 'b'))).toEqual([asked, result]);
  });

  test('a box that falls silent', async () => {
    const tries = createTries();
    tries.herd.know('a', { answersProbe: false });
    playing(tries, { b: 200 });
    const outcome = outcomeOf(tries, boxes('a', 'b'));
    await tries.clock.advance(250);
    expect(await outcome).toEqual(['a b', 'answered b 200']);
  });

  test.each([
    ['a box that is full', 503, 'upstream_refused', 'refused a 503'],
    ['a box that is full', 'upstream_refused', 503, 'refused b 503'],
    ['a box that is full', 503, outOfMemory, 'refused a 503'],
    ['what a box said when it failed', crash, 'upstream_refused', 'refused a 500'],
    ['what a box said when it failed', crash, missing, 'refused a 500'],
    ['the later of two alike', crash, outOfMemory, 'refused b 500'],
    ['the later of two alike', 'upstream_refused', missing, 'refused b 404'],
    ['the later of two alike', missing, 'upstream_refused', 'upstream_refused'],
    ['an answer about the request', 503, 400, 'refused b 400'],
  ] as const)('when all fail the client learns of %s', async (_, first, second, outcome) => {
    const tries = createTries();
    playing(tries, { a: first, b: second });
    expect(await outcomeOf(tries, boxes('a', 'b'))).toEqual(['a b', outcome]);
  });

  test('every try is written down', async () => {
    const tries = createTries();
    playing(tries, { a: 'upstream_refused', b: 503, c: 200 });
    await outcomeOf(tries, boxes('a', 'b', 'c'));
    expect(tries.exchange.attempts.map(({ upstream, status, error }) => [upstream.name, status, error?.code])).toEqual([
      ['a', undefined, 'upstream_refused'],
      ['b', 503, undefined],
      ['c', 200, undefined],
    ]);
  });

  test('what a box said of a missing model is noted, other 404s are not', async () => {
    const tries = createTries();
    playing(tries, { a: missing, b: 404 });
    await outcomeOf(tries, boxes('a', 'b'));
    expect(tries.herd.noted).toEqual(['answer a', 'missing a llama3.2', 'answer b']);
  });

  test('nobody to ask', async () => {
    expect(await outcomeOf(createTries(), [])).toEqual(['', 'no_backends']);
  });

  test('never more than 32, however many there are', async () => {
    const tries = createTries();
    tries.script = (_, sent) => sent.fail('upstream_refused');
    const [asked, result] = await outcomeOf(tries, boxes(...Array.from({ length: 40 }, (_, index) => `b${index}`)));
    expect(asked.split(' ')).toHaveLength(32);
    expect(result).toBe('upstream_refused');
  });
});

describe('other hosts', () => {
  test.each([
    ['upstream_refused', 'a b', 'answered b 200'],
    ['upstream_unresolved', 'a b', 'answered b 200'],
    ['upstream_tls', 'a b', 'answered b 200'],
    // It may have begun to work on the request.
    ['upstream_closed', 'a', 'upstream_closed'],
    [503, 'a', 'answered a 503'],
    [404, 'a', 'answered a 404'],
  ] as const)('%s', async (fate, asked, result) => {
    const tries = createTries();
    playing(tries, { a: fate, b: 200 });
    expect(await outcomeOf(tries, hosts('a', 'b'))).toEqual([asked, result]);
  });

  test('a retry policy allows more', async () => {
    const tries = createTries();
    tries.exchange.retry = retry({ attempts: 3 });
    playing(tries, { a: 'upstream_closed', b: 503 });
    expect(await outcomeOf(tries, hosts('a', 'b'))).toEqual(['a b a', 'upstream_closed']);
  });
});

describe('where failover is configured', () => {
  const groups = (kind: 'box' | 'host' | 'openai') =>
    ['a', 'b'].map((name, group) => candidate(target(name, { kind, group, failsOver: true })));

  test.each([
    ['upstream_closed', 'a b', 'answered b 200'],
    ['upstream_refused', 'a b', 'answered b 200'],
    [429, 'a b', 'answered b 200'],
    [500, 'a b', 'answered b 200'],
    [503, 'a b', 'answered b 200'],
    [599, 'a b', 'answered b 200'],
    [200, 'a', 'answered a 200'],
    [400, 'a', 'answered a 400'],
    [401, 'a', 'answered a 401'],
    [404, 'a', 'answered a 404'],
  ] as const)('%s', async (fate, asked, result) => {
    const tries = createTries();
    playing(tries, { a: fate, b: 200 });
    expect(await outcomeOf(tries, groups('openai'))).toEqual([asked, result]);
  });

  test('for boxes as well', async () => {
    const tries = createTries();
    playing(tries, { a: 429, b: 200 });
    expect(await outcomeOf(tries, groups('box'))).toEqual(['a b', 'answered b 200']);
  });

  test('the last one’s answer is what the client gets', async () => {
    const tries = createTries();
    playing(tries, { a: 500, b: 429 });
    expect(await outcomeOf(tries, groups('openai'))).toEqual(['a b', 'answered b 429']);
    expect(tries.sent.map(({ isCancelled }) => isCancelled)).toEqual([true, false]);
  });

  test('a limit of the request itself ends it all', async () => {
    const tries = createTries();
    tries.exchange.deadlineMs = 1_000;
    playing(tries, {});
    const outcome = outcomeOf(tries, groups('openai'));
    await tries.clock.advance(1_000);
    expect(await outcome).toEqual(['a', 'request_timeout']);
  });
});

test('further tries say which one they are, the first says nothing', async () => {
  const tries = createTries();
  tries.exchange.retry = retry({ attempts: 3 });
  playing(tries, { a: 503, b: 'upstream_refused' });
  await outcomeOf(tries, boxes('a', 'b'));
  expect(tries.sent.map(({ request }) => request.headers['x-retry-attempt'])).toEqual([undefined, '1', '2']);
});

test('an upstream without words for the call is left for the next one, and is never tried again', async () => {
  const wordless = target('a', {
    kind: 'openai',
    translationFor: () => {
      throw new GatewayError('unsupported_conversion', 'no words');
    },
  });
  const tries = createTries();
  playing(tries, { b: 200 });
  expect(await outcomeOf(tries, [candidate(wordless), ...hosts('b')])).toEqual(['b', 'answered b 200']);
  const alone = createTries();
  alone.exchange.retry = retry({ attempts: 3 });
  expect(await outcomeOf(alone, [candidate(wordless)])).toEqual(['', 'unsupported_conversion']);
});

describe('health', () => {
  const watched = () => {
    const state = createHealthState();
    const isUnhealthy = (_: unknown, { status }: { status: number }) => status >= 500;
    return {
      state,
      target: target('a', { kind: 'openai', health: createTargetHealth(state, { isUnhealthy, eviction: undefined }) }),
    };
  };

  test.each([
    [200, 1, 0],
    [404, 1, 0],
    [500, 0.7, 1],
    ['upstream_refused', 0.7, 1],
    ['upstream_closed', 0.7, 1],
  ] as const)('after %s', async (fate, health, failures) => {
    const { state, target: one } = watched();
    const tries = createTries();
    playing(tries, { a: fate });
    await outcomeOf(tries, [candidate(one)]);
    expect(state).toMatchObject({ health, failures, waiting: 0 });
  });

  test('the time to headers of a good answer is learned', async () => {
    const { state, target: one } = watched();
    const tries = createTries();
    playing(tries, {});
    const outcome = outcomeOf(tries, [candidate(one)]);
    await tries.clock.advance(1_500);
    expect(state.waiting).toBe(1);
    tries.sent[0]?.answer(200);
    await outcome;
    expect(state).toMatchObject({ latencySeconds: 1.5, waiting: 0 });
  });

  test('a client that leaves, and a request whose time is up, say nothing of it', async () => {
    const { state, target: one } = watched();
    const left = createTries();
    playing(left, {});
    const leaving = outcomeOf(left, [candidate(one)]);
    await left.clock.settle();
    left.client.leave();
    left.leavings[0]?.abort();
    expect(await leaving).toEqual(['a', 'ClientGone']);
    const late = createTries();
    late.exchange.deadlineMs = 100;
    playing(late, {});
    const timing = outcomeOf(late, [candidate(one)]);
    await late.clock.advance(100);
    expect(await timing).toEqual(['a', 'request_timeout']);
    expect(state).toEqual(createHealthState());
  });

  test('a limit of the try does', async () => {
    const { state, target: one } = watched();
    const tries = createTries();
    playing(tries, {});
    const limited = { ...one, edits: [(attempt: Attempt) => void Object.assign(attempt, { timeoutMs: 100 })] };
    const outcome = outcomeOf(tries, [candidate(limited)]);
    await tries.clock.advance(100);
    expect(await outcome).toEqual(['a', 'upstream_timeout']);
    expect(state.failures).toBe(1);
  });
});

describe('retry', () => {
  test('a condition on the answer retries what no code names', async () => {
    const tries = createTries();
    tries.exchange.retry = retry({ statuses: new Set(), condition: (_, { status }) => status === 418 });
    playing(tries, { a: 418 });
    expect(await outcomeOf(tries, hosts('a'))).toEqual(['a a', 'answered a 418']);
    const others = createTries();
    others.exchange.retry = retry({ statuses: new Set(), condition: (_, { status }) => status === 418 });
    playing(others, { a: 503 });
    expect(await outcomeOf(others, hosts('a'))).toEqual(['a', 'answered a 503']);
  });

  test('whoever was evicted by its answer is not asked again while another is there', async () => {
    const sick = evictable('a', { kind: 'host' });
    const tries = createTries();
    tries.exchange.retry = retry({ attempts: 4 });
    tries.script = (name, sent) => {
      if (name === 'a') sick.evict();
      sent.answer(503);
    };
    expect(await outcomeOf(tries, [sick.candidate, ...hosts('b')])).toEqual(['a b b b', 'answered b 503']);
  });

  test('attempts are all tries, the first one included', async () => {
    const tries = createTries();
    tries.exchange.retry = retry({ attempts: 3 });
    playing(tries, { a: 503 });
    expect(await outcomeOf(tries, boxes('a'))).toEqual(['a a a', 'refused a 503']);
  });

  test('after the candidates, in turn', async () => {
    const tries = createTries();
    tries.exchange.retry = retry({ attempts: 5 });
    playing(tries, { a: 503, b: 'upstream_refused' });
    expect(await outcomeOf(tries, boxes('a', 'b'))).toEqual(['a b a b a', 'refused a 503']);
  });

  test('only for the statuses it names', async () => {
    const tries = createTries();
    tries.exchange.retry = retry({ statuses: new Set([429, 500]) });
    playing(tries, { a: 429 });
    expect(await outcomeOf(tries, boxes('a'))).toEqual(['a a', 'refused a 429']);
    const others = createTries();
    others.exchange.retry = retry({ statuses: new Set([429]) });
    playing(others, { a: 503 });
    expect(await outcomeOf(others, boxes('a'))).toEqual(['a', 'refused a 503']);
  });

  test('an answer that is not wanted is closed unread', async () => {
    const tries = createTries();
    tries.exchange.retry = retry();
    playing(tries, { a: 503, b: 200 });
    await outcomeOf(tries, hosts('a', 'b'));
    expect(tries.sent.map(({ isCancelled }) => isCancelled)).toEqual([true, false]);
  });

  test('it pauses before each further round, not between candidates', async () => {
    const tries = createTries();
    tries.exchange.retry = retry({ attempts: 4, backoffMs: 500 });
    playing(tries, { a: 503, b: 503 });
    const outcome = outcomeOf(tries, boxes('a', 'b'));
    await tries.clock.advance(2_000);
    await outcome;
    expect(tries.sent.map(({ name, atMs }) => [name, atMs])).toEqual([
      ['a', 0],
      ['b', 0],
      ['a', 500],
      ['b', 1_000],
    ]);
  });

  test('a pause that would outlast the request’s time limit ends with it', async () => {
    const tries = createTries();
    tries.exchange.retry = retry({ backoffMs: 60_000 });
    tries.exchange.deadlineMs = 10_000;
    playing(tries, { a: 503 });
    const outcome = outcomeOf(tries, boxes('a'));
    await tries.clock.advance(10_000);
    expect(await outcome).toEqual(['a', 'request_timeout']);
    expect(tries.clock.pending).toBe(0);
  });

  test('a client that leaves during the pause gets no further try', async () => {
    const tries = createTries();
    tries.exchange.retry = retry({ backoffMs: 500 });
    playing(tries, { a: 503 });
    const outcome = outcomeOf(tries, boxes('a'));
    await tries.clock.advance(100);
    tries.client.leave();
    await tries.clock.advance(400);
    expect(await outcome).toEqual(['a', 'ClientGone']);
  });

  test('a time limit of the whole request is not tried again', async () => {
    const tries = createTries();
    tries.exchange.retry = retry({ attempts: 5 });
    tries.exchange.deadlineMs = 1_000;
    playing(tries, {});
    const outcome = outcomeOf(tries, boxes('a', 'b'));
    await tries.clock.advance(1_000);
    expect(await outcome).toEqual(['a', 'request_timeout']);
  });
});

test('a client that leaves ends the whole row', async () => {
  const tries = createTries();
  playing(tries, {});
  const outcome = outcomeOf(tries, boxes('a', 'b'));
  await tries.clock.settle();
  tries.client.leave();
  tries.leavings[0]?.abort();
  expect(await outcome).toEqual(['a', 'ClientGone']);
});

describe('what is sent', () => {
  const bodyOf = ({ request }: Sent) => new TextDecoder().decode(request.body as Uint8Array);

  test('each try with its own model and path, from the same original', async () => {
    const tries = createTries({ path: '/v1/chat/completions?x=1' });
    playing(tries, { a: 'upstream_refused', b: 'upstream_refused', c: 200 });
    const edits = [({ body }: { body: { set(name: string, value: unknown): void } | undefined }) => body?.set('seed', 7)];
    const row = [
      candidate(target('a', { edits }), 'first'),
      candidate(target('b', { pathFor: () => ({ path: '/b', query: '' }) }), 'second'),
      candidate(target('c'), 'llama3.2'),
    ];
    await outcomeOf(tries, row);
    expect(tries.sent.map((sent) => [sent.request.url, bodyOf(sent)])).toEqual([
      ['http://a:11434/v1/chat/completions?x=1', '{"model":"first","messages":[],"seed":7}'],
      ['http://b:11434/b', '{"model":"second","messages":[]}'],
      ['http://c:11434/v1/chat/completions?x=1', '{"model":"llama3.2","messages":[]}'],
    ]);
  });

  test('what Ollama would drop is mended for boxes only, and said', async () => {
    const tries = createTries();
    playing(tries, { a: 'upstream_refused', b: 200 });
    const payload = payloadOf(tries, { model: 'llama3.2', max_completion_tokens: 5, n: 2 });
    await outcomeOf(tries, [...boxes('a'), ...hosts('b')], payload);
    expect(tries.sent.map(bodyOf)).toEqual([
      '{"model":"llama3.2","max_completion_tokens":5,"n":2,"max_tokens":5}',
      '{"model":"llama3.2","max_completion_tokens":5,"n":2}',
    ]);
    expect(tries.exchange.warnings).toEqual(['n is not read by Ollama: there is one choice']);
  });

  test('what a box would get wrong is refused, unless another host comes after it', async () => {
    const refusal = new GatewayError('unsupported_parameter', 'not on a box');
    const given = (tries: Tries): Payload => {
      const { call, bytes } = payloadOf(tries);
      return { call: call && { ...call, boxRefusal: refusal }, bytes, isPlain: true };
    };
    const tries = createTries();
    playing(tries, { b: 200 });
    expect(await outcomeOf(tries, [...boxes('a'), ...hosts('b')], given(tries))).toEqual(['b', 'answered b 200']);
    const alone = createTries();
    alone.exchange.retry = retry({ attempts: 3, backoffMs: 1_000 });
    expect(await outcomeOf(alone, boxes('a', 'b'), given(alone))).toEqual(['', 'unsupported_parameter']);
  });

  test('a body that was not understood goes as it came', async () => {
    const tries = createTries();
    playing(tries, { a: 200 });
    const bytes = new TextEncoder().encode('not json');
    await outcomeOf(tries, hosts('a'), { call: undefined, bytes, isPlain: false });
    expect(tries.sent[0]?.request.body).toBe(bytes);
  });
});

describe('a box’s refusal', () => {
  test('is read, whole, to be understood', async () => {
    const tries = createTries();
    playing(tries, { a: (sent) => sent.answer(500, '{"error":"größer"}') });
    const result = await tryCandidates(tries.exchange, payloadOf(tries), boxes('a'), tries.tools);
    expect(result.kind === 'refused' && result.refusal.text).toBe('{"error":"größer"}');
  });

  test('beyond 256 KiB it counts as a broken connection', async () => {
    const tries = createTries();
    playing(tries, {
      a: (sent) => sent.answer(500, 'x'.repeat(256 * 1024)),
      b: (sent) => sent.answer(500, 'x'.repeat(256 * 1024 + 1)),
    });
    expect(await outcomeOf(tries, boxes('a'))).toEqual(['a', 'refused a 500']);
    expect(await outcomeOf(tries, boxes('b'))).toEqual(['a b', 'upstream_closed']);
  });

  test('one that stalls is waited for ten seconds', async () => {
    const tries = createTries();
    playing(tries, { a: (sent) => sent.stall(500), b: 200 });
    const outcome = outcomeOf(tries, boxes('a', 'b'));
    await tries.clock.advance(9_999);
    expect(tries.sent).toHaveLength(1);
    await tries.clock.advance(1);
    expect(await outcome).toEqual(['a b', 'answered b 200']);
    expect(tries.sent[0]?.request.signal.aborted).toBe(true);
    expect(tries.clock.pending).toBe(0);
  });

  test('another host’s error is not read: it streams to the client', async () => {
    const tries = createTries();
    playing(tries, { a: (sent) => sent.stall(500) });
    expect(await outcomeOf(tries, hosts('a'))).toEqual(['a', 'answered a 500']);
  });
});
