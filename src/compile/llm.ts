/** The `llm` dialect: a table of models, each with its provider, as one `ai` backend that chooses by the request's model. */
import type { AddedModel, AiBackend } from '../backends/target.ts';
import type { LlmConfig, VirtualModelConfig } from '../config/schema.ts';
import { GatewayError } from '../errors.ts';
import { canonicalModel } from '../fields/model-name.ts';
import type { BackendScope } from './ai-backend.ts';
import { compileRows, isUsable, type ModelRow, rowsFor, rowsWithoutName } from './llm-rows.ts';
import { compileVirtualModel } from './llm-virtual.ts';
import type { PolicyLayer } from './policy-stack.ts';

/** `listener`: the policies of the listener that serves these models. */
export function compileLlm(llm: LlmConfig, listener: PolicyLayer, scope: BackendScope, random: () => number): AiBackend {
  const outer: PolicyLayer[] = [
    listener,
    { options: llm.policies, place: 'route', yamlPath: 'llm.policies', stateKey: `${listener.stateKey}//llm` },
  ];
  const rows = compileRows(llm, outer, scope);
  const virtual = new Map(
    llm.virtualModels.map((model, index) => {
      const warn = (message: string) => scope.surroundings.warn(`llm.virtualModels[${index}]`, message);
      return [canonicalModel(model.name), compileVirtualModel(model, rows, warn)] as const;
    }),
  );
  const publicRows = rows.filter((row) => row.isPublic);
  const hasRules = publicRows.some((row) => row.mayUse !== undefined);

  return {
    targets: rows.map((row) => row.target),
    targetsFor(requested, exchange) {
      if (requested === undefined) {
        const usable = rowsWithoutName(publicRows, exchange);
        if (usable.length > 0) return usable.map((row) => row.target);
        throw new GatewayError('missing_model', 'the request names no model: send "model", with a name that llm.models takes');
      }
      const behind = virtual.get(canonicalModel(requested));
      if (behind !== undefined) return behind.choose(exchange, random);
      const found = rowsFor(publicRows, requested, exchange);
      if (found.length > 0) return found.map((row) => row.target);
      throw new GatewayError('model_not_found', `Model not found: no entry of llm.models takes '${requested}'`);
    },
    ...(hasRules
      ? {
          mayUse: (name, exchange) =>
            virtual.has(canonicalModel(name)) || publicRows.some((row) => row.pattern.matches(name) && isUsable(row, exchange)),
        }
      : {}),
    virtualTargets: new Map(llm.virtualModels.map(({ name }) => [name, virtual.get(canonicalModel(name))?.ownTargets ?? []])),
    addedModels: addedBy(rows, llm.virtualModels),
    listsModel: (name) => publicRows.some((row) => row.pattern.matches(name)),
    pathOf: ({ path }) => path,
    routeTypeOf: () => undefined,
    openPaths: scope.openPaths,
    needsModel: true,
  };
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
