/** Secrets: the text itself, usually through `${VAR}`, or `{file: path}`. */
import * as z from 'zod';
import { textOfFile } from './files.ts';
import { FieldError, parsedOr } from './text-field.ts';

const expected = 'a text, or {file: "path"} with the path of a file that holds it';

/** Trimmed: an editor's last newline is no part of a key. An empty secret locks nothing, so it is an error. */
function secretOf(text: string): string {
  const secret = text.trim();
  if (secret === '') throw new FieldError('a secret must not be empty');
  return secret;
}

/** A secret in the YAML. Output: its text, trimmed; a file is read while the configuration is loaded. */
export const secretField = z
  .union([z.string(), z.strictObject({ file: z.string().min(1).describe('Path of a file that holds the secret.') })], {
    error: `expected ${expected}`,
  })
  .transform((secret, context) =>
    parsedOr(() => secretOf(typeof secret === 'string' ? secret : textOfFile(secret.file)), context),
  );
