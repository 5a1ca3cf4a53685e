/// <reference types="node" />
/** What the commands may do to the place where they speak: colours, bars, and an end by Ctrl-C. */
import process from 'node:process';

export interface Terminal {
  /** Standard output is one: lines may be drawn anew. */
  readonly isTerminal: boolean;
  readonly hasColour: boolean;
  /** Characters in a line. */
  columns(): number;
  /** Calls `listener` once at Ctrl-C; a second one ends the process as usual. The returned function forgets it. */
  onInterrupt(listener: () => void): () => void;
  /** From now on a reader that has had enough (`| head`) is no error. */
  allowEarlyEnd?(): void;
}

/** A pipe, a file, a test. */
export const noTerminal: Terminal = {
  isTerminal: false,
  hasColour: false,
  columns: () => 80,
  onInterrupt: () => () => undefined,
};

/** NO_COLOR as no-color.org has it: set and not empty. */
export function processTerminal(): Terminal {
  const isTerminal = process.stdout.isTTY === true && process.env.TERM !== 'dumb';
  return {
    isTerminal,
    hasColour: isTerminal && (process.env.NO_COLOR ?? '') === '',
    columns: () => process.stdout.columns || 80,
    onInterrupt(listener) {
      process.once('SIGINT', listener);
      return () => process.removeListener('SIGINT', listener);
    },
    allowEarlyEnd() {
      for (const stream of [process.stdout, process.stderr])
        stream.on('error', (thrown: NodeJS.ErrnoException) => {
          if (thrown.code !== 'EPIPE') throw thrown;
        });
    },
  };
}
