/** `fleet.warm`: models that stay in memory. */
import * as z from 'zod';
import { checkTimezone, minutesOf } from '../../fields/cron.ts';
import { FieldError } from '../../fields/text-field.ts';

const warmShape = {
  model: z.string().min(1).max(256).describe('The model that stays in memory.'),
  boxes: z
    .union([z.number().int().min(1).max(64), z.array(z.string().min(1)).min(1).max(64)])
    .default(1)
    .describe('On how many boxes, or on which ones, by name.'),
  numCtx: z.number().int().min(1).max(16_777_216).optional().describe('With this context. Left out: as the box does by itself.'),
  during: z
    .array(z.string().min(1).max(200))
    .max(20)
    .default([])
    .describe('When: cron expressions whose every matching minute counts, such as `* 8-17 * * 1-5`. Left out: always.'),
  timezone: z.string().min(1).max(64).default('UTC').describe('Of `during`, such as `Europe/Berlin`.'),
};

export const warmField = z.strictObject(warmShape).superRefine(({ during, timezone }, context) => {
  const check = (path: (string | number)[], read: () => unknown) => {
    try {
      read();
    } catch (thrown) {
      if (!(thrown instanceof FieldError)) throw thrown;
      context.addIssue({ code: 'custom', path, message: thrown.message });
    }
  };
  check(['timezone'], () => checkTimezone(timezone));
  for (const [index, expression] of during.entries()) check(['during', index], () => minutesOf(expression, 'UTC'));
});

export type WarmConfig = z.output<typeof warmField>;
