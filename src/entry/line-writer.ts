/**
 * The access log's lines, written together: one system call per line would cost more than everything else that the log
 * does. They leave at the end of the turn they were printed in, so nothing is late.
 */
export interface LineWriter {
  print(line: string): void;
  /** Writes what is pending, for the end of the process. */
  flush(): void;
}

/** So much is pending at most: past that it is written at once. In UTF-16 units. */
const maxPendingLength = 64 * 1024;

export function createLineWriter(write: (text: string) => unknown): LineWriter {
  let pending = '';
  const flush = () => {
    const text = pending;
    pending = '';
    if (text !== '') write(text);
  };
  return {
    print(line) {
      if (pending === '') setTimeout(flush, 0);
      pending += `${line}\n`;
      if (pending.length > maxPendingLength) flush();
    },
    flush,
  };
}
