/// <reference types="node" />
/** The command on runtimes where Corral opens its own ports: Node and Bun. */
import process from 'node:process';
import type { OpenDoor } from '../entry/door.ts';
import { openGateway } from '../entry/open.ts';
import type { Platform } from '../platform.ts';
import { openAdminDoors } from './admin-doors.ts';
import { announce } from './announce.ts';
import { urlOf } from './banner.ts';
import { CannotListen, openDoors } from './doors.ts';
import { createDrain } from './drain.ts';
import { createExit } from './last-words.ts';
import { missingModels } from './missing-models.ts';
import { prepare, version } from './prepare.ts';
import { startReload } from './reload.ts';
import { processSurroundings } from './surroundings.ts';
import { trialOf } from './try-it.ts';

export interface ServingRuntime {
  /** For the banner: `Bun 1.4.5`. */
  readonly runtime: string;
  readonly platform: Platform;
  readonly openDoor: OpenDoor;
  /** Since the process began, on `performance.now()`'s clock this is 0. */
  readonly startedMs: number;
}

/** For the log: the stack where there is one. */
function stackOf(reason: unknown): string {
  return reason instanceof Error ? (reason.stack ?? reason.message) : String(reason);
}

export async function serve({ runtime, platform, openDoor, startedMs }: ServingRuntime): Promise<void> {
  const surroundings = processSurroundings(process.argv.slice(2));
  const prepared = await prepare(surroundings, platform, openGateway);
  if (!prepared.goesOn) {
    process.exitCode = prepared.exitCode;
    return;
  }
  const { opened, settings, files } = prepared;
  const { clock } = platform;
  const print = (line: string) => platform.report('info', line);
  try {
    const doors = await openDoors(opened, settings, openDoor);
    let isDraining = () => false;
    const adminDoors = await openAdminDoors({
      opened,
      adminToken: settings.adminToken,
      isDraining: () => isDraining(),
      openDoor,
      warn: (message) => platform.report('warn', message),
    });
    const prepareDoors = doors.prepare;
    const reload = startReload({ opened, settings, platform, files: files.seen, prepareDoors }, surroundings, () =>
      drain.signal(),
    );
    // The readiness port stays open while draining: that is when its answer is wanted.
    const drain = createDrain({
      gateway: opened.gateway,
      doors,
      clock,
      times: () => opened.plan.settings.drain,
      print,
      onStart: reload.stop,
      exit: createExit({ flush: opened.flushTelemetry, clock, exit: (code) => process.exit(code) }),
    });
    isDraining = () => drain.isDraining;
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => drain.signal());
    process.on('SIGHUP', reload.hangUp);
    // A mistake in one request must not end the streams of all others.
    process.on('unhandledRejection', (reason) => platform.report('error', `a promise was left alone: ${stackOf(reason)}`));
    opened.herd.start();
    // Not waited for: a signal that comes before the boxes have answered must find nothing unfinished.
    void announce({
      version,
      runtime,
      listening: doors.open.map(({ hostname, port, isTls }) => urlOf(hostname, port, isTls)),
      admin: adminDoors.admin === undefined ? undefined : urlOf(adminDoors.admin.hostname, adminDoors.admin.port),
      configName: settings.config.name,
      startedMs,
      describe: () => opened.herd.describe(),
      remarks: () => missingModels(opened.plan, opened.herd),
      hasDemo: opened.hasDemo,
      trial: trialOf(opened.plan.binds),
      hasCommonKey: settings.apiKey !== undefined,
      clock,
      print,
    });
  } catch (thrown) {
    if (!(thrown instanceof CannotListen)) throw thrown;
    platform.report('error', thrown.message);
    process.exit(1);
  }
}
