/** Boxes that the configuration holds for equals are asked in the order of what the fleet predicts for them (`Fleet.place`). */
import type { Exchange, Fleet, Prediction } from '../exchange.ts';
import type { Target } from './target.ts';

/** A target in its place so far. */
export interface Placeable {
  readonly target: Target;
  readonly model: string | undefined;
  readonly isBox: boolean;
  readonly isDown: boolean;
  /** Undefined: nothing was predicted. */
  prediction: Prediction | undefined;
}

/** `sorted`: those that are alike stand side by side. Where a prediction is missing among them, they stay as they are. */
export function placeByPrediction<One extends Placeable>(
  sorted: readonly One[],
  areAlike: (first: One, second: One) => boolean,
  fleet: Fleet,
  exchange: Exchange,
): readonly One[] {
  const [first] = sorted;
  if (exchange.work === undefined || first === undefined) return sorted;
  const placed: One[] = [];
  let alike: One[] = [first];
  for (const one of sorted.slice(1)) {
    const [head = one] = alike;
    if (areAlike(head, one)) alike.push(one);
    else {
      placed.push(...inOrder(alike, fleet, exchange));
      alike = [one];
    }
  }
  placed.push(...inOrder(alike, fleet, exchange));
  return placed;
}

function inOrder<One extends Placeable>(alike: readonly One[], fleet: Fleet, { work }: Exchange): readonly One[] {
  if (alike.length < 2 || work === undefined) return alike;
  const asked = [];
  for (const { target, model, isBox, isDown } of alike) {
    if (!isBox || isDown || model === undefined) return alike;
    asked.push({ upstream: target.upstream, ask: { model, numCtx: target.pinnedNumCtx ?? work.numCtx, work } });
  }
  const placings = fleet.place(asked);
  if (placings === undefined) return alike;
  const ranked = alike.map((one, index) => {
    const placing = placings[index];
    one.prediction = placing?.prediction;
    return { one, rank: placing?.rank ?? index };
  });
  return ranked.sort((first, second) => first.rank - second.rank).map(({ one }) => one);
}
