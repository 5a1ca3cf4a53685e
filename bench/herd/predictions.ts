/** What Corral foretold (`x-corral-why`) beside what came. */
import { quantile, type Seen } from '../../test/support/herd/player.ts';

export interface Foretold {
  readonly predictedMs: number;
  readonly observedMs: number;
}

/** Of whole answers that say which box gave them and what was foretold of it. */
export function foretoldOf(seen: readonly Seen[]): readonly Foretold[] {
  const found: Foretold[] = [];
  for (const { headers, verdict, firstTokenMs, startMs } of seen) {
    const box = headers.get('x-corral-box');
    const why = headers.get('x-corral-why');
    if (verdict !== 'whole' || box === null || why === null || firstTokenMs === undefined) continue;
    for (const [, name, ms] of why.matchAll(/(?:^| )([^ =(]+)=(-?\d+)ms\(/g)) {
      if (name === box) found.push({ predictedMs: Number(ms), observedMs: firstTokenMs - startMs });
    }
  }
  return found;
}

export interface Errors {
  readonly count: number;
  readonly medianMs: number;
  readonly p90Ms: number;
  readonly meanMs: number;
}

export function errorsOf(foretold: readonly Foretold[], predict: (one: Foretold) => number): Errors {
  const errors = foretold.map((one) => Math.abs(predict(one) - one.observedMs));
  return {
    count: errors.length,
    medianMs: quantile(errors, 0.5),
    p90Ms: quantile(errors, 0.9),
    meanMs: errors.reduce((sum, error) => sum + error, 0) / Math.max(1, errors.length),
  };
}

/** The best that one number for all can do, told afterwards: the median of what came. */
export function constantFor(foretold: readonly Foretold[]): number {
  return quantile(
    foretold.map(({ observedMs }) => observedMs),
    0.5,
  );
}
