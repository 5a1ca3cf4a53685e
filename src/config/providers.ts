/** Who answers behind an `ai` backend or a model: kinds of providers and the addresses agentgateway knows by name. */
import * as z from 'zod';
import { pathField } from '../fields/path.ts';
import { nearestOf } from './diagnostic.ts';
import { foreignMessage, reasonFor } from './foreign-keys.ts';

/** Wire formats that a custom provider says it accepts (agentgateway's names). */
export const providerFormats = [
  'completions',
  'messages',
  'responses',
  'embeddings',
  'anthropicTokenCount',
  'realtime',
  'rerank',
] as const;
export type ProviderFormat = (typeof providerFormats)[number];

export interface FormatConfig {
  readonly type: ProviderFormat;
  /** Replaces the path for this format; `| undefined` because the YAML may leave it out. */
  readonly path?: string | undefined;
}

/** `reference` stands in models only and names an entry of `llm.providers`. */
export type ProviderConfig =
  | { readonly kind: VendorName; readonly model: string | undefined }
  | {
      readonly kind: 'custom';
      readonly model: string | undefined;
      readonly providerOverride: string | undefined;
      readonly formats: readonly FormatConfig[];
    }
  | { readonly kind: 'preset'; readonly preset: PresetName }
  | { readonly kind: 'reference'; readonly name: string };

export interface Preset {
  readonly baseUrl: string;
  readonly formats: readonly FormatConfig[];
}

export interface Vendor extends Preset {
  /** agentgateway's name for it, in messages and metrics (its `NAME` constants). */
  readonly label: string;
}

/**
 * Kinds of providers with an address of their own. What they speak is agentgateway's (`supported_formats` in its llm/mod.rs), but
 * for Gemini: it is spoken to in OpenAI's words alone, which Google's servers understand below this path.
 */
export const vendors = {
  openAI: { label: 'openai', baseUrl: 'https://api.openai.com/v1', formats: formats('completions', 'responses', 'embeddings') },
  anthropic: {
    label: 'anthropic',
    baseUrl: 'https://api.anthropic.com/v1',
    formats: formats('messages', 'anthropicTokenCount'),
  },
  gemini: {
    label: 'gcp.gemini',
    baseUrl: 'https://generativelanguage.googleapis.com/v1beta/openai',
    formats: formats('completions', 'embeddings'),
  },
} as const satisfies Record<string, Vendor>;
export type VendorName = keyof typeof vendors;

/** The provider's name in messages, as agentgateway has it. */
export function providerLabelOf(provider: Exclude<ProviderConfig, { kind: 'reference' }>): string {
  if (provider.kind === 'preset') return provider.preset;
  return provider.kind === 'custom' ? (provider.providerOverride ?? 'custom') : vendors[provider.kind].label;
}

/** Providers that `llm.models` may name by one word. Addresses and formats are agentgateway's (crates/llm/src/custom.rs). */
export const presets = {
  ollama: { baseUrl: 'http://localhost:11434/v1', formats: formats('completions', 'responses', 'embeddings') },
  baseten: { baseUrl: 'https://inference.baseten.co/v1', formats: formats('completions', 'messages') },
  cerebras: { baseUrl: 'https://api.cerebras.ai/v1', formats: formats('completions') },
  cohere: {
    baseUrl: 'https://api.cohere.ai',
    formats: [
      { type: 'completions', path: '/compatibility/v1/chat/completions' },
      { type: 'embeddings', path: '/compatibility/v1/embeddings' },
      { type: 'rerank', path: '/v2/rerank' },
    ],
  },
  deepinfra: {
    baseUrl: 'https://api.deepinfra.com/v1/openai',
    formats: [...formats('completions', 'embeddings'), { type: 'messages', path: '/anthropic/v1/messages' }],
  },
  deepseek: {
    baseUrl: 'https://api.deepseek.com/v1',
    formats: [...formats('completions', 'responses'), { type: 'messages', path: '/anthropic/v1/messages' }],
  },
  fireworks: {
    baseUrl: 'https://api.fireworks.ai/inference/v1',
    formats: formats('completions', 'messages', 'responses', 'embeddings', 'rerank'),
  },
  groq: { baseUrl: 'https://api.groq.com/openai/v1', formats: formats('completions', 'responses') },
  huggingface: { baseUrl: 'https://router.huggingface.co/v1', formats: formats('completions', 'responses') },
  mistral: { baseUrl: 'https://api.mistral.ai/v1', formats: formats('completions', 'embeddings') },
  openrouter: {
    baseUrl: 'https://openrouter.ai/api/v1',
    formats: formats('completions', 'messages', 'responses', 'embeddings', 'rerank'),
  },
  togetherai: { baseUrl: 'https://api.together.xyz/v1', formats: formats('completions', 'embeddings', 'rerank') },
  xai: { baseUrl: 'https://api.x.ai/v1', formats: formats('completions', 'responses', 'realtime') },
} as const satisfies Record<string, Preset>;
export type PresetName = keyof typeof presets;

export const presetNames = Object.keys(presets) as readonly PresetName[];

function formats(...types: readonly ProviderFormat[]): readonly FormatConfig[] {
  return types.map((type) => ({ type }));
}

const customShape = z
  .strictObject({
    model: z
      .string()
      .min(1)
      .optional()
      .describe('Model to send. On a box it is the default for requests without one; elsewhere it replaces theirs.'),
    providerOverride: z.string().min(1).optional().describe('Name of the provider in logs and metrics, instead of `custom`.'),
    formats: z
      .array(
        z.strictObject({
          type: z.enum(providerFormats).describe('A wire format that the server accepts.'),
          path: pathField.optional().describe('Path for this format, when it is not the usual one.'),
        }),
      )
      .min(1, 'a custom provider needs at least one format')
      .describe('The wire formats that the server accepts.'),
  })
  .meta({
    id: 'customProvider',
    description:
      'Any server that speaks one of these formats. Needs an address: `hostOverride`, or `params.baseUrl` in llm mode.',
  });

const modelShape = {
  model: z
    .string()
    .min(1)
    .optional()
    .describe('Model to send. On a box it is the default for requests without one; elsewhere it replaces theirs.'),
};

const vendorShapes = {
  openAI: z.strictObject(modelShape).meta({
    id: 'openAIProvider',
    description: 'A server that speaks the OpenAI API: Ollama, with `hostOverride`, or OpenAI itself, without.',
  }),
  anthropic: z.strictObject(modelShape).meta({
    id: 'anthropicProvider',
    description: 'Anthropic, or a server that speaks its Messages, with `hostOverride`. A bearer key becomes `x-api-key`.',
  }),
  gemini: z.strictObject(modelShape).meta({
    id: 'geminiProvider',
    description: "Google's Gemini API, spoken to in OpenAI's words.",
  }),
};
const vendorNames = Object.keys(vendorShapes) as readonly VendorName[];

/** `provider:` of an `ai` backend: exactly one of the kinds. */
export const backendProviderField = z
  .strictObject({
    openAI: vendorShapes.openAI.optional(),
    anthropic: vendorShapes.anthropic.optional(),
    gemini: vendorShapes.gemini.optional(),
    custom: customShape.optional(),
  })
  .meta({ id: 'provider', description: 'Exactly one of the kinds.', examples: [{ openAI: { model: 'llama3.2' } }] })
  .transform(({ custom, ...given }, context): ProviderConfig => {
    const named: ProviderConfig[] = vendorNames.flatMap((kind) =>
      given[kind] === undefined ? [] : [{ kind, model: given[kind].model }],
    );
    if (custom !== undefined) named.push(customProvider(custom));
    const [only] = named;
    if (only !== undefined && named.length === 1) return only;
    context.addIssue(`expected exactly one provider: ${vendorNames.join(', ')} or custom`);
    return z.NEVER;
  });

/** agentgateway's other words for `provider` in llm mode; named so that they can be refused by name. */
const foreignProviders = ['vertex', 'bedrock', 'azure', 'copilot'];

const vendorWords: Readonly<Record<string, VendorName>> = {
  openAI: 'openAI',
  openai: 'openAI',
  anthropic: 'anthropic',
  gemini: 'gemini',
};
const providerWords = [...Object.keys(vendorWords), ...presetNames];
const wordRule = `expected the name of a provider: ${[...vendorNames, ...presetNames].join(', ')}`;

const wordField = z.enum(providerWords, {
  error: ({ input }) => {
    if (typeof input !== 'string') return undefined;
    if (foreignProviders.includes(input)) return foreignWord(input);
    const nearest = nearestOf(input, providerWords);
    return nearest === undefined ? wordRule : `${wordRule}; did you mean "${nearest}"?`;
  },
});

function foreignWord(word: string): string {
  if (word !== 'azure') return `"${word}" is ${reasonFor('provider', word).message}`;
  const formats = '{custom: {formats: [{type: completions}, {type: responses}, {type: embeddings}]}}';
  const address = 'params.baseUrl: https://RESOURCE.openai.azure.com/openai/v1 and params.apiKey';
  return `"azure" is ${foreignMessage}: write it as ${formats}, with ${address}`;
}

/** `provider:` of a model or of `llm.providers`: a word, `{custom: …}` or `{reference: name}`. */
export const modelProviderField = z
  .union(
    [
      wordField,
      z.strictObject({
        custom: customShape.optional(),
        reference: z.string().min(1).optional().describe('Name of an entry of `llm.providers`.'),
      }),
    ],
    { error: `${wordRule}, or {custom: …}, or {reference: name}` },
  )
  .meta({ id: 'modelProvider', description: 'Who serves the model.', examples: ['ollama', { reference: 'workstation' }] })
  .transform((given, context): ProviderConfig => {
    if (typeof given === 'string') {
      const kind = vendorWords[given];
      return kind === undefined ? { kind: 'preset', preset: given as PresetName } : { kind, model: undefined };
    }
    if (given.custom !== undefined && given.reference === undefined) return customProvider(given.custom);
    if (given.reference !== undefined && given.custom === undefined) return { kind: 'reference', name: given.reference };
    context.addIssue('expected exactly one of: custom, reference');
    return z.NEVER;
  });

function customProvider({ model, providerOverride, formats: accepted }: z.output<typeof customShape>): ProviderConfig {
  return { kind: 'custom', model, providerOverride, formats: accepted };
}
