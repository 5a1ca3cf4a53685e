/** Which answers make an upstream unhealthy, and for how long it is left alone then (agentgateway http/health.rs). */
import * as z from 'zod';
import { celField } from '../cel/cel-field.ts';
import type { HealthRule } from '../exchange.ts';
import { durationField } from '../fields/duration.ts';
import { definePolicy } from './policy.ts';

const shareField = z.number().min(0, 'expected a number from 0 to 1').max(1, 'expected a number from 0 to 1');

const evictionField = z.strictObject({
  duration: durationField
    .optional()
    .describe(
      'How long an unhealthy upstream is left alone; twice as long the second time in a row, and so on, up to an hour. Default: what a 429 says in Retry-After, else the backoff of the retry policy, else 3s.',
    ),
  restoreHealth: shareField
    .optional()
    .describe('The health score, 0 to 1, that it comes back with. Default: the one that it left with.'),
  consecutiveFailures: z
    .int()
    .min(0)
    .optional()
    .describe('So many unhealthy answers in a row evict it; 0 never does. Default, without healthThreshold too: the first one.'),
  healthThreshold: shareField
    .optional()
    .describe('An unhealthy answer evicts it when its health score (0 to 1, the average of the last answers) is below this.'),
});

const optionsField = z.strictObject({
  unhealthyExpression: celField(
    'True for answers that make the upstream unhealthy. Default: any 5xx. Failures to get an answer always do.',
  )
    .refine((expression) => !expression.needs.responseBody && !expression.needs.completion, {
      error: 'health is judged before the body of the answer is there; ask for response.code or response.headers',
    })
    .optional(),
  eviction: evictionField
    .optional()
    .describe('Leaves an unhealthy upstream alone for a while; as long as all are left alone, all are used anyway.'),
});

export type HealthOptions = z.output<typeof optionsField>;

export const health = definePolicy<HealthOptions>({
  name: 'health',
  about:
    'Learns from answers which upstreams are unhealthy, and leaves those alone for a while. Boxes that do not answer are left alone without it.',
  places: ['backend'],
  options: optionsField,
  example: `health:
  unhealthyExpression: response.code >= 500 || response.code == 429
  eviction:
    duration: 30s
    consecutiveFailures: 3
`,
});

/** `key`: what tells upstreams that are judged differently apart. */
export function healthRuleOf(options: HealthOptions | undefined): { readonly rule: HealthRule; readonly key: string } {
  const { unhealthyExpression: expression, eviction } = options ?? {};
  return {
    key: expression?.source ?? '5xx',
    rule: {
      isUnhealthy: (exchange, answer) =>
        expression === undefined ? answer.status >= 500 : expression.holds(exchange, { answer }),
      // No eviction block and no policy at all are not the same: with a policy, an unhealthy 429 with a time still evicts.
      eviction:
        options === undefined
          ? undefined
          : {
              durationMs: eviction?.duration,
              restoreHealth: eviction?.restoreHealth,
              consecutiveFailures: eviction?.consecutiveFailures,
              healthThreshold: eviction?.healthThreshold,
              hasDefault: eviction !== undefined,
            },
    },
  };
}
