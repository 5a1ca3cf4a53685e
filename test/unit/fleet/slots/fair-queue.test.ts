import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FairQueue, maxSharers, type Queued } from '../../../../src/fleet/slots/fair-queue.ts';

interface Job extends Queued {
  readonly id: string;
}

function jobs(sharer: string, count: number, more: Partial<Queued> = {}): Job[] {
  return Array.from({ length: count }, (_, index) => ({
    sharer,
    weight: 1,
    urgency: 'interactive' as const,
    id: `${sharer}${index}`,
    ...more,
  }));
}

function queueOf(...lists: readonly (readonly Job[])[]): FairQueue<Job> {
  const queue = new FairQueue<Job>();
  for (const list of lists) for (const job of list) queue.push(job);
  return queue;
}

function serveAll(queue: FairQueue<Job>, count = Number.POSITIVE_INFINITY): string[] {
  const served: string[] = [];
  for (let next = queue.first(); next !== undefined && served.length < count; next = queue.first()) {
    queue.serve(next);
    served.push(next.id);
  }
  return served;
}

describe('T11: turns', () => {
  it('of one sharer come in the order in which its jobs came', () => {
    expect(serveAll(queueOf(jobs('a', 4)))).toEqual(['a0', 'a1', 'a2', 'a3']);
  });

  it('alternate between sharers, however many jobs each has', () => {
    expect(serveAll(queueOf(jobs('a', 5), jobs('b', 2)))).toEqual(['a0', 'b0', 'a1', 'b1', 'a2', 'a3', 'a4']);
  });

  it('go by weight: 1 to 3', () => {
    const order = serveAll(queueOf(jobs('a', 100), jobs('b', 100, { weight: 3 })), 80);
    expect(order.filter((id) => id.startsWith('a'))).toHaveLength(20);
    // And evenly so, not in blocks: in each eight two.
    for (let from = 0; from < 80; from += 8) {
      expect(order.slice(from, from + 8).filter((id) => id.startsWith('a'))).toHaveLength(2);
    }
  });

  it('give nobody a claim for the time in which it wanted nothing', () => {
    const queue = queueOf(jobs('a', 50));
    serveAll(queue, 20);
    for (const job of jobs('b', 20)) queue.push(job);
    expect(serveAll(queue, 6)).toEqual(['b0', 'a20', 'b1', 'a21', 'b2', 'a22']);
  });

  it('give nobody who has been served before a claim for its pause', () => {
    const queue = queueOf(jobs('a', 50), jobs('b', 1));
    serveAll(queue, 20);
    for (const job of jobs('b', 5)) queue.push(job);
    const order = serveAll(queue, 6);
    expect(order.filter((id) => id.startsWith('b'))).toHaveLength(3);
  });

  it('are not made faster by leaving and coming again', () => {
    const queue = queueOf(jobs('a', 20), jobs('b', 20));
    serveAll(queue, 2);
    const again = jobs('a', 20).slice(2);
    expect(queue.remove(queue.first() as Job)).toBe(true);
    queue.push(again[0] as Job);
    const order = serveAll(queue, 10);
    expect(order.filter((id) => id.startsWith('a'))).toHaveLength(5);
  });

  it('of bulk come behind everything interactive, one in eight all the same', () => {
    const order = serveAll(queueOf(jobs('bulk', 3, { urgency: 'bulk' }), jobs('a', 20)));
    const places = order.flatMap((id, index) => (id.startsWith('bulk') ? [index + 1] : []));
    expect(places).toEqual([8, 16, 23]);
  });

  it('of bulk come at once where nothing else waits', () => {
    expect(serveAll(queueOf(jobs('bulk', 2, { urgency: 'bulk' })))).toEqual(['bulk0', 'bulk1']);
  });
});

describe('sharers', () => {
  it('are forgotten when the queue is empty', () => {
    const queue = queueOf(jobs('a', 3), jobs('b', 3), jobs('c', 1, { urgency: 'bulk' }));
    expect(queue.sharers).toBe(3);
    serveAll(queue);
    expect([queue.size, queue.sharers]).toEqual([0, 0]);
  });

  it('are bounded: who comes beyond that shares as one, and is served and may leave', () => {
    const queue = new FairQueue<Job>();
    const all = Array.from({ length: maxSharers + 200 }, (_, index) => jobs(`s${index}`, 1)).flat();
    for (const job of all) queue.push(job);
    expect(queue.sharers).toBe(maxSharers + 1);
    for (const job of all.slice(-100)) expect(queue.remove(job)).toBe(true);
    expect(serveAll(queue)).toHaveLength(maxSharers + 100);
    expect(queue.sharers).toBe(0);
  });

  it('of a long busy queue are forgotten when nothing is owed any more', () => {
    const queue = queueOf(jobs('always', 20_000));
    for (let index = 0; index < 5_000; index++) {
      queue.push(jobs(`s${index}`, 1)[0] as Job);
      serveAll(queue, 2);
    }
    expect(queue.sharers).toBeLessThanOrEqual(maxSharers + 1);
  });
});

type Step = { readonly do: 'push' | 'serve' | 'leave'; readonly who: number; readonly isBulk: boolean };
const steps = fc.array(
  fc.record({
    do: fc.constantFrom('push' as const, 'push' as const, 'serve' as const, 'leave' as const),
    who: fc.nat({ max: 5 }),
    isBulk: fc.boolean(),
  }),
  { maxLength: 200 },
);
const weights = [0.25, 0.3, 1, 1, 1.7, 4];

describe('whatever comes and goes', () => {
  const play = (all: readonly Step[]) => {
    const queue = new FairQueue<Job>();
    const inside = new Set<Job>();
    const served: Job[] = [];
    let count = 0;
    for (const { do: what, who, isBulk } of all) {
      if (what === 'push') {
        const urgency = isBulk ? 'bulk' : 'interactive';
        const job: Job = { sharer: `s${who}`, weight: weights[who] ?? 1, urgency, id: `${count++}` };
        inside.add(job);
        queue.push(job);
      } else if (what === 'serve') {
        const order = queue.inOrder();
        const next = queue.first();
        expect(order[0]).toBe(next);
        expect(new Set(order)).toEqual(inside);
        if (next === undefined) continue;
        queue.serve(next);
        expect(inside.delete(next)).toBe(true);
        served.push(next);
      } else {
        const leaving = [...inside][who];
        if (leaving === undefined) continue;
        expect(queue.remove(leaving)).toBe(true);
        expect(queue.remove(leaving)).toBe(false);
        inside.delete(leaving);
      }
      expect(queue.size).toBe(inside.size);
    }
    return { queue, inside, served };
  };

  it('nobody is lost, nobody is served twice, and the queue becomes empty', () => {
    fc.assert(
      fc.property(steps, (all) => {
        const { queue, inside, served } = play(all);
        const rest = serveAll(queue);
        expect(rest).toHaveLength(inside.size);
        expect(new Set([...served.map(({ id }) => id), ...rest]).size).toBe(served.length + inside.size);
        expect([queue.size, queue.sharers]).toEqual([0, 0]);
      }),
    );
  });

  it('the order that is told is the order of turns, as long as nobody comes or goes', () => {
    fc.assert(
      fc.property(steps, (all) => {
        const { queue } = play(all);
        const order = queue.inOrder();
        expect(order.map((job) => queue.positionOf(job))).toEqual(order.map((_, index) => index + 1));
        const told = order.map(({ id }) => id);
        expect(serveAll(queue)).toEqual(told);
      }),
    );
  });

  it('two sharers that both wait are never further apart than one turn of each by weight', () => {
    const many = fc.array(fc.nat({ max: 5 }), { minLength: 2, maxLength: 6 });
    fc.assert(
      fc.property(many, fc.integer({ min: 1, max: 200 }), (who, turns) => {
        const sharers = [...new Set(who)];
        const queue = queueOf(...sharers.map((index) => jobs(`s${index}`, 300, { weight: weights[index] ?? 1 })));
        const got = new Map<number, number>(sharers.map((index) => [index, 0]));
        for (const id of serveAll(queue, turns)) {
          const index = Number(id[1]);
          got.set(index, (got.get(index) ?? 0) + 1);
        }
        for (const one of sharers) {
          for (const other of sharers) {
            const [oneWeight, otherWeight] = [weights[one] ?? 1, weights[other] ?? 1];
            const apart = (got.get(one) ?? 0) / oneWeight - (got.get(other) ?? 0) / otherWeight;
            expect(Math.abs(apart)).toBeLessThanOrEqual(1 / oneWeight + 1 / otherWeight);
          }
        }
      }),
    );
  });
});
