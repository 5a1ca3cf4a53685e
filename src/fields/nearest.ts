/** What was probably meant by a word that is not known. */

/** The word that was probably meant, or undefined. `allow_origins` and `alloworigins` are `allowOrigins`. */
export function nearestOf(word: string, known: readonly string[]): string | undefined {
  const plain = plainOf(word);
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(plain.length / 3)) + 1;
  for (const candidate of known) {
    const distance = distanceOf(plain, plainOf(candidate), bestDistance);
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  // `prefix` for `pathPrefix`: too many edits, but plain to see.
  return best ?? (plain.length < 4 ? undefined : known.find((candidate) => plainOf(candidate).includes(plain)));
}

function plainOf(word: string): string {
  return word
    .slice(0, 100)
    .toLowerCase()
    .replace(/[_\- ]/g, '');
}

/** Edits (insert, delete, replace, swap of neighbours) between two words; `limit` when there are that many or more. */
function distanceOf(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) >= limit) return limit;
  let before: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      let cost = Math.min(replaced, (previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) cost = Math.min(cost, (before[j - 2] ?? 0) + 1);
      current.push(cost);
    }
    before = previous;
    previous = current;
  }
  return Math.min(previous[b.length] ?? limit, limit);
}
