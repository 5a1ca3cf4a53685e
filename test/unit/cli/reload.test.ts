import { describe, expect, it } from 'vitest';
import { CannotListen } from '../../../src/cli/doors.ts';
import { createReload, type ReloadSetting } from '../../../src/cli/reload.ts';
import type { NextPlan, Opened, ReloadResult } from '../../../src/entry/opened.ts';
import type { Settings } from '../../../src/entry/settings.ts';
import { createFakeClock } from '../../support/fake-clock.ts';

function createWorld(files: Record<string, string>) {
  const events: string[] = [];
  const followed: string[][] = [];
  let change: () => void = () => undefined;
  const world = {
    events,
    followed,
    change: () => change(),
    /** What the gateway makes of a text. */
    judge: (text: string): ReloadResult => ({ ok: true, next: next(text) }),
    prepareDoors: async (): Promise<{ commit(): Promise<readonly string[]> }> => ({
      async commit() {
        events.push('doors');
        return [];
      },
    }),
    admin: { admin: undefined, readiness: undefined, stats: undefined } as Opened['admin'],
    everyRouteIsProtected: false,
    warnings: [] as string[],
  };
  const next = (text: string): NextPlan =>
    ({
      changes: text.includes('more') ? ['routes +more'] : [],
      warnings: world.warnings,
      admin: world.admin,
      everyRouteIsProtected: world.everyRouteIsProtected,
      swap: () => events.push(`swap ${text}`),
    }) as unknown as NextPlan;
  const opened = {
    admin: { admin: undefined, readiness: undefined, stats: undefined },
    warnings: ['known'],
    everyRouteIsProtected: false,
    gateway: { inFlight: 2 },
    prepareReload(settings: Settings) {
      try {
        settings.readFile?.('key.pem');
      } catch (thrown) {
        return { ok: false, problems: [`key.pem: ${(thrown as Error).message}`] };
      }
      return world.judge(settings.config.text);
    },
    refuseReload: (problems: readonly string[]) => events.push(`refused ${problems.join()}`),
  } as unknown as Opened;
  const setting: ReloadSetting = {
    opened,
    settings: { config: { text: 'old', name: 'x.yaml', path: 'x.yaml' }, host: undefined } as unknown as Settings,
    platform: { clock: createFakeClock(), report: (level, message) => events.push(`${level}: ${message}`) },
    readFile(path) {
      const text = files[path];
      if (text === undefined) throw Object.assign(new Error('no'), { code: 'ENOENT' });
      return text;
    },
    files: new Map([['x.yaml', 'first']]),
    prepareDoors: () => world.prepareDoors(),
    watch: (onChange) => {
      change = onChange;
      return { follow: (seen) => followed.push([...seen.keys()]), stop: () => events.push('stopped') };
    },
  };
  return Object.assign(world, { reload: createReload(setting) });
}

describe('createReload', () => {
  it('swaps, then opens and closes doors, and says so in one line', async () => {
    const { reload, events, followed } = createWorld({ 'x.yaml': 'more', 'key.pem': 'k' });
    await reload.now();
    expect(events).toEqual(['swap more', 'doors', 'info: reloaded x.yaml in 0 ms: routes +more; 2 under way end as begun']);
    expect(followed).toEqual([['x.yaml'], ['x.yaml', 'key.pem']]);
  });

  it('says every error, and that what ran goes on; it goes on watching what was read', async () => {
    const world = createWorld({ 'x.yaml': 'bad', 'key.pem': 'k' });
    world.judge = () => ({ ok: false, problems: ['x.yaml:1:1 one', 'x.yaml:2:1 two'] });
    await world.reload.now();
    expect(world.events).toEqual([
      'error: x.yaml:1:1 one',
      'error: x.yaml:2:1 two',
      'error: x.yaml was not taken over: 2 errors; what ran goes on',
    ]);
    expect(world.followed.at(-1)).toEqual(['x.yaml', 'key.pem']);
  });

  it('watches a file that is missing, the configuration or one it names, until it is there', async () => {
    const gone = createWorld({ 'key.pem': 'k' });
    await gone.reload.now();
    expect(gone.events).toEqual([
      'refused x.yaml cannot be read: there is no such file',
      'error: x.yaml cannot be read: there is no such file',
      'error: x.yaml was not taken over: 1 error; what ran goes on',
    ]);
    expect(gone.followed.at(-1)).toEqual(['x.yaml']);
    const keyless = createWorld({ 'x.yaml': 'fine' });
    await keyless.reload.now();
    expect(keyless.events[0]).toBe('error: key.pem: there is no such file');
    expect(keyless.followed.at(-1)).toEqual(['x.yaml', 'key.pem']);
  });

  it('changes nothing when a port cannot be opened', async () => {
    const world = createWorld({ 'x.yaml': 'more', 'key.pem': 'k' });
    world.prepareDoors = async () => {
      throw new CannotListen('port 4000 is in use');
    };
    await world.reload.now();
    expect(world.events).toEqual([
      'refused port 4000 is in use',
      'error: x.yaml was not taken over: port 4000 is in use; what ran goes on',
    ]);
  });

  it('says what takes effect at the next start only, and warnings that are new', async () => {
    const world = createWorld({ 'x.yaml': 'more', 'key.pem': 'k' });
    world.admin = { admin: { host: 'localhost', port: 1 }, readiness: undefined, stats: undefined };
    world.everyRouteIsProtected = true;
    world.warnings = ['known', 'fresh'];
    await world.reload.now();
    expect(world.events.filter((event) => event.startsWith('warn'))).toEqual([
      'warn: fresh',
      'warn: config.adminAddr, statsAddr, readinessAddr: another address is taken at the next start only',
      'warn: every route asks for credentials now: open ports listen on 127.0.0.1 until the next start',
    ]);
  });

  it('does one at a time, and once more for what came meanwhile', async () => {
    const world = createWorld({ 'x.yaml': 'more', 'key.pem': 'k' });
    let open: () => void = () => undefined;
    let waiting = 0;
    world.prepareDoors = () => {
      waiting++;
      return new Promise((resolve) => {
        open = () => resolve({ commit: async () => [] });
      });
    };
    world.change();
    const all = world.reload.now();
    world.change();
    world.change();
    while (waiting < 1) await new Promise<void>((resolve) => setImmediate(resolve));
    expect(waiting).toBe(1);
    open();
    while (waiting < 2) await new Promise<void>((resolve) => setImmediate(resolve));
    open();
    await all;
    expect(waiting).toBe(2);
  });

  it('survives a fault of ours, and says it', async () => {
    const world = createWorld({ 'x.yaml': 'more', 'key.pem': 'k' });
    world.judge = () => {
      throw new Error('planted');
    };
    await world.reload.now();
    expect(world.events[0]).toBe('refused internal error');
    expect(world.events[1]).toMatch(/^error: the reload failed: Error: planted/);
    world.judge = () => ({ ok: false, problems: [] });
    await world.reload.now();
    expect(world.events).toHaveLength(3);
  });

  it('begins nothing after stop', async () => {
    const { reload, events } = createWorld({ 'x.yaml': 'more', 'key.pem': 'k' });
    reload.stop();
    await reload.now();
    expect(events).toEqual(['stopped']);
  });
});
