/** The slots of one model on one box, and the line of those who wait for one. */
import type { GatewayError } from '../../errors.ts';
import type { Ask, Upstream, Wait, Waiter } from '../../exchange.ts';
import type { Clock } from '../../platform.ts';
import type { FleetTuning } from '../tuning.ts';
import { FairQueue, type Queued } from './fair-queue.ts';
import { Parallel, type Run } from './parallel.ts';
import { type LineAccount, outOfTime, queueFull, queueTimeout } from './queue-refusal.ts';

export interface Slot {
  readonly queuedMs: number;
  /** The first byte of the answer is there: what is learnt of the slots is learnt from this. */
  began(): void;
  /** Safe to call again. */
  end(): void;
}

export interface LineSetting {
  readonly clock: Clock;
  /** False: nobody may settle another request's promise, so that whoever waits looks for itself, again and again. */
  readonly hasBackground: boolean;
  /** As the newest plan has them. */
  readonly box: {
    readonly upstream: Upstream;
    readonly tuning: FleetTuning;
    /** Somebody else says who may come: here it is only counted. */
    readonly isOwnedElsewhere?: boolean;
  };
}

/** How often somebody looks whose turn it is, where nobody can tell it. */
const pollMs = 50;
/** Who has not looked for so long has gone without a word: its request was ended by the runtime. */
const lostAfterMs = 2_000;
/** Between two accounts of their positions to everybody in a long line. */
const retellMs = 250;
const longLine = 32;
/** Presumed of a call as long as none has ended. */
const usualServiceMs = 5_000;

export class Line {
  readonly parallel = new Parallel();
  readonly #setting: LineSetting;
  #queue: FairQueue<Waiting> | undefined;
  #serviceMs = usualServiceMs;
  #toldMs = Number.NEGATIVE_INFINITY;
  #sweptMs = Number.NEGATIVE_INFINITY;

  constructor(setting: LineSetting) {
    this.#setting = setting;
  }

  get waiting(): number {
    return this.#queue?.size ?? 0;
  }

  get isIdle(): boolean {
    return this.parallel.inFlight === 0 && this.waiting === 0;
  }

  /** What the box serves at once, as configured or learnt. */
  get believed(): number | undefined {
    return this.#configured ?? this.parallel.learnt;
  }

  get #configured(): number | undefined {
    return this.#setting.box.upstream.box?.slots;
  }

  get #free(): number {
    if (this.#setting.box.isOwnedElsewhere === true) return Number.POSITIVE_INFINITY;
    return (this.#configured ?? this.parallel.limit) - this.parallel.inFlight;
  }

  take(ask: Ask, waiter: Waiter): Slot | Promise<Slot> {
    if (this.waiting === 0 && this.#free > 0) return this.#grant(0);
    const nowMs = this.#setting.clock.now();
    this.#dropLost(nowMs);
    // A reload may have given the box more slots while nobody came and nobody went.
    if (this.waiting > 0 && this.#free > 0) this.#serveWaiting(nowMs);
    // Where nothing says that the box is full, nobody is turned away: one more is let in for each that comes.
    const { maxWaiting } = this.#setting.box.tuning;
    if (this.waiting >= maxWaiting && this.#configured === undefined && this.parallel.makeRoom()) this.#serveWaiting(nowMs);
    if (this.waiting === 0 && this.#free > 0) return this.#grant(0);
    if (this.waiting >= maxWaiting + Math.max(0, this.#free)) this.#makeRoomFor(ask);
    return this.#wait(ask, waiter, nowMs);
  }

  /** A full line is shared like the slots: nobody fills it for all others. Throws queue_full. */
  #makeRoomFor({ model, work }: Ask): void {
    const displaced = this.#queue?.displacedBy(work);
    if (displaced === undefined) throw queueFull(model, this.#account);
    this.#queue?.remove(displaced);
    displaced.refuse(queueFull(displaced.model, this.#account));
  }

  #wait({ model, work }: Ask, waiter: Waiter, nowMs: number): Promise<Slot> {
    const { clock, hasBackground, box } = this.#setting;
    this.#queue ??= new FairQueue();
    const waiting = new Waiting(model, work, waiter, nowMs);
    const endsMs = Math.min(nowMs + box.tuning.maxWaitMs, waiter.deadlineMs ?? Number.POSITIVE_INFINITY);
    this.#queue.push(waiting);
    waiter.onGone(() => {
      waiting.isGone = true;
      waiting.cancel();
      if (this.#queue?.remove(waiting) === true) this.#tell(clock.now());
    });
    this.#tellOne(waiting, this.#queue.positionOf(waiting));
    return new Promise((resolve, reject) => {
      if (waiting.isGone) return;
      waiting.resolve = resolve;
      const expire = () => {
        if (this.#queue?.remove(waiting) !== true) return;
        this.#tell(clock.now());
        reject(clock.now() >= (waiter.deadlineMs ?? Number.POSITIVE_INFINITY) ? outOfTime() : queueTimeout(model, this.#account));
      };
      if (hasBackground) {
        waiting.refuse = (error) => {
          waiting.cancel();
          reject(error);
        };
        waiting.cancel = clock.after(Math.max(0, endsMs - nowMs), expire);
        return;
      }
      let refused: GatewayError | undefined;
      waiting.refuse = (error) => {
        refused = error;
      };
      const look = () => {
        if (refused !== undefined) return reject(refused);
        const lookedMs = clock.now();
        waiting.seenMs = lookedMs;
        // Its timer came so late that the others took it for lost.
        if (waiting.isLost) this.#queue?.push(waiting);
        waiting.isLost = false;
        if (lookedMs >= endsMs) return expire();
        if (this.#isTurnOf(waiting, lookedMs)) return this.#serve(waiting, lookedMs);
        waiting.cancel = clock.after(Math.min(pollMs, endsMs - lookedMs), look);
      };
      look();
    });
  }

  #grant(queuedMs: number): HeldSlot {
    const slot = new HeldSlot(this, queuedMs);
    this.parallel.sent(slot, this.#setting.clock.now());
    return slot;
  }

  began(slot: HeldSlot): void {
    const nowMs = this.#setting.clock.now();
    this.parallel.began(slot, nowMs);
    if (this.waiting > 0) this.#serveWaiting(nowMs);
  }

  ended(slot: HeldSlot): void {
    const nowMs = this.#setting.clock.now();
    this.parallel.ended(slot, nowMs);
    if (slot.beganMs >= 0) this.#serviceMs += (nowMs - slot.sentMs - this.#serviceMs) / 8;
    if (this.waiting > 0) this.#serveWaiting(nowMs);
  }

  /** Lets in whoever's turn it is, as long as there is room. */
  #serveWaiting(nowMs: number): void {
    if (!this.#setting.hasBackground) return;
    let hasServed = false;
    while (this.#free > 0) {
      const next = this.#queue?.first();
      if (next === undefined) break;
      this.#serve(next, nowMs);
      hasServed = true;
    }
    if (hasServed) this.#tell(nowMs);
  }

  #serve(waiting: Waiting, nowMs: number): void {
    waiting.cancel();
    this.#queue?.serve(waiting);
    waiting.resolve(this.#grant(nowMs - waiting.sinceMs));
  }

  /** For those who look for themselves. */
  #isTurnOf(waiting: Waiting, nowMs: number): boolean {
    this.#dropLost(nowMs);
    const position = this.#queue?.positionOf(waiting) ?? 0;
    if (position > 0 && position <= this.#free) return true;
    if (position !== waiting.position) this.#tellOne(waiting, position);
    return false;
  }

  #dropLost(nowMs: number): void {
    if (this.#setting.hasBackground || this.waiting === 0 || nowMs - this.#sweptMs < pollMs) return;
    this.#sweptMs = nowMs;
    for (const waiting of this.#queue?.inOrder() ?? []) {
      if (nowMs - waiting.seenMs > lostAfterMs) waiting.isLost = this.#queue?.remove(waiting) === true;
    }
  }

  /** Tells everybody whose position has changed; in a long line only now and then, because that takes time. */
  #tell(nowMs: number): void {
    if (!this.#setting.hasBackground || this.waiting === 0) return;
    if (this.waiting > longLine && nowMs - this.#toldMs < retellMs) return;
    this.#toldMs = nowMs;
    for (const [index, waiting] of (this.#queue?.inOrder() ?? []).entries()) {
      if (waiting.position !== index + 1) this.#tellOne(waiting, index + 1);
    }
  }

  #tellOne(waiting: Waiting, position: number): void {
    waiting.position = position;
    const wait: Wait = { for: 'slot', boxName: this.#setting.box.upstream.name, position };
    waiting.waiter.onWait?.(wait);
  }

  /** What those who get no slot are told of the line. */
  get #account(): LineAccount {
    const { box } = this.#setting;
    return {
      boxName: box.upstream.name,
      serves: this.believed ?? this.parallel.limit,
      letIn: this.#configured ?? this.parallel.limit,
      waiting: this.waiting,
      serviceMs: this.#serviceMs,
      tuning: box.tuning,
    };
  }
}

class HeldSlot implements Slot, Run {
  readonly queuedMs: number;
  sentMs = 0;
  beganMs = -1;
  evidence = 0;
  delayMs = 0;
  readonly #line: Line;
  #isOver = false;

  constructor(line: Line, queuedMs: number) {
    this.#line = line;
    this.queuedMs = queuedMs;
  }

  began(): void {
    if (!this.#isOver) this.#line.began(this);
  }

  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#line.ended(this);
  }
}

class Waiting implements Queued {
  readonly sharer: string;
  readonly weight: number;
  readonly urgency: 'interactive' | 'bulk';
  readonly waiter: Waiter;
  readonly sinceMs: number;
  seenMs: number;
  position = 0;
  isGone = false;
  isLost = false;
  readonly model: string;
  cancel: () => void = () => undefined;
  resolve: (slot: Slot) => void = () => undefined;
  refuse: (error: GatewayError) => void = () => undefined;

  constructor(model: string, { sharer, weight, urgency }: Queued, waiter: Waiter, nowMs: number) {
    this.model = model;
    this.sharer = sharer;
    this.weight = weight;
    this.urgency = urgency;
    this.waiter = waiter;
    this.sinceMs = nowMs;
    this.seenMs = nowMs;
  }
}
