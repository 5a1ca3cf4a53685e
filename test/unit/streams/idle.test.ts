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
