/** Looks for several short ASCII texts in bytes at once, skipping most of them (Horspool's method for a set of needles). */

/** Whether one of the needles stands in `bytes[from, to)`. */
export type NeedleSearch = (bytes: Uint8Array, from: number, to: number) => boolean;

/** With no needles nothing is ever found. Empty needles are refused: they would be found everywhere. */
export function createNeedleSearch(needles: readonly string[]): NeedleSearch {
  const patterns = needles.map((needle) => new TextEncoder().encode(needle));
  const shortest = Math.min(...patterns.map((pattern) => pattern.length));
  if (shortest === 0) throw new RangeError('An empty needle is in every text.');
  if (patterns.length === 0) return () => false;
  // How far the window of `shortest` bytes may move on, by its last byte; 0 where a needle may stand in it.
  const leaps = new Uint8Array(256).fill(Math.min(shortest, 255));
  const steps = new Uint8Array(256).fill(Math.min(shortest, 255));
  for (const pattern of patterns) {
    for (let at = 0; at < shortest; at++) {
      const byte = pattern[at] ?? 0;
      const distance = shortest - 1 - at;
      leaps[byte] = Math.min(leaps[byte] ?? 0, distance);
      if (distance > 0) steps[byte] = Math.min(steps[byte] ?? 0, distance);
    }
  }
  return (bytes, from, to) => {
    for (let last = from + shortest - 1; last < to; ) {
      const byte = bytes[last] as number;
      const leap = leaps[byte] as number;
      if (leap > 0) {
        last += leap;
        continue;
      }
      const windowFrom = last - shortest + 1;
      for (const pattern of patterns) {
        if (windowFrom + pattern.length <= to && standsAt(bytes, windowFrom, pattern)) return true;
      }
      last += steps[byte] as number;
    }
    return false;
  };
}

function standsAt(bytes: Uint8Array, from: number, pattern: Uint8Array): boolean {
  for (let at = 0; at < pattern.length; at++) {
    if (bytes[from + at] !== pattern[at]) return false;
  }
  return true;
}

const searches = new WeakMap<readonly string[], NeedleSearch>();

/** The search for a list that lives as long as the process: made once. */
export function searchOf(needles: readonly string[]): NeedleSearch {
  const known = searches.get(needles);
  if (known !== undefined) return known;
  const search = createNeedleSearch(needles);
  searches.set(needles, search);
  return search;
}
