/** The evaluation that is under way. Evaluations never wait, so there is one at a time. */
import { CelFailure } from './expression.ts';
import type { Scene } from './scene.ts';

/** Items that all comprehensions of one evaluation may walk through together. */
export const maxItems = 200_000;
/** Characters and bytes that functions may make or read again, together: an expression may not multiply a body without bound. */
export const maxWork = 64 * 1_024 * 1_024;

let scene: Scene | undefined;
let itemsLeft = 0;
let workLeft = 0;

/** Runs one evaluation with a fresh budget. */
export function evaluateIn<Result>(given: Scene, run: () => Result): Result {
  const outer = { scene, itemsLeft, workLeft };
  scene = given;
  itemsLeft = maxItems;
  workLeft = maxWork;
  try {
    return run();
  } finally {
    ({ scene, itemsLeft, workLeft } = outer);
  }
}

export function currentScene(): Scene {
  if (scene === undefined) throw new Error('no expression is being evaluated');
  return scene;
}

/** Counts what a comprehension is about to walk through. Throws CelFailure beyond the budget. */
export function spendItems(count: number): void {
  itemsLeft -= count;
  if (itemsLeft < 0) throw new CelFailure(`it walks through more than ${maxItems} items`);
}

/** Counts what a function reads or makes. Throws CelFailure beyond the budget. */
export function spendWork(size: number): void {
  workLeft -= size;
  if (workLeft < 0) throw new CelFailure('its values are too large');
}
