/** What an LLM call is changed to, and what a path is taken for (agentgateway llm/policy/mod.rs). */
import * as z from 'zod';
import { celField } from '../cel/cel-field.ts';
import { type CelExpression, type CelExtras, CelFailure } from '../cel/expression.ts';
import { celValueOfJson, plainOf } from '../cel/values.ts';
import type { Attempt, Exchange } from '../exchange.ts';
import { canonicalModel } from '../fields/model-name.ts';
import type { JsonDraft } from '../json/object-text.ts';
import { compileGlob } from './glob.ts';
import { promptGuardField } from './guards/options.ts';
import { createPromptGuard } from './guards/prompt-guard.ts';
import { compileDefaults, compileOverrides } from './member-places.ts';
import { definePolicy } from './policy.ts';

const routeTypes = [
  'completions',
  'messages',
  'responses',
  'embeddings',
  'models',
  'anthropicTokenCount',
  'passthrough',
  'detect',
] as const;
const routeTypesElsewhere: ReadonlySet<unknown> = new Set(['realtime', 'generateContent', 'geminiCountTokens', 'rerank']);

export type RouteType = (typeof routeTypes)[number];

const routeTypeField = z.enum(routeTypes, {
  error: ({ input }) =>
    routeTypesElsewhere.has(input)
      ? `"${input}" is known to agentgateway, not supported: of its protocols Corral speaks OpenAI's and Anthropic's over HTTP`
      : `expected one of ${routeTypes.join(', ')}`,
});

const membersField = z.record(z.string().min(1), z.unknown()).superRefine((members, context) => {
  const model = modelIn(members);
  if (model !== undefined && (typeof model !== 'string' || model.trim() === '')) {
    context.addIssue({ code: 'custom', message: 'expected the name of a model', path: ['model'] });
  }
});

const expressionsField = z.record(z.string().min(1), celField('What the member becomes.'));

const messagesField = z
  .array(
    z.strictObject({
      role: z.string().min(1).describe('Who says it: system, user, assistant.'),
      content: z.string().describe('Its text.'),
    }),
  )
  .max(256, { error: 'at most 256 messages' })
  .default([]);

const optionsField = z.strictObject({
  routes: z
    .record(z.string().min(1), routeTypeField)
    .optional()
    .describe(
      'Ends of paths and what they are: completions, messages, responses, embeddings, models, anthropicTokenCount, passthrough, detect. The longest end wins; "*" is the rest.',
    ),
  modelAliases: z
    .record(z.string().min(1), z.string().min(1))
    .optional()
    .describe('Names that clients may use, and the models they stand for. "*" in a name stands for anything; exact names win.'),
  defaults: membersField
    .optional()
    .describe(
      'Members of the request body that are set where the client sent none, by whichever name its protocol has for them. An explicit null counts as sent.',
    ),
  overrides: membersField
    .optional()
    .describe(
      "Members of the request body that are always set, whatever the client sent. On Ollama's own paths those that are parameters go to `options`, limits of tokens to `num_predict`.",
    ),
  transformations: expressionsField
    .optional()
    .describe(
      'Members of the request body and the CEL expressions that give them their values, from the call as the client sent it (`llmRequest`). Where one fails the member goes.',
    ),
  finalTransformations: expressionsField
    .optional()
    .describe(
      'The same on the body as the upstream gets it, which `llmRequest` is then: after a translation, when there is one.',
    ),
  prompts: z
    .strictObject({
      prepend: messagesField.describe('Messages before those of the client.'),
      append: messagesField.describe('Messages behind those of the client.'),
    })
    .optional()
    .describe('Messages that are added to every call.'),
  promptCaching: z
    .strictObject({
      cacheSystem: z.boolean().default(true).describe('Without effect.'),
      cacheMessages: z.boolean().default(true).describe('Without effect.'),
      cacheTools: z.boolean().default(false).describe('Without effect.'),
      minTokens: z.int().min(0).nullish().describe('Without effect.'),
      cacheMessageOffset: z.int().min(0).default(0).describe('Without effect.'),
    })
    .nullish()
    .describe('Taken and without effect: only Amazon Bedrock knows it. Ollama keeps the beginnings of prompts by itself.'),
  promptGuard: promptGuardField.optional().describe('Guards of requests and answers.'),
});

export type AiOptions = z.output<typeof optionsField>;

export const ai = definePolicy<AiOptions>({
  name: 'ai',
  about: 'Sets members of LLM requests, gives models other names, and says which path speaks which protocol.',
  places: ['route', 'backend'],
  options: optionsField,
  example: `ai:
  modelAliases:
    fast: llama3.2:1b
    "gpt-*": llama3.2
  defaults:
    temperature: 0.5
  overrides:
    max_tokens: 2048
  transformations:
    seed: 'int(llmRequest.seed) % 100'
  prompts:
    prepend:
    - role: system
      content: Answer in one sentence.
  promptGuard:
    request:
    - regex:
        rules:
        - builtin: email
    response:
    - regex:
        action: reject
        rules:
        - pattern: 'sk-[A-Za-z0-9]{20,80}'
      rejection:
        body: The answer held a key.
        status: 502
  routes:
    /v1/chat/completions: completions
    "*": passthrough
`,

  inherits: mergedAi,

  /** `model` is left out: it decides where a call goes, long before the first try. The compiler asks the functions below. */
  onAttempt(options, scope) {
    const edit = memberEdits(options);
    const { prepend = [], append = [] } = options.prompts ?? {};
    const guard = createPromptGuard(options.promptGuard, scope);
    if (options.promptCaching !== undefined && options.promptCaching !== null) {
      scope.warn('promptCaching has no effect: only Amazon Bedrock knows it');
    }
    return (attempt) => {
      const { body, exchange } = attempt;
      if (body === undefined) return undefined;
      edit(attempt);
      if (prepend.length + append.length > 0) attempt.protocol?.texts?.addMessages(body, prepend, append);
      return guard?.(attempt, () => llmRequestOf(exchange.call?.bytes ?? body.bytes()));
    };
  },

  onTranslated({ finalTransformations }) {
    if (finalTransformations === undefined || Object.keys(finalTransformations).length === 0) return undefined;
    return ({ body, exchange }) => {
      if (body !== undefined) transform(body, finalTransformations, exchange, { llmRequest: llmRequestOf(body.bytes()) });
    };
  },
});

/** agentgateway's order: overrides, transformations, defaults. */
function memberEdits({ overrides, transformations = {}, defaults }: AiOptions): (attempt: Attempt) => void {
  const always = compileOverrides(overrides);
  const whereAbsent = compileDefaults(defaults);
  return (attempt) => {
    if (attempt.body === undefined) return;
    always(attempt);
    transform(attempt.body, transformations, attempt.exchange, {});
    whereAbsent(attempt);
  };
}

/** Each sees the call as it was, not what the others made of it; a member whose expression fails goes. */
function transform(
  body: JsonDraft,
  members: Readonly<Record<string, CelExpression>>,
  exchange: Exchange,
  extras: CelExtras,
): void {
  for (const name in members) {
    try {
      body.set(name, plainOf(members[name]?.evaluate(exchange, extras)));
    } catch (thrown) {
      if (!(thrown instanceof CelFailure)) throw thrown;
      body.delete(name);
    }
  }
}

function llmRequestOf(bytes: Uint8Array): unknown {
  return celValueOfJson(new TextDecoder().decode(bytes));
}

/** Member by member the inner place's wins, guards and prompts whole; lists of names add up. */
function mergedAi(outer: AiOptions, inner: AiOptions): AiOptions {
  const merged: AiOptions = { ...outer, ...Object.fromEntries(Object.entries(inner).filter(([, value]) => value !== undefined)) };
  for (const name of ['routes', 'modelAliases', 'defaults', 'overrides'] as const) {
    if (outer[name] !== undefined && inner[name] !== undefined)
      Object.assign(merged, { [name]: { ...outer[name], ...inner[name] } });
  }
  return merged;
}

/** The model asked for where the client names none. */
export function modelDefaultOf({ defaults }: AiOptions): string | undefined {
  return modelNameIn(defaults);
}

/** The model asked for whatever the client names. */
export function modelOverrideOf({ overrides }: AiOptions): string | undefined {
  return modelNameIn(overrides);
}

function modelNameIn(members: Readonly<Record<string, unknown>> = {}): string | undefined {
  const model = modelIn(members);
  return typeof model === 'string' ? model : undefined;
}

function modelIn(members: Readonly<Record<string, unknown>>): unknown {
  return Object.entries(members).find(([name]) => name.toLowerCase() === 'model')?.[1];
}

/**
 * The model that a name stands for; itself when it is no alias. Exact names first, then patterns, longest first. Names
 * compare as Ollama's do (design decision 15): `FAST` and `fast:latest` are `fast`.
 */
export function compileModelAliases(aliases: Readonly<Record<string, string>> = {}): (model: string) => string {
  const entries = Object.entries(aliases);
  if (entries.length === 0) return (model) => model;
  const exact = new Map(entries.filter(([alias]) => !alias.includes('*')).map(([alias, to]) => [canonicalModel(alias), to]));
  const patterns = entries
    .filter(([alias]) => alias.includes('*'))
    .sort(([a], [b]) => b.length - a.length)
    .map(([alias, to]) => ({ matches: compileGlob(alias.trim().toLowerCase()), to }));
  return (model) => {
    const canonical = canonicalModel(model);
    const target = exact.get(canonical);
    if (target !== undefined) return target;
    const lower = model.trim().toLowerCase();
    return patterns.find(({ matches }) => matches(lower) || matches(canonical))?.to ?? model;
  };
}

/** What `routes` takes a path for: the longest end of it that is listed, then `*`; undefined when the path decides itself. */
export function compileRouteTypes(routes: Readonly<Record<string, RouteType>> = {}): (path: string) => RouteType | undefined {
  const rest = routes['*'];
  const ends = Object.entries(routes)
    .filter(([end]) => end !== '*')
    .sort(([a], [b]) => b.length - a.length);
  return (path) => ends.find(([end]) => path.endsWith(end))?.[1] ?? rest;
}
