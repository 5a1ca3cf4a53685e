/** Newline-delimited JSON, as Ollama's native API streams it: one object per line, `\n` after each. */
import { carriageReturn, type Framing, lineFeed } from './lines.ts';

const decoder = new TextDecoder();

export const ndjson: Framing = {
  createSplitter: () => ({ endOf: (chunk, from) => chunk.indexOf(lineFeed, from) + 1 || -1 }),
  read(frame) {
    const data = decoder.decode(frame).trim();
    return { data: data === '' ? undefined : data, event: undefined };
  },
  isEvent: (bytes, from) => bytes[from] !== lineFeed && bytes[from] !== carriageReturn,
  // The half line that this completes is no JSON. Clients throw on it (ollama-python) or skip it (ollama-js) and then throw on
  // the error line that follows. Without the line end they would glue the two together and never see the error.
  closingOf: () => '\n',
};
