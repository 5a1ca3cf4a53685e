/** Which box has which model, in which version of its content. Pure. */
import { canonicalModel } from '../../fields/model-name.ts';
import type { BoxState, ModelState } from '../../fleet/report.ts';

/** One model over all boxes that told of their models. */
export interface Holding {
  /** As the reference spells it. */
  readonly name: string;
  readonly byBox: ReadonlyMap<string, ModelState>;
  /** What the others are held against. */
  readonly reference: ModelState;
  readonly referenceBox: string;
}

/**
 * In the order of names. The reference is what `from` has, and models that it has not got are left out; without it, the copy that was
 * pulled last, because that is the registry's newest as far as anybody here knows. Models that a cloud serves have no content.
 */
export function holdingsOf(boxes: readonly BoxState[], from?: string): readonly Holding[] {
  const found = new Map<string, Map<string, ModelState>>();
  for (const box of boxes) {
    for (const model of box.models ?? []) {
      if (model.remoteHost !== null || model.digest === '') continue;
      const key = canonicalModel(model.name);
      const byBox = found.get(key) ?? new Map<string, ModelState>();
      found.set(key, byBox);
      byBox.set(box.name, model);
    }
  }
  return [...found]
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .flatMap(([, byBox]) => {
      const chosen = from === undefined ? newestOf(byBox) : entryOf(byBox, from);
      if (chosen === undefined) return [];
      const [referenceBox, reference] = chosen;
      return [{ name: reference.name, byBox, reference, referenceBox }];
    });
}

export function isStale({ byBox, reference }: Holding, box: string): boolean {
  const there = byBox.get(box);
  return there !== undefined && there.digest !== reference.digest;
}

export function shortDigest(digest: string): string {
  return digest.replace(/^sha256:/, '').slice(0, 12);
}

function entryOf(byBox: ReadonlyMap<string, ModelState>, box: string): [string, ModelState] | undefined {
  const model = byBox.get(box);
  return model === undefined ? undefined : [box, model];
}

/** Of the same age, the first in the order of the configuration. */
function newestOf(byBox: ReadonlyMap<string, ModelState>): [string, ModelState] | undefined {
  let newest: [string, ModelState] | undefined;
  for (const entry of byBox) if (newest === undefined || ageOf(entry[1]) > ageOf(newest[1])) newest = entry;
  return newest;
}

function ageOf({ modifiedAt }: ModelState): number {
  const ms = Date.parse(modifiedAt);
  return Number.isNaN(ms) ? 0 : ms;
}
