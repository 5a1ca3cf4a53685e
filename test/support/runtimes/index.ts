import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type Command, type Exit, type Program, startProgram, untilAccepting } from './process.ts';
import { bundleWorker, writeWorkerdConfig } from './worker-bundle.ts';

export type RuntimeName = 'node' | 'bun' | 'deno' | 'workerd';
export type { Exit };

export interface CorralConfig {
  /** The configuration, inline; becomes `CORRAL_CONFIG`. */
  readonly yaml?: string;
  /** Environment variables; on workerd they are bindings. */
  readonly env?: Readonly<Record<string, string>>;
  /** workerd alone: see `WorkerConfig`. */
  readonly durableObjects?: Readonly<Record<string, string>>;
  readonly isolates?: number;
  /** Command line arguments; workerd has none. */
  readonly args?: readonly string[];
  /** Working directory; default is the project's root. workerd has none. */
  readonly cwd?: string;
  /** Standard input, for `-f -`. */
  readonly stdin?: string;
}

export interface RunningCorral {
  readonly runtime: RuntimeName;
  /** Base URL of the first bind, without a trailing slash. */
  readonly url: string;
  /** Base URLs of every bind that the output names so far. */
  readonly urls: readonly string[];
  /** Base URL of the admin address, undefined while the output names none. On workerd it is `<url>/_corral`. */
  readonly adminUrl: string | undefined;
  readonly pid: number;
  stdout(): string;
  stderr(): string;
  readonly exited: Promise<Exit>;
  /** Waits for output (standard output and standard error together) that matches. */
  untilOutput(pattern: RegExp, timeoutMs?: number): Promise<string>;
  signal(name: NodeJS.Signals): void;
  /** SIGTERM, then SIGKILL after `graceMs` (5 s). Twice is once. */
  stop(graceMs?: number): Promise<Exit>;
}

export interface Runtime {
  readonly name: RuntimeName;
  /** Whether its program is installed. */
  readonly available: boolean;
  /** Starts the gateway as users do and waits until it accepts connections. */
  start(config?: CorralConfig): Promise<RunningCorral>;
  /** Runs it to its end: bad configurations, `--validate-only`, `-V`. Kills it and rejects after `timeoutMs` (30 s). */
  run(config?: CorralConfig, timeoutMs?: number): Promise<Exit & { stdout: string; stderr: string }>;
}

/** Half a second where nothing else runs. */
const readyMs = 30_000;

/** The four runtimes, for a project at `root`. */
export function openRuntimes(root: string): Runtime[] {
  return (['node', 'bun', 'deno', 'workerd'] as const).map((name) => {
    const program = programOf(name);
    const commandFor = async (config: CorralConfig): Promise<Command> => {
      if (program === undefined) throw new Error(`${name} is not installed: npm install`);
      return name === 'workerd' ? workerdCommand(root, program, config) : processCommand(root, name, program, config);
    };
    return {
      name,
      available: program !== undefined,
      async start(config = {}) {
        const started = await startProgram(await commandFor(config));
        try {
          const url = await started.until('the gateway listens', readyMs, () => listeningUrls(name, started)[0]);
          await untilAccepting(url, readyMs);
          return runningCorral(name, started, url);
        } catch (error) {
          await started.stop(0);
          throw error;
        }
      },
      async run(config = {}, timeoutMs = readyMs) {
        const started = await startProgram(await commandFor(config));
        try {
          await Promise.race([started.exited, started.until('it ends by itself', timeoutMs, () => undefined)]);
        } catch (error) {
          // `until` also rejects when the program ends, which is what was waited for.
          if (String(error).includes('waited')) throw error;
        } finally {
          await started.stop(0);
        }
        return { ...(await started.exited), stdout: started.stdout(), stderr: started.stderr() };
      },
    };
  });
}

/** Corral on each runtime. */
export const runtimes: readonly Runtime[] = openRuntimes(fileURLToPath(new URL('../../..', import.meta.url)).replace(/\/$/, ''));

/**
 * The runtimes to test on: those that are installed, or the ones `CORRAL_TEST_RUNTIMES` names (`node,bun`). A missing one is
 * skipped aloud, and an error where `CI` is set.
 */
export function testedRuntimes(): Runtime[] {
  const asked = process.env.CORRAL_TEST_RUNTIMES?.split(',');
  return runtimes.filter(({ name, available }) => {
    if (asked !== undefined && !asked.includes(name)) return false;
    if (!available && process.env.CI === 'true') throw new Error(`${name} is not installed, and CI tests on every runtime`);
    if (!available) process.stderr.write(`SKIPPED: ${name} is not installed, nothing is tested on it\n`);
    return available;
  });
}

function runningCorral(runtime: RuntimeName, program: Program, url: string): RunningCorral {
  return {
    runtime,
    url,
    get urls() {
      return listeningUrls(runtime, program);
    },
    get adminUrl() {
      return runtime === 'workerd' ? `${url}/_corral` : adminUrlIn(outputOf(program));
    },
    pid: program.pid,
    stdout: () => program.stdout(),
    stderr: () => program.stderr(),
    exited: program.exited,
    untilOutput: (pattern, timeoutMs = 10_000) =>
      program.until(`output like ${pattern}`, timeoutMs, () => (pattern.test(outputOf(program)) ? outputOf(program) : undefined)),
    signal: (name) => program.signal(name),
    stop: (graceMs) => program.stop(graceMs),
  };
}

/** Whole lines only: half a line may hold half a port. */
function outputOf(program: Program): string {
  const whole = (text: string) => text.slice(0, text.lastIndexOf('\n') + 1);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colours
  return (whole(program.stdout()) + whole(program.stderr())).replaceAll(/\u001b\[[0-9;]*m/g, '');
}

const urlPattern = /https?:\/\/(?:\[[^\]\s]+\]|[^\s:/,'"]+):[1-9]\d*/gi;

function listeningUrls(name: RuntimeName, program: Program): string[] {
  if (name === 'workerd') {
    const told = program.control().matchAll(/"event":"listen","socket":"http(?:-\d+)?","port":(\d+)/g);
    return [...told].map(([, port]) => `http://127.0.0.1:${port}`);
  }
  const lines = outputOf(program)
    .split('\n')
    .filter((line) => /listening/i.test(line) && !/admin|readiness|metrics/i.test(line));
  return [...new Set(lines.flatMap((line) => line.match(urlPattern) ?? []))];
}

function adminUrlIn(output: string): string | undefined {
  const line = output.split('\n').find((each) => /\badmin\b/i.test(each) && each.match(urlPattern) !== null);
  return line?.match(urlPattern)?.[0];
}

function processCommand(root: string, name: 'node' | 'bun' | 'deno', program: string, config: CorralConfig): Command {
  const entry = `${root}/src/index.ts`;
  const start = {
    node: [entry],
    bun: ['run', entry],
    deno: ['serve', '-A', '--host', '127.0.0.1', '--port', '0', entry],
  }[name];
  return {
    program,
    args: [...start, ...(config.args ?? [])],
    cwd: config.cwd ?? root,
    env: {
      ...cleanEnvironment(),
      ...(name === 'deno' ? {} : { CORRAL_HOST: '127.0.0.1', CORRAL_PORT: '0' }),
      ...(config.yaml === undefined ? {} : { CORRAL_CONFIG: inline(config.yaml) }),
      ...config.env,
    },
    stdin: config.stdin,
  };
}

async function workerdCommand(root: string, program: string, config: CorralConfig): Promise<Command> {
  if (config.args !== undefined && config.args.length > 0) throw new Error('workerd takes no arguments for the Worker');
  const bundle = await bundleWorker(root);
  const bindings = { ...(config.yaml === undefined ? {} : { CORRAL_CONFIG: inline(config.yaml) }), ...config.env };
  const { durableObjects = {}, isolates = 1 } = config;
  const file = writeWorkerdConfig(root, bundle, { bindings, durableObjects, isolates });
  return { program, args: ['serve', '--control-fd=3', file], cwd: bundle.folder, env: cleanEnvironment(), controlPipe: true };
}

/** `CORRAL_CONFIG` is a path unless it holds a newline. */
function inline(yaml: string): string {
  return yaml.includes('\n') ? yaml : `${yaml}\n`;
}

/** What a user's shell has, without this test run's own settings and without any that would steer Corral. */
function cleanEnvironment(): Record<string, string> {
  const kept = Object.entries(process.env).filter(
    ([name, value]) => value !== undefined && !/^(CORRAL_|OLLAMA_|NODE_|VITEST|TEST$|MODE$|DEV$|PROD$|FORCE_COLOR$)/.test(name),
  ) as [string, string][];
  return { ...Object.fromEntries(kept), NO_COLOR: '1', DENO_NO_UPDATE_CHECK: '1' };
}

/** The program of a runtime as npm installed it; the second place is where its binary lies when install scripts did not run. */
export function programOf(name: RuntimeName): string | undefined {
  const modules = fileURLToPath(new URL('../../../node_modules', import.meta.url));
  const places = {
    node: [`${modules}/.bin/node`, process.execPath],
    bun: [`${modules}/@oven/bun-linux-x64/bin/bun`, `${modules}/.bin/bun`],
    deno: [`${modules}/@deno/linux-x64-glibc/deno`, `${modules}/.bin/deno`],
    workerd: [`${modules}/@cloudflare/workerd-linux-64/bin/workerd`, `${modules}/.bin/workerd`],
  };
  return places[name].find((place) => existsSync(place));
}
