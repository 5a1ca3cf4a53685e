/** Models that are not the same on all boxes: one name, several digests. */
import type { KnownModel } from '../exchange.ts';
import type { Platform } from '../platform.ts';

export interface Drift {
  /** As a box spells it. */
  readonly model: string;
  /** The newest first. */
  readonly digests: readonly { readonly digest: string; readonly modifiedAt: string; readonly boxes: readonly string[] }[];
}

interface Listing {
  readonly name: string;
  readonly catalogue: ReadonlyMap<string, KnownModel> | undefined;
}

/** In the order of the models' names. Models that a cloud serves have no content here. */
export function driftOf(boxes: readonly Listing[]): readonly Drift[] {
  const found = new Map<string, Map<string, { model: KnownModel; boxes: string[] }>>();
  for (const { name, catalogue } of boxes) {
    for (const [key, model] of catalogue ?? []) {
      if (model.digest === '' || model.remoteHost !== undefined) continue;
      const digests = found.get(key) ?? new Map<string, { model: KnownModel; boxes: string[] }>();
      found.set(key, digests);
      const same = digests.get(model.digest);
      if (same === undefined) digests.set(model.digest, { model, boxes: [name] });
      else same.boxes.push(name);
    }
  }
  const drifting = [...found].filter(([, digests]) => digests.size > 1).sort(([one], [other]) => (one < other ? -1 : 1));
  return drifting.map(([key, digests]) => ({
    model: [...digests.values()][0]?.model.name ?? key,
    digests: [...digests]
      .map(([digest, { model, boxes: names }]) => ({ digest, modifiedAt: model.modifiedAt, boxes: names }))
      .sort((one, other) => Date.parse(other.modifiedAt) - Date.parse(one.modifiedAt)),
  }));
}

/** More at once are counted only. */
const maxTold = 10;

/** Tells the log of each drift once, and once more when it has changed or is gone. */
export function createDriftWatch(report: Platform['report']): (drifts: readonly Drift[]) => void {
  let known = new Map<string, string>();
  return (drifts) => {
    const now = new Map(drifts.map((drift) => [drift.model, textOf(drift)]));
    const news = [...now].filter(([model, text]) => known.get(model) !== text);
    const gone = [...known.keys()].filter((model) => !now.has(model));
    known = now;
    for (const [, text] of news.slice(0, maxTold)) report('warn', text);
    if (news.length > maxTold) report('warn', `digest drift: ${news.length - maxTold} further models differ between boxes`);
    if (gone.length > 0) {
      const rest = gone.length > maxTold ? ` and ${gone.length - maxTold} more` : '';
      report('info', `digest drift: the same on all boxes again: ${gone.slice(0, maxTold).map(clip).join(', ')}${rest}`);
    }
  };
}

function textOf({ model, digests }: Drift): string {
  const who = digests.slice(0, 4).map(({ digest, boxes }) => `${digest.slice(0, 12)} on ${boxes.slice(0, 8).join(', ')}`);
  return `digest drift: ${clip(model)} is not the same on all boxes: ${who.join('; ')}. Pull it again where it is old: ollama pull ${clip(model)}`;
}

function clip(model: string): string {
  return model.slice(0, 200);
}
