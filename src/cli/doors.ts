/** Opens the ports of a plan, and says what to do where one cannot be opened; after a reload opens and closes what changed. */
import { type Answer, type Door, type OpenDoor, openAgain } from '../entry/door.ts';
import type { NextPlan, Opened } from '../entry/opened.ts';
import type { Settings } from '../entry/settings.ts';
import type { ServerTls } from '../platform.ts';

/** A start that cannot go on. The message is complete and printable. */
export class CannotListen extends Error {}

export interface OpenedDoor {
  readonly hostname: string;
  readonly port: number;
  readonly isTls: boolean;
}

/** What of a plan, in force or next, ports are opened for. */
type Ports = Pick<NextPlan, 'ports' | 'tlsOf' | 'everyRouteIsProtected' | 'hasRelaySecret'>;

export interface Doors {
  /** Those that are open now, in the order of the configuration. */
  readonly open: readonly OpenedDoor[];
  /**
   * Opens what the next plan has and this one has not; nobody is answered there before `commit`. Rejects with CannotListen,
   * and then nothing has changed.
   */
  prepare(next: Ports): Promise<DoorChange>;
  /** No new connections anywhere. */
  stopAccepting(): void;
  close(): void;
}

export interface DoorChange {
  /** The next plan is in force: the new doors answer, those of removed ports close as their connections finish. Returns what did not work. */
  commit(): Promise<readonly string[]>;
}

interface Entry {
  readonly key: string;
  readonly door: Door;
  readonly bind: { port: number };
  tls: ServerTls | undefined;
  /** Its port is no longer in the configuration. */
  isGone: boolean;
}

interface Wanted {
  readonly key: string;
  readonly bindPort: number;
  readonly port: number;
  readonly tls: ServerTls | undefined;
}

/** All ports or none: a Corral that serves half of its configuration would look whole. */
export async function openDoors(opened: Ports & Pick<Opened, 'gateway'>, settings: Settings, openDoor: OpenDoor): Promise<Doors> {
  const hostnameFor = ({ everyRouteIsProtected, hasRelaySecret }: Ports) => {
    const hostname = settings.host ?? (everyRouteIsProtected ? '0.0.0.0' : '127.0.0.1');
    if (settings.isRelay !== true || hasRelaySecret === true || isLoopbackHost(hostname)) return hostname;
    throw new CannotListen(relayWithoutSecret(hostname));
  };
  let entries: Entry[] = [];

  const open = async ({ key, bindPort, port, tls }: Wanted, hostname: string, until?: Promise<void>): Promise<Entry> => {
    const bind = { port: bindPort };
    const state: { entry?: Entry } = {};
    const now: Answer = (request, peer) => (state.entry?.isGone === true ? gone() : opened.gateway.fetch(request, peer));
    let isHeld = until !== undefined;
    void until?.then(() => {
      isHeld = false;
    });
    const answer: Answer = (request, peer) =>
      isHeld ? Promise.resolve(until).then(() => now(request, peer)) : now(request, peer);
    const door = await openOrSay({ hostname, port, bind, tls, answer }, openDoor);
    state.entry = { key, door, bind, tls, isGone: false };
    return state.entry;
  };
  const openAll = async (wanted: readonly Wanted[], hostname: string, until?: Promise<void>): Promise<Entry[]> => {
    const fresh: Entry[] = [];
    try {
      for (const one of wanted) fresh.push(await open(one, hostname, until));
    } catch (thrown) {
      for (const { door } of fresh) door.close();
      throw thrown;
    }
    return fresh;
  };

  entries = await openAll(wantedBy(opened, settings), hostnameFor(opened));

  return {
    get open() {
      return entries.map(({ door: { hostname, port }, tls }) => ({ hostname, port, isTls: tls !== undefined }));
    },
    async prepare(next) {
      const wanted = wantedBy(next, settings);
      const known = new Map(entries.map((entry) => [entry.key, entry]));
      let letIn: () => void = () => undefined;
      const inForce = new Promise<void>((resolve) => {
        letIn = resolve;
      });
      const kept = new Set(wanted.map(({ key }) => key));
      const leaving = entries.filter(({ key }) => !kept.has(key));
      // A port that begins or ceases to speak TLS can only be opened once it is closed.
      const isHeld = ({ port }: Wanted) => leaving.some(({ door }) => door.port === port);
      const missing = wanted.filter(({ key }) => !known.has(key));
      const hostname = hostnameFor(next);
      const fresh = await openAll(
        missing.filter((want) => !isHeld(want)),
        hostname,
        inForce,
      );
      return {
        async commit() {
          letIn();
          const problems: string[] = [];
          for (const entry of leaving) retire(entry);
          for (const want of missing.filter(isHeld)) {
            try {
              fresh.push(await openAgain(() => open(want, hostname)));
            } catch (thrown) {
              problems.push(messageOf(thrown));
            }
          }
          const byKey = new Map([...entries, ...fresh].map((entry) => [entry.key, entry]));
          const after: Entry[] = [];
          for (const want of wanted) {
            const entry = byKey.get(want.key);
            if (entry === undefined) continue;
            after.push(entry);
            entry.bind.port = want.bindPort;
            if (!isSameTls(entry.tls, want.tls) && want.tls !== undefined) {
              entry.tls = want.tls;
              await renew(entry, want.tls, problems);
            }
          }
          entries = after;
          return problems;
        },
      };
    },
    stopAccepting() {
      for (const { door } of entries) door.stopAccepting();
    },
    close() {
      for (const { door } of entries) door.close();
    },
  };
}

/** The first port may be another one than the configuration's (`--port`), and then stays when that changes. */
function wantedBy({ ports, tlsOf }: Ports, settings: Settings): Wanted[] {
  const seen = new Map<number, number>();
  return ports.map((bindPort, index) => {
    const nth = seen.get(bindPort) ?? 0;
    seen.set(bindPort, nth + 1);
    const isFirst = index === 0 && settings.port !== undefined;
    const tls = tlsOf(bindPort);
    const name = isFirst ? 'first' : `${bindPort}${nth === 0 ? '' : `#${nth}`}`;
    // A port that begins or ceases to speak TLS, or to ask for certificates, is another door.
    const speaks = tls === undefined ? '' : tls.root === undefined ? ' tls' : ' mtls';
    return { key: `${name}${speaks}`, bindPort, port: isFirst ? settings.port : bindPort, tls };
  });
}

function isLoopbackHost(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '::1' || hostname.startsWith('127.');
}

function relayWithoutSecret(hostname: string): string {
  return `--relay listens on ${hostname} and has no secret, so that nobody could be told from a stranger. Give this Corral and those in front of it the same CORRAL_RELAY_SECRET (openssl rand -hex 32), or listen on 127.0.0.1`;
}

function retire(entry: Entry): void {
  entry.isGone = true;
  entry.door.stopAccepting();
}

async function renew({ door }: Entry, tls: ServerTls, problems: string[]): Promise<void> {
  try {
    await door.renewTls(tls);
  } catch (thrown) {
    problems.push(`port ${door.port} keeps its certificates: ${messageOf(thrown)}`);
  }
}

export function isSameTls(one: ServerTls | undefined, other: ServerTls | undefined): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

/** For whoever still has a connection to a port that is not served any more. */
function gone(): Response {
  return new Response('{"error":{"message":"this port is no longer served","type":"invalid_request_error"}}', {
    status: 404,
    headers: { 'content-type': 'application/json', connection: 'close' },
  });
}

function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
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
  const message = messageOf(thrown);
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
