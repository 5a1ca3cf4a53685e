/** Ends requests that wait too long for their answer to begin. A stream that has begun is never cut (agentgateway http/timeout.rs). */
import * as z from 'zod';
import { durationField } from '../fields/duration.ts';
import { definePolicy } from './policy.ts';

const optionsField = z.strictObject({
  requestTimeout: durationField
    .optional()
    .describe('From the first byte of the request to the headers of the answer, retries and pauses included. Then 504.'),
  backendRequestTimeout: durationField
    .optional()
    .describe('For one try at one upstream, up to its headers. A model that is being loaded sends none: be generous.'),
});

export type TimeoutOptions = z.output<typeof optionsField>;

export const timeout = definePolicy<TimeoutOptions>({
  name: 'timeout',
  about: 'Limits the wait for an answer to begin, in all and for each try.',
  places: ['route'],
  options: optionsField,
  example: `timeout:
  requestTimeout: 10m
  backendRequestTimeout: 5m
`,

  onRequest({ requestTimeout }) {
    if (requestTimeout === undefined) return undefined;
    return (c, next) => {
      c.env.deadlineMs = c.env.startedMs + requestTimeout;
      return next() as Promise<undefined>;
    };
  },

  onAttempt({ backendRequestTimeout }) {
    if (backendRequestTimeout === undefined) return undefined;
    return (attempt) => {
      attempt.timeoutMs = backendRequestTimeout;
    };
  },
});
