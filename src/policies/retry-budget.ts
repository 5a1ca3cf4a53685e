/**
 * How many further tries all requests of one route may make together. While an upstream is out, every request wants its
 * further tries, just when it can bear them least; so they are a share of the requests that come, and a few beyond that, so
 * that a quiet route may retry at all.
 */
import type { RetryBudget } from '../exchange.ts';

/** Each request adds so much of a further try. */
const depositPerRequest = 0.2;
/** What quiet hours may save up. */
const maxDeposit = 100;
/** Further tries beyond the share: so many at once, and so many a second. */
const maxReserve = 10;
const reservePerSecond = 10;

export function createRetryBudget(): RetryBudget {
  let deposit = 0;
  let reserve = maxReserve;
  let filledMs: number | undefined;
  const fill = (nowMs: number) => {
    const passedMs = nowMs - (filledMs ?? nowMs);
    reserve = Math.min(maxReserve, reserve + (passedMs / 1_000) * reservePerSecond);
    filledMs = nowMs;
  };
  return {
    deposit() {
      deposit = Math.min(maxDeposit, deposit + depositPerRequest);
    },
    withdraw(nowMs) {
      fill(nowMs);
      if (reserve >= 1) reserve -= 1;
      // Five deposits of 0.2 are one further try, whatever their sum is in binary.
      else if (deposit >= 1 - 1e-9) deposit = Math.max(0, deposit - 1);
      else return false;
      return true;
    },
  };
}
