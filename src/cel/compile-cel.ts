/** From an expression's text to something that can be evaluated a million times. */
import { TypeError as CelTypeError, EvaluationError, ParseError } from '@marcbachmann/cel-js';
import type { Exchange } from '../exchange.ts';
import { FieldError } from '../fields/text-field.ts';
import { celEnvironment, limits } from './environment.ts';
import { type CelExpression, type CelExtras, CelFailure } from './expression.ts';
import { needsOf, readsOf } from './needs.ts';
import { textOfValue } from './values.ts';
import { SceneContext } from './variables.ts';

const noExtras: CelExtras = {};

/** Throws FieldError `column N: …` for what is no expression, and for variables and functions that do not exist. */
export function compileCel(source: string): CelExpression {
  if (source.length > limits.characters) throw new FieldError(`an expression may have ${limits.characters} characters at most`);
  const parsed = parse(source);
  const reads = readsOf(parsed.ast);
  const evaluate = (exchange: Exchange, extras: CelExtras = noExtras): unknown => {
    try {
      return parsed(new SceneContext(exchange, extras));
    } catch (thrown) {
      throw failureOf(thrown);
    }
  };
  return {
    source,
    needs: needsOf(reads),
    reads,
    evaluate,
    holds(exchange, extras) {
      try {
        return evaluate(exchange, extras) === true;
      } catch (thrown) {
        if (thrown instanceof CelFailure) return false;
        throw thrown;
      }
    },
    textOf(exchange, extras) {
      try {
        return textOfValue(evaluate(exchange, extras));
      } catch (thrown) {
        if (thrown instanceof CelFailure) return undefined;
        throw thrown;
      }
    },
  };
}

function parse(source: string) {
  try {
    const parsed = celEnvironment.parse(source);
    const checked = parsed.check();
    if (!checked.valid) throw checked.error;
    return parsed;
  } catch (thrown) {
    if (!(thrown instanceof ParseError || thrown instanceof CelTypeError)) throw thrown;
    throw new FieldError(`column ${(thrown.range?.start ?? 0) + 1}: ${thrown.summary}`);
  }
}

function failureOf(thrown: unknown): CelFailure {
  if (thrown instanceof CelFailure) return thrown;
  if (thrown instanceof EvaluationError) return new CelFailure(thrown.code, { cause: thrown });
  return new CelFailure('it cannot be evaluated', { cause: thrown });
}
