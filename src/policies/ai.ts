/** What an LLM call is changed to, and what a path is taken for (agentgateway llm/policy/mod.rs). */
import * as z from 'zod';
import { canonicalModel } from '../fields/model-name.ts';
import { compileGlob } from './glob.ts';
import { notYet, notYetMessage } from './not-yet.ts';
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
    routeTypesElsewhere.has(input) ? `"${input}" is ${notYetMessage}` : `expected one of ${routeTypes.join(', ')}`,
});

const membersField = z.record(z.string().min(1), z.unknown()).superRefine((members, context) => {
  const model = modelIn(members);
  if (model !== undefined && (typeof model !== 'string' || model.trim() === '')) {
    context.addIssue({ code: 'custom', message: 'expected the name of a model', path: ['model'] });
  }
});

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
    .describe('Members of the request body that are set where the client sent none. An explicit null counts as sent.'),
  overrides: membersField.optional().describe('Members of the request body that are always set, whatever the client sent.'),
  transformations: notYet(),
  finalTransformations: notYet(),
  prompts: notYet(),
  promptCaching: notYet(),
  promptGuard: notYet(),
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
  routes:
    /v1/chat/completions: completions
    "*": passthrough
`,

  inherits: mergedAi,

  /** `model` is left out: it decides where a call goes, long before the first try. The compiler asks the functions below. */
  onAttempt({ defaults, overrides }) {
    const always = memberTextsOf(overrides);
    const whereAbsent = memberTextsOf(defaults);
    return ({ body }) => {
      if (body === undefined) return;
      for (const [name, json] of always) body.setText(name, json);
      for (const [name, json] of whereAbsent) if (!body.has(name.toLowerCase())) body.setText(name, json);
    };
  },
});

/** Member by member the inner place's wins; lists of names add up. */
function mergedAi(outer: AiOptions, inner: AiOptions): AiOptions {
  const merged: AiOptions = { ...outer, ...Object.fromEntries(Object.entries(inner).filter(([, value]) => value !== undefined)) };
  for (const name of ['routes', 'modelAliases', 'defaults', 'overrides'] as const) {
    if (outer[name] !== undefined && inner[name] !== undefined)
      Object.assign(merged, { [name]: { ...outer[name], ...inner[name] } });
  }
  return merged;
}

/** Written out once, when the plan is made. */
function memberTextsOf(members: Readonly<Record<string, unknown>> = {}): readonly (readonly [name: string, json: string])[] {
  return Object.entries(members).flatMap(([name, value]) =>
    name.toLowerCase() === 'model' ? [] : [[name, JSON.stringify(value ?? null)] as const],
  );
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
