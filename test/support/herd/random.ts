/** Random numbers from a seed: the same seed, the same numbers, on every machine. */
export interface Random {
  /** From 0 up to 1. */
  next(): number;
  /** A whole number from `least` to `most`. */
  whole(least: number, most: number): number;
  pick<T>(from: readonly T[]): T;
  /** One of `from`, its weight told by `weights`. */
  weighted<T>(from: readonly T[], weights: readonly number[]): T;
  /** Time between two arrivals that come `perSecond` times a second by chance. */
  gapMs(perSecond: number): number;
}

/** mulberry32. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
  const pick = <T>(from: readonly T[]): T => {
    const chosen = from[Math.floor(next() * from.length)];
    if (chosen === undefined) throw new Error('nothing to pick from');
    return chosen;
  };
  return {
    next,
    pick,
    whole: (least, most) => least + Math.floor(next() * (most - least + 1)),
    weighted(from, weights) {
      let left = next() * weights.reduce((sum, weight) => sum + weight, 0);
      for (const [at, one] of from.entries()) {
        left -= weights[at] ?? 0;
        if (left < 0) return one;
      }
      return pick(from);
    },
    gapMs: (perSecond) => (-Math.log(1 - next()) / perSecond) * 1_000,
  };
}

const syllables = ['ka', 'lo', 'mi', 'ren', 'tu', 'sha', 'vel', 'or', 'an', 'ti', 'be', 'dor', 'qua', 'is'];

/** Text of about so many characters, no two alike. */
export function textOf(random: Random, characters: number): string {
  let text = '';
  while (text.length < characters) {
    const count = random.whole(1, 3);
    for (let at = 0; at < count; at++) text += random.pick(syllables);
    text += ' ';
  }
  return text.slice(0, characters);
}
