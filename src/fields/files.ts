/**
 * Files that the YAML points to are read while the YAML is checked, so that everything after has the text itself and an
 * unreadable file is a configuration error like any other, with line and column.
 */
import { FieldError } from './text-field.ts';

/** Reads a text file. Throws with a message that says why it cannot be read. */
export type ReadFile = (path: string) => string;

/** zod hands no context of ours to a transform. Loading is synchronous, so the reader of the load under way stands here. */
let currentReader: ReadFile | undefined;

/** Runs `work` (synchronous) with the reader that `textOfFile` shall use; undefined: this platform has no files. */
export function readingWith<Value>(reader: ReadFile | undefined, work: () => Value): Value {
  const outer = currentReader;
  currentReader = reader;
  try {
    return work();
  } finally {
    currentReader = outer;
  }
}

/** The text of a file named in the YAML. Throws FieldError. */
export function textOfFile(path: string): string {
  if (currentReader === undefined) {
    throw new FieldError(
      `"${path}" cannot be read: there are no files here; give the text itself, e.g. through an environment variable`,
    );
  }
  try {
    return currentReader(path);
  } catch (thrown) {
    throw new FieldError(`"${path}" cannot be read: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
  }
}
