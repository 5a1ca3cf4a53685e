import { describe, expect, it } from 'vitest';
import { createFakeClock } from '../../support/fake-clock.ts';

describe('fake clock', () => {
  it('stands still until it is moved', async () => {
    const clock = createFakeClock();
    expect([clock.now(), clock.wallTime()]).toEqual([0, 1767225600000]);
    await clock.advance(250);
    expect([clock.now(), clock.wallTime()]).toEqual([250, 1767225600250]);
  });

  it('runs due tasks in due order, each at its own time, ties in the order they came', async () => {
    const clock = createFakeClock();
    const seen: string[] = [];
    clock.after(20, () => seen.push(`b@${clock.now()}`));
    clock.after(10, () => seen.push(`a@${clock.now()}`));
    clock.after(20, () => seen.push(`c@${clock.now()}`));
    clock.after(31, () => seen.push('late'));
    await clock.advance(30);
    expect(seen).toEqual(['a@10', 'b@20', 'c@20']);
    expect(clock.pending).toBe(1);
    expect(clock.nextDueMs).toBe(1);
  });

  it('runs tasks that promises add on the way', async () => {
    const clock = createFakeClock();
    const seen: number[] = [];
    const sleep = (ms: number) => new Promise<void>((resolve) => clock.after(ms, resolve));
    void (async () => {
      await sleep(10);
      await Promise.resolve();
      seen.push(clock.now());
      await sleep(10);
      seen.push(clock.now());
    })();
    await clock.advance(25);
    expect(seen).toEqual([10, 20]);
  });

  it('cancels', async () => {
    const clock = createFakeClock();
    let ran = false;
    const cancel = clock.after(5, () => {
      ran = true;
    });
    cancel();
    cancel();
    await clock.advance(10);
    expect(ran).toBe(false);
    expect(clock.pending).toBe(0);
  });

  it('lets the wall clock jump without moving durations', () => {
    const clock = createFakeClock();
    clock.setWallTime(5);
    expect([clock.now(), clock.wallTime()]).toEqual([0, 5]);
  });
});
