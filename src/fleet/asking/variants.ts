/** Which model somebody may have meant, and which smaller ones would do instead. */
import type { KnownModel } from '../../exchange.ts';
import { canonicalModel } from '../../fields/model-name.ts';

/** Names are compared in this length at most: edit distance costs the product of both. */
const maxCompared = 100;
/** Of a long list only so many are compared. */
const maxCandidates = 2_000;

/**
 * The name among `names` that `wanted` was probably meant to be: the same model under another tag (`llama3.2` →
 * `llama3.2:3b`), else the one with the fewest typing errors, at most a third of its letters. Undefined when none is near.
 */
export function nearestName(wanted: string, names: readonly string[]): string | undefined {
  const [family, tag] = partsOf(wanted);
  let best: string | undefined;
  let bestScore = Number.POSITIVE_INFINITY;
  for (const name of names.slice(0, maxCandidates)) {
    const [otherFamily, otherTag] = partsOf(name);
    const distance = familyDistance(family, otherFamily);
    if (distance > Math.max(1, Math.floor(family.length / 3))) continue;
    // The family weighs more than any tag can.
    const score = distance * 1000 + editDistance(tag, otherTag);
    if (score < bestScore) {
      best = name;
      bestScore = score;
    }
  }
  return best;
}

/** Smaller models of the same family, the largest first, at most three. Cloud models do not count: they need no memory here. */
export function smallerVariants(name: string, models: readonly KnownModel[]): readonly KnownModel[] {
  const wanted = canonicalModel(name);
  const model = models.find((one) => canonicalModel(one.name) === wanted);
  const sizeBytes = model?.sizeBytes ?? Number.POSITIVE_INFINITY;
  const [base] = partsOf(name);
  const family = model === undefined ? '' : architectureOf(model);
  return models
    .filter((one) => one.remoteHost === undefined && one.sizeBytes < sizeBytes && canonicalModel(one.name) !== wanted)
    .filter((one) => partsOf(one.name)[0] === base || (family !== '' && architectureOf(one) === family))
    .sort((a, b) => b.sizeBytes - a.sizeBytes)
    .slice(0, 3);
}

/** `details.family` of the model's list item: `llama`, `gemma3`. Empty when it does not say. */
function architectureOf(model: KnownModel): string {
  try {
    const item = JSON.parse(model.tag) as { details?: { family?: unknown } | null } | null;
    const family = item?.details?.family;
    return typeof family === 'string' ? family : '';
  } catch {
    return '';
  }
}

function partsOf(name: string): [string, string] {
  const canonical = canonicalModel(name);
  const colon = canonical.lastIndexOf(':');
  return [canonical.slice(0, colon), canonical.slice(colon + 1)];
}

/** People leave out the version (`llama` for `llama3.2`) and the namespace (`gemma3` for `acme/gemma3`): that is one error each. */
function familyDistance(wanted: string, other: string): number {
  if (wanted === other) return 0;
  const [bare, otherBare] = [wanted.slice(wanted.lastIndexOf('/') + 1), other.slice(other.lastIndexOf('/') + 1)];
  if (bare === otherBare || (bare.length >= 3 && otherBare.startsWith(bare))) return 1;
  return editDistance(wanted, other);
}

/** Levenshtein's: how many letters must be put in, taken out or replaced. Texts are cut at 100 letters. */
function editDistance(first: string, second: string): number {
  const a = first.slice(0, maxCompared);
  const b = second.slice(0, maxCompared);
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
