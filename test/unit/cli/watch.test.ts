import { describe, expect, it } from 'vitest';
import { fingerprintOf } from '../../../src/cli/files-read.ts';
import { createFileWatch, type FileEyes } from '../../../src/cli/watch.ts';
import { createFakeClock } from '../../support/fake-clock.ts';

/** Files that a test writes; folders tell of changes only where `isDeaf` is false. */
function createFiles(first: Readonly<Record<string, string>>) {
  const texts = new Map(Object.entries(first));
  const stamps = new Map<string, number>();
  const links = new Map<string, string>();
  const listeners = new Map<string, () => void>();
  const files = {
    isDeaf: false,
    reads: 0,
    /** Runs while a file is read. */
    onRead: undefined as (() => void) | undefined,
    get watched() {
      return [...listeners.keys()];
    },
    write(path: string, text: string | undefined) {
      if (text === undefined) texts.delete(path);
      else texts.set(path, text);
      stamps.set(path, (stamps.get(path) ?? 0) + 1);
      files.tell(path.slice(0, path.lastIndexOf('/')));
    },
    tell(folder: string) {
      if (!files.isDeaf) listeners.get(folder)?.();
    },
    link(path: string, target: string) {
      links.set(path, target);
      files.tell(path.slice(0, path.lastIndexOf('/')));
    },
  };
  const targetOf = (path: string) => links.get(path) ?? path;
  const eyes: FileEyes = {
    watchFolder(folder, onEvent) {
      listeners.set(folder, onEvent);
      return () => listeners.delete(folder);
    },
    stampOf: async (path) => `${targetOf(path)} ${stamps.get(targetOf(path))}`,
    realPathOf: (path) => (texts.has(targetOf(path)) ? targetOf(path) : undefined),
    async textOf(path) {
      files.reads++;
      files.onRead?.();
      const text = texts.get(targetOf(path));
      if (text === undefined) throw new Error('missing');
      return text;
    },
  };
  return { files, eyes };
}

function createWorld(first: Readonly<Record<string, string>>) {
  const clock = createFakeClock();
  const { files, eyes } = createFiles(first);
  let changes = 0;
  const watch = createFileWatch({ eyes, clock, onChange: () => changes++ });
  watch.follow(new Map(Object.entries(first).map(([path, text]) => [path, fingerprintOf(text)])));
  return {
    clock,
    files,
    watch,
    /** How many changes were told since it was asked last. */
    told() {
      const count = changes;
      changes = 0;
      return count;
    },
  };
}

describe('createFileWatch', () => {
  it('tells of a change 200 ms after the folder did, once', async () => {
    const { clock, files, told } = createWorld({ '/etc/a.yaml': 'one', '/certs/c.pem': 'cert' });
    await clock.advance(1_000);
    expect(told()).toBe(0);
    files.write('/etc/a.yaml', 'two');
    await clock.advance(199);
    expect(told()).toBe(0);
    await clock.advance(1);
    expect(told()).toBe(1);
    await clock.advance(60_000);
    expect(told()).toBe(0);
    files.write('/certs/c.pem', 'another');
    await clock.advance(200);
    expect(told()).toBe(1);
  });

  it('tells nothing of files that were only touched', async () => {
    const { clock, files, told } = createWorld({ '/etc/a.yaml': 'one' });
    files.write('/etc/a.yaml', 'one');
    await clock.advance(60_000);
    expect(told()).toBe(0);
  });

  it('waits until whoever writes has finished, but not for ever', async () => {
    const { clock, files, told } = createWorld({ '/etc/a.yaml': 'one' });
    await clock.advance(1_000);
    for (let part = 0; part < 5; part++) {
      files.write('/etc/a.yaml', `part ${part}`);
      await clock.advance(100);
    }
    expect(told()).toBe(0);
    await clock.advance(200);
    expect(told()).toBe(1);
    for (let part = 0; part < 30; part++) {
      files.write('/etc/a.yaml', `endless ${part}`);
      await clock.advance(100);
    }
    expect(told()).toBe(1);
  });

  it('sees a file that is removed and written again as one change', async () => {
    const { clock, files, told } = createWorld({ '/etc/a.yaml': 'one' });
    await clock.advance(1_000);
    files.write('/etc/a.yaml', undefined);
    await clock.advance(150);
    files.write('/etc/a.yaml', 'two');
    await clock.advance(1_000);
    expect(told()).toBe(1);
  });

  it('finds changes by itself where folders tell nothing', async () => {
    const { clock, files, told } = createWorld({ '/etc/a.yaml': 'one' });
    files.isDeaf = true;
    await clock.advance(1_000);
    files.write('/etc/a.yaml', 'two');
    await clock.advance(3_200);
    expect(told()).toBe(1);
  });

  it('follows a link that is turned, as Kubernetes does with ConfigMaps', async () => {
    const { clock, files, told } = createWorld({ '/etc/a.yaml': 'one', '/data/1/a.yaml': 'one', '/data/2/a.yaml': 'two' });
    files.isDeaf = true;
    await clock.advance(3_100);
    files.link('/etc/a.yaml', '/data/2/a.yaml');
    await clock.advance(3_300);
    expect(told()).toBe(1);
    expect(files.watched).toContain('/data/2');
  });

  it('sees what changed between being read and being followed, and while it looks', async () => {
    const late = createWorld({ '/etc/a.yaml': 'one' });
    late.files.isDeaf = true;
    late.files.write('/etc/a.yaml', 'two');
    await late.clock.advance(200);
    expect(late.told()).toBe(1);

    const { clock, files, told } = createWorld({ '/etc/a.yaml': 'one', '/etc/b.pem': 'b' });
    await clock.advance(1_000);
    files.onRead = () => {
      files.onRead = undefined;
      // After a.yaml was read, before the look is over.
      queueMicrotask(() => files.write('/etc/a.yaml', 'two'));
    };
    files.tell('/etc');
    await clock.advance(500);
    expect(told()).toBe(1);
  });

  it('watches the folders of what it follows now, and nothing after stop', async () => {
    const { clock, files, watch, told } = createWorld({ '/etc/a.yaml': 'one', '/certs/c.pem': 'c' });
    expect(files.watched).toEqual(['/etc', '/certs']);
    watch.follow(new Map([['/etc/a.yaml', fingerprintOf('one')]]));
    expect(files.watched).toEqual(['/etc']);
    watch.stop();
    expect(files.watched).toEqual([]);
    files.write('/etc/a.yaml', 'two');
    await clock.advance(60_000);
    expect([told(), clock.pending]).toEqual([0, 0]);
  });

  it('has one poll at a time, however often it is told what to follow', async () => {
    const { clock, files, watch } = createWorld({ '/etc/a.yaml': 'one' });
    for (let count = 0; count < 50; count++) watch.follow(new Map([['/etc/a.yaml', fingerprintOf('one')]]));
    await clock.advance(500);
    expect(clock.pending).toBe(1);
    files.reads = 0;
    await clock.advance(30_000);
    expect(files.reads).toBe(0);
  });
});
