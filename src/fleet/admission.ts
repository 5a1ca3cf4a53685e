/** How a call comes to a box: first a slot, in turn, and then the model in memory. */
import type { Ask, Lease, LeaseSeen, Waiter } from '../exchange.ts';
import type { Loaded, Loads } from './loads/loads.ts';
import type { BoxOwner, Grant } from './owner.ts';
import type { Run } from './rates/learning-run.ts';
import type { Slot, Slots } from './slots/slots.ts';

export interface AdmissionParts {
  readonly slots: Slots;
  readonly loads: Loads;
  /** Where it is not this process that grants. */
  readonly owner?: BoxOwner | undefined;
  /** Told of every lease that has ended, once: `abandoned` also where nobody says what became of its call. */
  onEnd(seen: LeaseSeen): void;
  /** A call begins at the box: what it comes to teaches the box's rates. */
  begin?(ask: Ask, loadMs: number): Run;
}

/** Rejects as `Slots.take` and `Loads.ready` do; the slot is free again then. */
export function admitTo(parts: AdmissionParts, ask: Ask, waiter: Waiter): Lease | Promise<Lease> {
  const { owner } = parts;
  if (owner !== undefined) return owner.admit(ask, waiter).then((grant) => countedHere(parts, ask, waiter, grant));
  const slot = parts.slots.take(ask, waiter);
  return slot instanceof Promise ? slot.then((granted) => loaded(parts, ask, waiter, granted)) : loaded(parts, ask, waiter, slot);
}

/** Placement looks at what is under way from here. */
async function countedHere(parts: AdmissionParts, ask: Ask, waiter: Waiter, grant: Grant): Promise<Lease> {
  const slot = await parts.slots.take(ask, waiter);
  return leaseOf(
    parts,
    ask,
    {
      queuedMs: grant.queuedMs,
      began() {
        slot.began();
        grant.began();
      },
      end(seen) {
        slot.end();
        grant.end(seen);
      },
    },
    grant.loadMs,
  );
}

function loaded(parts: AdmissionParts, ask: Ask, waiter: Waiter, slot: Slot): Lease | Promise<Lease> {
  let loading: Promise<Loaded> | undefined;
  try {
    loading = parts.loads.ready(ask, waiter);
  } catch (thrown) {
    slot.end();
    throw thrown;
  }
  if (loading === undefined) return leaseOf(parts, ask, slot, 0, asAsked);
  // A client that leaves gives its place to the next; its load goes on.
  waiter.onGone(() => slot.end());
  return loading.then(
    (load) => leaseOf(parts, ask, slot, load.waitedMs, load),
    (thrown) => {
      slot.end();
      throw thrown;
    },
  );
}

/** A slot, or what an owner elsewhere has granted beside it. */
interface Held extends Omit<Slot, 'end'> {
  end(seen?: LeaseSeen): void;
}

const asAsked: Lease['loaded'] = { numCtx: undefined };

function leaseOf(parts: AdmissionParts, ask: Ask, slot: Held, loadMs: number, found?: Lease['loaded']): Lease {
  const lease = new SlotLease(parts, slot, loadMs, parts.begin?.(ask, loadMs));
  lease.loaded = found;
  return lease;
}

class SlotLease implements Lease {
  readonly loadMs: number;
  loaded: Lease['loaded'];
  readonly #parts: AdmissionParts;
  readonly #slot: Held;
  readonly #run: Run | undefined;
  #isOver = false;

  constructor(parts: AdmissionParts, slot: Held, loadMs: number, run: Run | undefined) {
    this.loadMs = loadMs;
    this.#parts = parts;
    this.#slot = slot;
    this.#run = run;
  }

  get queuedMs(): number {
    return this.#slot.queuedMs;
  }

  began(): void {
    this.#slot.began();
    this.#run?.began();
  }

  end(seen?: LeaseSeen): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#slot.end(seen);
    this.#run?.end(seen);
    this.#parts.onEnd(seen ?? nothingSeen);
  }
}

const nothingSeen: LeaseSeen = { how: 'abandoned' };
