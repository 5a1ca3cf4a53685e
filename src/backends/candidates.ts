/** The order in which targets are tried. Pure: what is known of the boxes comes in, an order comes out. */
import type { Fleet } from '../exchange.ts';
import { canonicalModel } from '../fields/model-name.ts';
import type { Candidate, Target } from './target.ts';

interface Ranked {
  readonly target: Target;
  readonly model: string | undefined;
  readonly position: number;
  /** 0 has the model or is configured for it, 1 unknown, 2 known not to have it. */
  readonly fitness: number;
  readonly isDown: boolean;
  readonly isResident: boolean;
  readonly inFlight: number;
  readonly draw: number;
}

/**
 * Targets in the order to try: boxes that answer before boxes that do not, then failover groups, then those that have the
 * model, then (where no weights are written) the ones that have it in memory and are idle, then file order. Those that are
 * known not to have the model are the last resort, as long as another may have it: lists are some seconds old.
 */
export function orderCandidates(
  targets: readonly Target[],
  requested: string | undefined,
  fleet: Fleet,
  random: () => number,
): readonly Candidate[] {
  const [only] = targets;
  if (targets.length === 1 && only !== undefined && only.weight !== 0)
    return [{ target: only, model: only.modelFor(requested, fleet.isBox(only.upstream)), isLastResort: false }];
  const isWeighted = targets.some((target) => target.weight !== undefined);
  const ranked = targets
    .filter((target) => target.weight !== 0)
    .map((target, position) => rank(target, position, requested, fleet, isWeighted ? drawFor(target, random) : 0));
  // A box that is down and was never known to have the model is no reason to keep quiet about the boxes that have not got it.
  const mayHaveIt = ranked.some((one) => one.fitness === 0 || (one.fitness === 1 && !one.isDown));
  const isLastResort = (one: Ranked) => mayHaveIt && one.fitness === 2;
  const compare = isWeighted ? compareWeighted : requested === undefined ? compareListed : comparePlaced;
  return ranked
    .sort((first, second) => Number(isLastResort(first)) - Number(isLastResort(second)) || compare(first, second))
    .map((one) => ({ target: one.target, model: one.model, isLastResort: isLastResort(one) }));
}

function rank(target: Target, position: number, requested: string | undefined, fleet: Fleet, draw: number): Ranked {
  const { upstream } = target;
  const model = target.modelFor(requested, fleet.isBox(upstream));
  const name = model === undefined ? undefined : canonicalModel(model);
  const has = name === undefined ? undefined : fleet.hasModel(upstream, name);
  const declares = name !== undefined && target.declares !== undefined && canonicalModel(target.declares) === name;
  return {
    target,
    model,
    position,
    fitness: has === false ? 2 : has === true || declares ? 0 : 1,
    isDown: fleet.isAlive(upstream) === false,
    isResident: name !== undefined && fleet.isResident(upstream, name) === true,
    inFlight: fleet.inFlight(upstream),
    draw,
  };
}

/** Efraimidis and Spirakis: sorting by u^(1/w), greatest first, draws without replacement in proportion to the weights. */
function drawFor(target: Target, random: () => number): number {
  return random() ** (1 / (target.weight ?? 1));
}

function compareWeighted(first: Ranked, second: Ranked): number {
  return (
    Number(first.isDown) - Number(second.isDown) ||
    first.target.group - second.target.group ||
    first.fitness - second.fitness ||
    second.draw - first.draw
  );
}

/** The client left the choice to the configuration: the first target that answers gives its own default. */
function compareListed(first: Ranked, second: Ranked): number {
  return (
    Number(first.isDown) - Number(second.isDown) || first.target.group - second.target.group || first.position - second.position
  );
}

function comparePlaced(first: Ranked, second: Ranked): number {
  return (
    Number(first.isDown) - Number(second.isDown) ||
    first.target.group - second.target.group ||
    first.fitness - second.fitness ||
    Number(second.isResident) - Number(first.isResident) ||
    first.inFlight - second.inFlight ||
    first.position - second.position
  );
}
