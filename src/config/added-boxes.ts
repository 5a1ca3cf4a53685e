/** CORRAL_BOXES and a file: where the file has backends of its own, it wins. */
import { boxListVariable, type ListedBox } from '../fields/box-list.ts';
import { keysOf, listOf } from './check-report.ts';
import { isServing } from './checks.ts';

export interface WithBoxes {
  /** The values of the file, with the boxes among `fleet.boxes`. */
  readonly value: unknown;
  readonly warning: string | undefined;
}

/** Boxes that the file tunes at the same address are the file's. Never throws: what is no object is left to the schema. */
export function addBoxes(value: unknown, boxes: readonly ListedBox[]): WithBoxes {
  const whole = keysOf(value);
  const { fleet } = whole;
  if (boxes.length === 0 || (fleet !== undefined && fleet !== null && typeof fleet !== 'object')) {
    return { value, warning: undefined };
  }
  if (isServing(whole)) {
    const warning = `${boxListVariable} does nothing here: this configuration names its backends itself. Remove the variable, or name the boxes as backends`;
    return { value, warning };
  }
  const given = keysOf(fleet);
  const tuned = listOf(given.boxes);
  const known = new Set(tuned.map((box) => originOf(keysOf(box).url)));
  const added = boxes
    .filter(({ baseUrl }) => !known.has(originOf(baseUrl)))
    .map(({ name, baseUrl }) => ({ url: baseUrl, ...(name === undefined ? {} : { name }) }));
  return { value: { ...whole, fleet: { ...given, boxes: [...tuned, ...added] } }, warning: undefined };
}

function originOf(url: unknown): unknown {
  return typeof url === 'string' && URL.canParse(url) ? new URL(url).origin : url;
}
