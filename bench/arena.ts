/** Mock box, load generator and the contestants as running processes. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { Connection } from './connection.ts';
import type { Contestant } from './contestant.ts';
import { pause } from './faults.ts';
import type { LoadFigures, LoadJob } from './load.ts';
import type { LoopFigures, LoopJob } from './loop.ts';
import { freePort, loadCpu, pinned, rssKbOf, startServer, stopServer, treeOf } from './processes.ts';
import { requestBytes } from './requests.ts';
import type { SlowFigures, SlowJob } from './slow.ts';
import { plainModel } from './wire.ts';

/** One of our own processes: it talks over the channel and ends when this process does. */
function startOwn(file: string, args: readonly string[]): ChildProcess {
  const [program, rest] = pinned(loadCpu, [process.execPath, `${import.meta.dirname}/${file}`, ...args]);
  return spawn(program, rest, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
}

function nextMessage(child: ChildProcess): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const ended = (code: number | null) => reject(new Error(`${child.spawnargs.join(' ')} ended with code ${code}`));
    child.once('exit', ended);
    child.once('message', (message) => {
      child.off('exit', ended);
      resolve(message);
    });
  });
}

export interface MockBox {
  readonly port: number;
  stop(): void;
}

export async function openMock(models: readonly string[]): Promise<MockBox> {
  const child = startOwn('mock.ts', models);
  const message = await nextMessage(child);
  const port = typeof message === 'object' && message !== null && 'port' in message ? Number(message.port) : 0;
  return { port, stop: () => void (child.connected && child.disconnect()) };
}

export interface Load {
  run(job: LoopJob): Promise<LoopFigures>;
  run(job: SlowJob): Promise<SlowFigures>;
  stop(): void;
}

export function openLoad(): Load {
  const child = startOwn('load.ts', []);
  async function run(job: LoopJob): Promise<LoopFigures>;
  async function run(job: SlowJob): Promise<SlowFigures>;
  async function run(job: LoadJob): Promise<LoadFigures> {
    child.send(job);
    return (await nextMessage(child)) as LoadFigures;
  }
  return { run, stop: () => void (child.connected && child.disconnect()) };
}

export interface Standing {
  readonly contestant: Contestant;
  readonly port: number;
  readonly headers: Readonly<Record<string, string>>;
  /** From the start of the process to the first whole answer through it. NaN for the mock itself. */
  readonly startMs: number;
  /** A little later, before any load. */
  readonly idleRssMb: number;
  pids(): number[];
  stop(): Promise<void>;
}

/** Starts a contestant and waits for its first answer; throws an Error with the end of its log when none comes. */
export async function openServer(
  contestant: Contestant,
  mockPort: number,
  folder: string,
  profileFolder: string | undefined,
): Promise<Standing> {
  const headers = contestant.headersFor(mockPort);
  const port = await freePort();
  mkdirSync(folder, { recursive: true });
  const launch = contestant.launch({ port, mockPort, folder, profileFolder });
  if (launch === undefined) {
    const nothing = { pids: () => [], stop: async () => {}, startMs: Number.NaN, idleRssMb: Number.NaN };
    return { contestant, port: mockPort, headers, ...nothing };
  }
  const logFile = `${folder}/output.log`;
  const begun = performance.now();
  const child = startServer(launch.command, launch.env, launch.cwd, logFile);
  const stop = () => stopServer(child);
  const complaint = await firstAnswer(child, port, headers);
  const startMs = performance.now() - begun;
  if (complaint !== undefined) {
    await stop();
    const log = existsSync(logFile) ? readFileSync(logFile, 'utf8').trim().split('\n').slice(-8).join('\n') : '';
    throw new Error(`${complaint}\n${log}`);
  }
  await pause(700);
  const pids = () => treeOf(child.pid ?? 0);
  return { contestant, port, headers, startMs, idleRssMb: rssKbOf(pids()) / 1024, pids, stop };
}

/** Asks until a whole answer comes; why none came, or undefined. */
async function firstAnswer(
  child: ChildProcess,
  port: number,
  headers: Readonly<Record<string, string>>,
): Promise<string | undefined> {
  const bytes = requestBytes({ port, headers, model: plainModel, stream: false, bodyBytes: 0 });
  const giveUpAt = performance.now() + 15_000;
  let fault: string | undefined = 'no answer';
  while (performance.now() < giveUpAt) {
    fault = await ask(port, bytes);
    if (fault === undefined) return undefined;
    if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return `it ended by itself (${fault})`;
    await pause(2);
  }
  return `no whole answer within 15 s (${fault})`;
}

function ask(port: number, bytes: Buffer): Promise<string | undefined> {
  return new Promise((resolve) => {
    const settle = (fault: string | undefined) => {
      clearTimeout(timer);
      connection.close();
      resolve(fault);
    };
    const connection = new Connection(port, false, {
      begun: () => {},
      chunk: () => {},
      ended: (answer) => settle(answer.status === 200 ? undefined : `status ${answer.status}: ${answer.complaint}`),
      broke: settle,
    });
    const timer = setTimeout(() => settle('silence for 5 s'), 5000);
    connection.send(bytes);
  });
}
