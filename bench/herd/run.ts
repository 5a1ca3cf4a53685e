/** `node bench/herd/run.ts`: the same traces over the same simulated herd, through Corral and its peers. Nothing is asserted. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { parseArgs } from 'node:util';
import { figuresOf } from '../../test/support/herd/player.ts';
import type { Trace } from '../../test/support/herd/trace.ts';
import { loadCpu, pinSelf } from '../processes.ts';
import { type Played, playThrough } from './arena.ts';
import { floorOf } from './floor.ts';
import { gateways, type HerdGateway } from './gateways.ts';
import { foretoldOf } from './predictions.ts';
import { type Line, predictionsTable, traceTable } from './table.ts';
import { traces } from './traces.ts';
import { playVirtually } from './virtual.ts';

const usage = `node bench/herd/run.ts [options]
  --only A,B     of ${gateways.map(({ name }) => name).join(', ')}
  --traces A,B   of ${traces.map(({ name }) => name).join(', ')}
  --factor N     so many times faster than life (12); more wants a quiet machine
  --virtual      in virtual time and in this process: Corral, round robin and least connections, the same figures on every machine
  --json FILE    also writes every figure
`;

const { values: flags } = parseArgs({
  options: {
    only: { type: 'string' },
    traces: { type: 'string' },
    factor: { type: 'string', default: '12' },
    virtual: { type: 'boolean', default: false },
    json: { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false },
  },
});

function chosen<T extends { readonly name: string }>(flag: string, text: string | undefined, known: readonly T[]): readonly T[] {
  if (text === undefined) return known;
  return text.split(',').map((name) => {
    const found = known.find((one) => one.name === name.trim());
    if (found === undefined) throw new Error(`--${flag} knows no ${name}; there are ${known.map((one) => one.name).join(', ')}`);
    return found;
  });
}

/** What went wrong, by its words, and how often. */
function errorsOf({ seen }: Played): readonly (readonly [string, number])[] {
  const counts = new Map<string, number>();
  for (const { verdict, error, status } of seen) {
    if (verdict !== 'error' && verdict !== 'broken') continue;
    const words = `${verdict} ${status}: ${(error ?? '').slice(0, 160)}`;
    counts.set(words, (counts.get(words) ?? 0) + 1);
  }
  return [...counts].sort(([, a], [, b]) => b - a).slice(0, 5);
}

async function able(asked: readonly HerdGateway[]): Promise<readonly HerdGateway[]> {
  const found: HerdGateway[] = [];
  for (const gateway of asked) {
    const missing = await gateway.prepare();
    if (missing === undefined) found.push(gateway);
    else process.stderr.write(`SKIPPED ${gateway.name}: ${missing}\n`);
  }
  return found;
}

async function main(): Promise<void> {
  const factor = Number(flags.factor);
  if (!(factor >= 1)) throw new Error(`--factor must be 1 or more, not ${flags.factor}`);
  const racing = flags.virtual ? [] : await able(chosen('only', flags.only, gateways));
  if (!flags.virtual) pinSelf(loadCpu);
  const folder = mkdtempSync(`${tmpdir()}/herd-`);
  const lines: Line[] = [];
  const before = loadavg()[0] ?? 0;
  try {
    const asked = chosen('traces', flags.traces, traces);
    const raced: Line[] = [];
    for (const trace of flags.virtual ? asked : []) raced.push(...(await playVirtually(trace)));
    for (const gateway of racing) raced.push(...(await race(gateway, asked, factor, folder)));
    for (const trace of asked) {
      lines.push(...raced.filter((line) => line.trace === trace.name));
      const floor = flags.virtual ? await floorOf(trace) : undefined;
      process.stdout.write(`\n${traceTable(trace, lines, floor)}\n`);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  process.stdout.write(`\n${predictionsTable(lines)}\n`);
  const load = `load average ${before.toFixed(1)} before and ${(loadavg()[0] ?? 0).toFixed(1)} after`;
  process.stdout.write(flags.virtual ? '\nVirtual time.\n' : `\nTime ${factor} times as fast as life; ${load}.\n`);
  for (const { gateway, trace, errors } of lines) {
    for (const [error, count] of errors) process.stderr.write(`${trace} through ${gateway}: ${count} × ${error}\n`);
  }
  if (flags.json !== undefined) writeFileSync(flags.json, JSON.stringify(lines, undefined, 1));
}

/**
 * All traces at the same time, each through a process of its own over boxes of its own: they have far less to do than one processor
 * could. No gateway runs beside another one, whose work would be its delay.
 */
async function race(gateway: HerdGateway, asked: readonly Trace[], factor: number, folder: string): Promise<readonly Line[]> {
  process.stderr.write(`${gateway.name} …\n`);
  const lines = await Promise.all(
    asked.map(async (trace) => {
      try {
        return lineOf(trace, gateway, await playThrough(gateway, trace, factor, `${folder}/${trace.name}-${gateway.name}`));
      } catch (error) {
        process.stderr.write(
          `FAILED ${gateway.name}, ${trace.name}: ${error instanceof Error ? error.message : String(error)}\n`,
        );
        return undefined;
      }
    }),
  );
  return lines.filter((line) => line !== undefined);
}

function lineOf(trace: Trace, { name }: HerdGateway, played: Played): Line {
  const { seen, loads, leftOpen } = played;
  const foretold = name === 'corral' ? foretoldOf(seen) : [];
  return { ...figuresOf(seen), trace: trace.name, gateway: name, loads, leftOpen, errors: errorsOf(played), foretold };
}

if (flags.help) process.stdout.write(usage);
else await main();
