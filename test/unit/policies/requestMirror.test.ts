import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Attempt, Exchange, Telemetry } from '../../../src/exchange.ts';
import { noTelemetry } from '../../../src/exchange.ts';
import type { SideAnswer, SideCall, SideServer } from '../../../src/http/side-calls.ts';
import { type MirrorLoad, requestMirror } from '../../../src/policies/requestMirror.ts';
import { createMemoryState } from '../../../src/state/memory.ts';
import { createFakeClock } from '../../support/fake-clock.ts';
import { ask, type FakeRequest, fakeScope } from './fake-exchange.ts';

const server: SideServer = { name: 'mirror', baseUrl: 'http://mirror:1', tls: undefined, headers: {} };
const answer: SideAnswer = { status: 200, headers: new Headers(), bytes: new Uint8Array(0) };

interface Pending {
  readonly call: SideCall;
  answer(): void;
  fail(): void;
}

function world(options: object = { percentage: 1 }, maxBodyBytes = 1_000, other = server) {
  const calls: Pending[] = [];
  const state = createMemoryState();
  const clock = createFakeClock();
  const told: [kind: string, seconds: number][] = [];
  const telemetry: Telemetry = { ...noTelemetry, upstreamCall: (kind, seconds) => told.push([kind, seconds]) };
  const waitedFor: Promise<unknown>[] = [];
  const scope = fakeScope({
    state,
    maxBodyBytes,
    stateKey: 'route0/requestMirror',
    serverOf: () => other,
    sideCalls: {
      call: (call) =>
        new Promise((resolve, reject) => {
          calls.push({ call, answer: () => resolve(answer), fail: () => reject(new Error('refused')) });
        }),
    },
  });
  const parsed = requestMirror.options.parse({ backend: { host: 'mirror:1' }, ...options });
  const middleware = requestMirror.onRequest?.(parsed, scope);
  const edit = requestMirror.onAttempt?.(parsed, scope);

  const attemptFor = (exchange: Exchange, outgoing: Partial<Attempt['outgoing']> = {}): Attempt => ({
    exchange,
    upstream: { name: 'up', baseUrl: 'http://up:1', kind: 'host', tls: undefined },
    isBox: false,
    outgoing: {
      method: exchange.method,
      path: exchange.path,
      query: exchange.query,
      authority: undefined,
      headers: { 'x-a': '1' },
      ...outgoing,
    },
    body: undefined,
    protocol: undefined,
    rewrites: undefined,
    timeoutMs: undefined,
  });
  /** One request as far as its first try. */
  const send = async (request: FakeRequest, outgoing?: Partial<Attempt['outgoing']>): Promise<Exchange> => {
    const { exchange, reached } = await ask(middleware ?? [], request);
    expect(reached).toBe(true);
    const given: Exchange = Object.assign(exchange, {
      clock,
      telemetry,
      peer: { ...exchange.peer, waitUntil: (work: Promise<unknown>) => waitedFor.push(work) },
    });
    edit?.(attemptFor(given, outgoing));
    return given;
  };
  const load = () => state.kept<MirrorLoad>('route0/requestMirror/load', () => ({ underWay: -1, dropped: -1, failed: -1 }));
  return { calls, middleware, send, load, told, waitedFor, clock, edit, attemptFor };
}

function posting(body: string, headers: Record<string, string> = {}): FakeRequest {
  return { body, headers: { 'content-length': String(body.length), ...headers } };
}

afterEach(() => {
  vi.restoreAllMocks();
});

describe('requestMirror', () => {
  it('sends what the upstream gets, with its body, and marks it', async () => {
    const { calls, send } = world();
    await send(posting('{"a":1}'), { method: 'POST', path: '/rewritten', query: '?q=1', headers: { 'x-b': '2' } });
    expect(calls).toHaveLength(1);
    const { body, ...call } = calls[0]?.call ?? { body: undefined };
    expect(call).toEqual({
      server,
      method: 'POST',
      path: '/rewritten?q=1',
      headers: { 'x-b': '2', 'x-corral-mirrored': '1' },
      timeoutMs: 300_000,
      ignoresBody: true,
    });
    expect(new TextDecoder().decode(body)).toBe('{"a":1}');
  });

  it('sends no body where there is none', async () => {
    const { calls, send } = world();
    await send({ path: '/v1/models' });
    expect(calls[0]?.call.body).toBeUndefined();
    expect(calls[0]?.call.method).toBe('GET');
  });

  it('copies a request once, however often it is tried', async () => {
    const { calls, send, edit, attemptFor } = world();
    const exchange = await send(posting('x'));
    edit?.(attemptFor(exchange));
    expect(calls).toHaveLength(1);
  });

  it('does not copy copies', async () => {
    const { calls, send } = world();
    await send(posting('x', { 'x-corral-mirrored': '1' }));
    expect(calls).toHaveLength(0);
  });

  it('copies the part that is asked for', async () => {
    const draws = [0.1, 0.29, 0.3, 0.9];
    vi.spyOn(Math, 'random').mockImplementation(() => draws.shift() ?? 0);
    const { calls, send } = world({ percentage: 0.3 });
    for (let index = 0; index < 4; index++) await send({ path: `/${index}` });
    expect(calls.map(({ call }) => call.path)).toEqual(['/0', '/1']);
    expect(world({ percentage: 0 }).middleware).toBeUndefined();
  });

  it('reads no body of a request that is not copied', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(0.9);
    const exchange = await world({ percentage: 0.5 }).send(posting('x'));
    expect([exchange.heldBody, exchange.request.bodyUsed]).toEqual([undefined, false]);
  });

  it('never holds the client up: neither answer nor failure is waited for', async () => {
    const { calls, send, told, waitedFor, clock, load } = world();
    await send(posting('x'));
    await send(posting('x'));
    expect(load()).toEqual({ underWay: 2, dropped: 0, failed: 0 });
    await clock.advance(1_500);
    calls[0]?.answer();
    calls[1]?.fail();
    expect(waitedFor).toHaveLength(2);
    await Promise.all(waitedFor);
    expect(load()).toEqual({ underWay: 0, dropped: 0, failed: 1 });
    expect(told).toEqual([
      ['Mirror', 1.5],
      ['Mirror', 1.5],
    ]);
  });

  it('has 64 under way at most, and counts what it drops', async () => {
    const { calls, send, waitedFor, load } = world();
    for (let index = 0; index < 66; index++) await send({ path: '/x' });
    expect(calls).toHaveLength(64);
    expect(load()).toEqual({ underWay: 64, dropped: 2, failed: 0 });
    calls[0]?.answer();
    await waitedFor[0];
    await send({ path: '/x' });
    expect(calls).toHaveLength(65);
  });

  it('holds no more bytes than one request may have, and gives them back', async () => {
    const { calls, send, waitedFor, load } = world({ percentage: 1 }, 10);
    await send(posting('123456'));
    await send(posting('12345'));
    expect([calls.length, load().dropped]).toEqual([1, 1]);
    await send(posting('1234'));
    expect(calls).toHaveLength(2);
    for (const call of calls) call.fail();
    await Promise.all(waitedFor);
    await send(posting('1234567890'));
    expect(calls).toHaveLength(3);
  });

  it('drops a copy rather than read a body that says it is too long', async () => {
    const { calls, send, load } = world({ percentage: 1 }, 10);
    const long = await send(posting('12345678901'));
    expect([calls.length, load().dropped, long.request.bodyUsed]).toEqual([0, 1, false]);
  });

  it('reads a body of which nobody told how long it is', async () => {
    const { calls, send } = world();
    await send({ body: '12' });
    await send({ method: 'POST' });
    expect(calls.map(({ call }) => call.body?.length)).toEqual([2, undefined]);
  });

  it('shows the other server its own credential, not the client’s', async () => {
    const { calls, send } = world({ percentage: 1 }, 1_000, { ...server, headers: { authorization: 'Bearer mirror' } });
    await send({ path: '/x' }, { headers: { authorization: 'Bearer client', 'x-b': '2' } });
    expect(calls[0]?.call.headers).toMatchObject({ authorization: 'Bearer mirror', 'x-b': '2' });
  });

  it.each([
    ['no server', { percentage: 1 }],
    ['no percentage', { backend: { host: 'a:1' } }],
    ['more than all', { backend: { host: 'a:1' }, percentage: 1.1 }],
    ['less than nothing', { backend: { host: 'a:1' }, percentage: -0.1 }],
    ['two servers', { backend: { host: 'a:1', backend: 'b' }, percentage: 1 }],
    ['a service', { backend: { service: { name: 'a', port: 1 } }, percentage: 1 }],
  ])('refuses %s', (_, options) => {
    expect(requestMirror.options.safeParse(options).success).toBe(false);
  });
});
