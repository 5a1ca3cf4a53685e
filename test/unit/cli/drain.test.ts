import { describe, expect, it } from 'vitest';
import { createDrain, type DrainTimes } from '../../../src/cli/drain.ts';
import { createFakeClock } from '../../support/fake-clock.ts';

function running(inFlight: number, times: DrainTimes = { deadlineMs: 30_000, minMs: 0 }) {
  const clock = createFakeClock();
  const events: string[] = [];
  let tellIdle: () => void = () => undefined;
  const drain = createDrain({
    clock,
    gateway: {
      inFlight,
      drain: () => events.push('drain'),
      onIdle(listener) {
        if (inFlight === 0) listener();
        else tellIdle = listener;
      },
    },
    doors: { stopAccepting: () => events.push('stop'), close: () => events.push('close') },
    times: () => times,
    print: (line) => events.push(line),
    exit: (code) => events.push(`exit ${code}`),
  });
  return { clock, events, drain, finish: () => tellIdle() };
}

describe('createDrain', () => {
  it('ends soon when nothing is under way', async () => {
    const { clock, events, drain } = running(0);
    expect(drain.isDraining).toBe(false);
    drain.signal();
    expect(drain.isDraining).toBe(true);
    expect(events).toEqual(['drain', 'stop']);
    await clock.advance(50);
    expect(events).toEqual(['drain', 'stop', 'close', 'exit 0']);
  });

  it('waits for what is under way', async () => {
    const { clock, events, drain, finish } = running(2);
    drain.signal();
    expect(events[0]).toBe('shutting down: 2 answers under way may finish (30 s); again to end now');
    await clock.advance(29_000);
    expect(events).not.toContain('exit 0');
    finish();
    await clock.advance(50);
    expect(events.slice(-2)).toEqual(['close', 'exit 0']);
  });

  it('waits 30 s and no longer', async () => {
    const { clock, events, drain } = running(1);
    drain.signal();
    await clock.advance(29_999);
    expect(events).not.toContain('exit 0');
    await clock.advance(1);
    expect(events.slice(-2)).toEqual(['close', 'exit 0']);
  });

  it('ends at once at the second signal', () => {
    const { events, drain } = running(1);
    drain.signal();
    drain.signal();
    expect(events.slice(-2)).toEqual(['close', 'exit 0']);
  });

  it('takes new requests for as long as it is told, while readiness says no', async () => {
    const { clock, events, drain, finish } = running(1, { deadlineMs: 5_000, minMs: 3_000 });
    drain.signal();
    expect(drain.isDraining).toBe(true);
    expect(events).toEqual([
      'shutting down: 1 answer under way may finish (5 s); again to end now',
      'new requests are taken for 3 s more',
    ]);
    await clock.advance(2_999);
    expect(events).not.toContain('drain');
    await clock.advance(1);
    expect(events.slice(-2)).toEqual(['drain', 'stop']);
    finish();
    await clock.advance(50);
    expect(events.slice(-2)).toEqual(['close', 'exit 0']);
  });

  it('never cuts before new requests are refused', async () => {
    const { clock, events, drain } = running(1, { deadlineMs: 1_000, minMs: 3_000 });
    drain.signal();
    await clock.advance(2_999);
    expect(events).not.toContain('exit 0');
    await clock.advance(1);
    expect(events).toContain('exit 0');
  });
});
