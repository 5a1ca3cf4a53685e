/** What several boxes have, as one list: each model once. */
import type { KnownModel } from '../exchange.ts';
import { canonicalModel } from '../fields/model-name.ts';
import { instantOf, type RunningModel } from './asking/answers.ts';

export interface ListedModel {
  /** As the box tells of it that has the newest copy. */
  readonly model: KnownModel;
  readonly boxes: number;
  /** In the order of the configuration. */
  readonly boxNames: readonly string[];
  /** True when the boxes do not all have the same content under this name. */
  readonly hasDrift: boolean;
}

export interface ListedRunner {
  /** As the box tells of it that keeps it in memory longest. */
  readonly runner: RunningModel;
  readonly boxNames: readonly string[];
}

interface Entry<T> {
  best: T;
  bestMs: number;
  readonly boxNames: string[];
  hasDrift: boolean;
}

/** The union by canonical name, newest first as Ollama lists (Ollama server/routes.go ListHandler); equals by name. */
export function unionOfModels(
  boxes: readonly { readonly name: string; readonly catalogue: ReadonlyMap<string, KnownModel> | undefined }[],
): readonly ListedModel[] {
  const entries = new Map<string, Entry<KnownModel>>();
  for (const { name, catalogue } of boxes) {
    for (const [key, model] of catalogue ?? []) merge(entries, key, name, model, instantOf(model.modifiedAt));
  }
  return ordered(entries).map(({ best, boxNames, hasDrift }) => ({ model: best, boxes: boxNames.length, boxNames, hasDrift }));
}

/** The union by canonical name, the one that stays longest first, as Ollama's `/api/ps` is ordered. */
export function unionOfRunners(
  boxes: readonly { readonly name: string; readonly running: readonly RunningModel[] }[],
): readonly ListedRunner[] {
  const entries = new Map<string, Entry<RunningModel>>();
  for (const { name, running } of boxes) {
    for (const runner of running) merge(entries, canonicalModel(runner.name), name, runner, instantOf(runner.expiresAt));
  }
  return ordered(entries).map(({ best, boxNames }) => ({ runner: best, boxNames }));
}

function merge<T extends { readonly digest: string }>(
  entries: Map<string, Entry<T>>,
  key: string,
  boxName: string,
  item: T,
  ms: number,
): void {
  const entry = entries.get(key);
  if (entry === undefined) {
    entries.set(key, { best: item, bestMs: ms, boxNames: [boxName], hasDrift: false });
    return;
  }
  entry.boxNames.push(boxName);
  if (entry.best.digest !== item.digest) entry.hasDrift = true;
  if (ms > entry.bestMs) {
    entry.best = item;
    entry.bestMs = ms;
  }
}

function ordered<T extends { readonly name: string }>(entries: ReadonlyMap<string, Entry<T>>): Entry<T>[] {
  return [...entries.values()].sort((a, b) => b.bestMs - a.bestMs || (a.best.name < b.best.name ? -1 : 1));
}
