/**
 * Which boxes share a big batch of embeddings. Only those that have the very same model: vectors of two models, or of two
 * quantizations of one, lie in different spaces, and a batch that mixes them is worthless without anybody noticing.
 */
import { orderCandidates } from '../backends/candidates.ts';
import { isSpokenToAsBox } from '../backends/speech.ts';
import type { Candidate } from '../backends/target.ts';
import type { Exchange, Protocol, Upstream } from '../exchange.ts';
import { canonicalModel } from '../fields/model-name.ts';
import type { AnswerTools } from './tools.ts';

/** However many boxes there are. */
const maxAtOnce = 32;

export interface Homes {
  /** Everybody who may serve a part. */
  readonly candidates: readonly Candidate[];
  /** How many parts may be under way now: one at each box, so that a box is never busy with the next part before others had their turn. */
  readonly room: number;
  /** Whom a part asks, in order. `underWay`: parts of this batch at each box. */
  rowFor(part: Exchange, underWay: ReadonlyMap<Upstream, number>): readonly Candidate[];
}

type HomesTools = Pick<AnswerTools, 'fleet' | 'random'>;

/** `candidates` in the order to try. Undefined: the first of them is no box, or bodies pass it as they came. */
export function homesAmong(
  candidates: readonly Candidate[],
  protocol: Protocol,
  exchange: Exchange,
  tools: HomesTools,
): Homes | undefined {
  const { fleet } = tools;
  const isSplittable = ({ target }: Candidate) => isSpokenToAsBox(target, protocol, fleet) && target.passthrough === undefined;
  const [first] = candidates;
  if (first === undefined || !isSplittable(first)) return undefined;
  const digest = digestOn(first, tools);
  const alike = candidates.filter(
    (one) => one === first || (digest !== undefined && isSplittable(one) && digestOn(one, tools) === digest),
  );
  const isPinned = alike.some(({ target }) => target.affinity !== undefined);
  const isDrawn = isPinned || alike.some(({ target }) => target.weight !== undefined);
  // A box that would have to push another model out of its memory helps only where the others cannot.
  const gentle = alike.filter(({ prediction }) => (prediction?.evictionMs ?? 0) === 0);
  const spread = new Set((gentle.length > 0 ? gentle : alike).map(({ target }) => target));
  const isFit = ({ target, model = '' }: Candidate) => {
    const { upstream, group, health } = target;
    if (group !== first.target.group || !spread.has(target)) return false;
    if (fleet.isCordoned(upstream) || fleet.isAlive(upstream) === false) return false;
    return !fleet.isTripped(upstream, canonicalModel(model)) && health?.isEvicted(exchange.clock.now()) !== true;
  };
  return {
    candidates: alike,
    get room() {
      return isPinned ? 1 : Math.max(1, Math.min(alike.filter(isFit).length, maxAtOnce));
    },
    rowFor(part, underWay) {
      const targets = alike.map(({ target }) => target);
      const row = orderCandidates(targets, part.call?.model, fleet, tools.random, part);
      // What the configuration itself spreads, by weights or by sessions, it spreads part by part.
      if (isDrawn) return row;
      const busy = ({ target }: Candidate) => underWay.get(target.upstream) ?? 0;
      const least = row
        .filter(isFit)
        .reduce<Candidate | undefined>((best, one) => (best === undefined || busy(one) < busy(best) ? one : best), undefined);
      return least === undefined ? row : [least, ...row.filter((one) => one !== least)];
    },
  };
}

/** Undefined: the box's list is not known, or does not say. */
function digestOn({ target, model }: Candidate, { fleet }: HomesTools): string | undefined {
  if (model === undefined) return undefined;
  const name = canonicalModel(model);
  const digest = fleet.modelsOn(target.upstream).find((known) => canonicalModel(known.name) === name)?.digest;
  return digest === '' ? undefined : digest;
}
