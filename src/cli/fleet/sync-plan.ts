/** What has to be pulled where, so that boxes agree, and how that reads. Pure. */
import { canonicalModel } from '../../fields/model-name.ts';
import type { BoxState, ModelState } from '../../fleet/report.ts';
import { countText, sizeText, tableLines } from '../table.ts';
import { type Holding, holdingsOf, isStale, shortDigest } from './agreement.ts';

export interface PlannedPull {
  readonly box: string;
  readonly model: string;
  /** Of the whole model; layers that the box has already are not fetched again. */
  readonly sizeBytes: number;
  readonly why: 'missing' | 'stale';
  /** What the box has now; only where that is stale. */
  readonly has: string | undefined;
  /** What it is held against. */
  readonly wanted: string;
  readonly wantedFrom: string;
}

export interface SyncWanted {
  /** Undefined: the newest copy of each model counts. */
  readonly from: string | undefined;
  /** Names of boxes; empty: all. */
  readonly to: readonly string[];
  /** Empty: all. */
  readonly models: readonly string[];
}

export interface SyncPlan {
  readonly pulls: readonly PlannedPull[];
  /** Boxes that were looked at, in the order of the configuration. */
  readonly boxes: readonly string[];
  /** Boxes that are meant and do not tell what they have. */
  readonly silent: readonly string[];
  /** Models that were asked for and that no box has. */
  readonly unknown: readonly string[];
}

export function syncPlanOf(all: readonly BoxState[], { from, to, models }: SyncWanted): SyncPlan {
  const meant = all.filter(({ name, isBox }) => isBox && (to.length === 0 || to.includes(name)));
  const silent = meant.filter(isSilent).map(({ name }) => name);
  const talking = meant.filter((box) => !isSilent(box) && box.name !== from);
  const wanted = new Set(models.map(canonicalModel));
  const holdings = holdingsOf(
    all.filter((box) => box.isBox && !isSilent(box)),
    from,
  ).filter(({ name }) => wanted.size === 0 || wanted.has(canonicalModel(name)));
  const known = new Set(holdings.map(({ name }) => canonicalModel(name)));
  return {
    pulls: talking.flatMap((box) => holdings.flatMap((holding) => pullOf(box.name, holding))),
    boxes: meant.filter((box) => !isSilent(box)).map(({ name }) => name),
    silent,
    unknown: models.filter((model) => !known.has(canonicalModel(model))),
  };
}

function isSilent({ isAlive, models }: BoxState): boolean {
  return isAlive !== true || models === null;
}

function pullOf(box: string, holding: Holding): PlannedPull[] {
  const { reference, referenceBox: wantedFrom, byBox } = holding;
  const there: ModelState | undefined = byBox.get(box);
  if (there !== undefined && !isStale(holding, box)) return [];
  const { digest: wanted, sizeBytes } = reference;
  const why = there === undefined ? 'missing' : 'stale';
  return [{ box, model: there?.name ?? reference.name, sizeBytes, why, has: there?.digest, wanted, wantedFrom }];
}

/** What `--dry-run` prints. */
export function planLines({ pulls, boxes }: SyncPlan): string[] {
  const rows = boxes.flatMap((box): string[][] => {
    const own = pulls.filter((pull) => pull.box === box);
    if (own.length === 0) return [[box, 'nothing to do']];
    return own.map(({ model, sizeBytes, ...pull }) => [box, `pull ${model}`, sizeText(sizeBytes), reasonOf(pull)]);
  });
  const bytes = pulls.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const where = countText(new Set(pulls.map(({ box }) => box)).size, 'box', 'boxes');
  const sum =
    pulls.length === 0 ? 'all of them agree' : `${countText(pulls.length, 'pull')} on ${where}, ${sizeText(bytes)} at most`;
  return [...tableLines(rows), sum];
}

function reasonOf({ why, has, wanted, wantedFrom }: Pick<PlannedPull, 'why' | 'has' | 'wanted' | 'wantedFrom'>): string {
  if (why === 'missing') return `missing: ${wantedFrom} has it`;
  return `stale: ${shortDigest(has ?? '')}, ${wantedFrom} has ${shortDigest(wanted)}`;
}
