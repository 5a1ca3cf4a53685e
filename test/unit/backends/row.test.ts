import { describe, expect, test } from 'vitest';
import { createRow, type Row, type Verdict } from '../../../src/backends/row.ts';
import type { Candidate } from '../../../src/backends/target.ts';
import type { RetryRule } from '../../../src/exchange.ts';
import { fakeExchange } from '../policies/fake-exchange.ts';
import { candidate, evictable, target } from './stage.ts';

const never: Verdict = { mayMoveOn: false, isRetried: false };
const moves: Verdict = { mayMoveOn: true, isRetried: false };
const retries: Verdict = { mayMoveOn: false, isRetried: true };
const both: Verdict = { mayMoveOn: true, isRetried: true };

const [a, b, c] = ['a', 'b', 'c'].map((name) => candidate(target(name))) as [Candidate, Candidate, Candidate];

function rowOf(candidates: readonly Candidate[], rule?: Partial<RetryRule>) {
  const exchange = fakeExchange();
  if (rule !== undefined) exchange.retry = { attempts: 1, statuses: new Set(), backoffMs: 0, ...rule };
  return { exchange, row: createRow(candidates, exchange) };
}

/** The first turn, and one more for each verdict until nobody is left. `*`: asked before. */
function turnsOf(row: Row, ...verdicts: readonly Verdict[]): string {
  const turns = [row.first(), ...verdicts.map((verdict) => row.next(verdict))];
  return turns
    .map((turn) => (turn === undefined ? '-' : turn.candidate.target.upstream.name + (turn.isRepeated ? '*' : '')))
    .join(' ');
}

describe('without a retry policy', () => {
  test('each once, as long as the verdict lets it move on', () => {
    expect(turnsOf(rowOf([a, b]).row, moves, moves)).toBe('a b -');
    expect(turnsOf(rowOf([a, b]).row, never)).toBe('a -');
    expect(turnsOf(rowOf([a, b]).row, retries)).toBe('a -');
  });

  test('nobody at all', () => {
    expect(rowOf([]).row.first()).toBeUndefined();
  });

  test('tries are numbered from 0', () => {
    const { row } = rowOf([a, b]);
    expect([row.first()?.number, row.next(moves)?.number]).toEqual([0, 1]);
  });

  test('the last resort takes part once the row is widened', () => {
    const last = { ...b, isLastResort: true };
    expect(turnsOf(rowOf([a, last]).row, moves)).toBe('a -');
    const { row } = rowOf([a, last]);
    row.first();
    row.widen();
    expect(row.next(moves)?.candidate).toBe(last);
  });
});

describe('with a retry policy', () => {
  test('as many tries in all as it says', () => {
    expect(turnsOf(rowOf([a], { attempts: 3 }).row, retries, retries, retries)).toBe('a a* a* -');
    expect(turnsOf(rowOf([a, b], { attempts: 3 }).row, retries, retries, retries)).toBe('a b a* -');
  });

  test('whoever may move on anyway does so beyond that, and does not come back', () => {
    expect(turnsOf(rowOf([a, b, c], { attempts: 2 }).row, both, both, both)).toBe('a b c -');
  });

  test('who has been evicted meanwhile is asked last', () => {
    const sick = evictable('a');
    const { row } = rowOf([sick.candidate, b], { attempts: 4 });
    row.first();
    sick.evict();
    expect([row.next(retries), row.next(retries), row.next(retries)].map((turn) => turn?.candidate.target.upstream.name)).toEqual(
      ['b', 'b', 'b'],
    );
  });

  test('when all are evicted, they are asked all the same', () => {
    const [first, second] = [evictable('a'), evictable('b')];
    first.evict();
    second.evict();
    expect(turnsOf(rowOf([first.candidate, second.candidate], { attempts: 3 }).row, retries, retries)).toBe('a b a*');
  });

  test('never more than 32 tries', () => {
    const { row } = rowOf([a], { attempts: 255 });
    row.first();
    let tries = 1;
    while (row.next(retries) !== undefined) tries++;
    expect(tries).toBe(32);
  });
});

describe('the budget', () => {
  const budgetOf = (left: number) => {
    const told: string[] = [];
    return {
      told,
      deposit: (nowMs: number) => void told.push(`deposit ${nowMs}`),
      withdraw(nowMs: number) {
        told.push(`withdraw ${nowMs}`);
        return left-- > 0;
      },
    };
  };

  test('is asked for further tries of the policy alone', () => {
    const budget = budgetOf(9);
    expect(turnsOf(rowOf([a, b], { attempts: 3, budget }).row, both, both)).toBe('a b a*');
    expect(budget.told).toEqual(['deposit 0', 'withdraw 0']);
  });

  test('used up: what came is the answer, and that is said and counted', () => {
    const { exchange, row } = rowOf([a], { attempts: 9, budget: budgetOf(1) });
    let refused = 0;
    Object.assign(exchange, { telemetry: { ...exchange.telemetry, retryRefused: () => refused++ } });
    expect(turnsOf(row, retries, retries)).toBe('a a* -');
    expect(refused).toBe(1);
    expect(exchange.warnings).toEqual(['not tried again: too many requests are being retried at once']);
  });
});
