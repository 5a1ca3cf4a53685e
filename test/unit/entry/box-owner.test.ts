/** The Durable Object of a box and the isolates that ask it, both in this process; test/e2e/box-owner.test.ts runs them on workerd. */
import { describe, expect, it } from 'vitest';
import { OwnerDesk } from '../../../src/entry/box-owner.ts';
import { boxOwnersOf } from '../../../src/entry/box-owners.ts';
import { GatewayError } from '../../../src/errors.ts';
import type { Ask, Wait, Waiter } from '../../../src/exchange.ts';
import type { BoxWanted } from '../../../src/fleet/boxes.ts';
import type { Grant } from '../../../src/fleet/owner.ts';
import { usualTuning } from '../../../src/fleet/tuning.ts';
import { createFakeClock } from '../../support/fake-clock.ts';
import { createHerd } from '../../support/herd/herd.ts';

const gigabyte = 1_000_000_000;
const models = [
  { name: 'a:latest', sizeBytes: gigabyte },
  { name: 'b:latest', sizeBytes: 2 * gigabyte },
];

function desk({ slots = 1 as number | undefined, maxWaiting = 256 } = {}) {
  const clock = createFakeClock();
  const herd = createHerd({ clock, boxes: [{ url: 'http://desk.herd:11434', models, maxLoaded: 2 }] });
  const box: BoxWanted = {
    upstream: {
      name: 'desk',
      baseUrl: 'http://desk.herd:11434',
      kind: 'box',
      tls: undefined,
      box: { weight: 1, slots, vramBytes: undefined, reserveBytes: 0, maxLoaded: undefined, headers: {} },
    },
    headers: {},
    probeIntervalMs: 10_000,
    tuning: { ...usualTuning, maxWaiting },
  };
  const desks = new Map<unknown, OwnerDesk>();
  const fault = { error: undefined as Error | undefined };
  const namespace = {
    idFromName: (name: string) => name,
    get: (id: unknown) => {
      const one = desks.get(id) ?? new OwnerDesk(herd.platform);
      desks.set(id, one);
      return {
        async fetch(url: string, init: RequestInit = {}) {
          if (fault.error !== undefined) throw fault.error;
          return await one.fetch(new Request(url, init));
        },
      };
    },
  };
  const reports: string[] = [];
  const platform = { ...herd.platform, report: (_: unknown, message: string) => void reports.push(message) };
  const owner = boxOwnersOf({ CORRAL_BOX_OWNER: namespace }, platform)?.(box, () => box);
  if (owner === undefined) throw new Error('no owner');
  return { clock, herd, box, owner, reports, fault, held: () => [...desks.values()].reduce((sum, one) => sum + one.held, 0) };
}

const askFor = (model = 'a', sharer = ''): Ask => ({
  model,
  numCtx: undefined,
  work: { promptTokens: 0, conversation: undefined, sharer, weight: 1, urgency: 'interactive', use: 'generate' },
});

function client() {
  const departures: (() => void)[] = [];
  const waits: Wait[] = [];
  const waiter: Waiter = {
    deadlineMs: undefined,
    onGone: (listener) => departures.push(listener),
    waitUntil: () => undefined,
    onWait: (wait) => waits.push(wait),
  };
  return { waiter, waits, leave: () => departures.map((tell) => tell()) };
}

type Outcome = 'waits' | Grant | GatewayError;

/** What has become of an admission so far. */
function tracked(promise: Promise<Grant>): { outcome: Outcome } {
  const told: { outcome: Outcome } = { outcome: 'waits' };
  const settle = (outcome: Grant | GatewayError) => {
    told.outcome = outcome;
  };
  promise.then(settle, settle);
  return told;
}

const isGrant = (what: unknown): what is Grant => typeof what === 'object' && what !== null && 'queuedMs' in what;

describe('T7: one owner per box', () => {
  it('gives a slot to one at a time, in turn, with the time waited and the place in the line', async () => {
    const { clock, owner, held } = desk();
    const [first, second, third] = [client(), client(), client()];
    const one = tracked(owner.admit(askFor(), first.waiter));
    await clock.advance(3_000);
    const grant = one.outcome;
    expect(isGrant(grant)).toBe(true);
    const two = tracked(owner.admit(askFor(), second.waiter));
    await clock.advance(100);
    const three = tracked(owner.admit(askFor(), third.waiter));
    await clock.advance(5_000);
    expect([two.outcome, three.outcome]).toEqual(['waits', 'waits']);
    expect([second.waits.at(-1), third.waits.at(-1)]).toEqual([
      { for: 'slot', boxName: 'desk', position: 1 },
      { for: 'slot', boxName: 'desk', position: 2 },
    ]);
    expect(held()).toBe(3);
    if (isGrant(grant)) grant.end();
    await clock.advance(10);
    const next = two.outcome;
    expect(next).toMatchObject({ queuedMs: 5_100 });
    expect(three.outcome).toBe('waits');
    if (isGrant(next)) next.end();
    await clock.advance(10);
    const last = three.outcome;
    if (isGrant(last)) last.end();
    await clock.advance(10);
    expect(held()).toBe(0);
  });

  it('loads a model once for all isolates', async () => {
    const { clock, owner, herd } = desk({ slots: 4 });
    const grants = [1, 2, 3].map(() => tracked(owner.admit(askFor('b'), client().waiter)));
    await clock.advance(10_000);
    for (const grant of grants) expect(grant.outcome).toMatchObject({ loadMs: expect.any(Number) });
    expect(herd.boxes[0]?.scheduler.loads).toMatchObject({ started: 1, completed: 1 });
  });

  it('keeps the load of a client that has left, and gives its slot away', async () => {
    const { clock, owner, herd, held } = desk();
    const leaving = client();
    tracked(owner.admit(askFor('b'), leaving.waiter));
    await clock.advance(500);
    leaving.leave();
    await clock.advance(10_000);
    expect(held()).toBe(0);
    expect(herd.boxes[0]?.scheduler.loads).toMatchObject({ started: 1, completed: 1, aborted: 0 });
    const grant = tracked(owner.admit(askFor('b'), client().waiter));
    await clock.advance(100);
    expect(grant.outcome).toMatchObject({ queuedMs: 0, loadMs: 0 });
  });

  it('lets nobody wait who has left', async () => {
    const { clock, owner, held } = desk();
    const first = tracked(owner.admit(askFor(), client().waiter));
    await clock.advance(3_000);
    const second = client();
    tracked(owner.admit(askFor(), second.waiter));
    await clock.advance(100);
    second.leave();
    await clock.advance(100);
    expect(held()).toBe(1);
    const grant = first.outcome;
    if (isGrant(grant)) grant.end();
    await clock.advance(100);
    expect(held()).toBe(0);
  });

  it('says no in the words of the queue', async () => {
    const { clock, owner } = desk({ maxWaiting: 0 });
    tracked(owner.admit(askFor(), client().waiter));
    await clock.advance(3_000);
    const second = tracked(owner.admit(askFor(), client().waiter));
    await clock.advance(100);
    const refused = second.outcome;
    expect(refused).toBeInstanceOf(GatewayError);
    expect(refused).toMatchObject({ code: 'queue_full', status: 503, headers: { 'retry-after': expect.any(String) } });
  });

  it('hands on what a box says that cannot load a model', async () => {
    const { clock, owner, herd } = desk();
    const [box] = herd.boxes;
    if (box !== undefined) box.scheduler.faults.outOfMemory = true;
    const grant = tracked(owner.admit(askFor('b'), client().waiter));
    await clock.advance(30_000);
    expect(grant.outcome).toMatchObject({ code: 'load_failed', status: 500, text: expect.stringContaining('memory') });
  });

  it('frees the slot of an isolate that has gone without a word', async () => {
    const { clock, herd, box } = desk();
    const alone = new OwnerDesk(herd.platform);
    const admission = JSON.stringify({ box, ask: askFor() });
    let response: Response | undefined;
    void alone.fetch(new Request('https://owner/admit', { method: 'POST', body: admission })).then((answered) => {
      response = answered;
    });
    await clock.advance(1_000);
    expect([response?.status, alone.held]).toEqual([200, 1]);
    // Nobody reads its lines.
    await clock.advance(40_000);
    expect(alone.held).toBe(0);
  });

  it('lets calls go on without it, and says so once', async () => {
    const { clock, owner, fault, reports } = desk();
    fault.error = new Error('overloaded');
    for (let call = 0; call < 2; call++) {
      const grant = tracked(owner.admit(askFor(), client().waiter));
      await clock.advance(10);
      expect(grant.outcome).toMatchObject({ queuedMs: 0, loadMs: 0 });
    }
    expect(reports).toEqual(['the Durable Object of desk does not answer (overloaded): its limits do not hold just now']);
  });

  it('is nobody where no Durable Object is bound, or where no box is', () => {
    const { herd } = desk();
    expect(boxOwnersOf({}, herd.platform)).toBeUndefined();
    expect(boxOwnersOf({ CORRAL_BOX_OWNER: 'text' }, herd.platform)).toBeUndefined();
    const host = { upstream: { kind: 'host' } } as BoxWanted;
    expect(boxOwnersOf({ CORRAL_BOX_OWNER: {} }, herd.platform)?.(host, () => host)).toBeUndefined();
  });
});
