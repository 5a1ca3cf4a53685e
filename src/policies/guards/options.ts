/** The options of `promptGuard` (agentgateway llm/policy/mod.rs). In the `llm` dialect the same is called `guardrails`. */
import * as z from 'zod';
import { celField } from '../../cel/cel-field.ts';
import { rustRegexOf } from '../../fields/rust-regex.ts';
import { type ServerRef, serverRefField } from '../../fields/server-ref.ts';
import { stringMatchField } from '../../fields/string-match.ts';
import { parsedOr } from '../../fields/text-field.ts';
import { backendAuth } from '../backendAuth.ts';
import { backendTLS } from '../backendTLS.ts';
import { foreign } from '../foreign.ts';
import { headerEditsField, ordinaryName } from '../header-edits.ts';
import { requestHeaderModifier } from '../requestHeaderModifier.ts';
import { builtinNames } from './builtins.ts';

const patternField = z
  .string({ error: 'expected a pattern as text' })
  .transform((pattern, context) => {
    parsedOr(() => rustRegexOf(pattern), context);
    return pattern;
  })
  .meta({ title: 'pattern' });

/** One object and not a choice of two: the error of a pattern would be lost in the choice. */
const ruleField = z
  .strictObject({
    builtin: z
      .enum(builtinNames)
      .optional()
      .describe(`A builtin recogniser: ${builtinNames.join(', ')}.`),
    pattern: patternField
      .optional()
      .describe('A regular expression, found anywhere in a text. `(?i)` at its start ignores case.'),
  })
  .superRefine(({ builtin, pattern }, context) => {
    if ((builtin === undefined) === (pattern === undefined)) context.addIssue('expected exactly one of: builtin, pattern');
  })
  .meta({ title: 'rule' });

const regexField = z.strictObject({
  action: z
    .enum(['mask', 'reject'])
    .default('mask')
    .describe('mask: what is found is replaced. reject: the request, or the answer, is refused.'),
  rules: z
    .array(ruleField)
    .max(256, { error: 'at most 256 rules' })
    .describe('What is looked for, one after the other, each in what the ones before it have left.'),
});

const headerName = z
  .string()
  .superRefine((name, context) => {
    const refusal = /^:(?:path|method|authority)$/.test(name) ? undefined : ordinaryName(name);
    if (refusal !== undefined) context.addIssue(refusal);
  })
  .transform((name) => name.toLowerCase());

const webhookField = z.strictObject({
  target: serverRefField.describe('The server that decides: exactly one of `host` and `backend`.'),
  headers: z
    .record(headerName, celField(''))
    .default({})
    .describe('Headers to ask it with, by CEL; `:path`, `:method` and `:authority` too. Default path: /request and /response.'),
  forwardHeaderMatches: z
    .array(
      z.strictObject({
        name: z
          .string()
          .transform((name) => name.toLowerCase())
          .describe('The name of a header.'),
        value: stringMatchField.describe('Its value: {exact: "text"} or {regex: "pattern"}.'),
      }),
    )
    .max(64, { error: 'at most 64 headers' })
    .default([])
    .describe('Headers of the client that are shown to it, where the value fits.'),
  failureMode: z
    .enum(['failClosed', 'failOpen'])
    .default('failClosed')
    .describe('When it does not answer within 10 s, or not as it should: failClosed answers 503, failOpen lets everything pass.'),
});

const moderationField = z.strictObject({
  model: z.string().min(1).nullish().describe('The moderation model. Default: omni-moderation-latest.'),
  policies: z
    .strictObject({
      backendAuth: backendAuth.options.optional().describe('The credential for the moderation server.'),
      requestHeaderModifier: requestHeaderModifier.options.optional().describe('Headers to ask it with.'),
      backendTLS: backendTLS.options.optional().describe('TLS towards it.'),
      transformations: foreign('what a moderation server is asked cannot be rewritten; set headers with requestHeaderModifier'),
      http: foreign('the HTTP version and timeouts of a moderation call cannot be chosen'),
      tcp: foreign('the TCP settings of a moderation call cannot be chosen'),
      backendTunnel: foreign('give fleet.moderationUrl the address of a proxy that forwards'),
    })
    .nullish()
    .describe('How the moderation server is called. It is OpenAI, or the one that fleet.moderationUrl names.'),
});

const vendor =
  'it speaks to one vendor’s cloud with that vendor’s signatures; put a small webhook in front of it, and use webhook';
const vendors = {
  bedrockGuardrails: foreign(vendor),
  googleModelArmor: foreign(vendor),
  azureContentSafety: foreign(vendor),
};

const defaultBody = 'The request was rejected due to inappropriate content';

const bytesField = z.union(
  [z.string(), z.array(z.int().min(0).max(255)).transform((bytes) => new TextDecoder().decode(Uint8Array.from(bytes)))],
  { error: 'expected a text' },
);

const rejectionField = z.strictObject({
  body: bytesField
    .optional()
    .describe(`The answer's body, as it is. Default: an error in the client's protocol that says "${defaultBody}".`),
  status: z.int().min(200).max(599).default(403).describe('Its status.'),
  headers: headerEditsField(ordinaryName)
    .nullish()
    .describe('Its headers: {add, set, remove}. Without any it has no content type.'),
});

export type RejectionOptions = z.output<typeof rejectionField>;

export const rejectionMessage = defaultBody;

const scopes = ['systemPrompt', 'messages', 'toolInput', 'toolOutput'] as const;
const defaultScope: readonly (typeof scopes)[number][] = ['systemPrompt', 'messages'];

const rejection = rejectionField.optional().describe('What the client gets when the guard refuses.');
const regex = regexField.optional().describe('Builtin recognisers and patterns.');
const webhook = webhookField.optional().describe('A server that is asked.');

const requestGuardField = z
  .strictObject({
    rejection,
    scope: z
      .array(z.enum(scopes))
      .min(1, { error: 'scope must not be empty; leave it out for the default (systemPrompt and messages)' })
      .optional()
      .describe('What of the request is looked at: systemPrompt, messages, toolInput, toolOutput. Default: the first two.'),
    regex,
    webhook,
    openAIModeration: moderationField.optional().describe('A server with OpenAI’s moderation API. What it flags is refused.'),
    ...vendors,
  })
  .superRefine((guard, context) => {
    oneKind(guard, context);
    const { scope = defaultScope } = guard;
    const isDefault = scope.length === defaultScope.length && defaultScope.every((one) => scope.includes(one));
    if (guard.regex === undefined && !isDefault)
      context.addIssue('only regex guards have a scope; the others look at systemPrompt and messages');
  });

const responseGuardField = z
  .strictObject({
    rejection,
    regex,
    webhook,
    openAIModeration: foreign('agentgateway has it for requests only, and so has Corral'),
    ...vendors,
  })
  .superRefine(oneKind);

function oneKind(
  guard: { readonly regex?: unknown; readonly webhook?: unknown; readonly openAIModeration?: unknown },
  context: { addIssue(message: string): void },
): void {
  const kinds = [guard.regex, guard.webhook, guard.openAIModeration].filter((kind) => kind !== undefined);
  if (kinds.length !== 1) context.addIssue('expected exactly one of: regex, webhook, openAIModeration');
}

export const promptGuardField = z
  .strictObject({
    streaming: z
      .enum(['Disabled', 'Enabled'])
      .optional()
      .describe('Disabled leaves streams alone. Default: streams are guarded like whole answers.'),
    request: z
      .array(requestGuardField)
      .max(64, { error: 'at most 64 guards' })
      .default([])
      .describe('Guards of requests, in this order; the first that refuses ends it.'),
    response: z
      .array(responseGuardField)
      .max(64, { error: 'at most 64 guards' })
      .default([])
      .describe('Guards of answers, in this order; the first that refuses ends it.'),
  })
  .meta({ id: 'promptGuard', description: 'Looks into the texts of requests and answers; masks or refuses what must not pass.' });

export type PromptGuardOptions = z.output<typeof promptGuardField>;
export type RequestGuardOptions = z.output<typeof requestGuardField>;
export type ResponseGuardOptions = z.output<typeof responseGuardField>;
export type RegexOptions = z.output<typeof regexField>;
export type WebhookOptions = z.output<typeof webhookField> & { readonly target: ServerRef };
export type ModerationOptions = z.output<typeof moderationField>;
