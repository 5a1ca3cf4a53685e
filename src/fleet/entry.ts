/** One call's way into a box: what its admission asks for, and who is told what became of it. */
import type { Ask, LeaseSeen } from '../exchange.ts';
import type { Clock } from '../platform.ts';
import type { AdmissionParts } from './admission.ts';
import type { Box } from './box.ts';
import type { Loads } from './loads/loads.ts';
import type { BoxOwner } from './owner.ts';
import { isInMemory } from './placement/views.ts';
import type { Run } from './rates/learning-run.ts';
import type { Slots } from './slots/slots.ts';

const none: Loads = { ready: () => undefined, underWay: () => [] };

/** Made before the call waits: afterwards the model is in memory. One object for each call, where closures would be five. */
export class Entry implements AdmissionParts {
  readonly #box: Box;
  /** Canonical. */
  readonly #model: string;
  readonly #clock: Clock;
  readonly #isCold: boolean;
  readonly #work: Ask['work'];

  constructor(box: Box, model: string, { numCtx, work }: Ask, clock: Clock) {
    this.#box = box;
    this.#model = model;
    this.#clock = clock;
    this.#isCold = isInMemory(box, model, numCtx) === false;
    this.#work = work;
  }

  get slots(): Slots {
    return this.#box.slots;
  }

  get loads(): Loads {
    return this.#isRefused ? none : this.#box.loads;
  }

  /** The box refuses before it loads: nobody is to wait for a load only to hear that. */
  get #isRefused(): boolean {
    if (!this.#isCold) return false;
    const { needs = [] } = this.#work;
    return needs.length > 0 && this.#box.lacks(this.#model, needs);
  }

  get owner(): BoxOwner | undefined {
    return this.#box.leg.isRelay || this.#isRefused ? undefined : this.#box.owner;
  }

  begin(ask: Ask, loadMs: number): Run {
    const box = this.#box;
    const model = this.#model;
    return box.rates.granted({
      model,
      ask,
      loadMs,
      isCold: this.#isCold,
      sizeBytes: box.catalogue?.get(model)?.sizeBytes ?? 0,
    });
  }

  onEnd(seen: LeaseSeen): void {
    const box = this.#box;
    if (!box.breaker.isQuiet || seen.how !== 'completed') box.breaker.ended(this.#model, this.#clock.now(), seen);
    box.memory.lost.ended(seen, () => box.runnerKeyOf(this.#model));
  }

  /** Whoever leaves while it waits is let in nowhere, and told of nowhere else. */
  left(): void {
    this.#box.breaker.left(this.#model);
  }

  /** Throws it on. */
  refused(thrown: unknown): never {
    this.#box.breaker.refused(this.#model, this.#clock.now(), thrown);
    throw thrown;
  }
}
