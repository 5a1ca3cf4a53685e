import { describe, expect, it } from 'vitest';
import { admitTo } from '../../../src/fleet/admission.ts';
import { createSlots } from '../../../src/fleet/slots/slots.ts';
import { usualTuning } from '../../../src/fleet/tuning.ts';
import { plainWork } from '../../support/work.ts';
import { client, createStage, type Stage } from './stage.ts';
import { box, boxes, chat, json } from './words.ts';

/** A gateway whose one box has one slot, of which the queue knows; its answers come when the test lets them. */
function createQueueStage(queue: { maxWaiting?: number; maxWaitMs?: number } = {}, hasBackground = true) {
  const stage = createStage(`${boxes([box('a')])}\nfleet: { queue: { share: key } }\n`, { hasBackground });
  const [upstream] = stage.plan.upstreams;
  if (upstream === undefined) throw new Error('no upstream');
  const slots = createSlots({
    clock: stage.clock,
    hasBackground,
    box: {
      upstream: {
        ...upstream,
        box: { weight: 1, slots: 1, vramBytes: undefined, reserveBytes: 0, maxLoaded: undefined, headers: {} },
      },
      tuning: { ...usualTuning, ...queue },
    },
  });
  const loads = { ready: () => undefined, underWay: () => [] };
  Object.assign(stage.herd, {
    admit: (_: unknown, ask: Parameters<typeof admitTo>[1], waiter: Parameters<typeof admitTo>[2]) =>
      admitTo({ slots, loads, onEnd: () => undefined }, ask, waiter),
  });
  return Object.assign(stage, { slots });
}

const ok = json({ model: 'm', usage: { prompt_tokens: 1, completion_tokens: 1 } });

/** Holds the box's slot until `end` is called. */
function hold(stage: Stage & { slots: ReturnType<typeof createSlots> }): { end(): void } {
  const work = plainWork();
  const waiter = { deadlineMs: undefined, onGone: () => undefined, waitUntil: () => undefined };
  const slot = stage.slots.take({ model: 'm', numCtx: undefined, work }, waiter);
  if (slot instanceof Promise) throw new Error('the slot is taken');
  return slot;
}

describe('T11: a call that waits for its slot', () => {
  it('says in its answer how long, and at which place it began', async () => {
    const stage = createQueueStage();
    stage.script = () => ok;
    const held = hold(stage);
    const [first, second] = [stage.ask('/v1/chat/completions', chat('m')), stage.ask('/v1/chat/completions', chat('m'))];
    await stage.clock.advance(1_500);
    expect(stage.sent).toHaveLength(0);
    held.end();
    const answer = await first;
    expect([answer.headers.get('x-corral-queued'), answer.headers.get('x-corral-queue-position')]).toEqual(['1500', '1']);
    await answer.text();
    const later = await second;
    expect([later.headers.get('x-corral-queued'), later.headers.get('x-corral-queue-position')]).toEqual(['1500', '2']);
    await later.text();
    expect(stage.lines[0]).toContain(' corral.queued=1.5 corral.queue.position=1 ');
    expect(stage.observation.metrics.text(facts)).toContain('corral_queue_wait_seconds_sum{box="a"} 3\n');
    expect([stage.slots.busy(), stage.slots.waiting(), stage.clock.pending]).toEqual([0, 0, 0]);
  });

  it('says nothing of it where there was no wait', async () => {
    const stage = createQueueStage();
    stage.script = () => ok;
    const { headers } = await stage.read('/v1/chat/completions', chat('m'));
    expect([headers.get('x-corral-queued'), headers.get('x-corral-queue-position')]).toEqual([null, null]);
    expect(stage.lines[0]).not.toContain('corral.queue');
  });

  it.each([
    ['/v1/chat/completions', (text: string) => JSON.parse(text).error.message],
    ['/v1/messages', (text: string) => JSON.parse(text).error.message],
    ['/api/chat', (text: string) => JSON.parse(text).error],
  ])('A11: is told at once when the queue is full: 503 with Retry-After in the words of %s', async (path, messageOf) => {
    const stage = createQueueStage({ maxWaiting: 0 });
    hold(stage);
    const startedMs = stage.clock.now();
    const { status, headers, text } = await stage.read(path, chat('m', { max_tokens: 5 }));
    expect([status, headers.get('retry-after'), stage.clock.now() - startedMs]).toEqual([503, '5', 0]);
    expect(messageOf(text)).toContain('0 wait already (fleet.queue.maxWaiting)');
    expect(stage.observation.metrics.text(facts)).toContain('corral_queue_rejected_total{box="a",reason="full"} 1\n');
  });

  it('is told when it has waited too long, and how long that was', async () => {
    const stage = createQueueStage({ maxWaitMs: 2_000 });
    hold(stage);
    const asked = stage.read('/v1/chat/completions', chat('m'));
    await stage.clock.advance(2_000);
    const { status, headers } = await asked;
    expect([status, headers.get('retry-after'), headers.get('x-corral-queued')]).toEqual([503, '5', '2000']);
    const text = stage.observation.metrics.text(facts);
    expect(text).toContain('corral_queue_rejected_total{box="a",reason="timeout"} 1\n');
    expect(text).toContain('corral_queue_wait_seconds_count{box="a"} 1\n');
  });

  it('gives its place and its body back when its client leaves', async () => {
    const stage = createQueueStage();
    const before = stage.budgetLeft();
    hold(stage);
    const caller = client();
    const asked = stage.ask('/v1/chat/completions', { ...chat('m'), client: caller });
    await stage.clock.settle();
    expect(stage.slots.waiting()).toBe(1);
    caller.leave();
    expect((await asked).status).toBe(499);
    expect([stage.slots.waiting(), stage.clock.pending, stage.budgetLeft()]).toEqual([0, 0, before]);
    expect(stage.told.map(({ exchange }) => exchange.outcome)).toEqual(['abandoned']);
  });

  it('looks for itself where no request may settle another one', async () => {
    const stage = createQueueStage({}, false);
    stage.script = () => ok;
    const held = hold(stage);
    const asked = stage.ask('/v1/chat/completions', chat('m'));
    await stage.clock.advance(120);
    held.end();
    await stage.clock.advance(50);
    expect((await asked).headers.get('x-corral-queued')).toBe('150');
  });
});

const facts = { version: '0', inFlight: 0, boxes: [], reloads: { succeeded: 0, failed: 0, isSynchronized: true } };
