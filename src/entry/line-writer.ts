/**
 * The access log's lines, written together: one system call per line would cost more than everything else that the log
 * does. They leave at the end of the turn they were printed in, so nothing is late.
 */
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

export function createLineWriter(output: LineOutput): LineWriter {
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
        setTimeout(flush, 0);
      }
    },
    flush,
  };
}
