/**
 * One Durable Object per box owns its slots, its queue and its loads for all isolates of the Worker (design decision 20). It uses the
 * same code as a process elsewhere. An isolate asks for a slot by one request, which stays open as long as it holds it:
 *
 *     POST /admit   what is asked of which box
 *     {"lease":"1"}⏎
 *     {"wait":{"for":"slot","boxName":"desk","position":2}}⏎     as often as it changes
 *     {"granted":{"queuedMs":840,"loadMs":0},"told":{…}}⏎       or {"refused":{…},"told":{…}}⏎, which ends it
 *     ⏎                                                          every second: whether anybody still reads shows here
 *
 *     POST /began?lease=1    the first byte of the answer is there
 *     POST /end?lease=1      the slot is free again, with what became of the call; so it is when the first request is given up
 *
 * What is told: calls under way and waiting at the box, for the isolate's placement. It comes with the answer to `/end`, too.
 */
import { gatewayErrorOf } from '../errors.ts';
import type { Ask, LeaseSeen, Wait, Waiter } from '../exchange.ts';
import { canonicalModel } from '../fields/model-name.ts';
import { admitTo } from '../fleet/admission.ts';
import { within } from '../fleet/asking/ask.ts';
import type { Box } from '../fleet/box.ts';
import { type BoxWanted, createBoxes } from '../fleet/boxes.ts';
import { Entry } from '../fleet/entry.ts';
import { loadOfAll } from '../fleet/load-of-all.ts';
import { LoadFailed } from '../fleet/loads/load-answer.ts';
import type { Grant, OwnerTold } from '../fleet/owner.ts';

import { maxRunners, runnerHash } from '../http/relay-load.ts';
import type { Clock, Platform } from '../platform.ts';
import { type Admission, type AdmissionLine, maxResting, type Refused, readSeen } from './box-owner-words.ts';
import { createWorkersPlatform } from './workers-platform.ts';

const beatMs = 1_000;
/** So many lines that nobody has taken: whoever asked is gone. */
const maxUntaken = 30;
const firstLookMs = 2_000;
/** What is known of memory counts for 30 s (fleet/box.ts): asked again before that. */
const lookAgainMs = 20_000;

/** The desk at which isolates ask. Lives as long as the object. */
export class OwnerDesk {
  readonly #platform: Platform;
  readonly #boxes;
  readonly #held = new Map<string, Lease>();
  #box: Box | undefined;
  #count = 0;

  constructor(platform: Platform) {
    this.#platform = platform;
    this.#boxes = createBoxes({ platform, instanceId: crypto.randomUUID().slice(0, 8) });
  }

  /** Slots that are given out or waited for: a leak shows here. */
  get held(): number {
    return this.#held.size;
  }

  async fetch(request: Request): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    const held = this.#held.get(searchParams.get('lease') ?? '');
    if (pathname === '/admit') return this.#admit((await request.json()) as Admission);
    if (pathname === '/began') held?.began();
    else if (pathname === '/end') {
      held?.end(readSeen(await request.text()));
      if (this.#box !== undefined) return Response.json(toldOf(this.#box, this.#platform.clock.now()));
    }
    return new Response(null, { status: 204 });
  }

  async #admit({ box: wanted, ask, deadlineInMs }: Admission): Promise<Response> {
    const { clock } = this.#platform;
    const box = this.#boxFor(wanted);
    if (box.isStale(lookAgainMs)) await within(clock, firstLookMs, box.look());
    const id = String(this.#count++);
    const lease = new Lease(clock, deadlineInMs, {
      ended: () => this.#held.delete(id),
      told: (isIn) => toldOf(box, clock.now(), isIn ? ask.model : undefined),
    });
    this.#held.set(id, lease);
    const body = lease.open(id, (waiter) => grantFor(box, ask, waiter, clock));
    return new Response(body as ReadableStream<Uint8Array<ArrayBuffer>>, { headers: { 'content-type': 'application/x-ndjson' } });
  }

  /** An object has one box; a later configuration may say something else of it. */
  #boxFor(wanted: BoxWanted): Box {
    if (this.#box === undefined) this.#box = this.#boxes.take(wanted);
    else this.#box.adopt(wanted);
    return this.#box;
  }
}

interface LeaseDesk {
  ended(): void;
  /** `isIn`: the lease has its slot. */
  told(isIn: boolean): OwnerTold;
}

/** One slot that is waited for or held, and the lines that tell of it. */
class Lease implements Waiter {
  readonly deadlineMs: number | undefined;
  readonly #clock: Clock;
  readonly #desk: LeaseDesk;
  readonly #departures: (() => void)[] = [];
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #cancelBeat: () => void = () => undefined;
  #grant: Grant | undefined;
  #isOver = false;

  constructor(clock: Clock, deadlineInMs: number | undefined, desk: LeaseDesk) {
    this.#clock = clock;
    this.#desk = desk;
    this.deadlineMs = deadlineInMs === undefined ? undefined : clock.now() + deadlineInMs;
  }

  open(id: string, grantTo: (waiter: Waiter) => Promise<Grant>): ReadableStream<Uint8Array> {
    return new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller;
          this.#say({ lease: id });
          void grantTo(this).then(
            (grant) => this.#take(grant),
            (thrown) => {
              this.#say({ refused: refusedBy(thrown), told: this.#desk.told(false) });
              this.end();
            },
          );
          this.#beat();
        },
        cancel: () => this.#finish(),
      },
      { highWaterMark: 0 },
    );
  }

  began(): void {
    this.#grant?.began();
  }

  end(seen?: LeaseSeen): void {
    if (this.#isOver) return;
    this.#finish(seen);
    this.#controller?.close();
  }

  onGone(listener: () => void): void {
    this.#departures.push(listener);
  }

  /** The object lives as long as it waits for an answer of its own. */
  waitUntil(): void {}

  onWait(wait: Wait): void {
    this.#say({ wait });
  }

  #take(grant: Grant): void {
    if (this.#isOver) {
      grant.end();
      return;
    }
    this.#grant = grant;
    this.#say({ granted: { queuedMs: grant.queuedMs, loadMs: grant.loadMs }, told: this.#desk.told(true) });
  }

  #finish(seen?: LeaseSeen): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#cancelBeat();
    this.#desk.ended();
    if (this.#grant !== undefined) this.#grant.end(seen);
    else for (const listener of this.#departures) listener();
  }

  #beat(): void {
    if ((this.#controller?.desiredSize ?? 0) < -maxUntaken) {
      this.end();
      return;
    }
    this.#say();
    this.#cancelBeat = this.#clock.after(beatMs, () => this.#beat());
  }

  #say(line?: AdmissionLine): void {
    if (!this.#isOver) this.#controller?.enqueue(encoder.encode(line === undefined ? '\n' : `${JSON.stringify(line)}\n`));
  }
}

const encoder = new TextEncoder();

/** As `Fleet.admit` does it where a process owns its boxes. */
async function grantFor(box: Box, ask: Ask, waiter: Waiter, clock: Clock): Promise<Grant> {
  const model = canonicalModel(ask.model);
  box.breaker.began(model, clock.now());
  const entry = new Entry(box, model, ask, clock);
  waiter.onGone(() => entry.left());
  try {
    return await admitTo(entry, ask, waiter);
  } catch (thrown) {
    return entry.refused(thrown);
  }
}

/** `without`: one call to this model is the listener's own. */
function toldOf(box: Box, nowMs: number, without?: string): OwnerTold {
  const { atMs, runners } = loadOfAll([box], nowMs);
  const own = without === undefined ? undefined : runnerHash(box.runnerKeyOf(canonicalModel(without)));
  const beside = runners.map((one) => (one.hash === own ? { ...one, busy: Math.max(0, one.busy - 1) } : one));
  const busiest = beside.sort((one, other) => other.busy + other.waiting - one.busy - one.waiting).slice(0, maxRunners);
  const resting = box.breaker.tripped(nowMs).filter(({ forMs }) => forMs > 0);
  return { atMs, runners: busiest, resting: resting.slice(0, maxResting).map(({ model, forMs }) => ({ model, forMs })) };
}

function refusedBy(thrown: unknown): Refused {
  const { code, message, status, headers } = gatewayErrorOf(thrown);
  return { code, message, status, headers, said: thrown instanceof LoadFailed ? thrown.text : undefined };
}

/** The class that wrangler.toml names. All requests of an object share one context there, so that one may settle another's promise. */
export class CorralBoxOwner {
  readonly #desk: OwnerDesk;

  constructor(_state: unknown, env: Readonly<Record<string, unknown>>) {
    this.#desk = new OwnerDesk({ ...createWorkersPlatform((name) => env[name]), hasBackground: true });
  }

  fetch(request: Request): Promise<Response> {
    return this.#desk.fetch(request);
  }
}
