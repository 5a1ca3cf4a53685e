/** Longer texts: given in the YAML, or as the path of a file. Files are read while the configuration is loaded. */
import * as z from 'zod';
import { textOfFile } from './files.ts';
import { onlyHere } from './portable.ts';
import { holdsSecret } from './secret.ts';
import { FieldError, parsedOr, textField } from './text-field.ts';

/** A text in the YAML, or `{file: path}`: users, key sets. Output: the text as it stands, untrimmed. */
export const textOrFileField = holdsSecret(
  z
    .union([z.string(), z.strictObject({ file: z.string().min(1).describe('Path of a file that holds the text.') })], {
      error: 'expected a text, or {file: "path"} with the path of a file that holds it',
    })
    .transform((value, context) => (typeof value === 'string' ? value : parsedOr(() => textOfFile(value.file), context))),
);

/**
 * A PEM given by the path of its file (agentgateway's `cert`, `key` and `root`), or as the PEM text itself, which
 * agentgateway does not know but platforms without files need. Output: the PEM text.
 */
export const pemField = onlyHere(
  textField(
    'the path of a PEM file',
    (value) => {
      const text = value.includes('-----BEGIN ') ? value : textOfFile(value);
      if (!text.includes('-----BEGIN '))
        throw new FieldError(`"${value.slice(0, 200)}" holds no PEM: no "-----BEGIN …" line in it`);
      return text;
    },
    'PEM file',
  ),
  (text) => (String(text).includes('-----BEGIN ') ? 'agentgateway takes the path of a file here, not the PEM itself' : undefined),
);
