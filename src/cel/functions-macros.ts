/** Functions that do not get their arguments' values but the arguments themselves, because these may fail. */
import type { ASTNode, Environment } from '@marcbachmann/cel-js';

/** cel-js's checker and evaluator, as far as macros use them. Its types leave them open. */
interface Checker {
  check(node: ASTNode, context: unknown): unknown;
  getType(name: string): unknown;
}
interface Evaluator {
  run(node: ASTNode, context: unknown): unknown;
}
interface Macro {
  readonly args: readonly ASTNode[];
}

const sync = { async: false };
/** coalesce(a, …): as many as anybody writes. */
const maxAlternatives = 16;

export function registerMacros(environment: Environment): void {
  environment.registerFunction('default(ast, ast): dyn', alternatives(false), sync);
  for (let count = 1; count <= maxAlternatives; count++) {
    environment.registerFunction(`coalesce(${Array(count).fill('ast').join(', ')}): dyn`, alternatives(true), sync);
  }
}

/** The first argument that can be evaluated; `skipsNull` looks for one that is not null. */
function alternatives(skipsNull: boolean) {
  return ({ args }: { args: ASTNode[] }) => ({
    args,
    async: false,
    typeCheck(checker: Checker, { args: nodes }: Macro, context: unknown) {
      for (const node of nodes) checker.check(node, context);
      return checker.getType('dyn');
    },
    evaluate(evaluator: Evaluator, { args: nodes }: Macro, context: unknown) {
      let failure: unknown;
      let sawNull = false;
      for (const node of nodes) {
        try {
          const value = evaluator.run(node, context);
          if (value !== null || !skipsNull) return value;
          sawNull = true;
        } catch (thrown) {
          failure = thrown;
        }
      }
      if (sawNull) return null;
      throw failure;
    },
  });
}
