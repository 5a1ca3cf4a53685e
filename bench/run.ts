/** `node bench/run.ts`: measures Corral beside its peers and prints the tables. Writes files only when asked to. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { aimsOf } from './aims.ts';
import { type Load, type MockBox, openLoad, openMock, openServer, type Standing } from './arena.ts';
import type { Contestant } from './contestant.ts';
import { canMeasure, canPin, loadCpu, pinSelf } from './processes.ts';
import { allPhases, type Effort, modelsFor, type Round, runRound } from './round.ts';
import { contestants, direct } from './servers.ts';
import { tablesOf } from './table.ts';

const usage = `node bench/run.ts [options]
  --rounds N        how often everything is measured (3; with --quick 1)
  --only A,B        of ${contestants.map(({ name }) => name).join(', ')}
  --quick           short phases: under two minutes, good for a first look
  --seconds S       length of each phase (2; with --quick 0.5)
  --streams N       slow streams at once (500)
  --phases A,B      of ${allPhases.join(', ')}
  --profile FOLDER  Node and Bun leave CPU profiles there; read them with node bench/profile.ts FILE
  --json FILE       also writes every figure of every round
  --write           also puts the tables into bench/README.md
`;

const { values: flags } = parseArgs({
  options: {
    rounds: { type: 'string' },
    only: { type: 'string' },
    quick: { type: 'boolean', default: false },
    seconds: { type: 'string' },
    streams: { type: 'string', default: '500' },
    phases: { type: 'string' },
    profile: { type: 'string' },
    json: { type: 'string' },
    write: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
});

function tell(line: string): void {
  process.stderr.write(`${line}\n`);
}

function numberOf(flag: string, text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new Error(`--${flag} must be a number above 0, not ${text}`);
  return value;
}

/** What a comma-separated flag names; all of `known` when it is not given. */
function listOf(flag: string, text: string | undefined, known: readonly string[]): readonly string[] {
  if (text === undefined) return known;
  const names = text.split(',').map((name) => name.trim());
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length > 0) throw new Error(`--${flag} knows no ${unknown.join(', ')}; there are ${known.join(', ')}`);
  return names;
}

const rounds = numberOf('rounds', flags.rounds ?? (flags.quick ? '1' : '3'));
const effort: Effort = {
  phaseMs: 1000 * numberOf('seconds', flags.seconds ?? (flags.quick ? '0.5' : '2')),
  warmRequests: flags.quick ? 1500 : 20_000,
  slowStreams: numberOf('streams', flags.streams),
  slowChunks: flags.quick ? 50 : 100,
  phases: listOf('phases', flags.phases, allPhases),
};

/** Those asked for that can run here; direct always, since everything is compared with it. */
async function chosen(): Promise<Contestant[]> {
  const named = listOf(
    'only',
    flags.only,
    contestants.map(({ name }) => name),
  );
  const able: Contestant[] = [];
  for (const contestant of contestants) {
    const wanted = flags.only === undefined ? contestant.byDefault : named.includes(contestant.name);
    if (!wanted && contestant !== direct) continue;
    const missing = await contestant.prepare();
    if (missing === undefined) able.push(contestant);
    else tell(`SKIPPED ${contestant.name}: ${missing}`);
  }
  return able;
}

const profileFolder = flags.profile === undefined ? undefined : resolve(flags.profile);

async function openAll(able: readonly Contestant[], mock: MockBox, folder: string): Promise<Standing[]> {
  const standings: Standing[] = [];
  for (const contestant of able) {
    try {
      standings.push(await openServer(contestant, mock.port, `${folder}/${contestant.name}`, profileFolder));
    } catch (error) {
      tell(`SKIPPED ${contestant.name}: it did not start: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return standings;
}

async function measure(able: readonly Contestant[], mock: MockBox, load: Load, folder: string): Promise<Round[]> {
  const shown: Round[] = [];
  for (let round = 1; round <= rounds; round += 1) {
    tell(`round ${round} of ${rounds}: starting`);
    const standings = await openAll(able, mock, folder);
    try {
      shown.push(await runRound(standings, load, effort, tell));
    } finally {
      for (const standing of standings) await standing.stop();
    }
  }
  return shown;
}

function machine(loadBefore: number): string {
  const pinned = canPin
    ? 'server on CPU 0, mock box and load generator on CPU 1'
    : 'processes not pinned (no taskset or one CPU)';
  return [
    `${new Date().toISOString().slice(0, 10)}, ${cpus()[0]?.model.trim() ?? 'unknown CPU'}, ${cpus().length} CPUs, ${process.platform},`,
    `Node ${process.versions.node}; ${pinned}; load average ${loadBefore.toFixed(1)} before and ${(loadavg()[0] ?? 0).toFixed(1)} after;`,
    `${rounds} round${rounds === 1 ? '' : 's'}, phases of ${effort.phaseMs / 1000} s, ${effort.slowStreams} slow streams of ${effort.slowChunks} chunks.`,
  ].join(' ');
}

function writeReadme(text: string): void {
  const file = `${import.meta.dirname}/README.md`;
  const readme = readFileSync(file, 'utf8');
  const parts = /^([\s\S]*<!-- results -->\n)[\s\S]*(<!-- end of results -->[\s\S]*)$/.exec(readme);
  if (parts === null) throw new Error('bench/README.md has lost its marks <!-- results --> and <!-- end of results -->');
  writeFileSync(file, `${parts[1]}\n${text}\n\n${parts[2]}`);
}

async function main(): Promise<void> {
  const loadBefore = loadavg()[0] ?? 0;
  if (!canPin) tell('taskset or a second CPU is missing: server, mock and load generator share what there is');
  if (!canMeasure) tell('no /proc here: CPU and memory stay empty');
  if (loadBefore > 1) tell(`this machine is busy (load average ${loadBefore.toFixed(1)}): only the CPU columns mean much`);
  const able = await chosen();
  pinSelf(loadCpu);
  const folder = mkdtempSync(`${tmpdir()}/corral-bench-`);
  process.on('exit', () => rmSync(folder, { recursive: true, force: true })); // also when interrupted
  const mock = await openMock(modelsFor(effort));
  const load = openLoad();
  try {
    const shown = await measure(able, mock, load, folder);
    const text = [machine(loadBefore), tablesOf(shown), aimsOf(shown)].filter((part) => part !== '').join('\n\n');
    process.stdout.write(`\n${text}\n`);
    if (flags.json !== undefined)
      writeFileSync(flags.json, `${JSON.stringify({ machine: machine(loadBefore), rounds: shown }, null, 2)}\n`);
    if (flags.write) writeReadme(text);
  } finally {
    load.stop();
    mock.stop();
  }
}

if (flags.help) process.stdout.write(usage);
else await main();
