/** `llm.models` and `llm.providers`: who serves a name, and what calls are changed to on the way. */
import * as z from 'zod';
import { baseUrlField } from '../fields/base-url.ts';
import { hostPortField } from '../fields/host-port.ts';
import { compileModelPattern } from '../fields/model-name.ts';
import { pathField, pathPrefixField } from '../fields/path.ts';
import { textField } from '../fields/text-field.ts';
import type { AuthorizationOptions } from '../policies/authorization.ts';
import { sendableField } from '../policies/backendAuth.ts';
import { nameField, tokenizeField } from './backends.ts';
import { headerMatchesField } from './matches.ts';
import { memberOf, optionsOf, type PolicyOptions } from './policy-map.ts';
import { modelProviderField } from './providers.ts';

const paramsShape = {
  model: z.string().min(1).optional().describe('Model to ask the provider for. Left out, the name that the client asked for.'),
  apiKey: sendableField
    .optional()
    .describe('Key sent to the provider as `Authorization: Bearer`.')
    .meta({ examples: [`\${OPENROUTER_API_KEY}`] }),
  baseUrl: baseUrlField
    .optional()
    .describe('Address of the provider: scheme, host, port and the start of the path.')
    .meta({ examples: ['http://192.168.1.100:11434/v1'] }),
  hostOverride: hostPortField.optional().describe('Address as `host:port`. Older than `baseUrl`, which is clearer.'),
  pathOverride: pathField.optional().describe('Replaces path and query of every request.'),
  pathPrefix: pathPrefixField.optional().describe('Stands in for the `/v1` at the start of the path.'),
  tokenize: tokenizeField,
};

const paramsField = z.strictObject(paramsShape).meta({ id: 'params' }).prefault({}).describe('How the provider is reached.');

/** Members of the `ai` policy under the names that llm mode gives them. */
const aiKeys = {
  defaults: memberOf('ai', 'defaults')
    .optional()
    .describe('Fields to set in requests that lack them.')
    .meta({ examples: [{ temperature: 0.2 }] }),
  overrides: memberOf('ai', 'overrides')
    .optional()
    .describe('Fields to set in every request, whatever it says.')
    .meta({ examples: [{ max_tokens: 1000 }] }),
  transformation: memberOf('ai', 'transformations')
    .nullish()
    .describe('Fields and the CEL expressions that give them their values; where one fails the field goes.')
    .meta({ examples: [{ seed: 'int(llmRequest.seed) % 100' }] }),
  promptCaching: memberOf('ai', 'promptCaching').nullish().describe('Taken and without effect: only Amazon Bedrock knows it.'),
};

/** Policies under the names that llm mode gives them. */
const policyKeys = {
  requestHeaders: optionsOf('requestHeaderModifier').nullish().describe('Headers of requests to the provider.'),
  responseHeaders: optionsOf('responseHeaderModifier').nullish().describe('Headers of its answers.'),
  tls: optionsOf('backendTLS').optional(),
  backendTLS: optionsOf('backendTLS').optional(),
  auth: optionsOf('backendAuth').optional(),
  health: optionsOf('health').nullish().describe('Which answers make it unhealthy, and for how long it is left alone then.'),
};

const settingsShape = { ...aiKeys, ...policyKeys };

interface GivenSettings {
  readonly defaults?: unknown;
  readonly overrides?: unknown;
  readonly transformation?: unknown;
  readonly finalTransformation?: unknown;
  readonly promptCaching?: unknown;
  readonly guardrails?: unknown;
  readonly requestHeaders?: unknown;
  readonly responseHeaders?: unknown;
  readonly tls?: unknown;
  readonly backendTLS?: unknown;
  readonly auth?: unknown;
  readonly health?: unknown;
}

/** The settings as policies by their own names; `tls` and `backendTLS` are one thing. */
function policiesOf(given: GivenSettings): PolicyOptions {
  const members = presentIn({
    defaults: given.defaults,
    overrides: given.overrides,
    transformations: given.transformation,
    finalTransformations: given.finalTransformation,
    promptCaching: given.promptCaching,
    promptGuard: given.guardrails,
  });
  return presentIn({
    ai: Object.keys(members).length === 0 ? undefined : members,
    requestHeaderModifier: given.requestHeaders,
    responseHeaderModifier: given.responseHeaders,
    backendTLS: given.tls ?? given.backendTLS,
    backendAuth: given.auth,
    health: given.health,
  });
}

/** Without what was left out, or written as null, which is the same. */
function presentIn(all: PolicyOptions): PolicyOptions {
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined && value !== null));
}

const twoTls = 'tls and backendTLS are the same; keep one';

const modelNameField = textField(
  'the name of a model, or a pattern such as "llama*"',
  (text) => compileModelPattern(text).text,
  'model or pattern',
);

export const modelField = z
  .strictObject({
    id: nameField.optional().describe('A stable name for this entry, when several have the same `name`.'),
    name: modelNameField
      .describe('The name clients ask for; one `*` may stand at its start or its end.')
      .meta({ examples: ['llama3.2', 'qwen*', '*'] }),
    visibility: z
      .enum(['public', 'internal'])
      .default('public')
      .describe('`internal`: only virtual models may use it; it is not listed and cannot be asked for.'),
    provider: modelProviderField,
    params: paramsField,
    passthrough: z
      .enum(['detect', 'opaque'])
      .nullish()
      .describe(
        'Bodies pass as the client wrote them, and must be what the provider speaks: nothing is translated, set or guarded. `detect` counts tokens all the same, `opaque` does not look.',
      ),
    ...settingsShape,
    finalTransformation: memberOf('ai', 'finalTransformations')
      .nullish()
      .describe('The same as `transformation` on the body as the provider gets it, after a translation.'),
    guardrails: memberOf('ai', 'promptGuard')
      .nullish()
      .describe('Guards of requests and answers, instead of those of `llm.policies`.'),
    authorization: optionsOf('authorization')
      .nullish()
      .describe(
        'Who may use this model, and see it in lists; the next entry that takes the name is asked otherwise. Its rules may read `llm`; those of `llm.policies` count as well.',
      ),
    matches: z
      .array(z.strictObject({ headers: headerMatchesField }))
      .default([])
      .describe('Further conditions: one of the entries must match. The next model of that name is asked otherwise.'),
  })
  .meta({ id: 'model' })
  .transform(({ id, name, visibility, provider, params, passthrough, matches, authorization, ...settings }, context) => {
    if (settings.tls !== undefined && settings.backendTLS !== undefined) context.addIssue(twoTls);
    return {
      id,
      name,
      visibility,
      provider,
      params,
      passthrough: passthrough ?? undefined,
      matches,
      authorization: (authorization ?? undefined) as AuthorizationOptions | undefined,
      policies: policiesOf(settings),
    };
  });

export const providerField = z
  .strictObject({
    name: nameField.describe('The name that models use in `provider: {reference: …}`.'),
    provider: modelProviderField,
    params: paramsField,
    defaults: z
      .strictObject(settingsShape)
      .nullish()
      .describe('Settings for every model of this provider; a model that has its own keeps its own.')
      .transform((given, context) => {
        const settings = given ?? {};
        if (settings.tls !== undefined && settings.backendTLS !== undefined) context.addIssue(twoTls);
        return { policies: policiesOf(settings) };
      }),
  })
  .meta({ id: 'llmProvider' });

export type LlmModelConfig = z.output<typeof modelField>;
export type LlmProviderConfig = z.output<typeof providerField>;
export type LlmParams = z.output<typeof paramsField>;
