/** `llm:`, the short dialect: models by name, each with the provider that serves it. */
import * as z from 'zod';
import { baseUrlField } from '../fields/base-url.ts';
import { hostPortField } from '../fields/host-port.ts';
import { compileModelPattern } from '../fields/model-name.ts';
import { pathField, pathPrefixField } from '../fields/path.ts';
import { secretField } from '../fields/secret.ts';
import { textField } from '../fields/text-field.ts';
import { nameField, tokenizeField } from './backends.ts';
import { listenerTlsField } from './listener-tls.ts';
import { headerMatchesField } from './matches.ts';
import { memberOf, optionsOf, type PolicyOptions, policiesField } from './policy-map.ts';
import { modelProviderField } from './providers.ts';
import { attachmentField, portField } from './traffic.ts';

const paramsShape = {
  model: z.string().min(1).optional().describe('Model to ask the provider for. Left out, the name that the client asked for.'),
  apiKey: secretField
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

/** Policies under the names that llm mode gives them. */
const policyKeys = {
  requestHeaders: optionsOf('requestHeaderModifier').optional(),
  responseHeaders: optionsOf('responseHeaderModifier').optional(),
  tls: optionsOf('backendTLS').optional(),
  backendTLS: optionsOf('backendTLS').optional(),
  auth: optionsOf('backendAuth').optional(),
};

const settingsShape = {
  defaults: memberOf('ai', 'defaults')
    .optional()
    .describe('Fields to set in requests that lack them.')
    .meta({ examples: [{ temperature: 0.2 }] }),
  overrides: memberOf('ai', 'overrides')
    .optional()
    .describe('Fields to set in every request, whatever it says.')
    .meta({ examples: [{ max_tokens: 1000 }] }),
  ...policyKeys,
};

interface GivenSettings {
  readonly defaults?: unknown;
  readonly overrides?: unknown;
  readonly requestHeaders?: unknown;
  readonly responseHeaders?: unknown;
  readonly tls?: unknown;
  readonly backendTLS?: unknown;
  readonly auth?: unknown;
}

/** The settings as policies by their own names; `tls` and `backendTLS` are one thing. */
function policiesOf(given: GivenSettings): PolicyOptions {
  const { defaults, overrides } = given;
  const byName: PolicyOptions = {
    ai: defaults === undefined && overrides === undefined ? undefined : { defaults, overrides },
    requestHeaderModifier: given.requestHeaders,
    responseHeaderModifier: given.responseHeaders,
    backendTLS: given.tls ?? given.backendTLS,
    backendAuth: given.auth,
  };
  return Object.fromEntries(Object.entries(byName).filter(([, options]) => options !== undefined));
}

const twoTls = 'tls and backendTLS are the same; keep one';

const modelNameField = textField(
  'the name of a model, or a pattern such as "llama*"',
  (text) => compileModelPattern(text).text,
  'model or pattern',
);

const modelField = z
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
    ...settingsShape,
    authorization: optionsOf('authorization')
      .optional()
      .describe('Who may use this model. Its rules may read `llm`; those of `llm.policies` count as well.'),
    matches: z
      .array(z.strictObject({ headers: headerMatchesField }))
      .default([])
      .describe('Further conditions: one of the entries must match. The next model of that name is asked otherwise.'),
  })
  .meta({ id: 'model' })
  .transform(({ id, name, visibility, provider, params, matches, authorization, ...settings }, context) => {
    if (settings.tls !== undefined && settings.backendTLS !== undefined) context.addIssue(twoTls);
    const policies = { ...policiesOf(settings), ...(authorization === undefined ? {} : { authorization }) };
    return { id, name, visibility, provider, params, matches, policies };
  });

const providerField = z
  .strictObject({
    name: nameField.describe('The name that models use in `provider: {reference: …}`.'),
    provider: modelProviderField,
    params: paramsField,
    defaults: z
      .strictObject(settingsShape)
      .prefault({})
      .describe('Settings for every model of this provider; a model that has its own keeps its own.')
      .transform((settings, context) => {
        if (settings.tls !== undefined && settings.backendTLS !== undefined) context.addIssue(twoTls);
        return { policies: policiesOf(settings) };
      }),
  })
  .meta({ id: 'llmProvider' });

const targetNameField = z.string().min(1).describe('Name of a model of `llm.models`.');

const routingField = z
  .strictObject({
    weighted: z
      .strictObject({
        targets: z
          .array(
            z.strictObject({
              model: targetNameField,
              weight: z.int().min(0).max(1_000_000).default(1).describe('Share of the requests.'),
            }),
          )
          .min(1, 'expected at least one target')
          .describe('The models among which requests are shared out.'),
      })
      .optional()
      .describe('Requests are shared out at random, by weight.'),
    failover: z
      .strictObject({
        targets: z
          .array(
            z.strictObject({
              model: targetNameField,
              priority: z.int().min(0).describe('Lower numbers come first; equal ones share the load.'),
            }),
          )
          .min(1, 'expected at least one target')
          .describe('The models in the order to try them.'),
      })
      .optional()
      .describe('The next model serves when the ones before it cannot.'),
  })
  .meta({ id: 'routing', description: 'Exactly one of `weighted` and `failover`.' })
  .transform((given, context): VirtualRouting => {
    if (given.weighted !== undefined && given.failover === undefined)
      return { kind: 'weighted', targets: given.weighted.targets };
    if (given.failover !== undefined && given.weighted === undefined)
      return { kind: 'failover', targets: given.failover.targets };
    context.addIssue('expected exactly one of: weighted, failover');
    return z.NEVER;
  });

export type VirtualRouting =
  | { readonly kind: 'weighted'; readonly targets: readonly { readonly model: string; readonly weight: number }[] }
  | { readonly kind: 'failover'; readonly targets: readonly { readonly model: string; readonly priority: number }[] };

const virtualModelField = z
  .strictObject({ name: nameField.describe('The name clients ask for.'), routing: routingField })
  .meta({ id: 'virtualModel' });

export const llmField = z
  .strictObject({
    gateways: attachmentField,
    port: portField.optional().describe('Port of its own, when no gateway serves it. Without either it is 4000.'),
    tls: listenerTlsField.optional().describe('TLS on the port of its own.'),
    models: z.array(modelField).describe('The models clients may ask for. The name with the most fixed letters is asked first.'),
    providers: z.array(providerField).default([]).describe('Providers that several models share.'),
    virtualModels: z.array(virtualModelField).default([]).describe('Names that stand for several models.'),
    policies: policiesField('listener').describe('What happens to every request for a model.'),
  })
  .meta({ id: 'llm' });

export type LlmConfig = z.output<typeof llmField>;
export type LlmModelConfig = z.output<typeof modelField>;
export type LlmProviderConfig = z.output<typeof providerField>;
export type LlmParams = z.output<typeof paramsField>;
export type VirtualModelConfig = z.output<typeof virtualModelField>;
