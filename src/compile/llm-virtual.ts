/** Virtual models: names that stand for several models of `llm.models`, and how one of them is chosen for a request. */
import type { Target } from '../backends/target.ts';
import type { VirtualModelConfig, VirtualRouting } from '../config/schema.ts';
import { GatewayError } from '../errors.ts';
import type { Exchange } from '../exchange.ts';
import { type ModelRow, rowsFor } from './llm-rows.ts';
import { PlanError } from './upstreams.ts';

/** The targets that may serve this request, in the order of the file. Throws GatewayError where none may. */
type Chooser = (exchange: Exchange, random: () => number) => readonly Target[];

export interface VirtualModel {
  readonly choose: Chooser;
  /** Those that only it has: with a health and a group of their own. */
  readonly ownTargets: readonly Target[];
}

/** `warn`: for what works and is probably not meant. */
export function compileVirtualModel(
  { name, routing }: VirtualModelConfig,
  rows: readonly ModelRow[],
  warn: (message: string) => void,
): VirtualModel {
  for (const { model } of routing.targets) {
    if (!rows.some((row) => row.pattern.matches(model)))
      throw new PlanError(`llm.virtualModels: "${name}" names the model "${model}", which no entry of llm.models takes`);
  }
  switch (routing.kind) {
    case 'weighted':
      return { choose: weighted(routing, rows, warn), ownTargets: [] };
    case 'conditional':
      return { choose: conditional(name, routing, rows), ownTargets: [] };
    case 'failover':
      return failover(name, routing, rows, warn);
  }
}

/**
 * The choice is made once for a request; what is chosen is asked for as if the client had named it. Those that are evicted are
 * drawn only when all are (agentgateway types/loadbalancer.rs).
 */
function weighted(
  { targets }: Extract<VirtualRouting, { kind: 'weighted' }>,
  rows: readonly ModelRow[],
  warn: (message: string) => void,
): Chooser {
  const choices = targets.filter(({ weight }) => weight > 0);
  if (choices.length === 0) warn('every weight is 0: nothing is ever served');
  const taking = rows.filter(({ pattern }) => choices.some(({ model }) => pattern.matches(model)));
  return (exchange, random) => {
    const nowMs = exchange.clock.now();
    // Nearly always nothing is evicted, and no rule of a row is asked twice.
    const able = taking.some((row) => isEvicted(row, nowMs))
      ? choices.filter(({ model }) => mayServe(rows, model, exchange, nowMs))
      : choices;
    const drawn = able.length === 0 ? choices : able;
    let rest = random() * drawn.reduce((sum, { weight }) => sum + weight, 0);
    for (const { model, weight } of drawn) {
      rest -= weight;
      if (rest < 0) return targetsNamed(rows, model, exchange);
    }
    return [];
  };
}

/** A model that this client may not use is no less likely for that: it is told so as ever. */
function mayServe(rows: readonly ModelRow[], model: string, exchange: Exchange, nowMs: number): boolean {
  try {
    const found = rowsFor(rows, model, exchange);
    return found.length === 0 || found.some((row) => !isEvicted(row, nowMs));
  } catch {
    return true;
  }
}

function isEvicted({ target }: ModelRow, nowMs: number): boolean {
  return target.health?.isEvicted(nowMs) === true;
}

function conditional(
  name: string,
  { targets }: Extract<VirtualRouting, { kind: 'conditional' }>,
  rows: readonly ModelRow[],
): Chooser {
  return (exchange) => {
    const found = targets.find(({ when }) => when === undefined || when === null || when.holds(exchange));
    if (found !== undefined) return targetsNamed(rows, found.model, exchange);
    throw new GatewayError(
      'virtual_model_no_matching_target',
      `no condition of the model '${name}' holds for this request, and it has no target without one`,
    );
  };
}

/** All targets, priorities as groups: the loop over them moves on within the request. */
function failover(
  name: string,
  { targets }: Extract<VirtualRouting, { kind: 'failover' }>,
  rows: readonly ModelRow[],
  warn: (message: string) => void,
): VirtualModel {
  const pool = {};
  // Made here and not when they are asked for: what is kept of their health would not outlive a reload otherwise.
  const choices = targets.map(({ model, priority }) => {
    const taking = rows.filter((row) => row.pattern.matches(model));
    const byRow = new Map(taking.map((row) => [row, fallbackTo(row, model, priority, pool)] as const));
    return { model, byRow };
  });
  const ownTargets = choices.flatMap(({ byRow }) => [...byRow.values()]);
  const upstreams = new Set(ownTargets.map(({ upstream }) => upstream));
  if (upstreams.size === 1 && targets.length > 1)
    warn(`all its targets are at ${[...upstreams].map((upstream) => upstream.name).join()}: when that fails, all of them do`);
  const choose: Chooser = (exchange) => {
    let refusal: unknown;
    const found = choices.flatMap(({ model, byRow }) => {
      try {
        return rowsFor(rows, model, exchange).flatMap((row) => byRow.get(row) ?? []);
      } catch (thrown) {
        // One that this client may not use is no reason to keep the others from it.
        refusal = thrown;
        return [];
      }
    });
    if (found.length > 0) return found;
    throw (
      refusal ?? new GatewayError('model_not_found', `Model not found: none of the models behind '${name}' takes this request`)
    );
  };
  return { choose, ownTargets };
}

function fallbackTo(row: ModelRow, model: string, group: number, pool: object): Target {
  const health = row.healthFor(row.target.declares ?? model);
  return { ...askedFor(row.target, model), group, failsOver: true, pool, health };
}

function targetsNamed(rows: readonly ModelRow[], model: string, exchange: Exchange): readonly Target[] {
  const found = rowsFor(rows, model, exchange);
  if (found.length === 0)
    throw new GatewayError('model_not_found', `Model not found: no entry of llm.models takes '${model}' here`);
  return found.map((row) => askedFor(row.target, model));
}

/** The target as if the client had asked for this model itself. */
function askedFor(target: Target, model: string): Target {
  return { ...target, modelFor: (_virtual, isBox) => target.modelFor(model, isBox) };
}
