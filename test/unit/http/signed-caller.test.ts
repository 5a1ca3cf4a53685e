import { createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  audienceOf,
  callerChecker,
  callerSigner,
  freshNumber,
  ReplayMemory,
  relayChecker,
  relayProver,
  type SignedCaller,
  type SignedRequest,
} from '../../../src/http/signed-caller.ts';

const secret = 'sixteen letters and more';
const nowMs = Date.UTC(2026, 0, 1);
const alice: SignedCaller = { name: 'alice', isAdmin: false, sharer: 'key:alice', weight: 2, urgency: 'bulk' };
const nobody: SignedCaller = { name: undefined, isAdmin: false, sharer: '', weight: 1, urgency: 'interactive' };
const request = { method: 'POST', url: 'https://relay.example.com/v1/chat/completions?x=1' };

const signFor = callerSigner(secret);
const sign = (caller: SignedCaller, asked: SignedRequest, atMs: number) => signFor(caller, asked, atMs, 'relay-1');
const check = (...[token, asked = request, atMs = nowMs]: [string, { method: string; url: string }?, number?]) =>
  callerChecker(secret, 'relay-1')(token, asked, atMs);

describe('who calls, signed', () => {
  it.each([alice, nobody, { ...nobody, isAdmin: true, name: 'ops' }])('comes back as it was: %o', async (caller) => {
    expect(await check(await sign(caller, request, nowMs))).toEqual(caller);
  });

  it('does not mind what the tunnel calls the host', async () => {
    const token = await sign(alice, request, nowMs);
    expect(await check(token, { ...request, url: 'http://localhost:3000/v1/chat/completions?x=1' })).toEqual(alice);
  });

  it.each([
    ['another method', { ...request, method: 'DELETE' }],
    ['another path', { ...request, url: 'https://relay.example.com/api/delete' }],
    ['another query', { ...request, url: 'https://relay.example.com/v1/chat/completions?x=2' }],
  ])('is not good for %s', async (_, other) => {
    expect(await check(await sign(alice, request, nowMs), other)).toBe('wrong');
  });

  it('is not good with another secret', async () => {
    expect(await check(await callerSigner(`${secret}!`)(alice, request, nowMs, 'relay-1'))).toBe('wrong');
  });

  it('is not good with a letter changed anywhere', async () => {
    const token = await sign(alice, request, nowMs);
    // The last letter of a run of base64 may hold bits that do not count.
    for (let at = 0; at < token.length - 1; at += 7) {
      const changed = `${token.slice(0, at)}${token[at] === 'A' ? 'B' : 'A'}${token.slice(at + 1)}`;
      expect(await check(changed), `letter ${at}`).toBe('wrong');
    }
  });

  it.each(['', '.', 'a.b', 'a.b.c', '!!.!!', `${'a'.repeat(5_000)}.b`])('refuses what is no token: %s', async (token) => {
    expect(await check(token)).toBe('wrong');
  });

  it('lets clocks be a minute apart, and no more', async () => {
    for (const [apartMs, expected] of [
      [60_000, alice],
      [-60_000, alice],
      [60_001, 'clock'],
      [-60_001, 'clock'],
    ] as const) {
      expect(await check(await sign(alice, request, nowMs), request, nowMs + apartMs)).toEqual(expected);
    }
  });

  it.each([
    [1_000_000, 100],
    [100, 100],
    [0.5, 0.5],
    [0, 0.01],
    [-3, 0.01],
  ])('a weight of %s counts as %s', async (weight, counted) => {
    expect(await check(await sign({ ...alice, weight }, request, nowMs))).toEqual({ ...alice, weight: counted });
  });

  it.each([
    [64, nobody],
    [65, 'wrong'],
  ])('a number of %s letters, which would have to be remembered, comes to %o', async (length, expected) => {
    const said = { a: 'relay-1', t: nowMs, n: 'x'.repeat(length), q: 'POST /v1/chat/completions?x=1' };
    const payload = Buffer.from(JSON.stringify(said)).toString('base64url');
    const signature = createHmac('sha256', secret).update(`corral caller 2\n${payload}`).digest('base64url');
    expect(await check(`${payload}.${signature}`)).toEqual(expected);
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY])('a weight that is no number is refused: %s', async (weight) => {
    expect(await check(await sign({ ...alice, weight }, request, nowMs))).toBe('wrong');
  });

  it('is good at the relay that it is meant for, and at no other with the same secret', async () => {
    const token = await signFor(alice, request, nowMs, 'relay-2');
    expect(audienceOf(token)).toBe('relay-2');
    expect(await check(token)).toBe('audience');
    expect(await callerChecker(secret, 'relay-2')(token, request, nowMs)).toEqual(alice);
    for (const none of ['', '.', 'e30.', 'bm8.x']) expect(audienceOf(none)).toBeUndefined();
  });

  it('is good once', async () => {
    const again = callerChecker(secret, 'relay-1');
    const token = await sign(alice, request, nowMs);
    expect(await again(token, request, nowMs)).toEqual(alice);
    expect(await again(token, request, nowMs + 30_000)).toBe('used');
    expect(await again(token, request, nowMs + 60_000)).toBe('used');
    expect(await again(await sign(alice, request, nowMs), request, nowMs)).toEqual(alice);
  });

  it('remembers as long as the time counts, and so many', () => {
    const memory = new ReplayMemory(3);
    expect(memory.isFirst('a', 100, 0)).toBe(true);
    expect(memory.isFirst('a', 100, 100)).toBe(false);
    expect(memory.isFirst('b', 300, 101)).toBe(true);
    expect(memory.size).toBe(1);
    for (const number of ['c', 'd', 'e']) memory.isFirst(number, 300, 101);
    expect(memory.size).toBe(3);
    expect(memory.isFirst('e', 300, 101)).toBe(false);
  });
});

describe('a relay proves that it knows the secret', () => {
  const challenge = 'AAAABBBBCCCCDDDD';

  it('to who has asked, once, in its own name', async () => {
    const said = await relayProver(secret, 'relay-1')(challenge);
    // HMAC-SHA-256, made elsewhere, over "corral relay 1\nAAAABBBBCCCCDDDD\nrelay-1"
    expect(said).toBe('relay-1.eYcm8-GV1Lvi7WYR69pjodNl0aPZ1khYcbobMIdqA6s');
    const known = relayChecker(secret);
    expect(await known(said ?? '', challenge)).toBe('relay-1');
    expect(await known(said ?? '', 'AAAABBBBCCCCDDDE')).toBeUndefined();
    expect(await known((said ?? '').replace('relay-1', 'relay-2'), challenge)).toBeUndefined();
    expect(await relayChecker(`${secret}!`)(said ?? '', challenge)).toBeUndefined();
  });

  it.each(['', '1', 'relay-1', 'relay-1.', `relay-1.${'A'.repeat(43)}`, `.${'A'.repeat(43)}`, 'a.b.c', 'x'.repeat(10_000)])(
    'and %s is no proof',
    async (said) => expect(await relayChecker(secret)(said, challenge)).toBeUndefined(),
  );

  it.each(['', 'short', 'A'.repeat(65), 'AAAABBBBCCCC\nDDDD', 'AAAABBBBCCCCDDD='])('and %s is no challenge', (given) =>
    expect(relayProver(secret, 'relay-1')(given)).toBeUndefined(),
  );

  it('no number comes twice', () => {
    expect(new Set(Array.from({ length: 100 }, freshNumber)).size).toBe(100);
    expect(freshNumber()).toMatch(/^[\w-]{16}$/);
  });
});
