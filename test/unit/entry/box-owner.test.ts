/** The Durable Object of a box and the isolates that ask it, both in this process; test/e2e/box-owner.test.ts runs them on workerd. */
import { describe, expect, it } from 'vitest';
import { OwnerDesk } from '../../../src/entry/box-owner.ts';
import { readSeen, readTold, seenText } from '../../../src/entry/box-owner-words.ts';
import { boxOwnersOf } from '../../../src/entry/box-owners.ts';
import { GatewayError } from '../../../src/errors.ts';
import type { Ask, LeaseSeen, Wait, Waiter } from '../../../src/exchange.ts';
import { type BoxWanted, createBoxes } from '../../../src/fleet/boxes.ts';
import { createFleet } from '../../../src/fleet/fleet.ts';
import type { Grant, OwnerTold } from '../../../src/fleet/owner.ts';
import { usualTuning } from '../../../src/fleet/tuning.ts';
import { createFakeClock, type FakeClock } from '../../support/fake-clock.ts';
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
          return givenUpBy(await one.fetch(new Request(url, init)), init.signal);
        },
      };
    },
  };
  const reports: string[] = [];
  const platform = { ...herd.platform, report: (_: unknown, message: string) => void reports.push(message) };
  const told: OwnerTold[] = [];
  const isolate = () => {
    const owner = boxOwnersOf({ CORRAL_BOX_OWNER: namespace }, platform)?.(
      box,
      () => box,
      (one) => told.push(one),
    );
    if (owner === undefined) throw new Error('no owner');
    return owner;
  };
  const owner = isolate();
  return {
    clock,
    herd,
    box,
    owner,
    told,
    namespace,
    platform,
    reports,
    fault,
    held: () => [...desks.values()].reduce((sum, one) => sum + one.held, 0),
  };
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

/** As a runtime does it: who gives a request up gives its answer up. */
function givenUpBy(response: Response, signal: AbortSignal | null | undefined): Response {
  if (signal == null || response.body === null) return response;
  const reader = response.body.getReader();
  signal.addEventListener('abort', () => void reader.cancel(), { once: true });
  const source: UnderlyingDefaultSource<Uint8Array<ArrayBuffer>> = {
    async pull(controller) {
      const { done, value } = await reader.read();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    cancel: () => reader.cancel(),
  };
  return new Response(new ReadableStream(source, { highWaterMark: 0 }), response);
}

/** A whole herd in front of the owner, as an isolate has one. */
async function isolateOf({
  clock,
  box,
  namespace,
  platform,
}: Pick<ReturnType<typeof desk>, 'clock' | 'box' | 'namespace' | 'platform'>) {
  const ownerOf = boxOwnersOf({ CORRAL_BOX_OWNER: namespace }, platform);
  const boxes = createBoxes({ platform, instanceId: 'isolate', ...(ownerOf && { ownerOf }) });
  const herd = createFleet({ upstreams: [box.upstream], platform, instanceId: 'isolate', boxes });
  await Promise.all([clock.advance(2_000), herd.learn()]);
  return herd;
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
    const owner = boxOwnersOf({ CORRAL_BOX_OWNER: {} }, herd.platform)?.(
      host,
      () => host,
      () => undefined,
    );
    expect(owner).toBeUndefined();
  });

  it('hears what became of a call: the runner that has died is loaded anew for the next one', async () => {
    const { clock, owner, herd, box, namespace, platform } = desk();
    const [atDesk] = herd.boxes;
    const { scheduler } = atDesk ?? expect.fail('no box');
    const first = await granted(clock, owner.admit(askFor('b'), client().waiter));
    expect(scheduler.loads).toMatchObject({ started: 1, completed: 1 });
    first.end({ how: 'completed', promptTokens: 10, outputTokens: 4 });
    await clock.advance(100);
    const fleet = await isolateOf({ clock, box, namespace, platform });
    const second = await granted(clock, Promise.resolve(fleet.admit(box.upstream, askFor('b'), client().waiter)));
    expect(second.loadMs).toBe(0);
    // What has crashed stays listed until the next request finds out.
    atDesk?.crashRunner('b:latest');
    second.end({ how: 'failed', fault: 'the runner has died', isCrash: true });
    await clock.advance(100);
    fleet.stop();
    const third = await granted(clock, owner.admit(askFor('b'), client().waiter));
    expect(third.loadMs).toBeGreaterThan(1_000);
    expect(scheduler.loads).toMatchObject({ started: 2, completed: 2 });
  });

  it('tells all isolates of a model that fails in a row, until a call was whole again', async () => {
    const { clock, owner, told } = desk();
    for (let times = 0; times < 3; times++) {
      const grant = await granted(clock, owner.admit(askFor('a'), client().waiter));
      grant.end({ how: 'failed', fault: 'x'.repeat(10_000) });
      await clock.advance(500);
    }
    expect(told.at(-1)?.resting).toEqual([{ model: 'a:latest', forMs: expect.any(Number) }]);
    expect(told.at(-1)?.resting[0]?.forMs).toBeGreaterThan(4_000);
    await clock.advance(6_000);
    const grant = await granted(clock, owner.admit(askFor('a'), client().waiter));
    grant.end({ how: 'completed' });
    await clock.advance(100);
    expect(told.at(-1)?.resting).toEqual([]);
  });

  it('tells isolates what others have there, beside their own call', async () => {
    const { clock, owner, told } = desk();
    const first = await granted(clock, owner.admit(askFor('a'), client().waiter));
    expect(told.at(-1)?.runners).toMatchObject([{ busy: 0, waiting: 0, slots: 1 }]);
    const leaving = client();
    tracked(owner.admit(askFor('a'), client().waiter));
    tracked(owner.admit(askFor('a'), leaving.waiter));
    await clock.advance(100);
    first.end({ how: 'completed' });
    await clock.advance(100);
    // First with the grant, which is one of its own then; and as the answer to the end of the other, when it counts it already.
    expect(told.slice(-2).map(({ runners }) => runners)).toMatchObject([[{ busy: 0, waiting: 1 }], [{ busy: 1, waiting: 1 }]]);
    leaving.leave();
    await clock.advance(100);
    expect(told.at(-1)?.runners).toMatchObject([{ busy: 1, waiting: 0 }]);
  });

  it('T5: what it tells, the herd of an isolate places by', async () => {
    const { clock, box, namespace, platform, owner } = desk();
    const herd = await isolateOf({ clock, box, namespace, platform });
    // Another isolate has the slot, and two more wait.
    const first = await granted(clock, owner.admit(askFor('a'), client().waiter));
    for (let times = 0; times < 2; times++) tracked(owner.admit(askFor('a'), client().waiter));
    await clock.advance(100);
    const leaving = client();
    const waiting = Promise.resolve(herd.admit(box.upstream, askFor('a'), leaving.waiter));
    waiting.catch(() => undefined);
    await clock.advance(100);
    leaving.leave();
    await clock.advance(100);
    const counted = () => herd.explain('a', 10).map(({ view }) => [view?.busy, view?.waiting]);
    expect(counted()).toEqual([[1, 2]]);
    for (let times = 0; times < 3; times++) first.end({ how: 'completed' });
    await clock.advance(31_000);
    expect(counted()).toEqual([[0, 0]]);
    herd.stop();
  });

  it.each([
    ['nothing', ''],
    ['no JSON', '{"how":'],
    ['another word', '{"how":"well"}'],
    ['far too much', `{"how":"failed","fault":"${'x'.repeat(5_000)}"}`],
    ['no object', '[1]'],
  ])('takes %s for a call of which nobody knows', (_, text) => {
    expect(readSeen(text)).toBeUndefined();
  });

  it('takes only what may be true of what became of a call', () => {
    const said = { how: 'broken', fault: 'x'.repeat(300), isCrash: true, promptTokens: -1, outputTokens: 1.5, more: 'unknown' };
    expect(readSeen(JSON.stringify(said))).toEqual({ how: 'broken', fault: 'x'.repeat(200), isCrash: true });
    const whole = { how: 'completed', promptTokens: 12, outputTokens: 3 };
    expect(readSeen(seenText(whole as LeaseSeen))).toEqual(whole);
    expect(readSeen('{"how":"completed","promptTokens":1e12}')).toEqual({ how: 'completed' });
    expect(readTold({ atMs: 1, runners: [{ hash: '1a', busy: -1, waiting: 0 }], resting: [] })).toBeUndefined();
    const many = Array.from({ length: 33 }, () => ({ hash: '1a', busy: 1, waiting: 0 }));
    expect(readTold({ atMs: 1, runners: many, resting: [] })).toBeUndefined();
  });
});

async function granted(clock: FakeClock, promise: Promise<Grant>): Promise<Grant> {
  const tracking = tracked(promise);
  await clock.advance(10_000);
  if (!isGrant(tracking.outcome)) throw new Error(`not granted: ${String(tracking.outcome)}`);
  return tracking.outcome;
}
