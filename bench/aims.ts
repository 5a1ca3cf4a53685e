/** What Corral means to reach, beside what a run showed. Printed, never asserted: a busy machine must not fail a build. */
import type { Round } from './round.ts';
import { added, cellOf, compared, loopValue, ratio, shown, slowValue } from './table.ts';

interface Aim {
  readonly text: string;
  readonly digits: number;
  /** Reached when at least (`min`) or at most (`max`) this. */
  readonly min?: number;
  readonly max?: number;
  value(rounds: readonly Round[]): number;
}

const rate = loopValue('chat32', 'requestsPerSecond');
const against = (name: string, base: string) => (rounds: readonly Round[]) => compared(rounds, name, base, rate, ratio);

const p50 = loopValue('chat1', 'p50Ms');
const chunks = loopValue('stream16', 'chunksPerSecond');
const slowErrors = slowValue('errors');
const slowFirstByte = slowValue('firstByteP99Ms');
const slowRss = slowValue('rssKbPerStream');

const aims: readonly Aim[] = [
  { text: 'Bun: requests/s ÷ direct, c32', digits: 2, min: 0.4, value: against('corral-bun', 'direct') },
  {
    text: 'Bun: added p50 ms, c1',
    digits: 2,
    max: 0.25,
    value: (rounds) => compared(rounds, 'corral-bun', 'direct', p50, added),
  },
  {
    text: 'Bun: stream chunks/s ÷ direct, c16',
    digits: 2,
    min: 0.5,
    value: (rounds) => compared(rounds, 'corral-bun', 'direct', chunks, ratio),
  },
  { text: 'Node: requests/s ÷ direct, c32', digits: 2, min: 0.25, value: against('corral-node', 'direct') },
  { text: 'Bun: requests/s ÷ Portkey, c32', digits: 1, min: 8, value: against('corral-bun', 'portkey') },
  { text: 'Node: requests/s ÷ Portkey, c32', digits: 1, min: 5, value: against('corral-node', 'portkey') },
  ...['bun', 'node', 'deno', 'workerd'].flatMap((runtime): Aim[] => [
    {
      text: `${runtime}: errors of the slow streams`,
      digits: 0,
      max: 0,
      value: (rounds) => shown(rounds, `corral-${runtime}`, slowErrors),
    },
    {
      text: `${runtime}: first byte p99 ms of the slow streams`,
      digits: 0,
      max: 100,
      value: (rounds) => shown(rounds, `corral-${runtime}`, slowFirstByte),
    },
  ]),
  { text: 'Bun: RSS KB per slow stream', digits: 0, max: 40, value: (rounds) => shown(rounds, 'corral-bun', slowRss) },
];

/** One row per aim that this run could judge; empty when none. */
export function aimsOf(rounds: readonly Round[]): string {
  const rows = aims.flatMap((aim) => {
    const value = aim.value(rounds);
    if (!Number.isFinite(value)) return [];
    const reached = (aim.min === undefined || value >= aim.min) && (aim.max === undefined || value <= aim.max);
    const wanted = aim.min === undefined ? `≤ ${aim.max}` : `≥ ${aim.min}`;
    return [`| ${aim.text} | ${wanted} | ${cellOf(value, aim.digits)} | ${reached ? 'yes' : 'no'} |`];
  });
  if (rows.length === 0) return '';
  return ['### Aims', '', '| aim | wanted | shown | reached |', '|---|---:|---:|---|', ...rows].join('\n');
}
