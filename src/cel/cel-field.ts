/** A CEL expression in the YAML. */
import * as z from 'zod';
import { onDemand } from '../fields/on-demand.ts';
import { parsedOr } from '../fields/text-field.ts';
import type { CelExpression } from './expression.ts';

/** Parser, checker and functions: a tenth of what there is to load at a start, and most configurations have no expression. */
export const cel = onDemand(() => import('./compile-cel.ts'));

/** Throws FieldError `column N: …`, and NotLoaded (fields/on-demand.ts). */
export function celOf(source: string): CelExpression {
  return cel().compileCel(source);
}

/** `about` says what the expression decides or gives; the output is a CelExpression. */
export function celField(about: string) {
  return z
    .string({ error: 'expected a CEL expression as text; put numbers and true or false in quotes' })
    .transform((source, context) => parsedOr(() => celOf(source), context))
    .meta({ title: 'CEL expression' })
    .describe(about);
}
