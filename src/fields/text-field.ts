/**
 * How a text of the YAML becomes a value: a parser that throws FieldError, wrapped once into a zod schema. The parser is
 * usable alone (command line, environment), the schema in the configuration.
 */
import * as z from 'zod';

/** A text that cannot be what it should be. The message says what was expected; whoever reports it adds the place. */
export class FieldError extends Error {
  override readonly name = 'FieldError';
}

/**
 * A zod schema for a text that `parse` turns into a value. `expected` completes the sentence "expected …"; `kind` names such
 * texts in the reference.
 */
export function textField<Value>(expected: string, parse: (text: string) => Value, kind = 'text') {
  const text = z.string({ error: `expected ${expected}` });
  return text.transform((given, context) => parsedOr(() => parse(given), context)).meta({ title: kind });
}

/** Runs a parser inside a zod transform: FieldError becomes an issue, anything else is a fault and goes on. */
export function parsedOr<Value>(parse: () => Value, context: { addIssue(message: string): void }): Value {
  try {
    return parse();
  } catch (thrown) {
    if (!(thrown instanceof FieldError)) throw thrown;
    context.addIssue(thrown.message);
    return z.NEVER;
  }
}
