/**
 * Contexts that calls have named, by box and model. A box that was asked for one number loads the model anew when the next call
 * says another, or none; so once one call has named it, all that follow do. Bounded; lives as long as the process.
 */
export interface NamedContexts {
  /** Nobody ever named one: nothing is to be looked up. */
  readonly isEmpty: boolean;
  /** `model`: canonical. `nowMs`: on the clock. */
  note(box: string, model: string, numCtx: number, nowMs: number): void;
  has(box: string, model: string): boolean;
  /** What was named last, when that was so short a time ago that the box's own lists may not show it. */
  recent(box: string, model: string, nowMs: number): number | undefined;
}

const maxKept = 1_000;
/** Between two probes, and what they take. */
const freshForMs = 15_000;

export function createNamedContexts(): NamedContexts {
  const kept = new Map<string, { readonly numCtx: number; readonly atMs: number }>();
  const keyOf = (box: string, model: string) => `${box}\n${model}`;
  return {
    get isEmpty() {
      return kept.size === 0;
    },
    note(box, model, numCtx, nowMs) {
      const key = keyOf(box, model);
      kept.delete(key);
      kept.set(key, { numCtx, atMs: nowMs });
      if (kept.size <= maxKept) return;
      // The first is the one that was named longest ago.
      for (const oldest of kept.keys()) {
        kept.delete(oldest);
        return;
      }
    },
    has: (box, model) => kept.has(keyOf(box, model)),
    recent(box, model, nowMs) {
      const named = kept.get(keyOf(box, model));
      return named !== undefined && nowMs - named.atMs <= freshForMs ? named.numCtx : undefined;
    },
  };
}
