import { expect, test } from 'vitest';
import { createRetryBudget } from '../../../src/policies/retry-budget.ts';

/** How many further tries there are at this moment. */
function left(budget: ReturnType<typeof createRetryBudget>, nowMs: number): number {
  let count = 0;
  while (budget.withdraw(nowMs)) count++;
  return count;
}

function requests(budget: ReturnType<typeof createRetryBudget>, count: number): void {
  for (let index = 0; index < count; index++) budget.deposit(0);
}

test('a route that has seen no request may retry ten times at once', () => {
  expect(left(createRetryBudget(), 0)).toBe(10);
});

test('and ten times a second from then on', () => {
  const budget = createRetryBudget();
  left(budget, 0);
  expect([left(budget, 50), left(budget, 100), left(budget, 600), left(budget, 60_000)]).toEqual([0, 1, 5, 10]);
});

test('five requests make one more', () => {
  const budget = createRetryBudget();
  left(budget, 0);
  requests(budget, 4);
  expect(left(budget, 0)).toBe(0);
  requests(budget, 1);
  expect(left(budget, 0)).toBe(1);
  requests(budget, 50);
  expect(left(budget, 0)).toBe(10);
});

test('a million requests make a hundred, not more', () => {
  const budget = createRetryBudget();
  requests(budget, 1_000_000);
  expect(left(budget, 0)).toBe(110);
});
