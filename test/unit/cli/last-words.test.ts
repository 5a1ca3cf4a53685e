import { describe, expect, it } from 'vitest';
import { createExit } from '../../../src/cli/last-words.ts';
import { createFakeClock } from '../../support/fake-clock.ts';

describe('createExit', () => {
  const ending = (flush: () => Promise<void>) => {
    const clock = createFakeClock();
    const codes: number[] = [];
    return { clock, codes, exit: createExit({ flush, clock, exit: (code) => codes.push(code) }) };
  };

  it('sends what waits, then ends the process', async () => {
    let sent: () => void = () => undefined;
    const flushed = new Promise<void>((resolve) => {
      sent = resolve;
    });
    const { clock, codes, exit } = ending(() => flushed);
    exit(3);
    await clock.settle();
    expect(codes).toEqual([]);
    sent();
    await clock.settle();
    expect(codes).toEqual([3]);
    expect(clock.pending).toBe(0);
  });

  it('waits for a second at most', async () => {
    const { clock, codes, exit } = ending(() => new Promise(() => undefined));
    exit(0);
    await clock.advance(999);
    expect(codes).toEqual([]);
    await clock.advance(1);
    expect(codes).toEqual([0]);
  });

  it('ends at once when told again', () => {
    const { codes, exit } = ending(() => new Promise(() => undefined));
    exit(0);
    exit(1);
    expect(codes).toEqual([1]);
  });
});
