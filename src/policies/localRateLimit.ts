/**
 * Limits requests and tokens per time by token buckets (agentgateway http/localratelimit.rs). Requests are counted when they
 * arrive; tokens once they are known, at the end of the answer, streams and broken ones included.
 */
import * as z from 'zod';
import { absenceIn } from '../cel/absent.ts';
import { celField } from '../cel/cel-field.ts';
import { atEnd, type Exchange } from '../exchange.ts';
import { durationField } from '../fields/duration.ts';
import { onlyHere } from '../fields/portable.ts';
import { type Charge, createBuckets, type RateLimit, takeAll, tellLimits } from './buckets.ts';
import { withConditions } from './conditional.ts';
import { definePolicy, type PolicyScope } from './policy.ts';

const maxLimits = 64;

const shape = {
  maxTokens: z
    .int()
    .nonnegative()
    .default(0)
    .describe('What the bucket holds, and starts with: this much may come at once. 0 lets nothing pass.')
    .meta({ examples: [60] }),
  tokensPerFill: z
    .int()
    .nonnegative()
    .default(0)
    .describe('What comes back with every interval, up to `maxTokens`.')
    .meta({ examples: [1] }),
  fillInterval: durationField
    .refine((ms) => ms >= 1, { error: 'expected at least a millisecond' })
    .describe('How often the bucket is filled.')
    .meta({ examples: ['1s'] }),
  type: z
    .enum(['requests', 'tokens'])
    .default('requests')
    .describe(
      'What is counted: requests, or the tokens of prompts and answers. Tokens are charged when an answer ends; until then a request passes while there is one left.',
    ),
  key: onlyHere(
    celField('What tells the buckets apart.'),
    'agentgateway has one bucket for all: limits of each client need its remoteRateLimit',
  )
    .nullish()
    .describe(
      'A bucket of its own for each value of this CEL expression, such as `apiKey.name` or `source.address`. Without it, and for requests where it gives nothing, all share one.',
    )
    .meta({ examples: ['apiKey.name'] }),
};

function fillsWithinBucket({ tokensPerFill, maxTokens }: { tokensPerFill: number; maxTokens: number }, context: z.RefinementCtx) {
  if (tokensPerFill <= maxTokens) return;
  const message = `expected at most maxTokens, which is ${maxTokens}: more than the bucket holds cannot come back`;
  context.addIssue({ code: 'custom', message, path: ['tokensPerFill'] });
}

const limitField = z.strictObject(shape).superRefine(fillsWithinBucket);

/** The plain form, a list: the only one that `llm.policies` takes. */
export const rateLimitsField = z.array(limitField).max(maxLimits);

export type LocalRateLimitOptions = z.output<typeof rateLimitsField>;

const plain = definePolicy<LocalRateLimitOptions>({
  name: 'localRateLimit',
  about: 'Limits requests or tokens per time. What is beyond the limit gets 429.',
  places: ['route'],
  options: rateLimitsField,
  example: `localRateLimit:
- maxTokens: 60
  tokensPerFill: 1
  fillInterval: 1s
- type: tokens
  key: apiKey.name
  maxTokens: 100000
  tokensPerFill: 100000
  fillInterval: 24h
`,

  onRequest(options, scope) {
    if (options.length === 0) return undefined;
    if (scope.state.isPerIsolate) {
      scope.warn('each isolate of the Worker counts for itself: the limits hold per isolate, not for all of them together');
    }
    const limits = limitsOf(options, 'requests', scope);
    const buckets = createBuckets(scope.state.buckets);
    return async (c, next) => {
      const exchange = c.env;
      if (limits.length > 0) await takeAll(buckets, limits, exchange, 1, 1);
      await next();
      tellLimits(exchange, c.res.headers);
    };
  },

  // After everything else that a try goes through, so that a guard's rejection costs no tokens.
  onTranslated(options, scope) {
    const limits = limitsOf(options, 'tokens', scope);
    if (limits.length === 0) return undefined;
    const buckets = createBuckets(scope.state.buckets);
    return async ({ exchange, promptTokens = 0 }) => {
      if (!isFirstTry(exchange, scope.stateKey)) return;
      const charges = await takeAll(buckets, limits, exchange, promptTokens, Math.max(1, promptTokens));
      atEnd(exchange, (ended, endedMs) => charge(charges, ended, promptTokens, endedMs));
    };
  },
});

export const localRateLimit = withConditions(plain, (condition) =>
  z
    .strictObject({ ...shape, ...condition })
    .superRefine(fillsWithinBucket)
    .transform(({ condition: when, ...limit }) => ({ condition: when, options: [limit] })),
);

/** Whether any of them counts tokens. */
export function limitsTokens(given: z.output<typeof localRateLimit.options>): boolean {
  const limits = 'conditional' in given ? given.conditional.flatMap(({ options }) => options) : given;
  return limits.some(({ type }) => type === 'tokens');
}

function limitsOf(options: LocalRateLimitOptions, type: 'requests' | 'tokens', scope: PolicyScope): readonly RateLimit[] {
  return options.flatMap((limit, index): RateLimit[] => {
    if (limit.type !== type) return [];
    const absence = limit.key === undefined || limit.key === null ? undefined : absenceIn(limit.key, momentOf[type]);
    if (absence !== undefined) scope.warn(`[${index}].key: ${absence}. As it stands all requests share one bucket`);
    const { maxTokens: capacity, tokensPerFill: perFill, fillInterval: fillIntervalMs } = limit;
    return [{ rule: { capacity, perFill, fillIntervalMs }, stateKey: `${scope.stateKey}/${index}`, key: limit.key ?? undefined }];
  });
}

const momentOf = { requests: 'request', tokens: 'attempt' } as const;

/** Policies that have let an exchange pass: the tries that follow the first one are not counted again. */
const passed = new WeakMap<Exchange, Set<string>>();

function isFirstTry(exchange: Exchange, stateKey: string): boolean {
  const before = passed.get(exchange);
  if (before?.has(stateKey) === true) return false;
  if (before === undefined) passed.set(exchange, new Set([stateKey]));
  else before.add(stateKey);
  return true;
}

function charge(charges: readonly Charge[], exchange: Exchange, taken: number, nowMs: number): void {
  const amount = costOf(exchange, taken) - taken;
  if (amount === 0) return;
  for (const settle of charges) {
    const settling = settle(amount, nowMs);
    if (settling instanceof Promise) exchange.peer.waitUntil(settling.catch(() => undefined));
  }
}

/** In tokens. What was taken for the prompt stays taken where nobody can say what it was in truth. */
function costOf({ usage, status, outcome }: Exchange, taken: number): number {
  if (usage !== undefined) return (usage.estimated ? Math.max(usage.inputTokens, taken) : usage.inputTokens) + usage.outputTokens;
  return status < 400 || outcome === 'abandoned' ? taken : 0;
}
