/// <reference types="node" />
/** The machine's file system, for `watch.ts`. Node's interface; Bun and Deno have it, too. */
import { realpathSync, watch } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import type { FileEyes } from './watch.ts';

export const fileEyes: FileEyes = {
  watchFolder(folder, onEvent) {
    try {
      const watcher = watch(folder, { persistent: false }, onEvent);
      // The folder itself went away: the regular look goes on.
      watcher.on('error', onEvent);
      return () => watcher.close();
    } catch {
      return undefined;
    }
  },
  async stampOf(path) {
    try {
      const { mtimeNs, ctimeNs, size, ino } = await stat(path, { bigint: true });
      return `${mtimeNs} ${ctimeNs} ${size} ${ino}`;
    } catch {
      return 'missing';
    }
  },
  realPathOf(path) {
    try {
      return realpathSync(path);
    } catch {
      return undefined;
    }
  },
  textOf: (path) => readFile(path, 'utf8'),
};
