/**
 * Notices that files have changed. Their folders are watched, not they themselves: editors and tools put a new file in the
 * place of the old one, and Kubernetes turns a symbolic link in the folder. Where a file system tells nothing (network
 * shares, some containers), a look every few seconds finds it. What decides is the content: a touched file is no change.
 */
import { dirname } from 'node:path';
import type { Clock } from '../platform.ts';
import { type Fingerprint, fingerprintOf, missing } from './files-read.ts';

/** The file system, as far as it is needed here. */
export interface FileEyes {
  /** Calls back when something in the folder changes; the returned function ends that. Undefined: it cannot be watched. */
  watchFolder(folder: string, onEvent: () => void): (() => void) | undefined;
  /** Differs when the file behind the path may have changed; links are followed. Never rejects. */
  stampOf(path: string): Promise<string>;
  /** Where the path leads when links are followed; undefined when nowhere. */
  realPathOf(path: string): string | undefined;
  /** Rejects when it cannot be read. */
  textOf(path: string): Promise<string>;
}

export interface FileWatch {
  /** From now on these files, which held that when they were read. */
  follow(files: ReadonlyMap<string, Fingerprint>): void;
  stop(): void;
}

export interface FileWatchSetting {
  readonly eyes: FileEyes;
  readonly clock: Clock;
  readonly onChange: () => void;
}

/** Many events belong to one change; and what is being written is not read before it has been the same for so long. */
const settleMs = 100;
/** Whoever never stops writing is read all the same after so many looks. */
const maxLooks = 20;
const pollMs = 3_000;

interface Followed {
  readonly path: string;
  known: Fingerprint;
  stamp: string | undefined;
}

export function createFileWatch({ eyes, clock, onChange }: FileWatchSetting): FileWatch {
  let followed: readonly Followed[] = [];
  const folders = new Map<string, (() => void) | undefined>();
  let cancelLook: (() => void) | undefined;
  let cancelPoll: (() => void) | undefined;
  let isLooking = false;
  /** Something happened that the look under way may have missed. */
  let isAsked = false;
  let isStopped = false;

  const lookSoon = (): void => {
    isAsked = true;
    if (isStopped || isLooking) return;
    cancelLook ??= clock.after(settleMs, () => {
      cancelLook = undefined;
      isLooking = true;
      isAsked = false;
      void look(undefined, 1);
    });
  };
  const endLook = (): void => {
    isLooking = false;
    if (isAsked) lookSoon();
  };

  /** Tells of a change once two looks in a row have found the same. */
  const look = async (before: string | undefined, looks: number): Promise<void> => {
    const files = followed;
    const found = await Promise.all(files.map(({ path }) => contentOf(eyes, path)));
    // While files were read, a reload may have begun to follow others.
    if (isStopped || files !== followed || files.every(({ known }, index) => known === found[index])) return endLook();
    const now = found.join(' ');
    if (now !== before && looks < maxLooks) {
      cancelLook = clock.after(settleMs, () => {
        cancelLook = undefined;
        void look(now, looks + 1);
      });
      return;
    }
    for (const [index, file] of files.entries()) file.known = found[index] ?? missing;
    endLook();
    onChange();
  };

  const poll = async (files: readonly Followed[]): Promise<void> => {
    const stamps = await Promise.all(files.map(({ path }) => eyes.stampOf(path)));
    if (isStopped || files !== followed) return;
    const hasMoved = files.some(({ stamp }, index) => stamp !== undefined && stamp !== stamps[index]);
    for (const [index, file] of files.entries()) file.stamp = stamps[index];
    if (hasMoved) {
      // A link that leads elsewhere now has another folder to watch.
      watchFolders();
      lookSoon();
    }
    cancelPoll = clock.after(pollMs, () => void poll(files));
  };

  const watchFolders = (): void => {
    const wanted = new Set(followed.flatMap(({ path }) => foldersOf(eyes, path)));
    for (const [folder, end] of folders) {
      if (wanted.has(folder)) continue;
      end?.();
      folders.delete(folder);
    }
    for (const folder of wanted) if (folders.get(folder) === undefined) folders.set(folder, eyes.watchFolder(folder, lookSoon));
  };

  return {
    follow(files) {
      if (isStopped) return;
      followed = [...files].map(([path, known]) => ({ path, known, stamp: undefined }));
      watchFolders();
      cancelPoll?.();
      cancelPoll = undefined;
      if (followed.length === 0) return;
      void poll(followed);
      // What changed between being read and being followed.
      lookSoon();
    },
    stop() {
      isStopped = true;
      cancelLook?.();
      cancelPoll?.();
      for (const end of folders.values()) end?.();
      folders.clear();
    },
  };
}

async function contentOf(eyes: FileEyes, path: string): Promise<Fingerprint> {
  try {
    return fingerprintOf(await eyes.textOf(path));
  } catch {
    return missing;
  }
}

/** Where the file is named, and where it is. */
function foldersOf(eyes: FileEyes, path: string): string[] {
  const real = eyes.realPathOf(path);
  return [...new Set([dirname(path), ...(real === undefined ? [] : [dirname(real)])])];
}
