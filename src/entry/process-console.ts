/// <reference types="node" />
/** Standard output and standard error where `node:process` is the way to them: Node and Bun. */
import process from 'node:process';
import type { Platform } from '../platform.ts';
import { createLineWriter } from './line-writer.ts';

export function processConsole(): Pick<Platform, 'print' | 'report'> {
  const lines = createLineWriter({
    write: (text) => process.stdout.write(text),
    backlog: () => process.stdout.writableLength,
  });
  process.on('exit', lines.flush);
  return {
    print: lines.print,
    report: (level, message) => {
      process.stderr.write(reportLine(level, message));
    },
  };
}

/** Infos are for people who watch a start, the rest is for those who search. */
export function reportLine(level: 'info' | 'warn' | 'error', message: string): string {
  return `${level === 'info' ? '' : level === 'warn' ? 'warning: ' : 'error: '}${message}\n`;
}
