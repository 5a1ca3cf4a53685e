/** Sends requests of one session to the same upstream (agentgateway http/sessionaffinity.rs). */
import * as z from 'zod';
import { celField } from '../cel/cel-field.ts';
import type { CelExpression } from '../cel/expression.ts';
import { definePolicy } from './policy.ts';

const optionsField = z.strictObject({
  source: celField(
    'What tells sessions apart. Requests of which it has the same value go to the same upstream while that is healthy; where it has none, they are shared out as usual.',
  )
    .refine((expression) => !expression.needs.response, { error: 'the upstream is chosen before there is an answer' })
    .meta({ examples: ['request.headers["x-session-id"]', 'apiKey.name'] }),
});

export type SessionAffinityOptions = z.output<typeof optionsField>;

export const sessionAffinity = definePolicy<SessionAffinityOptions>({
  name: 'sessionAffinity',
  about:
    'Requests of one session go to the same healthy upstream of the first group that has one. Nothing is remembered: the value itself decides.',
  places: ['backend'],
  options: optionsField,
  example: `sessionAffinity:
  source: request.headers["x-session-id"]
`,
});

/** What tells sessions apart; undefined where nobody asks. */
export function affinityOf(options: SessionAffinityOptions | undefined): CelExpression | undefined {
  return options?.source;
}
