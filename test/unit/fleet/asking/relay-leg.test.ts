/** What the leg to a relay shows, and what makes it believe that one stands there. */
import { expect, test } from 'vitest';
import { RelayLeg } from '../../../../src/fleet/asking/relay.ts';
import { audienceOf, relayProver } from '../../../../src/http/signed-caller.ts';

const secret = 'what both ends know';
const probe = { method: 'GET', url: 'https://relay.test/api/version' };
const call = { method: 'POST', url: 'https://relay.test/api/chat' };
const alice = { identity: { name: 'alice', isAdmin: true }, work: undefined };

function opened(): RelayLeg {
  const leg = new RelayLeg({ now: () => 0, wallTime: () => Date.UTC(2026, 0, 1) });
  leg.adopt({ secret, access: undefined });
  return leg;
}

async function proved(leg: RelayLeg, name: string): Promise<Readonly<Record<string, string>>> {
  const shown = (await leg.headersFor(probe)) ?? {};
  const said = (await relayProver(secret, name)(shown['x-corral-challenge'] ?? '')) ?? '';
  await leg.prove(new Headers({ 'x-corral-relay': said }), shown);
  return shown;
}

test('an old proof is none for a new probe', async () => {
  const leg = opened();
  const first = (await leg.headersFor(probe)) ?? {};
  const said = (await relayProver(secret, 'one')(first['x-corral-challenge'] ?? '')) ?? '';
  const second = await leg.headersFor(probe);
  await leg.prove(new Headers({ 'x-corral-relay': said }), second);
  expect([leg.isRelay, leg.headersFor(call, alice)]).toEqual([false, undefined]);
  await leg.prove(new Headers({ 'x-corral-relay': said }), first);
  expect(leg.isRelay).toBe(true);
});

test('what was asked for without a challenge proves nothing and takes nothing away', async () => {
  const leg = opened();
  await leg.prove(new Headers({ 'x-corral-relay': '1' }), undefined);
  expect(leg.isRelay).toBe(false);
  await proved(leg, 'one');
  await leg.prove(new Headers(), {});
  expect(leg.isRelay).toBe(true);
});

test('a relay that was started anew is asked once more, with a token for its new name', async () => {
  const leg = opened();
  await proved(leg, 'one');
  const shown = (await leg.headersFor(call, alice)) ?? {};
  expect(audienceOf(shown['x-corral-caller'] ?? '')).toBe('one');
  const refusal = { status: 401, headers: new Headers({ 'x-corral-relay': '1' }) };
  expect([leg.isWorthProbe(refusal), leg.mayAskAgain(refusal, shown)]).toEqual([true, false]);
  await proved(leg, 'two');
  expect(leg.mayAskAgain(refusal, shown)).toBe(true);
  const again = (await leg.headersFor(call, alice)) ?? {};
  expect(audienceOf(again['x-corral-caller'] ?? '')).toBe('two');
  expect(leg.mayAskAgain(refusal, again)).toBe(false);
});

test('another secret has to be proved anew, and none asks for nothing', async () => {
  const leg = opened();
  await proved(leg, 'one');
  leg.adopt({ secret: 'another secret that both know', access: undefined });
  expect(leg.isRelay).toBe(false);
  leg.adopt({ secret: undefined, access: undefined });
  expect([leg.headersFor(probe), leg.isWorthProbe({ status: 401, headers: new Headers({ 'x-corral-relay': '1' }) })]).toEqual([
    undefined,
    false,
  ]);
});
