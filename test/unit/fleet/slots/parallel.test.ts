import { describe, expect, it } from 'vitest';
import { maxLimit, Parallel, type Run } from '../../../../src/fleet/slots/parallel.ts';

interface BoxScript {
  /** OLLAMA_NUM_PARALLEL; Infinity: everybody is served at once. */
  parallel: number;
  readonly promptMs: (call: number) => number;
  readonly streamMs: (call: number) => number;
}

/** Time without promises: the learner needs none, and hours pass in no time. */
function createTime() {
  let nowMs = 0;
  let order = 0;
  const tasks: { readonly dueMs: number; readonly order: number; readonly run: () => void }[] = [];
  return {
    now: () => nowMs,
    after(delayMs: number, run: () => void) {
      tasks.push({ dueMs: nowMs + delayMs, order: order++, run });
      tasks.sort((one, other) => one.dueMs - other.dueMs || one.order - other.order);
    },
    advance(ms: number) {
      const untilMs = nowMs + ms;
      for (let task = tasks[0]; task !== undefined && task.dueMs <= untilMs; task = tasks[0]) {
        tasks.shift();
        nowMs = task.dueMs;
        task.run();
      }
      nowMs = untilMs;
    },
  };
}

/** A box that serves so many at once, in order; who comes beyond that waits in it. */
function createBox(script: BoxScript) {
  const clock = createTime();
  const learner = new Parallel();
  const inBox: { readonly run: Run; readonly call: number }[] = [];
  let serving = 0;
  let most = 0;
  let calls = 0;
  let done = 0;
  let backlog = 0;

  const send = () => {
    const run: Run = { sentMs: 0, beganMs: -1, evidence: 0, delayMs: 0 };
    learner.sent(run, clock.now());
    most = Math.max(most, learner.inFlight);
    inBox.push({ run, call: calls++ });
    serve();
  };
  const serve = () => {
    while (serving < script.parallel) {
      const next = inBox.shift();
      if (next === undefined) return;
      serving++;
      clock.after(script.promptMs(next.call), () => {
        learner.began(next.run, clock.now());
        fill();
        clock.after(script.streamMs(next.call), () => {
          serving--;
          learner.ended(next.run, clock.now());
          done++;
          serve();
          fill();
        });
      });
    }
  };
  const fill = () => {
    while (backlog > 0 && learner.inFlight < learner.limit) {
      backlog--;
      send();
    }
  };
  return {
    learner,
    clock,
    script,
    get done() {
      return done;
    },
    /** The most that were let in at once since the last look. */
    takeMost() {
      const seen = most;
      most = learner.inFlight;
      return seen;
    },
    /** So many calls want to be served, as slots become free. */
    want(count: number) {
      backlog += count;
      fill();
    },
  };
}

/** Different for each call, and the same in each run. */
const varied = (least: number, most: number) => (call: number) => least + ((call * 7_919) % 97) * ((most - least) / 97);

describe('a box that serves one at a time', () => {
  it.each([
    ['equal answers', () => 200, () => 3_000],
    ['various answers', varied(100, 400), varied(500, 8_000)],
    ['short prompts and long answers', varied(20, 60), varied(10_000, 40_000)],
    ['answers shorter than the prompts', varied(1_000, 2_000), varied(400, 900)],
  ])('is found out: one, and one that waits in it (%s)', (_, promptMs, streamMs) => {
    const box = createBox({ parallel: 1, promptMs, streamMs });
    box.want(100);
    box.clock.advance(1_000_000);
    expect([box.learner.learnt, box.learner.limit]).toEqual([1, 2]);
    // Never many more than at first, while that was not known.
    expect(box.takeMost()).toBeLessThanOrEqual(20);
  });

  it('is found out after five answers', () => {
    const box = createBox({ parallel: 1, promptMs: () => 200, streamMs: () => 3_000 });
    box.want(100);
    while (box.done < 5) box.clock.advance(100);
    expect(box.learner.learnt).toBe(1);
    expect(box.takeMost()).toBeLessThanOrEqual(9);
  });

  it('stays found out for as long as it stays so', () => {
    const box = createBox({ parallel: 1, promptMs: varied(50, 500), streamMs: varied(200, 9_000) });
    box.want(1_000);
    box.clock.advance(200_000);
    box.takeMost();
    box.clock.advance(5_000_000);
    expect(box.takeMost()).toBe(2);
  });
});

describe('a box that serves four at once', () => {
  it.each([
    ['equal answers', () => 200, () => 3_000],
    ['various answers', varied(100, 400), varied(500, 8_000)],
    ['long ones', varied(50, 100), varied(10_000, 60_000)],
  ])('is found out: four, and one that waits in it (%s)', (_, promptMs, streamMs) => {
    const box = createBox({ parallel: 4, promptMs, streamMs });
    box.want(400);
    box.clock.advance(1_500_000);
    expect([box.learner.learnt, box.learner.limit]).toEqual([4, 5]);
  });

  it('that serves eight after a restart is noticed', () => {
    const box = createBox({ parallel: 4, promptMs: () => 200, streamMs: varied(500, 8_000) });
    box.want(2_000);
    box.clock.advance(200_000);
    expect(box.learner.learnt).toBe(4);
    box.script.parallel = 8;
    box.clock.advance(600_000);
    expect([box.learner.learnt, box.learner.limit]).toEqual([8, 9]);
  });

  it('that serves one after a restart is noticed', () => {
    const box = createBox({ parallel: 4, promptMs: () => 200, streamMs: varied(500, 8_000) });
    box.want(2_000);
    box.clock.advance(200_000);
    expect(box.learner.learnt).toBe(4);
    box.script.parallel = 1;
    box.clock.advance(2_000_000);
    expect([box.learner.learnt, box.learner.limit]).toEqual([1, 2]);
  });
});

describe('a box that serves everybody at once', () => {
  it('is hardly slowed: 500 streams are under way after six rounds of first bytes', () => {
    const box = createBox({ parallel: Number.POSITIVE_INFINITY, promptMs: () => 50, streamMs: () => 10_000 });
    box.want(500);
    box.clock.advance(300);
    expect(box.learner.inFlight).toBe(500);
  });

  it.each([
    ['streams', varied(50, 400), varied(500, 8_000)],
    ['short streams', varied(5, 50), varied(5, 60)],
    ['long prompts', varied(2_000, 6_000), varied(500, 3_000)],
    ['answers in one piece', varied(5, 500), () => 0],
    ['equal answers in one piece', () => 20, () => 0],
  ])('is not taken for a full one by 32 connections that never pause: %s', (_, promptMs, streamMs) => {
    const box = createBox({ parallel: Number.POSITIVE_INFINITY, promptMs, streamMs });
    // Whoever is answered asks again: 32 are always wanted.
    let asked = 32;
    box.want(asked);
    const least: number[] = [];
    for (let step = 0; step < 40_000; step++) {
      box.clock.advance(10);
      const missing = 32 + box.done - asked;
      asked += missing;
      box.want(missing);
      if (box.done > 200) least.push(box.learner.limit);
    }
    expect(Math.min(...least)).toBeGreaterThanOrEqual(32);
  });
});

describe('answers in one piece', () => {
  it('are no evidence: nobody can see from them when they began', () => {
    const box = createBox({ parallel: 1, promptMs: varied(100, 900), streamMs: () => 0 });
    box.want(100);
    box.clock.advance(200_000);
    expect(box.learner.learnt).toBeUndefined();
  });

  it('do not undo at once what streams have taught, and in the end they do', () => {
    const box = createBox({ parallel: 1, promptMs: () => 200, streamMs: () => 3_000 });
    box.want(20);
    box.clock.advance(100_000);
    expect(box.learner.limit).toBe(2);
    const whole = createWhole(box.learner);
    whole.run(100);
    expect(box.learner.limit).toBe(3);
    whole.run(500);
    expect(box.learner.learnt).toBeUndefined();
    expect(box.learner.limit).toBeGreaterThanOrEqual(8);
  });

  /** Calls without a stream, as many at once as are let in. */
  function createWhole(learner: Parallel) {
    let nowMs = 1_000_000;
    return {
      run(count: number) {
        for (let index = 0; index < count; ) {
          const runs = Array.from({ length: learner.limit }, (): Run => ({ sentMs: 0, beganMs: -1, evidence: 0, delayMs: 0 }));
          for (const run of runs) learner.sent(run, nowMs);
          for (const run of runs.slice(0, 1)) {
            nowMs += 100;
            learner.began(run, nowMs);
            learner.ended(run, nowMs);
            index++;
          }
          // The others leave before they are served: they say nothing.
          for (const run of runs.slice(1)) learner.ended(run, nowMs);
        }
      },
    };
  }
});

describe('the limit', () => {
  it('grows to 1,024 and no further', () => {
    const learner = new Parallel();
    for (let index = 0; index < 5_000; index++) {
      const run: Run = { sentMs: 0, beganMs: -1, evidence: 0, delayMs: 0 };
      learner.sent(run, 0);
      learner.began(run, 1);
    }
    expect(learner.limit).toBe(maxLimit);
    expect(learner.makeRoom()).toBe(false);
  });

  it('does not grow with calls that come one after the other: they need no second place', () => {
    const learner = new Parallel();
    for (let index = 0; index < 100; index++) {
      const run: Run = { sentMs: 0, beganMs: -1, evidence: 0, delayMs: 0 };
      learner.sent(run, index * 100);
      learner.began(run, index * 100 + 10);
      learner.ended(run, index * 100 + 50);
    }
    expect(learner.limit).toBe(8);
    expect(learner.hasLearnt).toBe(false);
  });

  it('is not touched by calls that fail before their first byte', () => {
    const learner = new Parallel();
    for (let index = 0; index < 100; index++) {
      const run: Run = { sentMs: 0, beganMs: -1, evidence: 0, delayMs: 0 };
      learner.sent(run, index);
      learner.ended(run, index);
    }
    expect([learner.limit, learner.inFlight]).toEqual([8, 0]);
  });
});
