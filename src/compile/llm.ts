/** The `llm` dialect: a table of models, each with its provider, as one `ai` backend that chooses by the request's model. */
import type { AddedModel, AiBackend, Target } from '../backends/target.ts';
import { presets } from '../config/providers.ts';
import type {
  LlmConfig,
  LlmModelConfig,
  LlmParams,
  LlmProviderConfig,
  PolicyOptions,
  ProviderConfig,
  VirtualModelConfig,
} from '../config/schema.ts';
import { GatewayError } from '../errors.ts';
import type { Exchange } from '../exchange.ts';
import { canonicalModel, compileModelPattern, type ModelPattern } from '../fields/model-name.ts';
import { backendAuth } from '../policies/backendAuth.ts';
import type { ValueRule } from '../routes/rules.ts';
import { headersHold } from '../routes/rules.ts';
import type { BackendScope } from './ai-backend.ts';
import type { PolicyLayer } from './policy-stack.ts';
import { formatsOf, type ProviderTarget } from './provider-target.ts';
import { valueRuleOf } from './routes.ts';
import { createAiTarget } from './targets.ts';
import { PlanError } from './upstreams.ts';

interface ModelRow {
  readonly pattern: ModelPattern;
  readonly isPublic: boolean;
  /** One of them must hold; none asks for nothing. */
  readonly headers: readonly (readonly ValueRule[])[];
  readonly target: Target;
}

type Chooser = (exchange: Exchange, random: () => number) => readonly Target[];

/** `listener`: the policies of the listener that serves these models. */
export function compileLlm(llm: LlmConfig, listener: PolicyLayer, scope: BackendScope, random: () => number): AiBackend {
  const outer: PolicyLayer[] = [listener, { options: llm.policies, place: 'route', yamlPath: 'llm.policies', stateKey: 'llm' }];
  const rows = llm.models.map((model, index) => rowOf(model, `llm.models[${index}]`, outer, llm, scope)).sort(mostFixedFirst);
  const virtual = new Map(llm.virtualModels.map((model) => [canonicalModel(model.name), chooserOf(model, rows)]));
  const targets = rows.map((row) => row.target);
  const publicRows = rows.filter((row) => row.isPublic);

  return {
    targets,
    targetsFor(requested, exchange) {
      if (requested === undefined) return publicRows.filter((row) => headersFit(row, exchange)).map((row) => row.target);
      const choose = virtual.get(canonicalModel(requested));
      if (choose !== undefined) return choose(exchange, random);
      const found = rowsNamed(publicRows, requested, exchange);
      if (found.length > 0) return found.map((row) => row.target);
      throw new GatewayError('model_not_found', `Model not found: no entry of llm.models takes '${requested}'`);
    },
    addedModels: addedBy(rows, llm.virtualModels),
    listsModel: (name) => publicRows.some((row) => row.pattern.matches(name)),
    pathOf: ({ path }) => path,
    routeTypeOf: () => undefined,
    openPaths: scope.openPaths,
    needsModel: true,
  };
}

/** By the number of fixed characters, most first, then file order: a name has no other advantage over a pattern (agentgateway types/local.rs). */
function mostFixedFirst(first: ModelRow, second: ModelRow): number {
  return second.pattern.fixedLength - first.pattern.fixedLength;
}

/** The first row that takes the model, and those of the same name beside it: several boxes for one name. */
function rowsNamed(rows: readonly ModelRow[], model: string, exchange: Exchange): readonly ModelRow[] {
  const holds = (row: ModelRow) => row.pattern.matches(model) && headersFit(row, exchange);
  const first = rows.find(holds);
  return first === undefined ? [] : rows.filter((row) => row.pattern.text === first.pattern.text && holds(row));
}

function headersFit({ headers }: ModelRow, exchange: Exchange): boolean {
  return headers.length === 0 || headers.some((rules) => headersHold(rules, exchange));
}

function chooserOf({ name, routing }: VirtualModelConfig, rows: readonly ModelRow[]): Chooser {
  const resolve = (model: string): readonly Target[] => {
    const first = rows.find((row) => row.pattern.matches(model));
    if (first === undefined)
      throw new PlanError(`llm.virtualModels: "${name}" names the model "${model}", which no entry of llm.models takes`);
    return rows.filter((row) => row.pattern.text === first.pattern.text).map((row) => askedFor(row.target, model));
  };
  if (routing.kind === 'failover') {
    const ordered = routing.targets.flatMap(({ model, priority }) =>
      resolve(model).map((target) => ({ ...target, group: priority })),
    );
    return () => ordered;
  }
  const choices = routing.targets.map(({ model, weight }) => ({ weight, targets: resolve(model) }));
  const total = choices.reduce((sum, { weight }) => sum + weight, 0);
  return (_exchange, random) => {
    let rest = random() * total;
    for (const { weight, targets } of choices) {
      rest -= weight;
      if (weight > 0 && rest < 0) return targets;
    }
    return choices.find(({ weight }) => weight > 0)?.targets ?? [];
  };
}

/** The target as if the client had asked for this model itself. */
function askedFor(target: Target, model: string): Target {
  return { ...target, modelFor: (_virtual, isBox) => target.modelFor(model, isBox) };
}

function addedBy(rows: readonly ModelRow[], virtualModels: readonly VirtualModelConfig[]): readonly AddedModel[] {
  const named = rows
    .filter((row) => row.isPublic && !row.pattern.hasStar)
    .map(({ pattern, target }) => ({ name: pattern.text, target: target.declares ?? pattern.text }));
  const virtual = virtualModels.map(({ name, routing }) => ({
    name,
    target: routing.targets.length === 1 ? modelBehind(routing.targets[0]?.model, rows) : undefined,
  }));
  return [...new Map([...named, ...virtual].map((model) => [model.name, model])).values()];
}

/** What the boxes call a model of `llm.models`. */
function modelBehind(name: string | undefined, rows: readonly ModelRow[]): string | undefined {
  return name === undefined ? undefined : (rows.find((row) => row.pattern.matches(name))?.target.declares ?? name);
}

function rowOf(
  model: LlmModelConfig,
  yamlPath: string,
  outer: readonly PolicyLayer[],
  llm: LlmConfig,
  scope: BackendScope,
): ModelRow {
  const shared = sharedProviderOf(model.provider, llm, yamlPath);
  const provider = shared === undefined ? model.provider : shared.config.provider;
  if (provider.kind === 'reference') throw new PlanError(`${yamlPath}.provider: references cannot be chained`);
  const params = { ...shared?.config.params, ...withoutUndefined(model.params) } as LlmParams;
  const layers: PolicyLayer[] = [
    ...outer,
    ...(shared === undefined ? [] : [backendLayer(shared.config.defaults.policies, `${shared.yamlPath}.defaults`, model.name)]),
    backendLayer(model.policies, yamlPath, model.name),
  ];
  if (params.apiKey !== undefined)
    layers.splice(
      outer.length,
      0,
      backendLayer({ backendAuth: backendAuth.options.parse({ key: params.apiKey }) }, yamlPath, model.name),
    );
  return {
    pattern: compileModelPattern(model.name),
    isPublic: model.visibility === 'public',
    headers: model.matches.map(({ headers }) => headers.map(valueRuleOf)),
    target: createAiTarget(providerTargetFor(shared?.config.name ?? shownName(model.name, provider), provider, params), {
      upstreams: scope.upstreams,
      surroundings: scope.surroundings,
      layers,
      weight: undefined,
      group: 0,
      yamlPath,
    }),
  };
}

function backendLayer(options: PolicyOptions, yamlPath: string, modelName: string): PolicyLayer {
  return { options, place: 'backend', yamlPath, stateKey: `llm/${modelName}` };
}

function sharedProviderOf(
  provider: ProviderConfig,
  llm: LlmConfig,
  yamlPath: string,
): { config: LlmProviderConfig; yamlPath: string } | undefined {
  if (provider.kind !== 'reference') return undefined;
  const index = llm.providers.findIndex(({ name }) => name === provider.name);
  const config = llm.providers[index];
  if (config === undefined) throw new PlanError(`${yamlPath}.provider: there is no provider named "${provider.name}"`);
  return { config, yamlPath: `llm.providers[${index}]` };
}

/** What people know an upstream by that has no name of its own in the YAML. */
function shownName(modelName: string, provider: ProviderConfig): string {
  if (provider.kind === 'preset') return provider.preset;
  return provider.kind === 'custom' ? (provider.providerOverride ?? modelName) : modelName;
}

/** Where a model's provider is: at the preset's address unless the parameters give another. */
function providerTargetFor(
  name: string,
  provider: Exclude<ProviderConfig, { kind: 'reference' }>,
  params: LlmParams,
): ProviderTarget {
  const preset = provider.kind === 'preset' ? presets[provider.preset] : undefined;
  const base = params.baseUrl ?? (preset === undefined ? undefined : partsOf(preset.baseUrl));
  const address =
    params.hostOverride === undefined
      ? base === undefined
        ? undefined
        : { scheme: base.scheme, authority: base.authority }
      : { scheme: undefined, authority: params.hostOverride.authority };
  return {
    name,
    provider,
    address,
    // An address without a path says nothing about the path.
    pathPrefix: params.pathPrefix ?? (base?.path || undefined),
    pathOverride: params.pathOverride,
    formats: formatsOf(provider),
    model: params.model ?? (provider.kind === 'preset' ? undefined : provider.model),
    modelIsFixed: params.model !== undefined,
    tokenize: params.tokenize,
  };
}

function partsOf(baseUrl: string): { scheme: 'http' | 'https'; authority: string; path: string } {
  const { protocol, host, port, pathname } = new URL(baseUrl);
  const scheme = protocol === 'https:' ? 'https' : 'http';
  return {
    scheme,
    authority: port === '' ? `${host}:${scheme === 'https' ? 443 : 80}` : host,
    path: pathname.replace(/\/+$/, ''),
  };
}

function withoutUndefined<Value extends object>(value: Value): Partial<Value> {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as Partial<Value>;
}
