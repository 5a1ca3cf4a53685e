/** The order in which targets are tried. Pure: what is known of the boxes and of the request comes in, an order comes out. */
import type { Exchange, Fleet } from '../exchange.ts';
import { canonicalModel } from '../fields/model-name.ts';
import { affinityDraw } from './affinity.ts';
import { type Placeable, placeByPrediction } from './placement.ts';
import { isSpokenToAsBox } from './speech.ts';
import type { Candidate, Target } from './target.ts';

interface Ranked extends Placeable {
  readonly position: number;
  /** 0 has the model or is configured for it, 1 unknown, 2 known not to have it. */
  readonly fitness: number;
  /** 0 may serve, 1 is evicted for its last answers or has failed with this model, 2 is down, 3 is out of service. */
  readonly trouble: number;
  readonly isResident: boolean;
  readonly inFlight: number;
  readonly draw: number;
}

interface Known {
  readonly fleet: Fleet;
  readonly random: () => number;
  readonly exchange: Exchange;
}

/**
 * Targets in the order to try: those that answer before those that are evicted or down, then failover groups, then those that
 * have the model. Among equals: what a session belongs to, or written weights; else boxes by the predicted time to the first token,
 * and where too little is known for that, by what they have in memory and how idle they are, other upstreams by health and speed where the configuration lets them share the load; then file order.
 * Those that are known not to have the model are the last resort, as long as another may have it: lists are some seconds old.
 */
export function orderCandidates(
  targets: readonly Target[],
  requested: string | undefined,
  fleet: Fleet,
  random: () => number,
  exchange: Exchange,
): readonly Candidate[] {
  const [only] = targets;
  if (targets.length === 1 && only !== undefined && only.weight !== 0)
    return [
      { target: only, model: only.modelFor(requested, isSpokenToAsBox(only, exchange.protocol, fleet)), isLastResort: false },
    ];
  const known: Known = { fleet, random, exchange };
  const session = sessionOf(targets, exchange);
  const isDrawn = session !== undefined || targets.some((target) => target.weight !== undefined);
  const ranked = targets
    .filter((target) => target.weight !== 0)
    .map((target, position) => rank(target, position, requested, known, isDrawn ? drawFor(target, session, random) : 0));
  // A box that is down and was never known to have the model is no reason to keep quiet about the boxes that have not got it.
  const mayHaveIt = ranked.some((one) => one.fitness === 0 || (one.fitness === 1 && !one.isDown));
  const isLastResort = (one: Ranked) => mayHaveIt && one.fitness === 2;
  const compare = isDrawn ? compareDrawn : requested === undefined ? compareListed : comparePlaced;
  const sorted = ranked.sort(
    (first, second) => Number(isLastResort(first)) - Number(isLastResort(second)) || compare(first, second),
  );
  if (isDrawn) return sorted.map((one) => candidateOf(one, isLastResort(one)));
  const areAlike = (first: Ranked, second: Ranked) =>
    isLastResort(first) === isLastResort(second) && isAsGood(first, second) && first.fitness === second.fitness;
  const placed = requested === undefined ? sorted : placeByPrediction(sorted, areAlike, fleet, exchange);
  return shareLoad(placed, known).map((one) => candidateOf(one, isLastResort(one)));
}

function candidateOf({ target, model, prediction }: Ranked, isLastResort: boolean): Candidate {
  return prediction === undefined ? { target, model, isLastResort } : { target, model, isLastResort, prediction };
}

function isAsGood(first: Ranked, second: Ranked): boolean {
  return first.trouble === second.trouble && first.target.group === second.target.group;
}

function rank(target: Target, position: number, requested: string | undefined, known: Known, draw: number): Ranked {
  const { upstream } = target;
  const { fleet, exchange } = known;
  const isBox = isSpokenToAsBox(target, exchange.protocol, fleet);
  const model = target.modelFor(requested, isBox);
  const name = model === undefined ? undefined : canonicalModel(model);
  const has = name === undefined ? undefined : fleet.hasModel(upstream, name);
  const declares = name !== undefined && target.declares !== undefined && canonicalModel(target.declares) === name;
  const isDown = fleet.isAlive(upstream) === false;
  return {
    target,
    model,
    position,
    fitness: has === false ? 2 : has === true || declares ? 0 : 1,
    trouble: fleet.isCordoned(upstream) ? 3 : isDown ? 2 : isAvoided(target, name, known) ? 1 : 0,
    isDown,
    isBox,
    isResident: name !== undefined && fleet.isResident(upstream, name) === true,
    inFlight: fleet.inFlight(upstream),
    draw,
    prediction: undefined,
  };
}

/** It may serve, but has failed lately: by the rules of a `health` policy, or with this model. */
function isAvoided({ upstream, health }: Target, name: string | undefined, { fleet, exchange }: Known): boolean {
  return health?.isEvicted(exchange.clock.now()) === true || (name !== undefined && fleet.isTripped(upstream, name));
}

/** The value that tells this session apart; undefined when nobody asks, or the request has none. */
function sessionOf(targets: readonly Target[], exchange: Exchange): string | undefined {
  const affinity = targets.find((target) => target.affinity !== undefined)?.affinity;
  const value = affinity?.textOf(exchange);
  return value === '' ? undefined : value;
}

/** Efraimidis and Spirakis: sorting by u^(1/w), greatest first, draws without replacement in proportion to the weights. */
function drawFor(target: Target, session: string | undefined, random: () => number): number {
  return (session === undefined ? random() : affinityDraw(session, target)) ** (1 / (target.weight ?? 1));
}

function compareDrawn(first: Ranked, second: Ranked): number {
  return (
    first.trouble - second.trouble ||
    first.target.group - second.target.group ||
    first.fitness - second.fitness ||
    second.draw - first.draw
  );
}

/** The client left the choice to the configuration: the first target that answers gives its own default. */
function compareListed(first: Ranked, second: Ranked): number {
  return first.trouble - second.trouble || first.target.group - second.target.group || first.position - second.position;
}

function comparePlaced(first: Ranked, second: Ranked): number {
  return (
    first.trouble - second.trouble ||
    first.target.group - second.target.group ||
    first.fitness - second.fitness ||
    Number(second.isResident) - Number(first.isResident) ||
    first.inFlight - second.inFlight ||
    first.position - second.position
  );
}

/** Upstreams that are no boxes and stand next to each other as equals of one pool take turns by how they fare. */
function shareLoad(sorted: readonly Ranked[], known: Known): readonly Ranked[] {
  if (sorted.length < 2 || sorted.every(({ isBox, target }) => isBox || target.pool === undefined)) return sorted;
  const shared: Ranked[] = [];
  for (let from = 0; from < sorted.length; ) {
    let to = from + 1;
    while (to < sorted.length && areEqual(sorted[from], sorted[to])) to++;
    shared.push(...bestFirst(sorted.slice(from, to), known));
    from = to;
  }
  return shared;
}

function areEqual(first: Ranked | undefined, second: Ranked | undefined): boolean {
  if (first === undefined || second === undefined || first.isBox || second.isBox) return false;
  if (first.trouble !== second.trouble || first.fitness !== second.fitness) return false;
  const { pool, group } = first.target;
  return pool !== undefined && pool === second.target.pool && group === second.target.group;
}

/** The better one of two that are drawn, so that not all run to the best one at once (agentgateway types/loadbalancer.rs); then the rest, best first. */
function bestFirst(equals: readonly Ranked[], { random, exchange }: Known): readonly Ranked[] {
  if (equals.length < 2) return equals;
  const nowMs = exchange.clock.now();
  const scored = equals.map((one) => ({ one, score: one.target.health?.scoreOf(one.inFlight, nowMs) ?? 1 }));
  const drawn = () => scored[Math.floor(random() * scored.length)];
  const [first, second] = [drawn(), drawn()];
  const chosen = first === undefined || (second !== undefined && second.score > first.score) ? second : first;
  const rest = scored.filter((one) => one !== chosen).sort((a, b) => b.score - a.score);
  return [...(chosen === undefined ? [] : [chosen]), ...rest].map(({ one }) => one);
}
