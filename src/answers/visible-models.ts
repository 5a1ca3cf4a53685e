/** Which models somebody may see: those of the backend's boxes, and what the configuration adds; keys and the cloud rule apply. */
import type { AddedModel, AiBackend } from '../backends/target.ts';
import type { Exchange, KnownModel, Upstream } from '../exchange.ts';
import { canonicalModel, isCloudModel, isModelAllowed } from '../fields/model-name.ts';
import { demoModel } from '../fleet/demo/demo.ts';
import type { ExtraModel } from '../protocols/model-lists.ts';
import type { AnswerTools } from './tools.ts';

export interface VisibleModels {
  readonly models: readonly KnownModel[];
  readonly extras: readonly ExtraModel[];
}

export function boxesOf(ai: AiBackend, { fleet }: AnswerTools): readonly Upstream[] {
  return [...new Set(ai.targets.map((target) => target.upstream))].filter((upstream) => fleet.isBox(upstream));
}

export function visibleModels(exchange: Exchange, ai: AiBackend, tools: AnswerTools): VisibleModels {
  const names = new Set(boxesOf(ai, tools).map((box) => box.name));
  const maySee = visibilityOf(exchange, tools, ai);
  const known = tools.fleet
    .models()
    .filter(({ boxNames }) => boxNames.some((name) => names.has(name)))
    .map(({ model }) => model)
    .filter((model) => tools.limits.allowCloudModels || model.remoteHost === undefined);
  const models = known.filter((model) => ai.listsModel(model.name) && maySee(model.name));
  const demo = isDemoOpen(tools) && maySee('demo') ? [demoModel] : [];
  return {
    models: [...models, ...demo],
    extras: ai.addedModels.filter(({ name }) => maySee(name)).map((added) => extraOf(added, known)),
  };
}

/** The built-in box answers only as long as no real one does. */
export function isDemoOpen({ hasDemo, fleet }: AnswerTools): boolean {
  return hasDemo && !fleet.hasAnsweringBox();
}

/** By the client's key, by the cloud rule, and where a backend is given by the rules of its models. */
export function visibilityOf(exchange: Exchange, { limits }: AnswerTools, ai?: AiBackend): (name: string) => boolean {
  const patterns = exchange.identity?.allowedModels;
  return (name) =>
    (patterns === undefined || isModelAllowed(patterns, name)) &&
    (limits.allowCloudModels || !isCloudModel(name)) &&
    ai?.mayUse?.(name, exchange) !== false;
}

function extraOf({ name, target }: AddedModel, known: readonly KnownModel[]): ExtraModel {
  if (target === undefined) return { name };
  const wanted = canonicalModel(target);
  return { name, target: known.find((model) => canonicalModel(model.name) === wanted) };
}
