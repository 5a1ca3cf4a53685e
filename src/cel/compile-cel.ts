/** From an expression's text to something that can be evaluated a million times. */
import { FieldError } from '../fields/text-field.ts';
import { limits } from './environment.ts';
import { evaluateIn } from './evaluation.ts';
import { type CelExpression, type CelExtras, CelFailure } from './expression.ts';
import { failureOf } from './failures.ts';
import { needsOf, readsOf } from './needs.ts';
import { parseCel } from './parse-cel.ts';
import { textOfValue } from './values.ts';
import { SceneContext } from './variables.ts';

const noExtras: CelExtras = {};

/** Throws FieldError `column N: …` for what is no expression, and for variables and functions that do not exist. */
export function compileCel(source: string): CelExpression {
  if (source.length > limits.maxCharacters)
    throw new FieldError(`column ${limits.maxCharacters + 1}: an expression may have ${limits.maxCharacters} characters at most`);
  const { run, ast } = parseCel(source);
  const reads = readsOf(ast);
  const evaluate: CelExpression['evaluate'] = (exchange, extras = noExtras) => {
    const scene = new SceneContext(exchange, extras);
    try {
      return evaluateIn(scene, () => run(scene));
    } catch (thrown) {
      throw failureOf(thrown, source);
    }
  };
  return {
    source,
    needs: needsOf(reads),
    reads,
    evaluate,
    holds: (exchange, extras) => unlessItFails(() => evaluate(exchange, extras) === true) ?? false,
    textOf: (exchange, extras) => unlessItFails(() => textOfValue(evaluate(exchange, extras))),
  };
}

function unlessItFails<Result>(evaluate: () => Result): Result | undefined {
  try {
    return evaluate();
  } catch (thrown) {
    if (thrown instanceof CelFailure) return undefined;
    throw thrown;
  }
}
