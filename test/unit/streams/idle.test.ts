import { expect, test } from 'vitest';
import { createIdleWatch } from '../../../src/streams/idle.ts';
import { createFakeClock } from '../../support/fake-clock.ts';

function setUp() {
  const clock = createFakeClock();
  const watch = createIdleWatch({ clock, sweepMs: 1_000, maxSilentMs: 30_000 });
  const heard: string[] = [];
  const open = (name: string, answers: readonly (boolean | Error)[]) => {
    let asked = 0;
    return watch.watch({
      async isStillAlive() {
        heard.push(`${name}? ${clock.now()}`);
        const answer = answers[asked++] ?? true;
        if (answer instanceof Error) throw answer;
        return answer;
      },
      onDead: () => heard.push(`${name} dead ${clock.now()}`),
    });
  };
  return { clock, watch, heard, open };
}

test('a silent stream is asked after its time, and again each such time, while it answers', async () => {
  const { clock, heard, open } = setUp();
  open('a', [true, true]);
  await clock.advance(29_999);
  expect(heard).toEqual([]);
  await clock.advance(60_001);
  expect(heard).toEqual(['a? 30000', 'a? 60000', 'a? 90000']);
});

test('one that does not answer is dead, once, and is watched no more', async () => {
  const { clock, watch, heard, open } = setUp();
  open('a', [false]);
  await clock.advance(200_000);
  expect(heard).toEqual(['a? 30000', 'a dead 30000']);
  expect(watch.size).toBe(0);
});

test('a probe that throws is an answer: no', async () => {
  const { clock, heard, open } = setUp();
  open('a', [true, new Error('refused')]);
  await clock.advance(100_000);
  expect(heard).toEqual(['a? 30000', 'a? 60000', 'a dead 60000']);
});

test('bytes put the question off', async () => {
  const { clock, heard, open } = setUp();
  const a = open('a', [false]);
  for (let times = 0; times < 10; times++) {
    await clock.advance(20_000);
    a.touch();
  }
  expect(heard).toEqual([]);
  await clock.advance(32_000);
  expect(heard).toEqual(['a? 231000', 'a dead 231000']);
});

test('a byte during the probe saves the stream', async () => {
  const clock = createFakeClock();
  const watch = createIdleWatch({ clock, sweepMs: 1_000, maxSilentMs: 30_000 });
  let answer: (isAlive: boolean) => void = () => undefined;
  let questions = 0;
  let isDead = false;
  const stream = watch.watch({
    isStillAlive: () => {
      questions++;
      return new Promise((resolve) => {
        answer = resolve;
      });
    },
    onDead: () => {
      isDead = true;
    },
  });
  await clock.advance(75_000);
  expect(questions).toBe(1); // Not asked again while the answer is out.
  stream.touch();
  answer(false);
  await clock.settle();
  expect([isDead, watch.size]).toEqual([false, 1]);
  await clock.advance(30_000);
  expect(questions).toBe(2);
  stream.stop();
  answer(false);
  await clock.settle();
  expect(isDead).toBe(false);
});

test('one timer for all, and none when nothing is watched', async () => {
  const { clock, watch, heard, open } = setUp();
  expect(clock.pending).toBe(0);
  const streams = Array.from({ length: 500 }, (_, index) => open(`s${index}`, []));
  expect([clock.pending, watch.size]).toEqual([1, 500]);
  await clock.advance(5_000);
  expect(clock.pending).toBe(1);
  for (const stream of streams) stream.stop();
  expect([clock.pending, watch.size]).toEqual([0, 0]);
  await clock.advance(100_000);
  expect(heard).toEqual([]);
  open('again', []);
  expect(clock.pending).toBe(1);
});

test('stopping twice, or after death, is harmless', async () => {
  const { clock, watch, open } = setUp();
  const a = open('a', [false]);
  open('b', []);
  await clock.advance(31_000);
  a.stop();
  a.stop();
  expect([watch.size, clock.pending]).toEqual([1, 1]);
});

test('once: at the first look after so much silence, and no more', async () => {
  const { clock, watch, heard } = setUp();
  const stream = watch.watch();
  await clock.advance(300);
  stream.once(10_000, () => heard.push(`late ${clock.now()}`));
  await clock.advance(9_000);
  expect(heard).toEqual([]);
  await clock.advance(60_000);
  expect(heard).toEqual(['late 10000']);
  stream.stop();
  expect(clock.pending).toBe(0);
});

test('T2: beat: no silence is longer than asked for, wherever in it a byte comes', async () => {
  for (let atMs = 0; atMs <= 2_000; atMs += 250) {
    const { clock, watch } = setUp();
    const stream = watch.watch();
    const bytesMs: number[] = [0];
    stream.beat(15_000, () => {
      bytesMs.push(clock.now());
      return true;
    });
    await clock.advance(20_000 + atMs);
    stream.touch();
    bytesMs.push(clock.now());
    await clock.advance(60_000);
    const gaps = bytesMs.slice(1).map((time, index) => time - (bytesMs[index] ?? 0));
    expect(Math.max(...gaps)).toBeLessThanOrEqual(15_000);
    // Not more often than needed either.
    expect(bytesMs.length).toBeLessThan(10);
    stream.stop();
  }
});

test('beat: what could not be said is said at the next look', async () => {
  const { clock, watch, heard } = setUp();
  let mayPass = false;
  const stream = watch.watch();
  stream.beat(15_000, () => {
    heard.push(`${mayPass} ${clock.now()}`);
    return mayPass;
  });
  await clock.advance(15_500);
  mayPass = true;
  await clock.advance(5_000);
  expect(heard).toEqual(['false 13000', 'false 14000', 'false 15000', 'true 16000']);
});

test('a stream of its own each: a timer for every one, none is left behind', async () => {
  const clock = createFakeClock();
  const watch = createIdleWatch({ clock, sweepMs: 1_000, maxSilentMs: 30_000, isEachAlone: true });
  const streams = [watch.watch(), watch.watch(), watch.watch()];
  expect([clock.pending, watch.size]).toEqual([3, 3]);
  streams[0]?.stop();
  streams[0]?.stop();
  expect([clock.pending, watch.size]).toEqual([2, 2]);
  for (const stream of streams) stream.stop();
  expect([clock.pending, watch.size]).toEqual([0, 0]);
});

test('a listener that throws ends the watch for nobody', async () => {
  const { clock, watch, heard, open } = setUp();
  const broken = watch.watch();
  broken.beat(3_000, () => {
    throw new Error('broken listener');
  });
  open('a', [true, false]);
  // Each look at the broken one throws, once it has been silent for a second.
  for (let second = 1; second <= 60; second++) await expect(clock.advance(1_000)).rejects.toThrow('broken listener');
  expect(heard).toEqual(['a? 30000', 'a? 60000', 'a dead 60000']);
  broken.stop();
  expect([clock.pending, watch.size]).toEqual([0, 0]);
});

test('streams that end others while all are looked at keep nobody from being looked at', async () => {
  // Whoever rings ends these: itself, those before it, those after it.
  for (const ended of [[0], [4], [0, 4], [1, 2], [2], [3, 0], [0, 1, 3, 4], [4, 3, 2, 1, 0]]) {
    const { clock, watch } = setUp();
    const rung: number[] = [];
    const streams = [0, 1, 2, 3, 4].map(() => watch.watch());
    for (const [index, stream] of streams.entries())
      stream.once(3_000, () => {
        rung.push(index);
        if (index === 2) for (const other of ended) streams[other]?.stop();
      });
    await clock.advance(10_000);
    const left = [0, 1, 2, 3, 4].filter((index) => !ended.includes(index));
    // Those that were ended may have rung before; nobody rings twice.
    expect(new Set(rung).size).toBe(rung.length);
    expect(rung.filter((index) => left.includes(index)).sort()).toEqual(left);
    expect(watch.size).toBe(left.length);
  }
});
