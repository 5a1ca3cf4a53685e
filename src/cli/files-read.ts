/// <reference types="node" />
/** Remembers which files a configuration was made of, and what was in them, without keeping their contents: some are secrets. */
import { createHash } from 'node:crypto';

/** A file's content in short; files that could not be read have one, too. */
export type Fingerprint = string;

export const missing: Fingerprint = 'missing';

export function fingerprintOf(text: string): Fingerprint {
  return createHash('sha256').update(text).digest('base64');
}

export interface FilesRead {
  /** Reads, and remembers. Throws what the reading throws. */
  readonly readFile: (path: string) => string;
  /** By path as it was asked for. */
  readonly seen: ReadonlyMap<string, Fingerprint>;
  /** As if it had not been asked for. */
  forget(path: string): void;
}

export function createFilesRead(readFile: (path: string) => string): FilesRead {
  const seen = new Map<string, Fingerprint>();
  return {
    seen,
    forget: (path) => {
      seen.delete(path);
    },
    readFile(path) {
      seen.set(path, missing);
      const text = readFile(path);
      seen.set(path, fingerprintOf(text));
      return text;
    },
  };
}
