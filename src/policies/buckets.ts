/** Token buckets as policies use them: one for each rule and key, headers that tell what is left, and the refusal. */
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';
import type { CelExpression } from '../cel/expression.ts';
import { GatewayError } from '../errors.ts';
import { addAnswerHeader, type Exchange } from '../exchange.ts';
import type { BucketRule, BucketStore, BucketVerdict } from '../state/state.ts';

export interface RateLimit {
  readonly rule: BucketRule;
  readonly stateKey: string;
  /** A bucket for each of its values. */
  readonly key: CelExpression | undefined;
}

/** Corrects what one bucket was charged: a further cost, or below 0 a refund. */
export type Charge = (amount: number, nowMs: number) => void | Promise<void>;

export interface Buckets {
  take(limit: RateLimit, exchange: Exchange, amount: number, needs: number): Taken | Promise<Taken>;
}

interface Taken {
  readonly verdict: BucketVerdict;
  readonly charge: Charge;
}

export function createBuckets(store: BucketStore): Buckets {
  return {
    take({ rule, stateKey, key }, exchange, amount, needs) {
      const bucket = key === undefined ? stateKey : bucketFor(stateKey, key.textOf(exchange));
      const verdict = store.take(bucket, rule, amount, exchange.clock.now(), needs);
      const charge: Charge = (more, nowMs) => store.settle(bucket, rule, more, nowMs);
      return verdict instanceof Promise ? verdict.then((later) => ({ verdict: later, charge })) : { verdict, charge };
    },
  };
}

/** Hashed: values are as long as clients make them, and may be keys, which are nobody's to read in a store. */
function bucketFor(stateKey: string, value: string | undefined): string {
  return value === undefined ? stateKey : `${stateKey}#${bytesToHex(sha256(utf8ToBytes(value)).subarray(0, 16))}`;
}

/**
 * Takes `amount` from every bucket, or from none: throws rate_limited at the first that has not got `needs`. Waits only where
 * a key reads the body, or the store has to be asked.
 */
export async function takeAll(
  buckets: Buckets,
  limits: readonly RateLimit[],
  exchange: Exchange,
  amount: number,
  needs: number,
): Promise<readonly Charge[]> {
  const charges: Charge[] = [];
  for (const limit of limits) {
    if (limit.key?.needs.requestBody === true) await exchange.bodies.read(exchange);
    const taking = buckets.take(limit, exchange, amount, needs);
    const { verdict, charge } = taking instanceof Promise ? await taking : taking;
    if (!verdict.isAllowed) {
      const nowMs = exchange.clock.now();
      for (const refund of charges) await refund(-amount, nowMs);
      throw refusalOf(verdict, limit.rule, needs);
    }
    charges.push(charge);
    note(exchange, verdict);
  }
  return charges;
}

const limitHeader = 'x-ratelimit-limit';
const remainingHeader = 'x-ratelimit-remaining';
const resetHeader = 'x-ratelimit-reset';

/** Of several buckets the answer tells of the one with the least in it. */
function note(exchange: Exchange, verdict: BucketVerdict): void {
  const noted = exchange.answerHeaders?.[remainingHeader];
  if (noted !== undefined && Number(noted) <= verdict.remaining) return;
  for (const [name, value] of Object.entries(headersOf(verdict, verdict.resetMs))) addAnswerHeader(exchange, name, value);
}

/** Adds what was noted to an answer that was made here: what comes from an upstream, and what went wrong, has it already. */
export function tellLimits({ answerHeaders }: Exchange, headers: Headers): void {
  if (answerHeaders === undefined) return;
  for (const name of [limitHeader, remainingHeader, resetHeader]) {
    const value = answerHeaders[name];
    if (value !== undefined && !headers.has(name)) headers.set(name, value);
  }
}

function headersOf({ limit, remaining }: BucketVerdict, resetMs: number): Record<string, string> {
  return { [limitHeader]: `${limit}`, [remainingHeader]: `${remaining}`, [resetHeader]: `${secondsOf(resetMs)}` };
}

/** Rounded up: who waits that long does not come too early. */
function secondsOf(ms: number): number {
  return Math.ceil(ms / 1000);
}

/** agentgateway sends no Retry-After; clients' libraries wait by it. Without it, no waiting helps. */
function refusalOf(verdict: BucketVerdict, rule: BucketRule, needs: number): GatewayError {
  const waitMs = waitOf(verdict, rule, needs);
  const retryAfter = waitMs === undefined ? {} : { 'retry-after': `${Math.max(1, secondsOf(waitMs))}` };
  return new GatewayError('rate_limited', 'rate limit exceeded', {
    headers: { ...headersOf(verdict, waitMs === undefined ? 0 : verdict.resetMs), ...retryAfter },
  });
}

/** Until so many fills have come that `needs` is there; undefined where they never will be. */
function waitOf({ remaining, resetMs }: BucketVerdict, { capacity, perFill, fillIntervalMs }: BucketRule, needs: number) {
  if (perFill === 0 || needs > capacity) return undefined;
  return resetMs + (Math.ceil((needs - remaining) / perFill) - 1) * fillIntervalMs;
}
