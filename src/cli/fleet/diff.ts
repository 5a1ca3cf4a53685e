/** `corral fleet diff`: which box has which model, and where its content differs. */
import { canonicalModel } from '../../fields/model-name.ts';
import type { BoxState } from '../../fleet/report.ts';
import { type CommandScope, configOptions, exitCodes, type OptionShapes, readLine } from '../command.ts';
import { countText, tableLines } from '../table.ts';
import { type Holding, holdingsOf, isStale, shortDigest } from './agreement.ts';
import { adminOption, openSession } from './session.ts';

export const diffUsage = 'corral fleet diff [--all] [--json] [MODEL…]';
export const diffOptions = {
  all: { type: 'boolean', about: 'models that are the same on all boxes, too' },
  json: { type: 'boolean', about: 'as JSON' },
  ...adminOption,
  ...configOptions,
} as const satisfies OptionShapes;

/** 0: all boxes agree; 3: they do not; 1: a box does not tell. */
export async function diff(scope: CommandScope): Promise<number> {
  const line = readLine(scope.args, diffOptions, diffUsage, 100);
  const { out, err } = scope.surroundings;
  const { report } = await openSession(line, scope).herd();
  const boxes = report.boxes.filter(({ isBox, models }) => isBox && models !== null);
  const silent = report.boxes.filter(({ isBox, models }) => isBox && models === null);
  const wanted = new Set(line.words.map(canonicalModel));
  const holdings = holdingsOf(boxes).filter(({ name }) => wanted.size === 0 || wanted.has(canonicalModel(name)));
  const differing = holdings.filter((holding) => differs(holding, boxes));
  if (line.isSet('json')) out(`${JSON.stringify(jsonOf(holdings, boxes), null, 2)}\n`);
  else {
    const shown = line.isSet('all') ? holdings : differing;
    for (const text of diffLines(shown, boxes, holdings.length - differing.length)) out(`${text}\n`);
  }
  for (const { name } of silent) err(`${name} does not tell what it has\n`);
  if (silent.length > 0) return exitCodes.failed;
  return differing.length > 0 ? exitCodes.toSee : exitCodes.done;
}

function differs(holding: Holding, boxes: readonly BoxState[]): boolean {
  return boxes.some(({ name }) => !holding.byBox.has(name) || isStale(holding, name));
}

export function diffLines(shown: readonly Holding[], boxes: readonly BoxState[], same: number): string[] {
  const sameText = `${countText(same, 'model')} ${same === 1 ? 'is' : 'are'} the same on all boxes`;
  if (shown.length === 0) return [sameText];
  const head = ['MODEL', ...boxes.map(({ name }) => name)];
  const rows = shown.map((holding) => [holding.name, ...boxes.map(({ name }) => cellOf(holding, name))]);
  return [...tableLines([head, ...rows]), '', `*: not what was pulled last, -: not there; ${sameText}`];
}

function cellOf(holding: Holding, box: string): string {
  const model = holding.byBox.get(box);
  return model === undefined ? '-' : `${shortDigest(model.digest)}${isStale(holding, box) ? '*' : ''}`;
}

function jsonOf(holdings: readonly Holding[], boxes: readonly BoxState[]) {
  return {
    models: holdings.map((holding) => ({
      model: holding.name,
      newest: holding.reference.digest,
      boxes: Object.fromEntries(boxes.map(({ name }) => [name, holding.byBox.get(name)?.digest ?? null])),
      differs: differs(holding, boxes),
    })),
  };
}
