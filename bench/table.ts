/** Rounds → tables in Markdown. Comparisons with direct are made inside each round; what is shown is the median of the rounds. */
import type { LoopFigures } from './loop.ts';
import { burstChunks, type PhaseName, type Round, type Showing } from './round.ts';
import type { SlowFigures } from './slow.ts';
import { median } from './statistics.ts';

type Pick = (showing: Showing) => number | undefined;

export function loopValue(phase: PhaseName, key: keyof Omit<LoopFigures, 'firstError'>): Pick {
  return ({ loops }) => loops[phase]?.[key];
}

export function slowValue(key: keyof Omit<SlowFigures, 'firstError'>): Pick {
  return ({ slow }) => slow?.[key];
}

/** The median over the rounds of what `name` showed. */
export function shown(rounds: readonly Round[], name: string, pick: Pick): number {
  return compared(rounds, name, name, pick, (mine) => mine);
}

/** The median over the rounds of a comparison with what `base` showed in the same round. */
export function compared(
  rounds: readonly Round[],
  name: string,
  base: string,
  pick: Pick,
  compare: (mine: number, theirs: number) => number,
): number {
  return median(
    rounds.map((round) => {
      const mine = round[name];
      const theirs = round[base];
      if (mine === undefined || theirs === undefined) return Number.NaN;
      return compare(pick(mine) ?? Number.NaN, pick(theirs) ?? Number.NaN);
    }),
  );
}

export const ratio = (mine: number, theirs: number) => mine / theirs;
export const added = (mine: number, theirs: number) => mine - theirs;

interface Column {
  readonly heading: string;
  readonly digits: number;
  value(rounds: readonly Round[], name: string): number;
}

function plainColumn(heading: string, digits: number, pick: Pick): Column {
  return { heading, digits, value: (rounds, name) => shown(rounds, name, pick) };
}

function ratioColumn(heading: string, pick: Pick): Column {
  return { heading, digits: 3, value: (rounds, name) => compared(rounds, name, 'direct', pick, ratio) };
}

function addedColumn(heading: string, digits: number, pick: Pick): Column {
  return { heading, digits, value: (rounds, name) => compared(rounds, name, 'direct', pick, added) };
}

/** The mock itself uses CPU and memory that nobody asks about. */
function ofServer(pick: Pick, per = 1): Pick {
  return (showing) => (Number.isNaN(showing.startMs) ? undefined : (pick(showing) ?? Number.NaN) / per);
}

const cpuOf = (phase: PhaseName, per = 1) => ofServer(loopValue(phase, 'cpuMicrosPerRequest'), per);

const allErrors: Pick = ({ loops }) => Object.values(loops).reduce((sum, figures) => sum + figures.errors, 0);

const tables: readonly { title: string; columns: readonly Column[] }[] = [
  {
    title: 'Chat answers of 1 KB (c = connections)',
    columns: [
      plainColumn('c1 req/s', 0, loopValue('chat1', 'requestsPerSecond')),
      ratioColumn('÷ direct', loopValue('chat1', 'requestsPerSecond')),
      addedColumn('added p50 ms', 2, loopValue('chat1', 'p50Ms')),
      addedColumn('added p99 ms', 2, loopValue('chat1', 'p99Ms')),
      plainColumn('c32 req/s', 0, loopValue('chat32', 'requestsPerSecond')),
      ratioColumn('÷ direct', loopValue('chat32', 'requestsPerSecond')),
      addedColumn('added p50 ms', 2, loopValue('chat32', 'p50Ms')),
      addedColumn('added p99 ms', 2, loopValue('chat32', 'p99Ms')),
      plainColumn('CPU µs/request', 0, cpuOf('chat32')),
    ],
  },
  {
    title: `Streams of ${burstChunks} chunks written back to back`,
    columns: [
      addedColumn('c1 added first byte p50 ms', 2, loopValue('stream1', 'firstByteP50Ms')),
      plainColumn('c16 chunks/s', 0, loopValue('stream16', 'chunksPerSecond')),
      ratioColumn('÷ direct', loopValue('stream16', 'chunksPerSecond')),
      plainColumn('CPU µs/chunk', 2, cpuOf('stream16', burstChunks)),
    ],
  },
  {
    title: 'Slow streams at once, 20 chunks/s each',
    columns: [
      plainColumn('done', 0, slowValue('done')),
      plainColumn('errors', 0, slowValue('errors')),
      plainColumn('first byte p50 ms', 1, slowValue('firstByteP50Ms')),
      plainColumn('p99', 1, slowValue('firstByteP99Ms')),
      addedColumn('added per chunk p50 ms', 2, slowValue('chunkP50Ms')),
      addedColumn('p99', 2, slowValue('chunkP99Ms')),
      plainColumn('gap p99 ms (50 sent)', 1, slowValue('gapP99Ms')),
      plainColumn('CPU %', 0, ofServer(slowValue('cpuPercent'))),
      plainColumn('CPU µs/chunk', 1, ofServer(slowValue('cpuMicrosPerChunk'))),
      plainColumn('RSS KB/stream', 1, ofServer(slowValue('rssKbPerStream'))),
    ],
  },
  {
    title: 'Request bodies of 500 KB (text) and 8 MB (an image)',
    columns: [
      ratioColumn('500 KB c1 req/s ÷ direct', loopValue('half1', 'requestsPerSecond')),
      addedColumn('added p50 ms', 2, loopValue('half1', 'p50Ms')),
      ratioColumn('c32 ÷ direct', loopValue('half32', 'requestsPerSecond')),
      plainColumn('CPU µs/request', 0, cpuOf('half32')),
      ratioColumn('8 MB c1 req/s ÷ direct', loopValue('eight1', 'requestsPerSecond')),
      addedColumn('added p50 ms', 1, loopValue('eight1', 'p50Ms')),
      ratioColumn('c32 ÷ direct', loopValue('eight32', 'requestsPerSecond')),
      plainColumn('CPU ms/request', 1, cpuOf('eight32', 1000)),
    ],
  },
  {
    title: 'Errors; start to the first answer; memory when idle',
    columns: [
      plainColumn('errors in all loops', 0, allErrors),
      plainColumn('start ms', 0, ({ startMs }) => startMs),
      plainColumn('idle RSS MB', 0, ({ idleRssMb }) => idleRssMb),
    ],
  },
];

export function cellOf(value: number, digits: number): string {
  return Number.isFinite(value) ? value.toFixed(digits) : '–';
}

/** All tables, one below the other. */
export function tablesOf(rounds: readonly Round[]): string {
  const names = Object.keys(rounds[0] ?? {});
  return tables
    .filter(({ columns }) => columns.some((column) => Number.isFinite(column.value(rounds, names.at(-1) ?? ''))))
    .map(({ title, columns }) => `### ${title}\n\n${tableOf(rounds, names, columns)}`)
    .join('\n\n');
}

function tableOf(rounds: readonly Round[], names: readonly string[], columns: readonly Column[]): string {
  const rows = [
    ['server', ...columns.map((column) => column.heading)],
    ...names.map((name) => [name, ...columns.map((column) => cellOf(column.value(rounds, name), column.digits))]),
  ];
  const widths = rows[0]?.map((_, index) => Math.max(3, ...rows.map((row) => row[index]?.length ?? 0))) ?? [];
  const lines = rows.map((row) => `| ${row.map((cell, index) => pad(cell, widths[index] ?? 0, index)).join(' | ')} |`);
  const rule = `|${widths.map((width, index) => (index === 0 ? `${'-'.repeat(width + 2)}` : `${'-'.repeat(width + 1)}:`)).join('|')}|`;
  return [lines[0], rule, ...lines.slice(1)].join('\n');
}

function pad(cell: string, width: number, index: number): string {
  return index === 0 ? cell.padEnd(width) : cell.padStart(width);
}
