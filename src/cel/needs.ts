/** What an expression reads, seen once from its parsed form. */
import type { ASTNode } from '@marcbachmann/cel-js';
import type { CelNeeds } from './expression.ts';

/** All variables that are read, each with its first member where that is written down: `request.body`, `llm`. */
export function readsOf(node: ASTNode): ReadonlySet<string> {
  const found = new Set<string>();
  collect(node, found);
  return found;
}

export function needsOf(found: ReadonlySet<string>): CelNeeds {
  const all = found.has('variables()');
  const reads = (...names: string[]): boolean => all || names.some((name) => found.has(name));
  return {
    requestBody:
      reads('request', 'request.body', 'request.bodyPrefix', 'llmRequest') ||
      [...found].some((name) => name.startsWith('llmRequest.')),
    responseBody: reads('response', 'response.body', 'response.bodyPrefix'),
    response: all || [...found].some((name) => name === 'response' || name.startsWith('response.')),
    llm: all || [...found].some((name) => name === 'llm' || name.startsWith('llm.')),
    prompt: reads('llm', 'llm.prompt'),
    completion: reads('llm', 'llm.completion', 'llm.toolCalls'),
  };
}

function collect(node: ASTNode, found: Set<string>): void {
  if (node.op === 'id') {
    found.add(node.args);
    return;
  }
  if (node.op === '.' || node.op === '.?' || node.op === '[]' || node.op === '[?]') {
    const [object, member] = node.args;
    const name =
      typeof member === 'string' ? member : member.op === 'value' && typeof member.args === 'string' ? member.args : undefined;
    if (object.op === 'id' && name !== undefined) {
      found.add(`${object.args}.${name}`);
      return;
    }
  }
  if (node.op === 'call' && node.args[0] === 'variables') found.add('variables()');
  for (const child of childrenOf(node.args)) collect(child, found);
}

/** The nodes among a node's arguments, whose shape differs by operator. */
function* childrenOf(given: unknown): Generator<ASTNode> {
  if (Array.isArray(given)) for (const item of given) yield* childrenOf(item);
  else if (typeof given === 'object' && given !== null && 'op' in given && 'args' in given) yield given as ASTNode;
}
