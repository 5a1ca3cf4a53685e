/** Opens the admin address, and the readiness port where one is asked for. */
import { createAdmin, createReadinessPort } from '../admin/index.ts';
import { type Readiness, readinessOf } from '../admin/readiness.ts';
import type { Door, OpenDoor } from '../entry/door.ts';
import type { Opened } from '../entry/open.ts';
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
  const { admin: adminAddress, readiness: readinessAddress } = opened.admin;
  const doors: Door[] = [];
  let admin: Door | undefined;
  if (adminAddress !== undefined) {
    const { host: hostname, port } = adminAddress;
    const app = createAdmin({ readiness, adminToken, isLoopback: isLoopbackName(hostname) });
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
  if (readinessAddress !== undefined) {
    const { host: hostname, port } = readinessAddress;
    const app = createReadinessPort(readiness);
    try {
      doors.push(await openDoor({ hostname, port, bind: { port: undefined }, answer: (request) => app.fetch(request) }));
    } catch (thrown) {
      for (const door of doors) door.close();
      throw new CannotListen(`the readiness address: ${refusalOf(hostname, port, thrown)}`);
    }
  }
  return { doors, admin };
}

function isLoopbackName(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '::1' || hostname.startsWith('127.');
}
