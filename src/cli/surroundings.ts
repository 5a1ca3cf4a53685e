/// <reference types="node" />
/** The process around the command: what it may read and where it may speak. Tests hand in their own. */
import { closeSync, openSync, readFileSync, statSync } from 'node:fs';
import process from 'node:process';
import { processTerminal, type Terminal } from './terminal.ts';

export interface Surroundings {
  /** Without the runtime's and the script's own. */
  readonly args: readonly string[];
  readonly env: (name: string) => string | undefined;
  /** Throws the system's error. */
  readonly readFile: (path: string) => string;
  readonly readStdin: () => string;
  /** Permission bits of a file; undefined where there are none (Windows), or no file. */
  readonly modeOf: (path: string) => number | undefined;
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** Whether the terminal that the process belonged to was closed; false where there never was one. */
  readonly isTerminalGone: () => boolean;
  /** For the commands; left out: standard output is no terminal. */
  readonly terminal?: Terminal;
}

export function processSurroundings(args: readonly string[]): Surroundings {
  return {
    args,
    terminal: processTerminal(),
    env: (name) => process.env[name],
    readFile: (path) => readFileSync(path, 'utf8'),
    readStdin: () => readFileSync(0, 'utf8'),
    modeOf(path) {
      if (process.platform === 'win32') return undefined;
      try {
        return statSync(path).mode & 0o777;
      } catch {
        return undefined;
      }
    },
    out: (text) => {
      process.stdout.write(text);
    },
    err: (text) => {
      process.stderr.write(text);
    },
    isTerminalGone() {
      if (process.stdin.isTTY !== true && process.stdout.isTTY !== true && process.stderr.isTTY !== true) return false;
      try {
        closeSync(openSync('/dev/tty', 'r'));
        return false;
      } catch {
        return true;
      }
    },
  };
}

/** "no such file" instead of "ENOENT: no such file or directory, open 'x'". */
export function systemReasonOf(thrown: unknown): string {
  const code = (thrown as { code?: unknown }).code;
  if (typeof code === 'string' && code in reasons) return reasons[code as keyof typeof reasons];
  return thrown instanceof Error ? thrown.message : String(thrown);
}

const reasons = {
  ENOENT: 'there is no such file',
  EISDIR: 'it is a directory',
  EACCES: 'no permission',
  EPERM: 'no permission',
  ENOTDIR: 'a part of the path is no directory',
} as const;

/** A reader whose errors are such words. */
export function saidPlainly(readFile: (path: string) => string): (path: string) => string {
  return (path) => {
    try {
      return readFile(path);
    } catch (thrown) {
      throw new Error(systemReasonOf(thrown));
    }
  };
}
