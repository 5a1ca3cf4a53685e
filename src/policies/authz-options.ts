/** The options of `extAuthz`, and what a check makes of them. */
import * as z from 'zod';
import { celField } from '../cel/cel-field.ts';
import type { CelExpression } from '../cel/expression.ts';
import { durationMsOf } from '../fields/duration.ts';
import { type ServerRef, serverRefOf, serverRefShape } from '../fields/server-ref.ts';
import { FieldError } from '../fields/text-field.ts';
import type { AuthzQuestion } from './authz-call.ts';
import { foreign } from './foreign.ts';
import { ordinaryName } from './header-edits.ts';

const grpc = 'Corral does not speak gRPC; let the server speak HTTP (most do, on another port), and write protocol: {http: {}}';

const ownPolicies =
  'known to agentgateway, not supported here: name the server among the top-level backends, with its policies, and write backend: NAME';

const headerName = z
  .string()
  .superRefine((name, context) => {
    const refusal = ordinaryName(name);
    if (refusal !== undefined) context.addIssue(refusal);
  })
  .transform((name) => name.toLowerCase());

const pseudoHeaders = [':path', ':method', ':authority', ':scheme'] as const;

const httpField = z.strictObject({
  path: celField('').nullish().describe('CEL: the path (and query) to ask under. Default: those of the request.'),
  redirect: celField('')
    .nullish()
    .describe('CEL: where to send the client (302) when the server answers 401 or 403, instead of its answer.'),
  body: celField('')
    .nullish()
    .describe('CEL: the body to send, instead of the request’s: text, bytes, or anything else as JSON.'),
  includeResponseHeaders: z
    .array(headerName)
    .default([])
    .describe('Headers of the server’s answer that go to the upstream. The client’s headers of these names never do.'),
  addRequestHeaders: z.record(headerName, celField('')).default({}).describe('Headers to ask with, by CEL.'),
  metadata: z
    .record(z.string().min(1), celField(''))
    .default({})
    .describe('What later expressions find as `extauthz.NAME`, by CEL that reads the server’s answer as `response`.'),
});

const ttlField = z.string().transform((text, context): { ms: number } | CelExpression => {
  try {
    return { ms: durationMsOf(text) };
  } catch (thrown) {
    if (!(thrown instanceof FieldError)) throw thrown;
  }
  const parsed = celField('').safeParse(text);
  if (parsed.success) return parsed.data;
  context.addIssue(
    `expected a duration such as "5m", or CEL that gives a duration or a timestamp: ${parsed.error.issues[0]?.message}`,
  );
  return z.NEVER;
});

export const extAuthzShape = {
  ...serverRefShape,
  policies: z.null({ error: ownPolicies }).optional().describe(`Refused: ${ownPolicies}.`),
  protocol: z
    .strictObject({
      http: httpField.optional().describe('The server speaks HTTP. Needed: without it agentgateway would speak gRPC.'),
      grpc: foreign(grpc),
    })
    .optional()
    .describe('How the server is spoken to: `{http: {}}`.'),
  failureMode: z
    .union(
      [
        z.enum(['allow', 'deny']),
        z.strictObject({ denyWithStatus: z.int().min(400).max(599).describe('Status of the answer, 400 to 599.') }),
      ],
      { error: 'expected allow, deny, or {denyWithStatus: 503}' },
    )
    .default('deny')
    .describe(
      'What happens when the server cannot be reached within 2 s or answers 5xx: deny (403), {denyWithStatus}, or allow.',
    ),
  includeRequestHeaders: z
    .array(z.union([z.enum(pseudoHeaders), headerName]))
    .default([])
    .describe('Headers of the request that the server is shown. Default: `Authorization`, unless another policy has used it up.'),
  includeRequestBody: z
    .strictObject({
      maxRequestBytes: z
        .int()
        .min(0)
        .max(16 * 1024 * 1024)
        .default(8192)
        .describe('The most of it that is sent.'),
      allowPartialMessage: z
        .boolean()
        .default(false)
        .describe('Whether a longer body is sent up to there; otherwise it is answered with 413.'),
      packAsBytes: z
        .literal(false, { error: 'packAsBytes is for gRPC; over HTTP the body is sent as it is' })
        .optional()
        .describe('Refused unless false: it is for gRPC.'),
    })
    .nullish()
    .describe('Whether the server is sent the body. Default: no.'),
  cache: z
    .strictObject({
      key: z.array(celField('')).max(16).describe('CEL: requests for which all of these are the same share a decision.'),
      ttl: ttlField.describe(
        'How long a decision holds, a day at most: a duration, or CEL that gives a duration or a timestamp.',
      ),
      maxEntries: z
        .int()
        .min(0)
        .max(100_000)
        .default(10_000)
        .transform((count) => (count === 0 ? 10_000 : count))
        .describe('Decisions remembered at once.'),
    })
    .nullish()
    .describe('Remembers decisions. Whatever the server looks at must be in the key. A reload forgets them.'),
};

type Given = z.output<z.ZodObject<typeof extAuthzShape>>;

export interface ExtAuthzOptions extends Omit<Given, 'host' | 'backend' | 'service' | 'policies' | 'protocol'> {
  readonly server: ServerRef;
  readonly http: z.output<typeof httpField>;
}

export function optionsOf(
  { host, backend, service: _, policies: __, protocol, ...rest }: Given,
  context: { addIssue(message: string): void },
): ExtAuthzOptions {
  const server = serverRefOf({ host, backend }, context);
  const http = protocol?.http;
  if (http === undefined) context.addIssue(`known to agentgateway, not supported: without protocol this speaks gRPC; ${grpc}`);
  return server === undefined || http === undefined ? z.NEVER : { ...rest, server, http };
}

export function questionOf({ http, includeRequestHeaders, includeRequestBody }: ExtAuthzOptions): AuthzQuestion {
  return {
    path: http.path ?? undefined,
    redirect: http.redirect ?? undefined,
    body: http.body ?? undefined,
    requestHeaders: includeRequestHeaders.length === 0 ? ['authorization'] : includeRequestHeaders,
    addedHeaders: Object.entries(http.addRequestHeaders),
    responseHeaders: http.includeResponseHeaders,
    metadata: Object.entries(http.metadata),
    bodyLimit: includeRequestBody
      ? { maxBytes: includeRequestBody.maxRequestBytes, allowsPart: includeRequestBody.allowPartialMessage }
      : undefined,
  };
}

export function readsBody({ http, includeRequestBody, cache }: ExtAuthzOptions): boolean {
  if (includeRequestBody && !http.body) return true;
  const expressions = [
    http.path,
    http.redirect,
    http.body,
    ...Object.values(http.addRequestHeaders),
    ...Object.values(http.metadata),
  ];
  const cached = cache ? [...cache.key, ...('ms' in cache.ttl ? [] : [cache.ttl])] : [];
  return [...expressions, ...cached].some((expression) => expression?.needs.requestBody === true);
}
