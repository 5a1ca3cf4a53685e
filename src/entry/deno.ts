/// <reference types="node" />
/**
 * Corral on Deno: `deno serve -A --host 127.0.0.1 src/index.ts`. Deno opens the port and calls what is exported here, so host
 * and port are its flags; ours may follow the script's name.
 */

import { openAdminDoors } from '../cli/admin-doors.ts';
import { announce } from '../cli/announce.ts';
import { urlOf } from '../cli/banner.ts';
import { CannotListen } from '../cli/doors.ts';
import { createDrain } from '../cli/drain.ts';
import { prepare, version } from '../cli/prepare.ts';
import { processSurroundings } from '../cli/surroundings.ts';
import { openDenoDoor } from './deno-door.ts';
import { createDenoPlatform, denoPeer } from './deno-platform.ts';
import { deno, type ServeInfo } from './deno-runtime.ts';
import { onlyPortOf } from './one-door.ts';
import type { Opened } from './open.ts';
import { openGateway } from './open.ts';
import type { Settings } from './settings.ts';

const platform = createDenoPlatform();
const surroundings = processSurroundings(deno.args);
const prepared = await prepare(surroundings, platform, openGateway);
if (!prepared.goesOn) deno.exit(prepared.exitCode);
const { opened, settings } = prepared;
const chosen = onlyPortOf(opened.ports, surroundings.env('CORRAL_BIND'), '`deno serve`');
if (settings.host !== undefined || settings.port !== undefined) {
  fail('host and port are flags of `deno serve` itself: deno serve -A --host 127.0.0.1 --port 3000 src/index.ts');
}
if (!chosen.ok) fail(chosen.problem);
const bindPort = chosen.ok ? chosen.port : undefined;

export default {
  fetch(request: Request, info: ServeInfo): Response | Promise<Response> {
    return opened.gateway.fetch(request, denoPeer(bindPort, info));
  },

  /** Deno calls this when the port is open. Under `deno run` it never does, and the program ends. */
  onListen(address: { hostname: string; port: number }): void {
    void goOn(opened, settings, urlOf(address.hostname, address.port));
  },
};

async function goOn(opened: Opened, settings: Settings, url: string): Promise<void> {
  const print = (line: string) => platform.report('info', line);
  const drain = createDrain({
    gateway: opened.gateway,
    doors: [],
    clock: platform.clock,
    print,
    exit: (code) => deno.exit(code),
  });
  for (const signal of ['SIGTERM', 'SIGINT'] as const) deno.addSignalListener(signal, () => drain.signal());
  // A mistake in one request must not end the streams of all others.
  globalThis.addEventListener('unhandledrejection', (event) => {
    event.preventDefault();
    platform.report('error', `a promise was left alone: ${String(event.reason?.stack ?? event.reason)}`);
  });
  opened.herd.start();
  try {
    const { admin } = await openAdminDoors({
      opened,
      adminToken: settings.adminToken,
      isDraining: () => drain.isDraining,
      openDoor: openDenoDoor,
      warn: (message) => platform.report('warn', message),
    });
    void announce({
      version,
      runtime: `Deno ${deno.version.deno}`,
      listening: [url],
      admin: admin === undefined ? undefined : urlOf(admin.hostname, admin.port),
      configName: settings.config.name,
      startedMs: 0,
      describe: () => opened.herd.describe(),
      hasDemo: opened.hasDemo,
      needsKey: opened.everyRouteIsProtected,
      clock: platform.clock,
      print,
    });
  } catch (thrown) {
    if (!(thrown instanceof CannotListen)) throw thrown;
    fail(thrown.message);
  }
}

function fail(message: string): never {
  platform.report('error', message);
  deno.exit(1);
}
