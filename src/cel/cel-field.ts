/** A CEL expression in the YAML. */
import * as z from 'zod';
import { parsedOr } from '../fields/text-field.ts';
import { compileCel } from './compile-cel.ts';

/** `about` says what the expression decides or gives; the output is a CelExpression. */
export function celField(about: string) {
  return z
    .string({ error: 'expected a CEL expression as text; put numbers and true or false in quotes' })
    .transform((source, context) => parsedOr(() => compileCel(source), context))
    .meta({ title: 'CEL expression' })
    .describe(about);
}
