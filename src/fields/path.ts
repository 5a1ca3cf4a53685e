/** Paths of URLs as they stand in the YAML. */
import { FieldError, textField } from './text-field.ts';

const expected = 'a path that starts with "/"';

function checkedPath(text: string): string {
  if (!text.startsWith('/')) throw new FieldError(`expected ${expected}, not "${text.slice(0, 200)}"`);
  // These end up in a request line.
  if (/[^\x21-\x7e]|#/.test(text)) throw new FieldError('a path holds no spaces, no "#" and only ASCII; write others as %XX');
  return text;
}

/** An absolute path, perhaps with a query. Output: the text. */
export const pathField = textField(expected, checkedPath, 'path');

/** The start of a path, put in front of others. Output: without its trailing slash, so `/` gives the empty text. */
export const pathPrefixField = textField(
  expected,
  (text) => {
    if (text.includes('?')) throw new FieldError('a path prefix holds no "?"');
    return checkedPath(text).replace(/\/+$/, '');
  },
  'path',
);
