/** Secrets: the text itself, usually through `${VAR}`, or `{file: path}`. */
import * as z from 'zod';
import { textOfFile } from './files.ts';
import { FieldError, parsedOr } from './text-field.ts';

/** Fields whose values nobody may see again. What is made of such a field (`optional`, `describe`, `refine`) is one, too. */
const secretFields = z.registry<{ readonly isSecret: true }>();

/** Marks a field of the schema: its value is masked wherever the configuration is shown. */
export function holdsSecret<Field extends z.ZodType>(field: Field): Field {
  secretFields.add(field, { isSecret: true });
  return field;
}

export function isSecretField(field: z.core.$ZodType): boolean {
  return secretFields.get(field)?.isSecret === true;
}

const expected = 'a text, or {file: "path"} with the path of a file that holds it';

/** Letters: what is signed with a secret may be read by others, and a short one be found by trying. */
export const leastSecret = 16;
export const secretTooShort = `expected ${leastSecret} letters or more: make one with openssl rand -hex 32`;

/** Trimmed: an editor's last newline is no part of a key. An empty secret locks nothing, so it is an error. */
function secretOf(text: string): string {
  const secret = text.trim();
  if (secret === '') throw new FieldError('a secret must not be empty');
  return secret;
}

/** A secret in the YAML. Output: its text, trimmed; a file is read while the configuration is loaded. */
export const secretField = holdsSecret(
  z
    .union([z.string(), z.strictObject({ file: z.string().min(1).describe('Path of a file that holds the secret.') })], {
      error: `expected ${expected}`,
    })
    .transform((secret, context) =>
      parsedOr(() => secretOf(typeof secret === 'string' ? secret : textOfFile(secret.file)), context),
    ),
);
