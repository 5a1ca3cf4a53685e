/** Opens the admin address, and ports of their own for metrics and readiness where they are asked for. */
import { createAdmin, createReadinessPort, createStatsPort } from '../admin/index.ts';
import { type Readiness, readinessOf } from '../admin/readiness.ts';
import type { Answer, Door, OpenDoor } from '../entry/door.ts';
import type { ListenAddress, Opened } from '../entry/opened.ts';
import { CannotListen, refusalOf } from './doors.ts';

export interface AdminDoors {
  readonly doors: readonly Door[];
  /** Undefined: off, or its default port was taken. */
  readonly admin: Door | undefined;
}

export interface AdminDoorSetting {
  readonly opened: Opened;
  readonly adminToken: string | undefined;
  readonly isDraining: () => boolean;
  readonly openDoor: OpenDoor;
  readonly warn: (message: string) => void;
}

/** Where agentgateway has it, too. Nobody asked for it by name, so a second Corral does without. */
const defaultAddress = { host: 'localhost', port: 15_000 };

export async function openAdminDoors({ opened, adminToken, isDraining, openDoor, warn }: AdminDoorSetting): Promise<AdminDoors> {
  const readiness = (): Readiness => readinessOf(opened.herd.describe(), isDraining(), opened.sync);
  const { admin: adminAddress, stats: statsAddress, readiness: readinessAddress } = opened.admin;
  const doors: Door[] = [];
  let admin: Door | undefined;
  if (adminAddress !== undefined) {
    const { host: hostname, port } = adminAddress;
    const { metricsText, configDump } = opened;
    const keeper = () => opened.keeper;
    const placement = opened.herd.explain;
    const app = createAdmin({
      readiness,
      metricsText,
      configDump,
      placement,
      keeper,
      adminToken,
      isLoopback: isLoopbackName(hostname),
    });
    try {
      admin = await openDoor({
        hostname,
        port,
        bind: { port: undefined },
        answer: (request, peer) => app.fetch(request, { peer }),
      });
      doors.push(admin);
    } catch (thrown) {
      const reason = refusalOf(hostname, port, thrown).replace(/ {3}Or take another port: .*| Take another one: .*/, '');
      const mend = 'Set config.adminAddr to another address, or to off';
      if (hostname !== defaultAddress.host || port !== defaultAddress.port)
        throw new CannotListen(`the admin address: ${reason}. ${mend}`);
      warn(`no admin address: ${reason}. ${mend}`);
    }
  }
  const openOwn = async (address: ListenAddress | undefined, what: string, answer: Answer): Promise<void> => {
    if (address === undefined) return;
    const { host: hostname, port } = address;
    try {
      doors.push(await openDoor({ hostname, port, bind: { port: undefined }, answer }));
    } catch (thrown) {
      for (const door of doors) door.close();
      throw new CannotListen(`the ${what} address: ${refusalOf(hostname, port, thrown)}`);
    }
  };
  const stats = createStatsPort(opened.metricsText);
  await openOwn(statsAddress, 'stats', (request) => stats.fetch(request));
  const readinessPort = createReadinessPort(readiness);
  await openOwn(readinessAddress, 'readiness', (request) => readinessPort.fetch(request));
  return { doors, admin };
}

function isLoopbackName(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '::1' || hostname.startsWith('127.');
}
