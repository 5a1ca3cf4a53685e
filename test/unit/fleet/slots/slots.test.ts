import { describe, expect, it } from 'vitest';
import { GatewayError } from '../../../../src/errors.ts';
import { maxIdleLines, maxLines } from '../../../../src/fleet/slots/slots.ts';
import { askFor, come, createSlotStage } from '../waiting.ts';

const gone = { deadlineMs: undefined, onGone: () => undefined, waitUntil: () => undefined };

describe('a free slot', () => {
  it('is had at once, without a promise and without a timer', () => {
    const { slots, clock } = createSlotStage({ slots: 2 });
    const slot = slots.take(askFor(), gone);
    expect(slot).not.toBeInstanceOf(Promise);
    expect(slot).toMatchObject({ queuedMs: 0 });
    expect(clock.pending).toBe(0);
    expect([slots.busy(), slots.busy('llama3.2:latest'), slots.busy('other')]).toEqual([1, 1, 0]);
  });

  it('is free again once its call has ended, however often that is said', () => {
    const stage = createSlotStage({ slots: 1 });
    const { slot } = come(stage);
    slot?.end();
    slot?.end();
    expect(stage.slots.busy()).toBe(0);
    expect(come(stage).slot).toBeDefined();
    expect(come(stage).slot).toBeUndefined();
  });
});

describe('slots of a model', () => {
  it('are its own: two models do not wait for each other', () => {
    const stage = createSlotStage({ slots: 1 });
    expect(come(stage, { model: 'a' }).slot).toBeDefined();
    expect(come(stage, { model: 'b' }).slot).toBeDefined();
    expect(come(stage, { model: 'A:latest' }).slot).toBeUndefined();
    expect(stage.slots.waiting('a')).toBe(1);
  });

  it('are shared by names of one blob, which one runner serves', () => {
    const stage = createSlotStage({ slots: 1, runnerKey: () => 'sha256:x' });
    expect(come(stage, { model: 'llama3.2' }).slot).toBeDefined();
    expect(come(stage, { model: 'tuned' }).slot).toBeUndefined();
  });

  it('hold where the name that came first is not known to be the same yet', () => {
    let isKnown = false;
    const stage = createSlotStage({ slots: 1, runnerKey: (name) => (isKnown ? 'x' : name) });
    expect(come(stage, { model: 'a' }).slot).toBeDefined();
    come(stage, { model: 'b' }).slot?.end();
    isKnown = true;
    // The line goes on under the name as long as somebody is in it, and the other name joins it.
    expect(come(stage, { model: 'a' }).slot).toBeUndefined();
    expect(come(stage, { model: 'b' }).slot).toBeUndefined();
    expect(come(stage, { model: 'c' }).slot).toBeUndefined();
    expect([stage.slots.busy('a'), stage.slots.waiting('b'), stage.slots.waiting()]).toEqual([1, 3, 3]);
  });
});

describe('T11: the queue', () => {
  it('lets in who came first, and tells everybody the position', async () => {
    const stage = createSlotStage({ slots: 1 });
    const first = come(stage);
    const [second, third] = [come(stage), come(stage)];
    expect(second.told).toEqual([{ for: 'slot', boxName: 'attic', position: 1 }]);
    expect([second.positions, third.positions]).toEqual([[1], [2]]);
    await stage.clock.advance(700);
    first.slot?.end();
    await stage.clock.settle();
    expect(second.slot?.queuedMs).toBe(700);
    expect(third.slot).toBeUndefined();
    expect(third.positions).toEqual([2, 1]);
    second.slot?.end();
    await stage.clock.settle();
    expect(third.slot).toBeDefined();
    third.slot?.end();
    expect([stage.slots.busy(), stage.slots.waiting(), stage.clock.pending]).toEqual([0, 0, 0]);
  });

  it('A11: key A posts 100 jobs, key B one: B is served within the end of 2 slots', async () => {
    const stage = createSlotStage({ slots: 1 });
    const jobs = Array.from({ length: 100 }, () => come(stage, { sharer: 'key:A' }));
    const other = come(stage, { sharer: 'key:B' });
    expect(other.positions[0]).toBeLessThanOrEqual(2);
    for (const ends of [0, 1]) {
      jobs[ends]?.slot?.end();
      await stage.clock.settle();
    }
    expect(other.slot).toBeDefined();
  });

  it('gives weights 1 and 3 turns as 1 to 3', async () => {
    const stage = createSlotStage({ slots: 1 });
    const holder = come(stage, { sharer: 'key:C' });
    const light = Array.from({ length: 60 }, () => come(stage, { sharer: 'key:A', weight: 1 }));
    const heavy = Array.from({ length: 60 }, () => come(stage, { sharer: 'key:B', weight: 3 }));
    holder.slot?.end();
    const served = { light: 0, heavy: 0 };
    for (let turn = 0; turn < 40; turn++) {
      await stage.clock.settle();
      const next = [...light, ...heavy].find(({ slot }) => slot !== undefined && !ended.has(slot));
      if (next?.slot === undefined) throw new Error('nobody was served');
      served[light.includes(next) ? 'light' : 'heavy']++;
      ended.add(next.slot);
      next.slot.end();
    }
    expect(served).toEqual({ light: 10, heavy: 30 });
  });
  const ended = new Set<object>();

  it('says of a full one how many the box serves: as configured, or as learnt, which is what GET /fleet tells', async () => {
    const configured = createSlotStage({ slots: 2, tuning: { maxWaiting: 0 } });
    for (let call = 0; call < 2; call++) come(configured);
    expect(come(configured).error).toMatchObject({
      message: 'attic serves 2 calls of llama3.2 at once and 0 wait already (fleet.queue.maxWaiting): try again later',
    });
    // A box that serves one at a time: the next one begins when one has ended.
    const stage = createSlotStage({ tuning: { maxWaiting: 3 } });
    const clients = Array.from({ length: 12 }, () => come(stage));
    for (let call = 0; call < 6; call++) {
      await stage.clock.advance(200);
      clients[call]?.slot?.began();
      await stage.clock.advance(3_000);
      clients[call]?.slot?.end();
    }
    expect(stage.slots.limitOf('llama3.2')).toBe(1);
    const more = Array.from({ length: 12 }, () => come(stage));
    expect(more.at(-1)?.error).toMatchObject({
      message: 'attic serves 1 call of llama3.2 at once and 3 wait already (fleet.queue.maxWaiting): try again later',
    });
  });

  it('is bounded: the one too many gets 503 at once, with a time to come back', () => {
    const stage = createSlotStage({ slots: 1, tuning: { maxWaiting: 2 } });
    const clients = [come(stage), come(stage), come(stage)];
    expect(clients.map(({ error }) => error)).toEqual([undefined, undefined, undefined]);
    const { error } = come(stage);
    expect(error).toBeInstanceOf(GatewayError);
    // Three calls of 5 s each, which is presumed as long as none has ended.
    expect(error).toMatchObject({ code: 'queue_full', status: 503, retryable: true, headers: { 'retry-after': '15' } });
    expect(stage.slots.waiting()).toBe(2);
  });

  it('tells when to come back by how long calls have taken lately, 1 to 60 seconds', async () => {
    const stage = createSlotStage({ slots: 1, tuning: { maxWaiting: 0 } });
    const retryAfter = () => (come(stage).error as GatewayError).headers?.['retry-after'];
    for (let count = 0; count < 60; count++) {
      const { slot } = come(stage);
      slot?.began();
      await stage.clock.advance(100);
      slot?.end();
    }
    const short = come(stage);
    expect(retryAfter()).toBe('1');
    short.slot?.end();
    for (let count = 0; count < 60; count++) {
      const { slot } = come(stage);
      slot?.began();
      await stage.clock.advance(600_000);
      slot?.end();
    }
    come(stage);
    expect(retryAfter()).toBe('60');
  });

  it('ends a wait that takes too long', async () => {
    const stage = createSlotStage({ slots: 1, tuning: { maxWaitMs: 30_000 } });
    come(stage);
    const waiting = come(stage);
    await stage.clock.advance(29_999);
    expect(waiting.error).toBeUndefined();
    await stage.clock.advance(1);
    expect(waiting.error).toMatchObject({ code: 'queue_timeout', status: 503, retryable: true });
    expect((waiting.error as GatewayError).headers?.['retry-after']).toBe('5');
    expect((waiting.error as GatewayError).message).toContain('within 30 s');
    expect(stage.slots.waiting()).toBe(0);
  });

  it("ends a wait at the request's own limit with its own error", async () => {
    const stage = createSlotStage({ slots: 1 });
    come(stage);
    const waiting = come(stage, {}, 2_000);
    await stage.clock.advance(2_000);
    expect(waiting.error).toMatchObject({ code: 'request_timeout', status: 504 });
    expect([stage.slots.waiting(), stage.clock.pending]).toEqual([0, 0]);
  });

  it('gives the place of a client that leaves to the next at once, and never answers it', async () => {
    const stage = createSlotStage({ slots: 1 });
    const first = come(stage);
    const [leaving, next] = [come(stage), come(stage)];
    leaving.leave();
    expect(stage.slots.waiting()).toBe(1);
    expect(next.positions).toEqual([2, 1]);
    first.slot?.end();
    await stage.clock.settle();
    expect(next.slot).toBeDefined();
    expect([leaving.slot, leaving.error]).toEqual([undefined, undefined]);
    expect(stage.clock.pending).toBe(0);
  });

  it('minds no client that leaves later, with its slot', async () => {
    const stage = createSlotStage({ slots: 1 });
    const first = come(stage);
    const second = come(stage);
    first.slot?.end();
    await stage.clock.settle();
    second.leave();
    expect(stage.slots.busy()).toBe(1);
    second.slot?.end();
    expect(stage.slots.busy()).toBe(0);
  });
});

describe('slots that nobody has configured', () => {
  it('are 8 at first, and nobody is turned away as long as nothing says that the box is full', () => {
    const stage = createSlotStage({ tuning: { maxWaiting: 4 } });
    const clients = Array.from({ length: 500 }, () => come(stage));
    expect(clients.filter(({ error }) => error !== undefined)).toEqual([]);
    expect([stage.slots.busy(), stage.slots.waiting()]).toEqual([496, 4]);
    expect(stage.slots.limitOf('llama3.2')).toBeUndefined();
  });

  it('end at 1,024 all the same', () => {
    const stage = createSlotStage({ tuning: { maxWaiting: 4 } });
    const clients = Array.from({ length: 1_100 }, () => come(stage));
    expect([stage.slots.busy(), stage.slots.waiting()]).toEqual([1_024, 4]);
    expect(clients.filter(({ error }) => error !== undefined)).toHaveLength(72);
  });

  it('grow with first bytes: 500 streams at a box without limit are all under way after 6 rounds', async () => {
    const stage = createSlotStage({ tuning: { maxWaiting: 1_000 } });
    const clients = Array.from({ length: 500 }, () => come(stage));
    const begun = new Set<object>();
    const busy: number[] = [];
    for (let round = 0; round < 7; round++) {
      busy.push(stage.slots.busy());
      await stage.clock.advance(50);
      for (const { slot } of clients) {
        if (slot === undefined || begun.has(slot)) continue;
        begun.add(slot);
        slot.began();
      }
      await stage.clock.settle();
    }
    expect(busy).toEqual([8, 16, 32, 64, 128, 256, 500]);
  });
});

describe('models that slots are kept for', () => {
  it('are forgotten when idle, except some that have learnt', async () => {
    const stage = createSlotStage();
    for (let index = 0; index < 10 * maxIdleLines; index++) come(stage, { model: `m${index}` }).slot?.end();
    expect(stage.slots.models).toBeLessThanOrEqual(maxIdleLines);
    for (let index = 0; index < 2 * maxIdleLines; index++) {
      const clients = Array.from({ length: 8 }, () => come(stage, { model: `n${index}` }));
      for (const { slot } of clients) slot?.began();
      for (const { slot } of clients) slot?.end();
    }
    expect(stage.slots.models).toBe(maxIdleLines);
  });

  it('are bounded when all are in use: what comes beyond that shares one line', () => {
    const stage = createSlotStage({ slots: 1 });
    for (let index = 0; index < maxLines; index++) come(stage, { model: `m${index}` });
    expect(come(stage, { model: 'one more' }).slot).toBeDefined();
    expect(come(stage, { model: 'another' }).slot).toBeUndefined();
    expect(stage.slots.models).toBe(maxLines + 1);
  });
});

describe('a box that gets more slots while calls wait', () => {
  it('has them used at once by those who wait, as soon as somebody comes', async () => {
    const stage = createSlotStage({ slots: 1 });
    come(stage);
    const waiting = [come(stage), come(stage)];
    stage.setting.box.upstream = { ...stage.setting.box.upstream, box: { ...stage.options, slots: 4 } };
    const last = come(stage);
    await stage.clock.settle();
    expect([...waiting, last].map(({ slot }) => slot !== undefined)).toEqual([true, true, true]);
    expect([stage.slots.busy(), stage.slots.waiting(), stage.clock.pending]).toEqual([4, 0, 0]);
  });
});

describe('T11: a full line', () => {
  const some = { slots: 1, tuning: { maxWaiting: 4 } } as const;
  const codeOf = ({ error }: { readonly error: unknown }) => (error as GatewayError | undefined)?.code;

  it.each([true, false])(
    'is shared like the slots: who has filled it makes room for others (background: %s)',
    async (hasBackground) => {
      const stage = createSlotStage({ ...some, hasBackground });
      const held = come(stage, { sharer: 'a' });
      const many = Array.from({ length: 6 }, () => come(stage, { sharer: 'a' }));
      const [one, two, three] = [come(stage, { sharer: 'b' }), come(stage, { sharer: 'b' }), come(stage, { sharer: 'b' })];
      await stage.clock.advance(100);
      // Two each: the newest of the one that had four are turned away, and so is what the other has too much.
      expect(many.map(codeOf)).toEqual([undefined, undefined, 'queue_full', 'queue_full', 'queue_full', 'queue_full']);
      expect([one, two, three].map(codeOf)).toEqual([undefined, undefined, 'queue_full']);
      expect(stage.slots.waiting()).toBe(4);
      held.slot?.end();
      await stage.clock.advance(100);
      for (let at = 0; at < 4; at++) {
        for (const { slot } of [...many, one, two]) slot?.end();
        await stage.clock.advance(100);
      }
      expect([...many.slice(0, 2), one, two].every(({ slot }) => slot !== undefined)).toBe(true);
      expect([stage.slots.busy(), stage.slots.waiting(), stage.clock.pending]).toEqual([0, 0, 0]);
    },
  );

  it('counts by weight, and bulk makes room for what is interactive', async () => {
    const stage = createSlotStage(some);
    come(stage);
    const bulk = Array.from({ length: 4 }, () => come(stage, { sharer: 'a', urgency: 'bulk' }));
    const heavy = Array.from({ length: 4 }, () => come(stage, { sharer: 'a', weight: 4 }));
    const [light, again] = [come(stage, { sharer: 'b' }), come(stage, { sharer: 'b', urgency: 'bulk' })];
    await stage.clock.settle();
    expect(bulk.map(codeOf)).toEqual(['queue_full', 'queue_full', 'queue_full', 'queue_full']);
    // Four of weight 4 are no more than one of weight 1.
    expect([...heavy, light, again].map(codeOf)).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
      'queue_full',
      'queue_full',
    ]);
  });

  it('of none takes nobody', () => {
    const stage = createSlotStage({ slots: 1, tuning: { maxWaiting: 0 } });
    come(stage);
    expect(codeOf(come(stage, { sharer: 'b' }))).toBe('queue_full');
  });
});

describe('where no request may settle another one', () => {
  const workers = { slots: 1, hasBackground: false } as const;

  it('everybody looks for itself whether it is its turn, in order', async () => {
    const stage = createSlotStage(workers);
    const first = come(stage);
    const [second, third] = [come(stage), come(stage)];
    await stage.clock.advance(500);
    first.slot?.end();
    await stage.clock.settle();
    // Not by the end of the first one, but by its own next look.
    expect(second.slot).toBeUndefined();
    await stage.clock.advance(50);
    expect([second.slot?.queuedMs, third.slot]).toEqual([550, undefined]);
    expect(third.positions).toEqual([2, 1]);
    second.slot?.end();
    await stage.clock.advance(50);
    expect(third.slot).toBeDefined();
    expect([stage.slots.waiting(), stage.clock.pending]).toEqual([0, 0]);
  });

  it('is told no later than elsewhere that the wait is over', async () => {
    const stage = createSlotStage({ ...workers, tuning: { maxWaitMs: 1_010 } });
    come(stage);
    const waiting = come(stage);
    await stage.clock.advance(1_010);
    expect(waiting.error).toMatchObject({ code: 'queue_timeout' });
    expect(stage.clock.pending).toBe(0);
  });

  it('whoever was held up for long, and taken for lost, still gets its turn, or its refusal', async () => {
    const stage = createSlotStage({ ...workers, tuning: { maxWaitMs: 60_000 } });
    const first = come(stage);
    const { after } = stage.clock;
    // Its timer comes late: the machine slept, or another request took all of the time.
    stage.clock.after = (_, listener) => after(10_000, listener);
    const late = come(stage);
    stage.clock.after = after;
    const other = come(stage, {}, 30_000);
    await stage.clock.advance(10_100);
    expect(stage.slots.waiting()).toBe(2);
    first.slot?.end();
    await stage.clock.advance(100);
    other.slot?.end();
    await stage.clock.advance(100);
    expect([late.slot !== undefined, other.slot !== undefined]).toEqual([true, true]);
    const [third, fourth] = [come(stage), come(stage)];
    await stage.clock.advance(70_000);
    expect([third.error, fourth.error]).toMatchObject([{ code: 'queue_timeout' }, { code: 'queue_timeout' }]);
    expect(stage.clock.pending).toBe(0);
  });

  it('whoever was ended by the runtime without a word holds nobody up', async () => {
    const stage = createSlotStage(workers);
    const first = come(stage);
    const { after } = stage.clock;
    // Its timer never comes: the request is gone.
    stage.clock.after = () => () => undefined;
    come(stage);
    stage.clock.after = after;
    const third = come(stage);
    first.slot?.end();
    await stage.clock.advance(1_900);
    expect(third.slot).toBeUndefined();
    await stage.clock.advance(200);
    expect(third.slot).toBeDefined();
  });
});
