/** Whatever an evaluation throws, as a CelFailure: in words, and without values of the request. */
import { EvaluationError } from '@marcbachmann/cel-js';
import { CelFailure, CelMissing } from './expression.ts';

/** Whether something was read that is not there, and nothing worse happened. */
export function isMissing(thrown: unknown): boolean {
  if (thrown instanceof EvaluationError) return thrown.code === 'no_such_key' || thrown.code === 'unknown_variable';
  return thrown instanceof CelMissing;
}

/** cel-js's own words name values; its codes do not. */
export function failureOf(thrown: unknown, source: string): CelFailure {
  if (thrown instanceof CelFailure) return thrown;
  // Deeply nested data can exhaust the stack.
  if (!(thrown instanceof EvaluationError)) return new CelFailure('its values cannot be handled', { cause: thrown });
  const { range, code } = thrown;
  const place = range === undefined ? '' : `column ${range.start + 1}: `;
  const Failure = isMissing(thrown) ? CelMissing : CelFailure;
  const read = range === undefined ? '' : source.slice(range.start, range.end);
  if (code === 'unknown_variable') return new Failure(`${place}"${read}" is not there`);
  if (code === 'no_such_key') return new Failure(`${place}${nameIn(read)} is not there`);
  return new Failure(`${place}${code.replaceAll('_', ' ')}`);
}

/** The member as the expression writes it; one that it works out could be a value of the request. */
function nameIn(read: string): string {
  const name = /^\.?(\w+)$/.exec(read)?.[1] ?? /\[["']([\w-]+)["']\]$/.exec(read)?.[1];
  return name === undefined ? 'a member of this name' : `"${name}"`;
}
