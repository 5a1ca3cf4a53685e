/** How a backend is spoken to over HTTP (agentgateway's backend policy of this name). */
import * as z from 'zod';
import { durationField } from '../fields/duration.ts';
import { definePolicy } from './policy.ts';

const optionsField = z.strictObject({
  version: z
    .string({ error: 'expected "1.1" in quotes, or auto' })
    .refine((version) => /^(?:auto|(?:http\/)?1\.[01])$/i.test(version), {
      error:
        'known to agentgateway, not supported: Corral speaks HTTP/1.1 to its upstreams, because not every runtime can be told to speak HTTP/2 in clear text; write "1.1", or leave it out',
    })
    .nullish()
    .describe('`1.1` or auto, which both mean HTTP/1.1.'),
  requestTimeout: durationField
    .nullish()
    .describe(
      'For one try at this backend, up to its headers. The shorter one counts where `timeout.backendRequestTimeout` stands too.',
    ),
});

export type HttpOptions = z.output<typeof optionsField>;

export const http = definePolicy<HttpOptions>({
  name: 'http',
  about: 'Limits the wait for one backend to begin its answer.',
  places: ['backend'],
  options: optionsField,
  example: `http:
  requestTimeout: 5m
`,

  onBackendAttempt({ requestTimeout }) {
    if (requestTimeout === undefined || requestTimeout === null) return undefined;
    return (attempt) => {
      attempt.timeoutMs = Math.min(attempt.timeoutMs ?? Number.POSITIVE_INFINITY, requestTimeout);
    };
  },
});
