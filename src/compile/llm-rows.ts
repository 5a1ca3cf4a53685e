/** The rows of `llm.models`: which names each takes, for whom, and where it sends them. */
import type { TargetHealth } from '../backends/health.ts';
import type { Target } from '../backends/target.ts';
import type { LlmConfig, LlmModelConfig, LlmParams, PolicyOptions } from '../config/schema.ts';
import { GatewayError } from '../errors.ts';
import type { Exchange } from '../exchange.ts';
import { compileModelPattern, type ModelPattern } from '../fields/model-name.ts';
import { type Verdict, verdictOf, warnOfAbsences } from '../policies/authorization-rules.ts';
import { backendAuth } from '../policies/backendAuth.ts';
import type { ValueRule } from '../routes/rules.ts';
import { headersHold } from '../routes/rules.ts';
import type { BackendScope } from './ai-backend.ts';
import { providerTargetFor, sharedProviderOf, shownName } from './llm-provider.ts';
import { aiOptionsOf, type PolicyLayer } from './policy-stack.ts';
import { valueRuleOf } from './routes.ts';
import { targetHealthOf } from './target-health.ts';
import { createAiTarget } from './targets.ts';
import { PlanError } from './upstreams.ts';

export interface ModelRow {
  readonly pattern: ModelPattern;
  readonly isPublic: boolean;
  /** One of them must hold; none asks for nothing. */
  readonly headers: readonly (readonly ValueRule[])[];
  /** Undefined: everybody may use it. */
  readonly mayUse: Verdict | undefined;
  readonly target: Target;
  /** For a model of its own among those that the target serves. */
  healthFor(model: string): TargetHealth | undefined;
}

/** In the order in which they are asked: by the number of fixed characters, most first, then file order (agentgateway types/local.rs). */
export function compileRows(llm: LlmConfig, outer: readonly PolicyLayer[], scope: BackendScope): readonly ModelRow[] {
  const rows = llm.models.map((model, index) => rowOf(model, `llm.models[${index}]`, outer, llm, scope));
  for (const [index, row] of rows.entries()) {
    const open = row.mayUse === undefined ? undefined : rows.find((other) => isOpenWayTo(row, other));
    if (open === undefined) continue;
    const message = `does not keep anybody from the name: whoever the rules refuse is served by "${open.pattern.text}", which takes it as well and has none`;
    scope.surroundings.warn(`llm.models[${index}].authorization`, message);
  }
  return rows.sort((first, second) => second.pattern.fixedLength - first.pattern.fixedLength);
}

/** Whether the other entry takes every request for the name of this one, whoever asks. */
function isOpenWayTo({ pattern, isPublic }: ModelRow, other: ModelRow): boolean {
  if (other.mayUse !== undefined || other.headers.length > 0 || other.isPublic !== isPublic) return false;
  return other.pattern.matches(pattern.text.replace('*', ''));
}

/**
 * The first row that takes the model for this client, and those of the same name beside it: several boxes for one name.
 * Empty where no row takes it; throws model_authorization_denied where one would, for somebody else.
 */
export function rowsFor(rows: readonly ModelRow[], model: string, exchange: Exchange): readonly ModelRow[] {
  const taking = rows.filter((row) => row.pattern.matches(model) && headersFit(row, exchange));
  const first = taking.find((row) => isUsable(row, exchange));
  if (first === undefined && taking.length > 0)
    throw new GatewayError('model_authorization_denied', `you may not use the model '${model}'`);
  return taking.filter((row) => row.pattern.text === first?.pattern.text && isUsable(row, exchange));
}

/** For requests that name no model. Throws model_authorization_denied where all rows are for somebody else. */
export function rowsWithoutName(rows: readonly ModelRow[], exchange: Exchange): readonly ModelRow[] {
  const fitting = rows.filter((row) => headersFit(row, exchange));
  const usable = fitting.filter((row) => isUsable(row, exchange));
  if (usable.length === 0 && fitting.length > 0)
    throw new GatewayError('model_authorization_denied', 'you may use none of the models');
  return usable;
}

export function isUsable({ mayUse }: ModelRow, exchange: Exchange): boolean {
  return mayUse === undefined || mayUse(exchange);
}

function headersFit({ headers }: ModelRow, exchange: Exchange): boolean {
  return headers.length === 0 || headers.some((rules) => headersHold(rules, exchange));
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
    ...(params.apiKey === undefined ? [] : [backendLayer(keyOf(params.apiKey), yamlPath, model)]),
    ...(shared === undefined ? [] : [backendLayer(shared.config.defaults.policies, `${shared.yamlPath}.defaults`, model)]),
    backendLayer(model.policies, yamlPath, model),
  ];
  const { surroundings } = scope;
  warnOfPassthrough(model, layers, (message) => surroundings.warn(yamlPath, message));
  const pattern = compileModelPattern(model.name);
  const served = createAiTarget(providerTargetFor(shared?.config.name ?? shownName(model.name, provider), provider, params), {
    upstreams: scope.upstreams,
    surroundings,
    layers,
    weight: undefined,
    group: 0,
    passthrough: model.passthrough,
    yamlPath,
  });
  const target: Target = { ...served, takes: (name) => pattern.matches(name) };
  return {
    pattern,
    isPublic: model.visibility === 'public',
    headers: model.matches.map(({ headers }) => headers.map(valueRuleOf)),
    mayUse: compileRules(model, (message) => surroundings.warn(`${yamlPath}.authorization`, message)),
    target,
    healthFor: (name) => targetHealthOf(target.upstream, name, { ...scope, layers }, true),
  };
}

function compileRules({ authorization }: LlmModelConfig, warn: (message: string) => void): Verdict | undefined {
  if (authorization === undefined || authorization.rules.length === 0) return undefined;
  warnOfAbsences(authorization.rules, 'attempt', warn);
  return verdictOf(authorization.rules);
}

/** What is written down and does nothing on a model whose calls pass as they came. */
function warnOfPassthrough(
  { passthrough, params }: LlmModelConfig,
  layers: readonly PolicyLayer[],
  warn: (message: string) => void,
): void {
  if (passthrough === undefined) return;
  const idle = Object.entries(aiOptionsOf(layers)).flatMap(([name, value]) =>
    value === undefined ? [] : [keyOfMember[name] ?? name],
  );
  if (params.model !== undefined) idle.push('params.model');
  if (idle.length > 0)
    warn(`passthrough: ${passthrough} leaves bodies as they are, so these do nothing here: ${idle.join(', ')}`);
}

const keyOfMember: Readonly<Record<string, string>> = {
  transformations: 'transformation',
  finalTransformations: 'finalTransformation',
  promptGuard: 'guardrails',
};

function keyOf(key: LlmParams['apiKey']): PolicyOptions {
  return { backendAuth: backendAuth.options.parse({ key }) };
}

function backendLayer(options: PolicyOptions, yamlPath: string, { name }: LlmModelConfig): PolicyLayer {
  return { options, place: 'backend', yamlPath, stateKey: `llm/${name}` };
}

function withoutUndefined<Value extends object>(value: Value): Partial<Value> {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as Partial<Value>;
}
