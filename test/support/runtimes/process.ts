import { type ChildProcess, spawn } from 'node:child_process';
import { connect } from 'node:net';
import type { Readable } from 'node:stream';
import { clearTimeout, setTimeout } from 'node:timers';

/** How a program ended. */
export interface Exit {
  readonly code: number | null;
  readonly signal: string | null;
}

export interface Command {
  readonly program: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** Written to standard input, which is then closed. */
  readonly stdin?: string | undefined;
  /** Gives the program a pipe as file descriptor 3; what it writes there is `control()`. */
  readonly controlPipe?: boolean;
}

/** A program under test, its output kept. */
export interface Program {
  readonly pid: number;
  stdout(): string;
  stderr(): string;
  control(): string;
  /** Resolves when the program has ended and its output is read to the end. */
  readonly exited: Promise<Exit>;
  /** Waits until `look` finds what it wants in the output; rejects when the program ends first or `timeoutMs` pass. */
  until<T>(what: string, timeoutMs: number, look: () => T | undefined): Promise<T>;
  signal(name: NodeJS.Signals): void;
  /** SIGTERM, and SIGKILL when that did not help within `graceMs`. */
  stop(graceMs?: number): Promise<Exit>;
}

const running = new Set<ChildProcess>();

function killAll(): void {
  for (const child of running) child.kill('SIGKILL');
}

// Nothing may outlive the tests, however they end.
process.once('exit', killAll);
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(name, () => {
    killAll();
    process.kill(process.pid, name);
  });
}

/** Starts a program. Rejects when it cannot be started at all. */
export async function startProgram(command: Command): Promise<Program> {
  const child = spawn(command.program, [...command.args], {
    cwd: command.cwd,
    env: { ...command.env },
    stdio: ['pipe', 'pipe', 'pipe', ...(command.controlPipe === true ? (['pipe'] as const) : [])],
  });
  running.add(child);
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', reject);
  });
  child.stdin?.on('error', () => {});
  child.stdin?.end(command.stdin ?? '');
  return new Started(child);
}

class Started implements Program {
  readonly #child: ChildProcess;
  readonly #texts = ['', '', ''];
  readonly #watchers = new Set<() => void>();
  #exit: Exit | undefined;
  readonly exited: Promise<Exit>;

  constructor(child: ChildProcess) {
    this.#child = child;
    for (const [at, stream] of [child.stdout, child.stderr, child.stdio[3] as Readable | undefined].entries()) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#texts[at] += text;
        this.#wake();
      });
    }
    this.exited = new Promise((resolve) => {
      child.once('close', (code, signal) => {
        running.delete(child);
        this.#exit = { code, signal };
        this.#wake();
        resolve(this.#exit);
      });
    });
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  stdout(): string {
    return this.#texts[0] ?? '';
  }

  stderr(): string {
    return this.#texts[1] ?? '';
  }

  control(): string {
    return this.#texts[2] ?? '';
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  until<T>(what: string, timeoutMs: number, look: () => T | undefined): Promise<T> {
    return new Promise((resolve, reject) => {
      const settle = (finish: () => void) => {
        clearTimeout(timer);
        this.#watchers.delete(watcher);
        finish();
      };
      const story = () => `\n--- standard output\n${this.stdout()}\n--- standard error\n${this.stderr()}`;
      const watcher = () => {
        const found = look();
        if (found !== undefined) settle(() => resolve(found));
        else if (this.#exit !== undefined) {
          const { code, signal } = this.#exit;
          settle(() => reject(new Error(`the program ended (code ${code}, signal ${signal}) before ${what}${story()}`)));
        }
      };
      const timer = setTimeout(() => settle(() => reject(new Error(`waited ${timeoutMs} ms for ${what}${story()}`))), timeoutMs);
      this.#watchers.add(watcher);
      watcher();
    });
  }

  async stop(graceMs = 5000): Promise<Exit> {
    if (this.#exit !== undefined) return this.#exit;
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), graceMs);
    const exit = await this.exited;
    clearTimeout(timer);
    return exit;
  }

  #wake(): void {
    for (const watcher of this.#watchers) watcher();
  }
}

/** Waits until something accepts connections there. */
export async function untilAccepting(url: string, timeoutMs: number): Promise<void> {
  const { hostname, port } = new URL(url);
  const endsAt = performance.now() + timeoutMs;
  for (;;) {
    if (await accepts(hostname.replace(/^\[|\]$/g, ''), Number(port))) return;
    if (performance.now() > endsAt) throw new Error(`nothing accepts connections at ${url} after ${timeoutMs} ms`);
    await new Promise<void>((resolve) => setTimeout(resolve, 20));
  }
}

function accepts(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const settle = (accepted: boolean) => {
      socket.destroy();
      resolve(accepted);
    };
    socket.setTimeout(1000, () => settle(false));
    socket.once('connect', () => settle(true));
    socket.once('error', () => settle(false));
  });
}
