/** The context that a configuration pins: `num_ctx` among `overrides`, or in `options` there. */
import { foldName } from '../json/fold.ts';

/** Tokens; undefined where nothing is pinned, or what is written is no number of tokens. */
export function pinnedNumCtxIn(overrides: Readonly<Record<string, unknown>> = {}): number | undefined {
  const beside = memberOf(overrides, 'num_ctx');
  const options = memberOf(overrides, 'options');
  const inside = typeof options === 'object' && options !== null ? memberOf(options, 'num_ctx') : undefined;
  const pinned = beside ?? inside;
  return typeof pinned === 'number' && Number.isSafeInteger(pinned) && pinned > 0 ? pinned : undefined;
}

function memberOf(members: object, folded: string): unknown {
  return Object.entries(members).find(([name]) => foldName(name) === folded)?.[1];
}
