import { describe, expect, it } from 'vitest';
import { type KeepAlive, unknownKeepAlive } from '../../../../src/fleet/rates/keep-alives.ts';
import { firstToGo, type Occupant, victimsOf } from '../../../../src/fleet/rates/victims.ts';

const fiveMinutes: KeepAlive = { leastMs: 299_000, mostMs: 301_000 };

function occupant(model: string, given: Partial<Occupant> = {}): Occupant {
  return { model, bytes: 6, isBusy: false, idleMs: 1_000, keepAlive: fiveMinutes, blob: `b${model}`, ...given };
}

const names = (victims: readonly Occupant[]) => victims.map(({ model }) => model);
const first = (...occupants: Occupant[]) => firstToGo(occupants)?.model;

describe('who goes first (Ollama server/sched.go, findRunnerToUnload)', () => {
  it('is an idle model before a busy one, whatever their keep_alive', () => {
    const short = { leastMs: 5_000, mostMs: 5_000 };
    expect(first(occupant('a', { isBusy: true, keepAlive: short }), occupant('b'))).toBe('b');
  });

  it('is of idle ones the one with the shortest keep_alive, not the one that was used longest ago', () => {
    const hour = { leastMs: 3_590_000, mostMs: 3_600_000 };
    const forEver = { leastMs: 9e12, mostMs: Number.POSITIVE_INFINITY };
    expect(first(occupant('a', { keepAlive: hour, idleMs: 900_000 }), occupant('b', { idleMs: 10 }))).toBe('b');
    expect(first(occupant('a', { keepAlive: forEver }), occupant('b', { keepAlive: hour }))).toBe('b');
  });

  it('is by the path of the weights where keep_alive is the same: the clock plays no part', () => {
    const used = [occupant('x', { blob: '22', idleMs: 900_000 }), occupant('y', { blob: '11', idleMs: 10 })];
    expect(first(...used)).toBe('y');
    expect(first(...used.toReversed())).toBe('y');
  });

  it('takes keep_alives for the same as long as they may be', () => {
    const atLeast = (leastMs: number) => ({ leastMs, mostMs: Number.POSITIVE_INFINITY });
    expect(first(occupant('x', { blob: '22', keepAlive: atLeast(10_000) }), occupant('y', { blob: '11' }))).toBe('y');
    expect(first(occupant('x', { blob: '11', keepAlive: atLeast(10_000) }), occupant('y', { blob: '22' }))).toBe('x');
    expect(first(occupant('x', { blob: '22', keepAlive: unknownKeepAlive }), occupant('y', { blob: '11' }))).toBe('y');
    expect(first(occupant('x', { blob: '11', keepAlive: atLeast(600_000) }), occupant('y', { blob: '22' }))).toBe('y');
  });

  it('goes by the last use where the file of one of them is not known', () => {
    expect(first(occupant('x', { blob: undefined, idleMs: 10 }), occupant('y', { blob: '99', idleMs: 90 }))).toBe('y');
    expect(first(occupant('x', { blob: undefined, idleMs: undefined }), occupant('y', { blob: '00', idleMs: 59_000 }))).toBe('x');
  });

  it('is nobody where nothing is in memory', () => {
    expect(firstToGo([])).toBeUndefined();
  });
});

describe('what a load pushes out', () => {
  const held = [occupant('c', { isBusy: true }), occupant('b'), occupant('a')];

  it('is nothing while there is room, or nobody knows how much there is', () => {
    expect(victimsOf(held, 6, { bytes: undefined, models: undefined })).toEqual([]);
    expect(victimsOf(held, 6, { bytes: 24, models: 4 })).toEqual([]);
  });

  it('is one after the other, as many as must go', () => {
    expect(names(victimsOf(held, 6, { bytes: 23, models: undefined }))).toEqual(['a']);
    expect(names(victimsOf(held, 8, { bytes: 20, models: undefined }))).toEqual(['a']);
    expect(names(victimsOf(held, 12, { bytes: 20, models: undefined }))).toEqual(['a', 'b']);
    expect(names(victimsOf(held, 20, { bytes: 20, models: undefined }))).toEqual(['a', 'b', 'c']);
  });

  it('goes by the number of models, too', () => {
    expect(names(victimsOf(held, 1, { bytes: 1_000, models: 3 }))).toEqual(['a']);
    expect(names(victimsOf(held, 1, { bytes: 1_000, models: 1 }))).toEqual(['a', 'b', 'c']);
  });
});
