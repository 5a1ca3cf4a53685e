/** Says when a failed try is followed by another one (agentgateway http/retry/mod.rs). */
import * as z from 'zod';
import { celField } from '../cel/cel-field.ts';
import type { RetryRule } from '../exchange.ts';
import { durationField } from '../fields/duration.ts';
import { definePolicy } from './policy.ts';
import { createRetryBudget } from './retry-budget.ts';

const optionsField = z.strictObject({
  attempts: z
    .int()
    .min(1)
    .max(255)
    .default(1)
    .describe(
      'How many tries are made in all, the first one included: 1 never tries again. At most 32 are made, and for all requests of a route together a fifth of their number and ten a second more.',
    ),
  codes: z
    .array(z.int().min(100).max(599))
    .describe('Status codes of an upstream that are tried again. Failures to get an answer always are.'),
  backoff: durationField
    .prefault('0s')
    .describe('Pause before an upstream is asked again. One that has not been asked yet is asked at once. Default: none.'),
  precondition: celField(
    'Of the request: unless it is true, nothing is tried again, and the body is not kept for it.',
  ).optional(),
  condition: celField('Of the answer (`response.code`, `response.headers`): where it is true, the answer is tried again as well.')
    .refine((expression) => !expression.needs.responseBody, {
      error: 'the body of an answer is not waited for before a further try; ask for response.code or response.headers',
    })
    .optional(),
});

export type RetryOptions = z.output<typeof optionsField>;

export const retry = definePolicy<RetryOptions>({
  name: 'retry',
  about: 'Tries again when an upstream gives no answer or one of the given codes, within a budget for all requests of the route.',
  places: ['route'],
  options: optionsField,
  example: `retry:
  attempts: 3
  codes: [429, 502, 503]
  backoff: 500ms
`,

  onRequest({ attempts, codes, backoff, precondition, condition }, scope) {
    if (attempts === 1) scope.warn('attempts is 1, the first try itself: nothing is ever tried again. Write 2 for one more try');
    const rule: RetryRule = {
      attempts,
      statuses: new Set(codes),
      backoffMs: backoff,
      condition: condition === undefined ? undefined : (exchange, answer) => condition.holds(exchange, { answer }),
      budget: scope.state.kept(`${scope.stateKey}/budget`, createRetryBudget),
    };
    return async (c, next) => {
      const exchange = c.env;
      if (precondition?.needs.requestBody === true) await exchange.bodies.read(exchange);
      // Without a second try the body need not be kept, and streams through.
      if (attempts > 1 && (precondition?.holds(exchange) ?? true)) exchange.retry = rule;
      await next();
    };
  },
});
