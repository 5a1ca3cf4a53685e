/** `ai` backends: one provider or groups of them, several of a route together, several equal routes as one. */
import type { AddedModel, AiBackend, Backend, OpenPaths, Target } from '../backends/target.ts';
import type { AiConfig, AiProviderConfig, Config, PolicyOptions, RouteBackendConfig } from '../config/schema.ts';
import { type AiOptions, compileRouteTypes } from '../policies/ai.ts';
import { type AttachedPolicies, mergeOptions } from './attached.ts';
import { compilePathRewrite } from './paths.ts';
import { aiOptionsOf, type PolicyLayer, type PolicySurroundings } from './policy-stack.ts';
import { createAiTarget, createHostTarget, providerTargetOf } from './targets.ts';
import { warnOfTokenLimits, warnOfWholeAnswers } from './traps.ts';
import { PlanError, type Upstreams } from './upstreams.ts';

export interface BackendScope {
  readonly config: Config;
  readonly upstreams: Upstreams;
  readonly surroundings: PolicySurroundings;
  readonly openPaths: OpenPaths;
  readonly attached: AttachedPolicies;
}

/** What a route ends in. `outer`: the listener's layer of policies and the route's. */
export function compileBackends(
  backends: readonly RouteBackendConfig[],
  outer: readonly PolicyLayer[],
  yamlPath: string,
  scope: BackendScope,
): Backend {
  if (backends.length === 0) return { kind: 'none' };
  const isWeighted = backends.some(({ weight }) => weight !== undefined);
  const compiled = backends.map((backend, index) => {
    const weight = isWeighted ? (backend.weight ?? 1) : undefined;
    return { weight, backend: compileOne(backend, weight, outer, `${yamlPath}[${index}]`, scope) };
  });
  const [first] = compiled;
  if (compiled.length === 1 && first !== undefined) return first.backend;
  const ais = compiled.flatMap(({ backend }) => (backend.kind === 'ai' ? [backend.ai] : []));
  if (ais.length === compiled.length) return { kind: 'ai', ai: mergeAiBackends(ais, { sharesLoad: true }) };
  const hosts = compiled.flatMap(({ backend }) => (backend.kind === 'host' ? backend.targets : []));
  if (ais.length === 0) return { kind: 'host', targets: hosts };
  return { kind: 'weighted', choices: compiled.map(({ weight, backend }) => ({ weight: weight ?? 1, backend })) };
}

function compileOne(
  { target, policies }: Pick<RouteBackendConfig, 'target' | 'policies'>,
  weight: number | undefined,
  outer: readonly PolicyLayer[],
  yamlPath: string,
  scope: BackendScope,
  /** Of the top-level entry that this is. */
  name?: string,
): Backend {
  const layers = [...outer, backendLayer(policies, `${yamlPath}.policies`)];
  switch (target.kind) {
    case 'host':
      warnOfTokenLimits(layers, target.host.authority, scope.surroundings.warn);
      return { kind: 'host', targets: [createHostTarget(target.host, { ...scope, layers, weight, group: 0, yamlPath })] };
    case 'ai':
      return { kind: 'ai', ai: compileAi(target.ai, layers, weight, `${yamlPath}.ai`, scope, name) };
    case 'reference': {
      const index = scope.config.backends.findIndex(({ name }) => name === target.name);
      const named = scope.config.backends[index];
      if (named === undefined) throw new PlanError(`${yamlPath}.backend: there is no backend named "${target.name}"`);
      // The reference's own policies are nearer to the route than those of what it names; the latter are the innermost.
      const policies = mergeOptions(scope.attached.forBackend(named.name), named.policies);
      return compileOne({ target: named.target, policies }, weight, layers, `backends[${index}]`, scope, named.name);
    }
    case 'routeGroup':
      throw new PlanError(`${yamlPath}.routeGroup: a routeGroup stands alone; give other backends routes of their own in it`);
  }
}

function backendLayer(options: PolicyOptions, yamlPath: string): PolicyLayer {
  return { options, place: 'backend', yamlPath, stateKey: yamlPath };
}

function compileAi(
  { groups, isGrouped }: AiConfig,
  layers: readonly PolicyLayer[],
  weight: number | undefined,
  yamlPath: string,
  scope: BackendScope,
  name: string | undefined,
): AiBackend {
  const pool = {};
  warnOfWholeAnswers(layers.filter(isOwn), scope.surroundings.warn);
  const targets = groups.flatMap(({ providers }, group) =>
    providers.map((provider, index) => {
      const place = isGrouped ? `${yamlPath}.groups[${group}].providers[${index}]` : yamlPath;
      const policies = providerPoliciesOf(provider, name, scope);
      const own = isGrouped || Object.keys(policies).length > 0 ? [backendLayer(policies, `${place}.policies`)] : [];
      warnOfWholeAnswers(own, scope.surroundings.warn);
      return createAiTarget(providerTargetOf(provider), {
        ...scope,
        layers: [...layers, ...own],
        // A weight is the backend's share, not that of each of its providers.
        weight: weight === undefined ? undefined : weight / providers.length,
        group,
        failsOver: groups.length > 1,
        pool,
        yamlPath: place,
      });
    }),
  );
  return aiBackendOf(targets, layers, scope);
}

function isOwn({ place }: PolicyLayer): boolean {
  return place === 'backend';
}

/** A provider's own policies, over those that are attached to it by its name. `backend`: the top-level entry that it belongs to. */
export function providerPoliciesOf(
  { name, policies }: Pick<AiProviderConfig, 'name' | 'policies'>,
  backend: string | undefined,
  { attached }: Pick<BackendScope, 'attached'>,
): PolicyOptions {
  return backend === undefined ? policies : mergeOptions(attached.forBackend(backend, name), policies);
}

function aiBackendOf(targets: readonly Target[], layers: readonly PolicyLayer[], scope: BackendScope): AiBackend {
  const ai = aiOptionsOf(layers);
  const rewrite = compilePathRewrite(layers);
  return {
    targets,
    targetsFor: () => targets,
    addedModels: aliasesOf(ai),
    listsModel: () => true,
    pathOf: ({ path, matchedPrefix }) => rewrite(path, matchedPrefix),
    routeTypeOf: compileRouteTypes(ai.routes),
    openPaths: scope.openPaths,
    needsModel: false,
  };
}

function aliasesOf({ modelAliases = {} }: AiOptions): readonly AddedModel[] {
  return Object.entries(modelAliases)
    .filter(([name]) => !name.includes('*'))
    .map(([name, target]) => ({ name, target }));
}

/**
 * Several backends as one: their targets in file order; what only one of them can say is the first one's. Backends of one
 * route share its load; of those of equal routes the first in the file serves what all of them could.
 */
export function mergeAiBackends(backends: readonly AiBackend[], { sharesLoad = false } = {}): AiBackend {
  const [first] = backends;
  if (first === undefined) throw new Error('nothing to merge');
  const pool = {};
  const all = backends.flatMap((backend) => backend.targets);
  const targets = sharesLoad ? all.map((target) => ({ ...target, pool })) : all;
  const added = new Map(backends.flatMap((backend) => backend.addedModels).map((model) => [model.name, model]));
  return { ...first, targets, targetsFor: () => targets, addedModels: [...added.values()] };
}
