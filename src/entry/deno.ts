/// <reference types="node" />
/**
 * Corral on Deno: `deno serve -A --host 127.0.0.1 src/index.ts`. Deno opens the port and calls what is exported here, so host
 * and port are its flags; ours may follow the script's name. `deno serve` speaks plain HTTP: ports with TLS are opened beside it.
 */
import process from 'node:process';
import { openAdminDoors } from '../cli/admin-doors.ts';
import { announce } from '../cli/announce.ts';
import { urlOf } from '../cli/banner.ts';
import { CannotListen, openDoors } from '../cli/doors.ts';
import { createDrain } from '../cli/drain.ts';
import { createExit } from '../cli/last-words.ts';
import { missingModels } from '../cli/missing-models.ts';
import { prepare, version } from '../cli/prepare.ts';
import { startReload } from '../cli/reload.ts';
import { processSurroundings } from '../cli/surroundings.ts';
import { trialOf } from '../cli/try-it.ts';
import { openDenoDoor } from './deno-door.ts';
import { createDenoPlatform, denoPeer } from './deno-platform.ts';
import { deno, type ServeInfo } from './deno-runtime.ts';
import { onlyPortOf } from './one-door.ts';
import { openGateway } from './open.ts';
import type { NextPlan, Opened } from './opened.ts';

const platform = createDenoPlatform();
const surroundings = processSurroundings(deno.args);
const prepared = await prepare(surroundings, platform, openGateway);
if (!prepared.goesOn) deno.exit(prepared.exitCode);
const { opened, settings, files } = prepared;
if (settings.host !== undefined || settings.port !== undefined) {
  fail('host and port are flags of `deno serve` itself: deno serve -A --host 127.0.0.1 --port 3000 src/index.ts');
}
const chosen = mainPortOf(opened);
if (!chosen.ok) fail(chosen.problem);
/** The bind that is served at Deno's own port; undefined where all of them speak TLS. */
const main = { port: chosen.ok ? chosen.port : undefined };

export default {
  fetch(request: Request, info: ServeInfo): Response | Promise<Response> {
    return servesNothing() ? nothingHere() : opened.gateway.fetch(request, denoPeer(main.port, info));
  },

  /** Deno calls this when the port is open. Under `deno run` it never does, and the program ends. */
  onListen(address: { hostname: string; port: number }): void {
    void goOn(address.hostname, address.port);
  },
};

/** At Deno's own port. */
function servesNothing(): boolean {
  return main.port === undefined && opened.ports.length > 0;
}

type Ports = Pick<Opened, 'ports' | 'tlsOf' | 'everyRouteIsProtected' | 'hasRelaySecret'>;

function mainPortOf({ ports, tlsOf }: Ports) {
  const plain = ports.filter((port) => tlsOf(port) === undefined);
  return onlyPortOf(plain, surroundings.env('CORRAL_BIND'), '`deno serve`');
}

/** The ports that Corral opens itself. */
function tlsPortsOf({ ports, tlsOf, everyRouteIsProtected, hasRelaySecret }: Ports): Ports {
  return { ports: ports.filter((port) => tlsOf(port) !== undefined), tlsOf, everyRouteIsProtected, hasRelaySecret };
}

async function goOn(hostname: string, port: number): Promise<void> {
  const print = (line: string) => platform.report('info', line);
  const { clock } = platform;
  try {
    const doors = await openDoors(
      { ...tlsPortsOf(opened), gateway: opened.gateway },
      { ...settings, host: hostname },
      openDenoDoor,
    );
    const prepareDoors = async (next: NextPlan) => {
      const nextMain = mainPortOf(next);
      if (!nextMain.ok) throw new CannotListen(nextMain.problem);
      const change = await doors.prepare(tlsPortsOf(next));
      return {
        commit() {
          main.port = nextMain.port;
          return change.commit();
        },
      };
    };
    const reload = startReload({ opened, settings, platform, files: files.seen, prepareDoors }, surroundings, () =>
      drain.signal(),
    );
    const drain = createDrain({
      gateway: opened.gateway,
      doors,
      clock,
      times: () => opened.plan.settings.drain,
      print,
      onStart: reload.stop,
      exit: createExit({ flush: opened.flushTelemetry, clock, exit: (code) => deno.exit(code) }),
    });
    for (const signal of ['SIGTERM', 'SIGINT'] as const) deno.addSignalListener(signal, () => drain.signal());
    process.on('SIGHUP', reload.hangUp);
    // A mistake in one request must not end the streams of all others.
    globalThis.addEventListener('unhandledrejection', (event) => {
      event.preventDefault();
      platform.report('error', `a promise was left alone: ${String(event.reason?.stack ?? event.reason)}`);
    });
    opened.herd.start();
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
      listening: [
        ...(servesNothing() ? [] : [urlOf(hostname, port)]),
        ...doors.open.map((door) => urlOf(door.hostname, door.port, door.isTls)),
      ],
      admin: admin === undefined ? undefined : urlOf(admin.hostname, admin.port),
      configName: settings.config.name,
      startedMs: 0,
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
    fail(thrown.message);
  }
}

function nothingHere(): Response {
  return new Response(
    '{"error":{"message":"every port of the configuration speaks TLS; this one is served nothing","type":"invalid_request_error"}}',
    {
      status: 404,
      headers: { 'content-type': 'application/json' },
    },
  );
}

function fail(message: string): never {
  platform.report('error', message);
  deno.exit(1);
}
