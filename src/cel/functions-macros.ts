/** Functions that do not get their arguments' values but the arguments themselves: they may fail, or name a variable. */
import type { ASTNode, Environment } from '@marcbachmann/cel-js';
import { spendItems } from './evaluation.ts';
import { CelFailure } from './expression.ts';
import { isMissing } from './failures.ts';
import { sync } from './namespaces.ts';
import { entriesOf } from './values.ts';

/** cel-js's checker, evaluator and contexts, as far as macros use them. Its types leave them open. */
interface Checker {
  check(node: ASTNode, context: Context): unknown;
  getType(name: string): unknown;
  createError(code: string, message: string, node: ASTNode): Error;
}
interface Evaluator {
  run(node: ASTNode, context: Context): unknown;
}
interface Context {
  forkWithVariable(name: string, type: unknown): Bound;
}
interface Bound extends Context {
  reuse(parent: Context): Bound;
  setIterValue(value: unknown, evaluator: Evaluator): Bound;
}
interface Expansion {
  readonly args: readonly ASTNode[];
  readonly receiver: ASTNode | null;
}

/** coalesce(a, …): as many as anybody writes. */
const maxAlternatives = 16;

export function registerMacros(environment: Environment): void {
  environment.registerFunction('default(ast, ast): dyn', alternatives(isMissing), sync);
  for (let count = 1; count <= maxAlternatives; count++) {
    environment.registerFunction(
      `coalesce(${Array(count).fill('ast').join(', ')}): dyn`,
      alternatives(() => true),
      sync,
    );
  }
  environment.registerFunction(
    'dyn.with(ast, ast): dyn',
    bindingMacro('dyn', (value, run) => run(value)),
    sync,
  );
  environment.registerFunction('dyn.mapValues(ast, ast): map', bindingMacro('map', mapValues), sync);
  environment.registerFunction('dyn.filterKeys(ast, ast): map', bindingMacro('map', filterKeys), sync);
}

/**
 * The first argument that can be evaluated and is not null; the last one may be null. `passes` says which failures are passed
 * over: `default` only those of what is not there, `coalesce` all.
 */
function alternatives(passes: (failure: unknown) => boolean) {
  return ({ args }: Expansion) => ({
    args,
    async: false,
    typeCheck(checker: Checker, { args: nodes }: Expansion, context: Context) {
      for (const node of nodes) checker.check(node, context);
      return checker.getType('dyn');
    },
    evaluate(evaluator: Evaluator, { args: nodes }: Expansion, context: Context) {
      let failure: unknown;
      let sawNull = false;
      for (const node of nodes) {
        try {
          const value = evaluator.run(node, context);
          if (value !== null) return value;
          sawNull = true;
        } catch (thrown) {
          if (!passes(thrown)) throw thrown;
          failure = thrown;
        }
      }
      if (sawNull) return null;
      throw failure;
    },
  });
}

interface BindingMacro {
  readonly value: ASTNode;
  readonly name: ASTNode;
  readonly body: ASTNode;
  bound: Bound | undefined;
}

/** `value.macro(name, body)`: `run` evaluates the body with the name standing for what it is given. */
function bindingMacro(type: 'dyn' | 'map', evaluateWith: (value: unknown, run: (item: unknown) => unknown) => unknown) {
  return ({ args, receiver }: Expansion) => ({
    value: receiver,
    name: args[0],
    body: args[1],
    bound: undefined,
    async: false,
    typeCheck(checker: Checker, macro: BindingMacro, context: Context) {
      const { value, name, body } = macro;
      checker.check(value, context);
      if (name.op !== 'id') throw checker.createError('invalid_macro_argument', 'the first argument must be a name', name);
      macro.bound = context.forkWithVariable(name.args, checker.getType('dyn'));
      const checked = checker.check(body, macro.bound as Context);
      return type === 'dyn' ? checked : checker.getType(type);
    },
    evaluate(evaluator: Evaluator, { value, body, bound }: BindingMacro, context: Context) {
      return evaluateWith(evaluator.run(value, context), (item) =>
        bound === undefined ? undefined : evaluator.run(body, bound.reuse(context).setIterValue(item, evaluator)),
      );
    },
  });
}

function mapValues(value: unknown, run: (item: unknown) => unknown): Map<unknown, unknown> {
  const entries = entriesOf(value);
  spendItems(entries.length);
  return new Map(entries.map(([key, member]) => [key, run(member)]));
}

function filterKeys(value: unknown, run: (item: unknown) => unknown): Map<unknown, unknown> {
  const entries = entriesOf(value);
  spendItems(entries.length);
  return new Map(
    entries.filter(([key]) => {
      const keeps = run(key);
      if (typeof keeps !== 'boolean') throw new CelFailure('filterKeys: the condition must be true or false');
      return keeps;
    }),
  );
}
