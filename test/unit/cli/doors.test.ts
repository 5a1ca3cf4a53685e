import { describe, expect, it } from 'vitest';
import { openAdminDoors } from '../../../src/cli/admin-doors.ts';
import { CannotListen, openDoors, refusalOf } from '../../../src/cli/doors.ts';
import type { Door, DoorOptions, OpenDoor } from '../../../src/entry/door.ts';
import type { Opened } from '../../../src/entry/opened.ts';
import type { Settings } from '../../../src/entry/settings.ts';
import type { Peer, ServerTls } from '../../../src/platform.ts';
import { plainSettings } from '../../support/settings.ts';
import { noKeeper } from '../fleet/no-keeper.ts';

function systemError(code: string): Error {
  return Object.assign(new Error(`listen ${code}`), { code });
}

/** Doors that are only written down; ports in `taken` are somebody else's. */
function building(taken: readonly number[] = []) {
  const asked: DoorOptions[] = [];
  const closed: number[] = [];
  const stopped: number[] = [];
  const renewed: string[] = [];
  const openDoor: OpenDoor = async (options) => {
    asked.push(options);
    if (taken.includes(options.port)) throw systemError('EADDRINUSE');
    const door: Door = {
      hostname: options.hostname,
      port: options.port,
      stopAccepting: () => stopped.push(options.port),
      close: () => closed.push(options.port),
      renewTls({ certificates }) {
        if (certificates[0]?.cert === 'broken') throw new Error('planted');
        renewed.push(certificates[0]?.cert ?? '');
      },
    };
    return door;
  };
  return { asked, closed, stopped, renewed, openDoor };
}

function opened(more: Partial<Opened> = {}): Opened {
  return {
    plan: { binds: [] } as unknown as Opened['plan'],
    sync: {
      configSynchronized: true,
      problems: [],
      problemCount: 0,
      lastReloadMs: undefined,
      lastRefusalMs: undefined,
      reloads: 0,
      refusals: 0,
    },
    prepareReload: () => Promise.resolve({ ok: false, problems: [] }),
    refuseReload: () => undefined,
    gateway: { fetch: () => new Response('gateway'), inFlight: 0, drain: () => undefined, onIdle: () => undefined },
    herd: {
      start: () => undefined,
      stop: () => undefined,
      catchUp: () => undefined,
      describe: () => [],
      explain: () => [],
      isBox: () => true,
      isAlive: () => true,
      hasModel: () => true,
    },
    ports: [3000, 4000],
    tlsOf: () => undefined,
    everyRouteIsProtected: false,
    admin: { admin: { host: 'localhost', port: 15_000 }, readiness: undefined, stats: undefined },
    warnings: [],
    hasDemo: true,
    keeper: noKeeper,
    metricsText: () => '',
    configDump: () => '',
    warningAt: (_path, message) => message,
    flushTelemetry: () => Promise.resolve(),
    ...more,
  };
}

function settings(more: Partial<Settings> = {}): Settings {
  return plainSettings('', { hasDemo: true, ...more });
}

const placesOf = (asked: readonly DoorOptions[]) =>
  asked.map(({ hostname, port, bind }) => `${hostname}:${port} for ${bind.port}`);

describe('openDoors', () => {
  it('stays on loopback as long as a route is open to all', async () => {
    const { asked, openDoor } = building();
    await openDoors(opened(), settings(), openDoor);
    expect(placesOf(asked)).toEqual(['127.0.0.1:3000 for 3000', '127.0.0.1:4000 for 4000']);
  });

  it('listens everywhere when every route is protected', async () => {
    const { asked, openDoor } = building();
    await openDoors(opened({ everyRouteIsProtected: true }), settings(), openDoor);
    expect(placesOf(asked)).toEqual(['0.0.0.0:3000 for 3000', '0.0.0.0:4000 for 4000']);
  });

  it('does not take --allow-anonymous for a wish to listen everywhere', async () => {
    const { asked, openDoor } = building();
    await openDoors(opened(), settings({ allowAnonymous: true }), openDoor);
    expect(asked[0]?.hostname).toBe('127.0.0.1');
  });

  it('listens where it is told, on the first port it is told', async () => {
    const { asked, openDoor } = building();
    await openDoors(opened(), settings({ host: '10.0.0.1', port: 0 }), openDoor);
    expect(placesOf(asked)).toEqual(['10.0.0.1:0 for 3000', '10.0.0.1:4000 for 4000']);
  });

  it.each([
    ['a relay with a secret', { isRelay: true, host: '0.0.0.0' }, true, true],
    ['a relay without one, on this machine', { isRelay: true }, false, true],
    ['a relay without one, for others', { isRelay: true, host: '192.168.1.7' }, false, false],
    ['no relay', { host: '192.168.1.7' }, false, true],
  ])('opens for %s: %o, %s', async (_, told, hasRelaySecret, isOpened) => {
    const { asked, openDoor } = building();
    const opening = openDoors(opened({ hasRelaySecret }), settings(told), openDoor);
    if (isOpened) await opening;
    else await expect(opening).rejects.toThrow(/--relay listens on 192\.168\.1\.7 and has no secret.*CORRAL_RELAY_SECRET/);
    expect(asked.length > 0).toBe(isOpened);
  });

  it('opens all or none', async () => {
    const { closed, openDoor } = building([4000]);
    await expect(openDoors(opened(), settings(), openDoor)).rejects.toThrow(CannotListen);
    expect(closed).toEqual([3000]);
  });
});

describe('prepare', () => {
  const plain = (ports: readonly number[], everyRouteIsProtected = false) => ({
    ports,
    tlsOf: () => undefined,
    everyRouteIsProtected,
  });
  const tls = (ports: readonly number[], cert: string, root?: string) => ({
    ports,
    everyRouteIsProtected: false,
    tlsOf: (): ServerTls => ({
      certificates: [{ hostname: '', cert, key: 'k' }],
      root,
      minVersion: undefined,
      maxVersion: undefined,
      cipherSuites: undefined,
      keyExchangeGroups: undefined,
    }),
  });
  const openPorts = async (world: ReturnType<typeof building>, first: Partial<Opened>, told: Partial<Settings> = {}) => {
    const gateway = { fetch: () => new Response('gateway'), inFlight: 0, drain: () => undefined, onIdle: () => undefined };
    return openDoors(opened({ gateway, ...first }), settings(told), world.openDoor);
  };
  const request = () => new Request('http://localhost:1/');
  const local: Peer = { port: 1, address: () => '127.0.0.1', onGone: () => undefined, waitUntil: () => undefined };

  it('opens and closes what changed, and leaves the rest', async () => {
    const world = building();
    const doors = await openPorts(world, { ports: [3000, 4000] });
    const change = await doors.prepare(plain([3000, 5000]));
    expect(placesOf(world.asked).slice(2)).toEqual(['127.0.0.1:5000 for 5000']);
    expect(world.stopped).toEqual([]);
    expect(await change.commit()).toEqual([]);
    expect(world.stopped).toEqual([4000]);
    expect(doors.open.map(({ port }) => port)).toEqual([3000, 5000]);
  });

  it('answers nobody at a new port before its plan is in force', async () => {
    const world = building();
    const doors = await openPorts(world, { ports: [3000] });
    const change = await doors.prepare(plain([3000, 5000]));
    let answer: Response | undefined;
    const waiting = Promise.resolve(world.asked[1]?.answer(request(), local)).then((response) => {
      answer = response;
    });
    for (let turn = 0; turn < 20; turn++) await Promise.resolve();
    expect(answer).toBeUndefined();
    await change.commit();
    await waiting;
    expect(await answer?.text()).toBe('gateway');
    expect(world.asked[1]?.answer(request(), local)).toBeInstanceOf(Response);
  });

  it('answers 404 on connections to a port that is gone, and asks to close them', async () => {
    const world = building();
    const doors = await openPorts(world, { ports: [3000, 4000] });
    await (await doors.prepare(plain([3000]))).commit();
    const answer = await world.asked[1]?.answer(request(), local);
    expect([answer?.status, answer?.headers.get('connection')]).toEqual([404, 'close']);
  });

  it('changes nothing when one of the new ports is taken', async () => {
    const world = building([6000]);
    const doors = await openPorts(world, { ports: [3000] });
    await expect(doors.prepare(plain([5000, 6000]))).rejects.toThrow(CannotListen);
    expect(world.closed).toEqual([5000]);
    expect([world.stopped, doors.open.map(({ port }) => port)]).toEqual([[], [3000]]);
  });

  it('keeps the port that was told at the start, whatever the first bind is called', async () => {
    const world = building();
    const doors = await openPorts(world, { ports: [3000] }, { port: 8080 });
    await (await doors.prepare(plain([3001]))).commit();
    expect(placesOf(world.asked)).toEqual(['127.0.0.1:8080 for 3001']);
    expect(world.stopped).toEqual([]);
  });

  it('opens a port again that begins to speak TLS, once it is closed', async () => {
    const world = building();
    const doors = await openPorts(world, { ports: [3000] });
    const change = await doors.prepare(tls([3000], 'one'));
    expect(world.asked).toHaveLength(1);
    expect(await change.commit()).toEqual([]);
    expect(world.stopped).toEqual([3000]);
    expect(world.asked[1]?.tls?.certificates[0]?.cert).toBe('one');
    expect(doors.open).toEqual([{ hostname: '127.0.0.1', port: 3000, isTls: true }]);
  });

  it('renews certificates where they changed, and says when that fails', async () => {
    const world = building();
    const first = tls([3000], 'one');
    const doors = await openPorts(world, first);
    await (await doors.prepare(tls([3000], 'one'))).commit();
    expect(world.renewed).toEqual([]);
    await (await doors.prepare(tls([3000], 'two'))).commit();
    expect(world.renewed).toEqual(['two']);
    expect(await (await doors.prepare(tls([3000], 'broken'))).commit()).toEqual(['port 3000 keeps its certificates: planted']);
    // Clients that must show a certificate are another kind of door.
    await (await doors.prepare(tls([3000], 'two', 'root'))).commit();
    expect([world.stopped, world.asked.length]).toEqual([[3000], 2]);
  });
});

describe('refusalOf', () => {
  it.each([
    [systemError('EADDRINUSE'), 3000, /^port 3000 is in use \(h:3000\).*lsof -i :3000.*--port 3001$/],
    [new Error('Failed to start server. Is port 3000 in use?'), 3000, /^port 3000 is in use/],
    [systemError('EACCES'), 80, /^port 80 may not be opened by this user.*--port 8080$/],
    [systemError('EADDRNOTAVAIL'), 3000, /^h is no address of this machine/],
    [systemError('EMFILE'), 3000, /^cannot listen on h:3000: listen EMFILE$/],
  ])('%s', (thrown, port, words) => {
    expect(refusalOf('h', port, thrown)).toMatch(words);
  });
});

describe('openAdminDoors', () => {
  const open = (openDoor: OpenDoor, more: Partial<Opened> = {}) => {
    const warnings: string[] = [];
    const doors = openAdminDoors({
      opened: opened(more),
      adminToken: undefined,
      isDraining: () => false,
      openDoor,
      warn: (message) => warnings.push(message),
    });
    return { doors, warnings };
  };
  const local: Peer = { port: undefined, address: () => '127.0.0.1', onGone: () => undefined, waitUntil: () => undefined };

  it('answers readiness at the admin address', async () => {
    const { asked, openDoor } = building();
    const { doors } = open(openDoor);
    expect((await doors).admin?.port).toBe(15_000);
    const answer = await asked[0]?.answer(
      new Request('http://localhost:15000/healthz/ready', { headers: { host: 'localhost:15000' } }),
      local,
    );
    expect(await answer?.text()).toBe('ready\n');
  });

  it('does without when somebody has the default port', async () => {
    const { doors, warnings } = open(building([15_000]).openDoor);
    expect((await doors).admin).toBeUndefined();
    expect(warnings).toEqual([
      'no admin address: port 15000 is in use (localhost:15000), perhaps by another Corral. Find it with: lsof -i :15000. Set config.adminAddr to another address, or to off',
    ]);
  });

  it('does not do without an address that was asked for', async () => {
    const { doors } = open(building([15_001]).openDoor, {
      admin: { admin: { host: 'localhost', port: 15_001 }, readiness: undefined, stats: undefined },
    });
    await expect(doors).rejects.toThrow(CannotListen);
  });

  it('answers metrics and nothing else at a port of their own, to everybody who reaches it', async () => {
    const { asked, openDoor } = building();
    const { doors } = open(openDoor, {
      admin: { admin: undefined, stats: { host: '::', port: 15_020 }, readiness: undefined },
      metricsText: () => 'corral_in_flight 3\n',
    });
    expect((await doors).doors).toHaveLength(1);
    expect(placesOf(asked)).toEqual(['::' + ':15020 for undefined']);
    const askFor = async (path: string) => await asked[0]?.answer(new Request(`http://10.0.0.1:15020${path}`), local);
    expect(await (await askFor('/metrics'))?.text()).toBe('corral_in_flight 3\n');
    expect((await askFor('/stats/prometheus'))?.status).toBe(200);
    expect((await askFor('/config_dump'))?.status).toBe(404);
  });

  it('does not do without a stats port that was asked for, and closes what it has opened', async () => {
    const { closed, openDoor } = building([15_020]);
    const { doors } = open(openDoor, {
      admin: { admin: { host: 'localhost', port: 15_001 }, stats: { host: '::', port: 15_020 }, readiness: undefined },
    });
    await expect(doors).rejects.toThrow(/^the stats address: port 15020 is in use/);
    expect(closed).toEqual([15_001]);
  });

  it('opens none when it is off, and a readiness port where one is asked for', async () => {
    const off = building();
    await open(off.openDoor, { admin: { admin: undefined, readiness: undefined, stats: undefined } }).doors;
    expect(off.asked).toEqual([]);
    const both = building();
    const { doors } = open(both.openDoor, {
      admin: { admin: undefined, stats: undefined, readiness: { host: '::', port: 15_021 } },
    });
    expect((await doors).doors).toHaveLength(1);
    expect(placesOf(both.asked)).toEqual(['::' + ':15021 for undefined']);
    const answer = await both.asked[0]?.answer(new Request('http://10.0.0.1:15021/healthz/ready'), local);
    expect(answer?.status).toBe(200);
  });
});
