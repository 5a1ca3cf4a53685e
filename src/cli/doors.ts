/** Opens the ports of a plan, and says what to do where one cannot be opened. */
import type { Answer, Door, OpenDoor } from '../entry/door.ts';
import type { Opened } from '../entry/open.ts';
import type { Settings } from '../entry/settings.ts';

/** A start that cannot go on. The message is complete and printable. */
export class CannotListen extends Error {}

/** All ports or none: a Corral that serves half of its configuration would look whole. */
export async function openDoors(opened: Opened, settings: Settings, openDoor: OpenDoor): Promise<Door[]> {
  const hostname = settings.host ?? (opened.everyRouteIsProtected ? '0.0.0.0' : '127.0.0.1');
  const answer: Answer = (request, peer) => opened.gateway.fetch(request, peer);
  const doors: Door[] = [];
  try {
    for (const [index, bindPort] of opened.ports.entries()) {
      const port = index === 0 ? (settings.port ?? bindPort) : bindPort;
      doors.push(await openOrSay({ hostname, port, bindPort, answer }, openDoor));
    }
  } catch (thrown) {
    for (const door of doors) door.close();
    throw thrown;
  }
  return doors;
}

async function openOrSay(options: Parameters<OpenDoor>[0], openDoor: OpenDoor): Promise<Door> {
  try {
    return await openDoor(options);
  } catch (thrown) {
    throw new CannotListen(refusalOf(options.hostname, options.port, thrown));
  }
}

/** Why the system would not let us listen, and the mend. */
export function refusalOf(hostname: string, port: number, thrown: unknown): string {
  const code = String((thrown as { code?: unknown }).code ?? '');
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  const where = `${hostname}:${port}`;
  if (code === 'EADDRINUSE' || /address (already )?in use|port \d+ in use/i.test(message)) {
    return `port ${port} is in use (${where}), perhaps by another Corral. Find it with: lsof -i :${port}   Or take another port: --port ${port + 1}`;
  }
  if (code === 'EACCES' || /permission denied/i.test(message)) {
    return `port ${port} may not be opened by this user; ports below 1024 are for root. Take another one: --port ${port < 1024 ? port + 8000 : port + 1}`;
  }
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND' || /not available|getaddrinfo/i.test(message)) {
    return `${hostname} is no address of this machine. Take --host 127.0.0.1, or --host 0.0.0.0 for every interface`;
  }
  return `cannot listen on ${where}: ${message}`;
}
