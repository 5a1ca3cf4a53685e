/** The relay's end of the leg, as whoever sends to it and the boxes behind it may try to use it. */
import { describe, expect, test } from 'vitest';
import { createLeg, type Leg } from '../../../src/answers/leg.ts';
import { GatewayError } from '../../../src/errors.ts';
import { loadChecker } from '../../../src/http/relay-load.ts';
import { callerSigner, ReplayMemory } from '../../../src/http/signed-caller.ts';
import { createFakeClock } from '../../support/fake-clock.ts';
import { fakeExchange } from '../policies/fake-exchange.ts';

const secret = 'what both ends know';
const alice = { name: 'alice', isAdmin: true, sharer: 'key:alice', weight: 2, urgency: 'interactive' as const };
const clock = createFakeClock();

function legOf(memory = new ReplayMemory(), instanceId = 'relay-1'): Leg {
  const load = () => ({ atMs: 7, runners: [{ hash: '1a', busy: 1, waiting: 2, slots: 1 }] });
  return createLeg({ secret, instanceId, clock, runtime: 'node', heartbeatMs: 15_000, memory, load });
}

const tokenFor = (url: string, method = 'POST', wallTimeMs = clock.wallTime(), audience = 'relay-1') =>
  callerSigner(secret)(alice, { method, url }, wallTimeMs, audience);

function asked(headers: Record<string, string>, method = 'POST') {
  const exchange = fakeExchange({ method, headers });
  return { exchange, url: exchange.request.url };
}

async function signed(method = 'POST') {
  const token = await tokenFor('http://localhost/', method);
  return { token, ...asked({ 'x-corral-caller': token }, method) };
}

const problemOf = (knowing: Promise<void> | undefined) =>
  Promise.resolve(knowing).then(
    () => 'let in',
    (thrown: unknown) => (thrown instanceof GatewayError ? `${thrown.code} ${thrown.message}` : String(thrown)),
  );

describe('T13: who calls', () => {
  test('is believed once, with what was signed', async () => {
    const leg = legOf();
    const { exchange, token } = await signed();
    expect(await problemOf(leg.know(exchange))).toBe('let in');
    expect(exchange.identity).toMatchObject({ name: 'alice', isAdmin: true });
    expect(await problemOf(leg.know(asked({ 'x-corral-caller': token }).exchange))).toMatch(
      /^relay_caller_unknown .*been here before/,
    );
  });

  test('is remembered over a reload, and a relay that was started anew has another name', async () => {
    const memory = new ReplayMemory();
    const { exchange, token } = await signed();
    await legOf(memory).know(exchange);
    const again = () => asked({ 'x-corral-caller': token }).exchange;
    expect(await problemOf(legOf(memory).know(again()))).toMatch(/been here before/);
    expect(await problemOf(legOf(new ReplayMemory(), 'relay-2').know(again()))).toMatch(/meant for another relay/);
  });

  test.each([
    ['a minute behind', -60_000, /^let in/],
    ['a minute ahead', 60_000, /^let in/],
    ['more than a minute behind', -60_001, /NTP/],
    ['more than a minute ahead', 60_001, /NTP/],
  ])('clocks: %s', async (_, offMs, said) => {
    const token = await tokenFor('http://localhost/', 'POST', clock.wallTime() + offMs);
    expect(await problemOf(legOf().know(asked({ 'x-corral-caller': token }).exchange))).toMatch(said);
  });

  test('what was signed ahead of time is remembered until nobody would believe it any more', async () => {
    const later = createFakeClock();
    const memory = new ReplayMemory();
    const leg = createLeg({
      secret,
      instanceId: 'relay-1',
      clock: later,
      runtime: 'node',
      heartbeatMs: 15_000,
      memory,
      load: () => ({ atMs: 0, runners: [] }),
    });
    const token = await tokenFor('http://localhost/', 'POST', later.wallTime() + 60_000);
    const problem = () => problemOf(leg.know(asked({ 'x-corral-caller': token }).exchange));
    expect(await problem()).toBe('let in');
    for (const [passedMs, said] of [
      [60_000, /been here before/],
      [59_999, /been here before/],
      [1, /been here before/],
      [1, /NTP/],
    ] as const) {
      await later.advance(passedMs);
      // Others come and let the memory forget what is over.
      await leg.know(asked({ 'x-corral-caller': await tokenFor('http://localhost/', 'POST', later.wallTime()) }).exchange);
      expect(await problem()).toMatch(said);
    }
  });

  test('two at once: only one counts, and neither does none', async () => {
    const { exchange, token } = await signed();
    const leg = legOf();
    expect(await problemOf(leg.know(asked({ 'x-corral-caller': `${token}, ${token}` }).exchange))).toMatch(
      /same CORRAL_RELAY_SECRET/,
    );
    expect(await problemOf(leg.know(asked({ 'x-corral-caller': '' }).exchange))).toMatch(/same CORRAL_RELAY_SECRET/);
    expect(await problemOf(leg.know(exchange))).toBe('let in');
  });

  test('whoever asks for the proof alone has it, and is nobody', async () => {
    const { exchange } = asked({ 'x-corral-challenge': 'a-number-of-16-letters' });
    await legOf().know(exchange);
    expect(exchange.answerHeaders?.['x-corral-relay']).toMatch(/^relay-1\.[\w-]{43}$/);
    expect([exchange.identity, exchange.relayed]).toEqual([undefined, undefined]);
  });

  test.each(['short', 'x'.repeat(65), 'not a number of 16 letters', 'payload.of-a-caller-12345', 'corral\tload 1'])(
    'nothing else is signed as a proof: %s',
    async (challenge) => {
      const { exchange } = asked({ 'x-corral-challenge': challenge });
      await legOf().know(exchange);
      expect(exchange.answerHeaders?.['x-corral-relay']).toBe('1');
    },
  );
});

describe('T13: what a box behind the relay says', () => {
  const pretending = () =>
    new Response('data: {"status":503,"headers":[]}\n\n', {
      headers: { 'x-corral-early': '1', 'x-corral-load': '9;1a:0:0:9.AAAA', 'x-own': '1' },
    });

  test('is never taken for what the relay says: no early answer, and no load but the relay’s own', async () => {
    const leg = legOf();
    for (const method of ['POST', 'GET']) {
      const { exchange, token } = await signed(method);
      await leg.know(exchange);
      const { headers } = await leg.early(exchange, Promise.resolve(pretending()));
      expect([headers.get('x-corral-early'), headers.get('x-own')]).toEqual([null, '1']);
      const load = headers.get('x-corral-load') ?? '';
      expect(load).toMatch(/^7;1a:1:2:1\./);
      expect(await loadChecker(secret)(load, token)).toBe(true);
    }
  });

  test('also in an answer that begins early', async () => {
    const leg = legOf();
    const { exchange } = await signed();
    await leg.know(exchange);
    const answer = new Promise<Response>((resolve) => clock.after(5_000, () => resolve(pretending())));
    const asking = Promise.resolve(leg.early(exchange, answer));
    await clock.advance(1_000);
    const response = await asking;
    expect(response.headers.get('x-corral-early')).toBe('1');
    const reading = response.text();
    await clock.advance(10_000);
    const [, head = ''] = /^data: (.*)$/m.exec(await reading) ?? [];
    const names = (JSON.parse(head) as { headers: [string, string][] }).headers.map(([name]) => name);
    expect(names).toEqual(expect.arrayContaining(['x-corral-load', 'x-own']));
    expect(names).not.toContain('x-corral-early');
  });

  test('goes on as it is to whoever is no Corral in front', async () => {
    const { exchange } = asked({});
    const response = pretending();
    expect(legOf().early(exchange, response)).toBe(response);
    expect(response.headers.get('x-corral-load')).toBe('9;1a:0:0:9.AAAA');
  });
});
