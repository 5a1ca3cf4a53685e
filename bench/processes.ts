/** Starting, pinning, measuring and ending processes, by their id and their children's ids. Linux tells CPU and memory in /proc. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { availableParallelism } from 'node:os';

export const canMeasure = existsSync('/proc/self/stat');

/** Whether processes are kept on one CPU each: the server on 0, mock and load on 1. */
export const canPin = availableParallelism() > 1 && has('taskset');
export const serverCpu = 0;
export const loadCpu = 1;

/** Whether a program is on the PATH. */
export function has(program: string): boolean {
  return (process.env.PATH ?? '').split(':').some((folder) => existsSync(`${folder}/${program}`));
}

export function pinned(cpu: number, command: readonly string[]): [string, string[]] {
  const whole = canPin ? ['taskset', '-c', String(cpu), ...command] : command;
  return [whole[0] ?? '', whole.slice(1)];
}

export function pinSelf(cpu: number): void {
  if (canPin) execFileSync('taskset', ['-acp', String(cpu), String(process.pid)], { stdio: 'ignore' });
}

/** A port that was free a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.on('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}

const started = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of started) signalGroup(child, 'SIGKILL');
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130));

/** Starts a server as the head of its own process group, both outputs going to `logFile`. */
export function startServer(command: readonly string[], env: Record<string, string>, cwd: string, logFile: string): ChildProcess {
  const log = openSync(logFile, 'w');
  const [program, args] = pinned(serverCpu, command);
  const child = spawn(program, args, { cwd, env: { ...process.env, ...env }, stdio: ['ignore', log, log], detached: true });
  closeSync(log);
  child.on('error', () => started.delete(child));
  child.on('exit', () => started.delete(child));
  started.add(child);
  return child;
}

/** Asks the server's group to end; insists after three seconds. */
export async function stopServer(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  signalGroup(child, 'SIGTERM');
  const insist = setTimeout(() => signalGroup(child, 'SIGKILL'), 3000);
  await ended;
  clearTimeout(insist);
  signalGroup(child, 'SIGKILL'); // what the head of the group left behind
}

function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // the group is gone
  }
}

/** Process ids of `root` and everything below it. */
export function treeOf(root: number): number[] {
  if (!canMeasure) return [];
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const fields = statOf(Number(name));
    if (fields !== undefined) parents.set(Number(name), Number(fields[1]));
  }
  const tree = [root];
  for (const pid of tree) for (const [child, parent] of parents) if (parent === pid) tree.push(child);
  return tree;
}

/** Fields of /proc/PID/stat from the state on: the name before it may hold spaces and brackets. */
function statOf(pid: number): string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}

/** Milliseconds of CPU that these processes have used, in the kernel's steps of 10. */
export function cpuMsOf(pids: readonly number[]): number {
  let ticks = 0;
  for (const pid of pids) {
    const fields = statOf(pid);
    if (fields !== undefined) ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks * 10;
}

/** Resident memory of these processes together, in KB. Pages that they share count once for each. */
export function rssKbOf(pids: readonly number[]): number {
  let kb = 0;
  for (const pid of pids) {
    try {
      kb += Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0);
    } catch {
      // ended in between
    }
  }
  return kb;
}
