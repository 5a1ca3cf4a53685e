/**
 * The access log's lines, written together: one system call per line would cost more than everything else that the log
 * does. They leave within 10 ms, which nobody who reads a log can tell from at once.
 */
import type { Clock } from '../platform.ts';
import { systemClock } from './clock.ts';

export interface LineWriter {
  print(line: string): void;
  /** Writes what is pending, for the end of the process. */
  flush(): void;
}

export interface LineOutput {
  write(text: string): unknown;
  /** Bytes taken but not yet gone, where writing does not wait: whoever reads the log may have stopped to. */
  backlog?(): number;
}

/** So much is pending at most: past that it is written at once. In UTF-16 units. */
const maxPendingLength = 64 * 1024;
/** Past this lines are dropped and counted: a log that nobody reads must not eat the memory. */
const maxBacklogBytes = 4 * 1024 * 1024;

const maxWaitMs = 10;

export function createLineWriter(output: LineOutput, clock: Pick<Clock, 'after'> = systemClock): LineWriter {
  let pending = '';
  let isScheduled = false;
  let dropped = 0;
  const flush = () => {
    isScheduled = false;
    if (pending === '') return;
    const text = pending;
    pending = '';
    output.write(text);
  };
  return {
    print(line) {
      if ((output.backlog?.() ?? 0) > maxBacklogBytes) {
        dropped++;
        return;
      }
      if (dropped > 0) pending += `${dropped} lines were dropped: standard output was not read\n`;
      dropped = 0;
      pending += `${line}\n`;
      if (pending.length > maxPendingLength) flush();
      else if (!isScheduled) {
        isScheduled = true;
        clock.after(maxWaitMs, flush);
      }
    },
    flush,
  };
}
