/** `fleet.openPaths`: paths that are opened on boxes. */
import { FieldError, textField } from '../../fields/text-field.ts';

/** A method and a path that are opened on boxes although they are not among the known ones; `*` is any one segment. */
export interface OpenPath {
  readonly method: string;
  readonly path: string;
}

export const openPathField = textField(
  'a method and a path, such as "POST /api/pull"',
  (text): OpenPath => {
    const match = /^([A-Z]+) +(\/[\x21-\x7e]*)$/.exec(text);
    const [, method, path] = match ?? [];
    if (method === undefined || path === undefined)
      throw new FieldError('expected a method in capitals and a path, such as "POST /api/pull"');
    if (/[?#%]|\/\/|\/\.{1,2}(?:\/|$)/.test(path))
      throw new FieldError('expected a plain path, without query, "%", "//" or dot segments');
    if (/[^/]\*|\*[^/]/.test(path)) throw new FieldError('"*" stands for one whole segment, as in "GET /v1/responses/*"');
    return { method, path };
  },
  'METHOD /path',
);
