/**
 * Takes a changed configuration over while requests are answered: reads it anew, and either everything of it comes into force
 * or nothing, and then what ran goes on and the log says why.
 */
import type { NextPlan, Opened, ReloadResult } from '../entry/opened.ts';
import type { Settings } from '../entry/settings.ts';
import type { Platform } from '../platform.ts';
import { CannotListen } from './doors.ts';
import { fileEyes } from './file-eyes.ts';
import { createFilesRead, type FilesRead } from './files-read.ts';
import { type Surroundings, saidPlainly, systemReasonOf } from './surroundings.ts';
import { createFileWatch, type FileWatch } from './watch.ts';

export interface ReloadSetting {
  readonly opened: Opened;
  readonly settings: Settings;
  readonly platform: Pick<Platform, 'report' | 'clock'>;
  /** Reads a file as the start did. Throws the system's error. */
  readonly readFile: (path: string) => string;
  /** What the start read. */
  readonly files: FilesRead['seen'];
  /** What the runtime must do beside the swap. Rejects with CannotListen where it cannot: then nothing changes. */
  readonly prepareDoors: (next: NextPlan) => Promise<{ commit(): Promise<readonly string[]> }>;
  /** Makes the watch that calls `onChange`. */
  readonly watch: (onChange: () => void) => FileWatch;
}

export interface Reload {
  /** Reads again now, whether something has changed or not. Settles when it is done; never rejects. */
  now(): Promise<void>;
  /** No reload begins any more. */
  stop(): void;
}

export function createReload(setting: ReloadSetting): Reload {
  const { opened, platform } = setting;
  const admin = JSON.stringify(opened.admin);
  let underWay: Promise<void> | undefined;
  let isAsked = false;
  let isStopped = false;

  const run = async (): Promise<void> => {
    do {
      isAsked = false;
      try {
        await reloadOnce(setting, watch, admin);
      } catch (thrown) {
        // A fault of ours must not end the streams of all.
        opened.refuseReload(['internal error']);
        platform.report(
          'error',
          `the reload failed: ${thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)}`,
        );
      }
    } while (isAsked && !isStopped);
    underWay = undefined;
  };
  const now = (): Promise<void> => {
    if (isStopped) return Promise.resolve();
    isAsked = true;
    underWay ??= run();
    return underWay;
  };
  const watch = setting.watch(() => void now());
  watch.follow(setting.files);

  return {
    now,
    stop() {
      isStopped = true;
      watch.stop();
    },
  };
}

async function reloadOnce(setting: ReloadSetting, watch: FileWatch, adminAtStart: string): Promise<void> {
  const { opened, settings, platform } = setting;
  const { clock, report } = platform;
  const startedMs = clock.now();
  const read = createFilesRead(setting.readFile);
  const known = new Set(opened.warnings);
  const result = await prepared(setting, read);
  watch.follow(read.seen);
  if (!result.ok) {
    for (const problem of result.problems) report('error', problem);
    const count = result.problems.length;
    report('error', `${settings.config.name} was not taken over: ${count} ${count === 1 ? 'error' : 'errors'}; what ran goes on`);
    return;
  }
  const { next } = result;
  let doors: Awaited<ReturnType<ReloadSetting['prepareDoors']>>;
  try {
    doors = await setting.prepareDoors(next);
  } catch (thrown) {
    if (!(thrown instanceof CannotListen)) throw thrown;
    opened.refuseReload([thrown.message]);
    report('error', `${settings.config.name} was not taken over: ${thrown.message}; what ran goes on`);
    return;
  }
  const { inFlight } = opened.gateway;
  const wasProtected = opened.everyRouteIsProtected;
  next.swap();
  for (const problem of await doors.commit()) report('error', problem);
  for (const warning of next.warnings) if (!known.has(warning)) report('warn', warning);
  for (const warning of needsRestart(next, settings, adminAtStart, wasProtected)) report('warn', warning);
  const what = next.changes.length === 0 ? 'ports, routes and boxes as before' : next.changes.join(', ');
  const fading = inFlight === 0 ? '' : `; ${inFlight} under way ${inFlight === 1 ? 'ends' : 'end'} as begun`;
  report('info', `reloaded ${settings.config.name} in ${Math.round(clock.now() - startedMs)} ms: ${what}${fading}`);
}

async function prepared({ opened, settings }: ReloadSetting, { readFile }: FilesRead): Promise<ReloadResult> {
  const { config } = settings;
  let { text } = config;
  if (config.path !== undefined) {
    try {
      text = readFile(config.path);
    } catch (thrown) {
      const problems = [`${config.path} cannot be read: ${systemReasonOf(thrown)}`];
      opened.refuseReload(problems);
      return { ok: false, problems };
    }
  }
  return await opened.prepareReload({ ...settings, config: { ...config, text }, readFile: saidPlainly(readFile) });
}

/** What was decided at the start, for the whole process. */
function needsRestart(next: NextPlan, { host }: Settings, adminAtStart: string, wasProtected: boolean): string[] {
  const warnings: string[] = [];
  if (JSON.stringify(next.admin) !== adminAtStart)
    warnings.push('config.adminAddr, statsAddr, readinessAddr: another address is taken at the next start only');
  if (host === undefined && wasProtected !== next.everyRouteIsProtected) {
    warnings.push(
      next.everyRouteIsProtected
        ? 'every route asks for credentials now: open ports listen on 127.0.0.1 until the next start'
        : 'a route is open to all now: ports that are open stay reachable from other machines until the next start; that route serves this machine only',
    );
  }
  return warnings;
}

export interface StartedReload extends Reload {
  /** At SIGHUP: reads again, or, where that says that the terminal was closed, calls `onHangUp`. */
  hangUp(): void;
}

/** `createReload` over the machine's own files. */
export function startReload(
  setting: Omit<ReloadSetting, 'readFile' | 'watch'>,
  surroundings: Pick<Surroundings, 'readFile' | 'isTerminalGone'>,
  onHangUp: () => void,
): StartedReload {
  const { clock } = setting.platform;
  const reload = createReload({
    ...setting,
    readFile: surroundings.readFile,
    watch: (onChange) => createFileWatch({ eyes: fileEyes, clock, onChange }),
  });
  return {
    ...reload,
    hangUp() {
      if (surroundings.isTerminalGone()) onHangUp();
      else void reload.now();
    },
  };
}
