/** Says when a failed try is followed by another one (agentgateway http/retry/mod.rs). */
import * as z from 'zod';
import type { RetryRule } from '../exchange.ts';
import { durationField } from '../fields/duration.ts';
import { notYet } from './not-yet.ts';
import { definePolicy } from './policy.ts';

const optionsField = z.strictObject({
  attempts: z
    .int()
    .min(1)
    .max(100)
    .default(1)
    .describe('How many further tries follow the first one, as agentgateway does it: 1 makes two in all.'),
  codes: z
    .array(z.int().min(100).max(599))
    .describe('Status codes of an upstream that are tried again. Failures to connect always are.'),
  backoff: durationField.prefault('0s').describe('Pause before each further try. Default: none.'),
  precondition: notYet(),
  condition: notYet(),
});

export type RetryOptions = z.output<typeof optionsField>;

export const retry = definePolicy<RetryOptions>({
  name: 'retry',
  about: 'Tries again when an upstream cannot be reached or answers with one of the given codes.',
  places: ['route'],
  options: optionsField,
  example: `retry:
  attempts: 2
  codes: [429, 502, 503]
  backoff: 500ms
`,

  onRequest({ attempts, codes, backoff }) {
    const rule: RetryRule = { attempts, statuses: new Set(codes), backoffMs: backoff };
    return async (c, next) => {
      c.env.retry = rule;
      await next();
    };
  },
});
