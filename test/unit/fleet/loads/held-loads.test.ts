import { describe, expect, it } from 'vitest';
import { createHeldLoads, type OrphanedTry } from '../../../../src/fleet/loads/held-loads.ts';
import { createFakeClock } from '../../../support/fake-clock.ts';
import { attic, upstreamNamed } from '../scripted-boxes.ts';

const cloud = upstreamNamed('cloud', 'https://api.example.com', 'openai');
const minuteMs = 60_000;

function setUp({ maxHeld = 64 } = {}) {
  const clock = createFakeClock();
  const world = { resident: false as boolean | undefined, fails: false };
  const fleet = {
    isBox: (upstream: { kind: string }) => upstream.kind === 'box',
    checkResident: async () => {
      if (world.fails) throw new Error('planted');
      return world.resident;
    },
  };
  const held = createHeldLoads({ fleet, clock, loadTimeoutMs: 15 * minuteMs, maxHeld });
  const leave = (options: Partial<OrphanedTry> = {}) => {
    let settle: () => void = () => undefined;
    let fail: (error: Error) => void = () => undefined;
    const settled = new Promise<void>((resolve, reject) => {
      settle = resolve;
      fail = reject;
    });
    const one = { aborts: 0, kept: [] as Promise<unknown>[], settle, fail };
    held.onClientGone({
      upstream: attic,
      model: 'llama3.2:70b',
      startedMs: clock.now(),
      abort: () => {
        one.aborts++;
      },
      settled,
      waitUntil: (work) => one.kept.push(work),
      ...options,
    });
    return one;
  };
  return { clock, world, held, leave };
}

describe('a try whose client has left', () => {
  it('ends at once when the model is in memory', async () => {
    const { clock, world, held, leave } = setUp();
    world.resident = true;
    const one = leave();
    await clock.settle();
    expect(one.aborts).toBe(1);
    expect(held.count).toBe(0);
    expect(clock.pending).toBe(0);
  });

  it.each([
    ['the upstream is no box', { upstream: cloud }],
    ['no model was named', { model: undefined }],
  ])('ends at once when %s', (_name, options) => {
    const { held, leave } = setUp();
    expect(leave(options).aborts).toBe(1);
    expect(held.count).toBe(0);
  });

  it('is held while the model loads, and ended when it has its headers', async () => {
    const { clock, held, leave } = setUp();
    const one = leave();
    await clock.advance(3 * minuteMs);
    expect([one.aborts, held.count]).toEqual([0, 1]);
    one.settle();
    await clock.settle();
    expect([one.aborts, held.count]).toEqual([1, 0]);
    expect(clock.pending).toBe(0);
  });

  it('is let go when it fails', async () => {
    const { clock, held, leave } = setUp();
    const one = leave();
    one.fail(new Error('the box died'));
    await clock.settle();
    expect(held.count).toBe(0);
    expect(clock.pending).toBe(0);
  });

  it('is ended within 5 s once the model is in memory: its whole answer is not waited for', async () => {
    const { clock, world, leave } = setUp();
    const one = leave();
    await clock.advance(42_000);
    world.resident = true;
    await clock.advance(5_000);
    expect(one.aborts).toBe(1);
  });

  it.each([
    ['does not tell', { resident: undefined }],
    ['cannot be asked', { fails: true }],
  ])('is held for 15 minutes at most when the box %s', async (_name, state) => {
    const { clock, world, held, leave } = setUp();
    Object.assign(world, state);
    const one = leave();
    await clock.advance(15 * minuteMs - 1);
    expect([one.aborts, held.count]).toEqual([0, 1]);
    await clock.advance(1);
    expect([one.aborts, held.count]).toEqual([1, 0]);
    expect(clock.pending).toBe(0);
  });

  it('keeps its runtime awake for as long as it is held', async () => {
    const { clock, leave } = setUp();
    const one = leave();
    let isDone = false;
    void Promise.all(one.kept).then(() => {
      isDone = true;
    });
    await clock.advance(10_000);
    expect([one.kept.length, isDone]).toEqual([1, false]);
    one.settle();
    await clock.settle();
    expect(isDone).toBe(true);
  });
});

describe('of several tries for one load', () => {
  it('all are held until it is over: Ollama keeps the socket of whoever leaves while it waits behind a load', async () => {
    const { clock, world, held, leave } = setUp();
    const first = leave({ startedMs: 10, model: 'llama3.2' });
    const second = leave({ startedMs: 20, model: 'LLAMA3.2:latest' });
    await clock.advance(4_000);
    expect([first.aborts, second.aborts, held.count]).toEqual([0, 0, 2]);
    world.resident = true;
    await clock.advance(5_000);
    expect([first.aborts, second.aborts, held.count]).toEqual([1, 1, 0]);
  });

  it('where no more may be held, the earlier takes the place of the later, by any spelling of the model', async () => {
    const { clock, held, leave } = setUp({ maxHeld: 1 });
    const joined = leave({ startedMs: 20, model: 'llama3.2' });
    const began = leave({ startedMs: 10, model: 'LLAMA3.2:latest' });
    const last = leave({ startedMs: 30, model: 'llama3.2' });
    await clock.settle();
    expect([joined.aborts, began.aborts, last.aborts, held.count]).toEqual([1, 0, 1, 1]);
    began.settle();
    await clock.settle();
    expect(held.count).toBe(0);
  });

  it('each model and each box has its own', async () => {
    const { clock, held, leave } = setUp();
    leave();
    leave({ model: 'phi3:mini' });
    leave({ upstream: upstreamNamed('den', 'http://den:11434') });
    await clock.settle();
    expect(held.count).toBe(3);
  });
});

it('holds no more than it may', async () => {
  const { clock, held, leave } = setUp({ maxHeld: 2 });
  const all = ['a', 'b', 'c'].map((model) => leave({ model }));
  await clock.settle();
  expect(all.map(({ aborts }) => aborts)).toEqual([0, 0, 1]);
  expect(held.count).toBe(2);
  all[0]?.settle();
  await clock.settle();
  expect(leave({ model: 'd' }).aborts).toBe(0);
});
