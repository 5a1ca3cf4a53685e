/** `node bench/profile.ts FILE.cpuprofile…`: where the CPU went, by folder and by function, without a browser. */
import { readFileSync } from 'node:fs';
import { dirname, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { median } from './statistics.ts';

interface Frame {
  readonly functionName: string;
  readonly url: string;
  readonly lineNumber: number;
}

interface Node {
  readonly id: number;
  readonly callFrame: Frame;
  readonly children?: readonly number[];
}

interface Profile {
  readonly nodes: readonly Node[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

type Spent = Map<string, number>;

process.stdout.on('error', () => process.exit(0)); // `| head` has read enough

const root = dirname(import.meta.dirname);

function placeOf({ functionName, url, lineNumber }: Frame): string {
  const name = functionName === '' ? '(anonymous)' : functionName;
  if (url === '') return name;
  const path = url.startsWith('file://') ? relative(root, fileURLToPath(url)) : url.startsWith('/') ? relative(root, url) : url;
  return `${name} ${path}:${lineNumber + 1}`;
}

function folderOf({ url }: Frame): string {
  if (url === '') return '(native, garbage collector, program)';
  if (url.startsWith('node:')) return 'node:*';
  return /node_modules\/(?:@[^/]+\/)?[^/]+/.exec(url)?.[0] ?? /(?:src|bench)\/[^/]+/.exec(url)?.[0] ?? url;
}

/** Microseconds that each node ran by itself; waiting is left out. */
function ownMicrosOf(profile: Profile): Map<number, number> {
  const waits = new Set(profile.nodes.filter(({ callFrame }) => callFrame.functionName === '(idle)').map(({ id }) => id));
  const own = new Map<number, number>();
  const longest = 3 * median(profile.timeDeltas);
  profile.samples.forEach((id, index) => {
    if (waits.has(id)) return;
    // Bun takes no samples while it waits, and the wait would count for whatever ran before.
    own.set(id, (own.get(id) ?? 0) + Math.min(profile.timeDeltas[index] ?? 0, longest));
  });
  return own;
}

function add(spent: Spent, key: string, micros: number): void {
  spent.set(key, (spent.get(key) ?? 0) + micros);
}

/** Time with all that is called from there. A function that calls itself counts once. */
function inclusiveOf(profile: Profile, own: ReadonlyMap<number, number>): Spent {
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]));
  const spent: Spent = new Map();
  const walk = (node: Node, above: ReadonlySet<string>): number => {
    const place = placeOf(node.callFrame);
    const within = new Set(above).add(place);
    let micros = own.get(node.id) ?? 0;
    for (const id of node.children ?? []) {
      const child = nodes.get(id);
      if (child !== undefined) micros += walk(child, within);
    }
    if (!above.has(place) && /\/(?:src|bench)\/|node_modules/.test(node.callFrame.url)) add(spent, place, micros);
    return micros;
  };
  const first = profile.nodes[0];
  if (first !== undefined) walk(first, new Set());
  return spent;
}

function print(title: string, spent: Spent, total: number, rows: number): void {
  process.stdout.write(`\n${title}\n`);
  for (const [key, micros] of [...spent].sort((a, b) => b[1] - a[1]).slice(0, rows)) {
    process.stdout.write(`${((micros * 100) / total).toFixed(1).padStart(6)} %  ${key}\n`);
  }
}

for (const file of process.argv.slice(2)) {
  const profile: Profile = JSON.parse(readFileSync(file, 'utf8'));
  const own = ownMicrosOf(profile);
  const byFunction: Spent = new Map();
  const byFolder: Spent = new Map();
  for (const { id, callFrame } of profile.nodes) {
    add(byFunction, placeOf(callFrame), own.get(id) ?? 0);
    add(byFolder, folderOf(callFrame), own.get(id) ?? 0);
  }
  const total = [...own.values()].reduce((sum, micros) => sum + micros, 0);
  process.stdout.write(`${file}: ${(total / 1e6).toFixed(2)} s busy\n`);
  print('By folder', byFolder, total, 20);
  print('By function, without what it calls', byFunction, total, 30);
  print('By function, with what it calls', inclusiveOf(profile, own), total, 45);
}
