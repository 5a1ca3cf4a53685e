/** A parsed expression's nodes. */
import type { ASTNode } from '@marcbachmann/cel-js';

/** The node and all below it, outer before inner. */
export function* nodesOf(node: ASTNode): Generator<ASTNode> {
  yield node;
  for (const child of childrenOf(node.args)) yield* nodesOf(child);
}

/** The nodes among a node's arguments, whose shape differs by operator. */
export function* childrenOf(given: unknown): Generator<ASTNode> {
  if (Array.isArray(given)) for (const item of given) yield* childrenOf(item);
  else if (typeof given === 'object' && given !== null && 'op' in given && 'args' in given) yield given as ASTNode;
}
