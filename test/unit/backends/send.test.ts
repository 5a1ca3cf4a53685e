import { describe, expect, test } from 'vitest';
import { type Answered, send } from '../../../src/backends/send.ts';
import type { Attempt, AttemptRecord } from '../../../src/exchange.ts';
import { createTries, endOf, loadTimeoutMs, type Tries, upstream } from './stage.ts';

interface Given extends Partial<Pick<Attempt, 'timeoutMs'>> {
  readonly kind?: 'box' | 'host';
  readonly authority?: string;
  readonly startedMs?: number;
}

interface Sending {
  readonly record: AttemptRecord;
  readonly result: Promise<Answered>;
  readonly end: Promise<unknown>;
}

function start(tries: Tries, { kind = 'box', timeoutMs, authority }: Given = {}): Sending {
  const one = upstream('a', kind);
  const attempt: Attempt = {
    exchange: tries.exchange,
    upstream: one,
    isBox: kind === 'box',
    outgoing: { method: 'POST', path: '/api/chat', query: '?x=1', authority, headers: { 'x-a': '1' } },
    body: undefined,
    protocol: undefined,
    rewrites: undefined,
    timeoutMs,
  };
  const record: AttemptRecord = { upstream: one, startedMs: tries.clock.now(), status: undefined, error: undefined };
  const result = send(attempt, new Uint8Array([1]), 'llama3.2', record, tries.tools);
  return { record, result, end: endOf(result) };
}

/** What has come of it, or 'waiting'. */
function soFar(end: Promise<unknown>): Promise<unknown> {
  return Promise.race([end, new Promise((resolve) => setImmediate(() => resolve('waiting')))]);
}

describe('a try that is answered', () => {
  test('sends what the attempt says', async () => {
    const tries = createTries();
    const { result, record } = start(tries);
    expect(tries.sent[0]?.request).toMatchObject({ method: 'POST', url: 'http://a:11434/api/chat?x=1', headers: { 'x-a': '1' } });
    expect(tries.sent[0]?.request.headers.host).toBeUndefined();
    tries.sent[0]?.answer(404);
    expect((await result).response.status).toBe(404);
    expect(record).toMatchObject({ status: 404, error: undefined });
    expect(tries.herd.noted).toEqual(['answer a']);
  });

  test('leaves no timer behind', async () => {
    const tries = createTries();
    const { result } = start(tries, { timeoutMs: 1_000 });
    expect(tries.clock.pending).toBe(1);
    tries.sent[0]?.answer(200);
    await result;
    expect(tries.clock.pending).toBe(0);
    await tries.clock.advance(loadTimeoutMs);
    expect(tries.sent[0]?.request.signal.aborted).toBe(false);
  });

  test('its connection can be closed later', async () => {
    const tries = createTries();
    const { result } = start(tries);
    tries.sent[0]?.answer(200);
    (await result).abort(new Error('enough'));
    expect(tries.sent[0]?.request.signal.aborted).toBe(true);
  });

  test('a Host that differs from the address is sent; one that does not is left to the client', () => {
    const tries = createTries();
    start(tries, { authority: 'other.test' });
    start(tries, { authority: 'a:11434' });
    expect(tries.sent.map(({ request }) => request.headers.host)).toEqual(['other.test', undefined]);
  });
});

test.each(['upstream_refused', 'upstream_unresolved', 'upstream_tls', 'upstream_closed'] as const)(
  '%s is noted',
  async (code) => {
    const tries = createTries();
    const { end, record } = start(tries);
    tries.sent[0]?.fail(code);
    expect(await end).toBe(code);
    expect(record.error?.code).toBe(code);
    expect(tries.herd.noted).toEqual([`failure a ${code}`]);
    expect(tries.clock.pending).toBe(0);
  },
);

describe('waiting for headers', () => {
  test('a dead box is found out after 250 ms', async () => {
    const tries = createTries();
    tries.herd.know('a', { answersProbe: false });
    const { end } = start(tries);
    await tries.clock.advance(249);
    expect(tries.herd.probed).toEqual([]);
    await tries.clock.advance(1);
    expect(tries.herd.probed).toEqual(['a']);
    expect(await soFar(end)).toBe('upstream_silent');
    expect(tries.sent[0]?.request.signal.aborted).toBe(true);
    expect(tries.herd.noted).toEqual(['failure a upstream_silent']);
  });

  test('a box that answers its probe is waited for, and asked again every 15 s', async () => {
    const tries = createTries();
    const { end, result } = start(tries);
    await tries.clock.advance(250 + 15_000 + 15_000);
    expect(tries.herd.probed).toEqual(['a', 'a', 'a']);
    expect(await soFar(end)).toBe('waiting');
    tries.herd.know('a', { answersProbe: false });
    await tries.clock.advance(14_999);
    expect(await soFar(end)).toBe('waiting');
    await tries.clock.advance(1);
    expect(await soFar(end)).toBe('upstream_silent');
    await result.catch(() => undefined);
  });

  test('a probe that comes back dead after the answer changes nothing', async () => {
    const tries = createTries();
    let tell: (isAlive: boolean) => void = () => undefined;
    tries.herd.checkAlive = () =>
      new Promise((resolve) => {
        tell = resolve;
      });
    const { result } = start(tries);
    await tries.clock.advance(250);
    tries.sent[0]?.answer(200);
    await result;
    tell(false);
    await tries.clock.settle();
    expect(tries.sent[0]?.request.signal.aborted).toBe(false);
  });

  test('other hosts are not asked whether they live', async () => {
    const tries = createTries();
    tries.herd.know('a', { answersProbe: false });
    const { end } = start(tries, { kind: 'host' });
    await tries.clock.advance(loadTimeoutMs - 1);
    expect(tries.herd.probed).toEqual([]);
    expect(await soFar(end)).toBe('waiting');
    await tries.clock.advance(1);
    expect(await soFar(end)).toBe('upstream_timeout');
  });

  test('loadTimeout ends the wait, and says which setting that is', async () => {
    const tries = createTries();
    const { end, result } = start(tries);
    await tries.clock.advance(loadTimeoutMs - 1);
    expect(await soFar(end)).toBe('waiting');
    await tries.clock.advance(1);
    await expect(result).rejects.toThrow('a sent no first byte within 900 s (fleet.loadTimeout)');
    expect(await end).toBe('upstream_timeout');
  });

  test('backendRequestTimeout ends one try', async () => {
    const tries = createTries();
    const { end } = start(tries, { timeoutMs: 5_000 });
    await tries.clock.advance(4_999);
    expect(await soFar(end)).toBe('waiting');
    await tries.clock.advance(1);
    expect(await soFar(end)).toBe('upstream_timeout');
  });

  test('requestTimeout counts from the start of the exchange', async () => {
    const tries = createTries();
    tries.exchange.deadlineMs = 3_000;
    await tries.clock.advance(2_000);
    const { end } = start(tries, { timeoutMs: 5_000 });
    await tries.clock.advance(999);
    expect(await soFar(end)).toBe('waiting');
    await tries.clock.advance(1);
    expect(await soFar(end)).toBe('request_timeout');
  });
});

describe('a client that leaves', () => {
  test('before headers: the one who knows about loads decides, and the try goes on until then', async () => {
    const tries = createTries();
    const { end } = start(tries);
    await tries.clock.advance(10);
    tries.client.leave();
    expect(tries.leavings).toHaveLength(1);
    expect(tries.leavings[0]).toMatchObject({ model: 'llama3.2', startedMs: 0 });
    expect(await soFar(end)).toBe('waiting');
    expect(tries.sent[0]?.request.signal.aborted).toBe(false);
    tries.leavings[0]?.abort();
    expect(await soFar(end)).toBe('ClientGone');
    expect(tries.sent[0]?.request.signal.aborted).toBe(true);
    // Nothing is wrong with the box.
    expect(tries.herd.noted).toEqual([]);
  });

  test('and an answer that comes all the same is closed unread', async () => {
    const tries = createTries();
    const { end } = start(tries);
    tries.client.leave();
    tries.sent[0]?.answer(200);
    expect(await soFar(end)).toBe('ClientGone');
    expect(tries.sent[0]?.isCancelled).toBe(true);
    await expect(tries.leavings[0]?.settled).resolves.toMatchObject({ status: 200 });
  });

  test('a failure that comes all the same is nobody’s failure', async () => {
    const tries = createTries();
    const { end } = start(tries);
    tries.client.leave();
    tries.sent[0]?.fail('upstream_closed');
    expect(await soFar(end)).toBe('ClientGone');
    expect(tries.herd.noted).toEqual([]);
  });

  test('after headers: that is the relay’s business', async () => {
    const tries = createTries();
    const { result } = start(tries);
    tries.sent[0]?.answer(200);
    await result;
    tries.client.leave();
    expect(tries.leavings).toEqual([]);
    expect(tries.sent[0]?.isCancelled).toBe(false);
  });
});
