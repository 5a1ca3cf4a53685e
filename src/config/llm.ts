/** `llm:`, the short dialect: models by name, each with the provider that serves it. */
import * as z from 'zod';
import { rateLimitsField } from '../policies/localRateLimit.ts';
import { listenerTlsField } from './listener-tls.ts';
import { modelField, providerField } from './llm-models.ts';
import { virtualModelField } from './llm-routing.ts';
import { memberOf, type PolicyOptions, policyShapeOf } from './policy-map.ts';
import { attachmentField, portField } from './traffic.ts';

/** What a listener may have, and limits and guards beside it. */
const policiesField = z
  .strictObject({
    ...policyShapeOf('listener'),
    guardrails: memberOf('ai', 'promptGuard')
      .nullish()
      .describe('Guards of requests and answers of every model that has none of its own.'),
    localRateLimit: rateLimitsField
      .optional()
      .describe('Limits of requests and tokens, over all models. A list; there is no conditional form here.')
      .meta({ id: 'llmRateLimits' }),
  })
  .meta({ id: 'llmPolicies' })
  .nullish()
  .transform((given): PolicyOptions => {
    const { guardrails, ...policies } = given ?? {};
    return guardrails === undefined || guardrails === null ? policies : { ...policies, ai: { promptGuard: guardrails } };
  });

export const llmField = z
  .strictObject({
    gateways: attachmentField,
    port: portField.optional().describe('Port of its own, when no gateway serves it. Without either it is 4000.'),
    tls: listenerTlsField.optional().describe('TLS on the port of its own.'),
    models: z.array(modelField).describe('The models clients may ask for. The name with the most fixed letters is asked first.'),
    providers: z.array(providerField).default([]).describe('Providers that several models share.'),
    virtualModels: z.array(virtualModelField).default([]).describe('Names that stand for several models.'),
    policies: policiesField.describe('What happens to every request for a model.'),
  })
  .meta({ id: 'llm' });

export type LlmConfig = z.output<typeof llmField>;
export type { LlmModelConfig, LlmParams, LlmProviderConfig } from './llm-models.ts';
export type { ConditionalTarget, VirtualModelConfig, VirtualRouting } from './llm-routing.ts';
