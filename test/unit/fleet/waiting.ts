/** Who asks for a slot, as a test writes it down. */
import type { Ask, BoxOptions, Upstream, Wait, Waiter } from '../../../src/exchange.ts';
import { createSlots, type Slot, type Slots, type SlotsSetting } from '../../../src/fleet/slots/slots.ts';
import { type FleetTuning, usualTuning } from '../../../src/fleet/tuning.ts';
import { createFakeClock, type FakeClock } from '../../support/fake-clock.ts';

export interface SlotStage {
  readonly clock: FakeClock;
  readonly slots: Slots;
  readonly options: BoxOptions;
  /** As a reload may change it. */
  readonly setting: { readonly box: { upstream: Upstream; readonly tuning: FleetTuning } };
}

export interface SlotStageSetting {
  /** Undefined: to be learnt. */
  readonly slots?: number | undefined;
  readonly tuning?: Partial<FleetTuning>;
  readonly hasBackground?: boolean;
  readonly runnerKey?: SlotsSetting['runnerKey'];
}

export function createSlotStage(given: SlotStageSetting = {}): SlotStage {
  const clock = createFakeClock();
  const box: BoxOptions = {
    weight: 1,
    slots: given.slots,
    vramBytes: undefined,
    reserveBytes: 0,
    maxLoaded: undefined,
    headers: {},
  };
  const upstream: Upstream = { name: 'attic', baseUrl: 'http://attic:11434', kind: 'box', tls: undefined, box };
  const setting = { box: { upstream, tuning: { ...usualTuning, ...given.tuning } } };
  const slots = createSlots({
    clock,
    hasBackground: given.hasBackground ?? true,
    box: setting.box,
    ...(given.runnerKey === undefined ? {} : { runnerKey: given.runnerKey }),
  });
  return { clock, slots, options: box, setting };
}

export interface AskOptions {
  readonly model?: string;
  readonly sharer?: string;
  readonly weight?: number;
  readonly urgency?: 'interactive' | 'bulk';
}

export function askFor({ model = 'llama3.2', sharer = '', weight = 1, urgency = 'interactive' }: AskOptions = {}): Ask {
  const work: Ask['work'] = { promptTokens: 10, conversation: undefined, sharer, weight, urgency, use: 'generate' };
  return { model, numCtx: undefined, work };
}

export interface Client {
  readonly waiter: Waiter;
  /** What it was told of its wait. */
  readonly told: Wait[];
  /** Its positions, as it was told of them. */
  readonly positions: number[];
  slot: Slot | undefined;
  error: unknown;
  /** Leaves, as a client that closes its connection. */
  leave(): void;
}

/** Asks for a slot; what comes of it is to be read from the client once time has moved on. */
export function come({ slots }: SlotStage, options: AskOptions = {}, deadlineMs?: number): Client {
  const listeners: (() => void)[] = [];
  const told: Wait[] = [];
  const positions: number[] = [];
  const client: Client = {
    told,
    positions,
    slot: undefined,
    error: undefined,
    leave: () => {
      for (const listener of listeners) listener();
    },
    waiter: {
      deadlineMs,
      onGone: (listener) => void listeners.push(listener),
      waitUntil: () => undefined,
      onWait: (wait) => {
        told.push(wait);
        positions.push(wait.position);
      },
    },
  };
  try {
    const taken = slots.take(askFor(options), client.waiter);
    if (taken instanceof Promise) {
      taken.then(
        (slot) => {
          client.slot = slot;
        },
        (thrown) => {
          client.error = thrown;
        },
      );
    } else client.slot = taken;
  } catch (thrown) {
    client.error = thrown;
  }
  return client;
}
