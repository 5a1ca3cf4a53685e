/** What an expression reads, seen once from its parsed form. */
import type { ASTNode } from '@marcbachmann/cel-js';
import type { CelNeeds } from './expression.ts';
import { variables } from './variables.ts';
import { childrenOf } from './walk.ts';

/** All variables that are read, each with its first member where that is written down: `request.body`, `llm`. */
export function readsOf(node: ASTNode): ReadonlySet<string> {
  const found = new Set<string>();
  collect(node, found);
  return found;
}

export function needsOf(reads: ReadonlySet<string>): CelNeeds {
  const roots = new Set([...reads].map((name) => name.split('.', 1)[0]));
  const readsOne = (...names: string[]): boolean => names.some((name) => reads.has(name));
  return {
    requestBody: roots.has('llmRequest') || readsOne('request', 'request.body', 'request.bodyPrefix'),
    responseBody: readsOne('response', 'response.body', 'response.bodyPrefix'),
    response: roots.has('response'),
    llm: roots.has('llm'),
    prompt: readsOne('llm', 'llm.prompt'),
    completion: readsOne('llm', 'llm.completion', 'llm.toolCalls'),
  };
}

function collect(node: ASTNode, found: Set<string>): void {
  if (node.op === 'id') {
    found.add(node.args);
    return;
  }
  // `variables()` is all of them.
  if (node.op === 'call' && node.args[0] === 'variables') for (const name of variables.keys()) found.add(name);
  if (node.op === '.' || node.op === '.?' || node.op === '[]' || node.op === '[?]') {
    const [object, member] = node.args;
    const name = nameOf(member);
    if (object.op === 'id' && name !== undefined) {
      found.add(`${object.args}.${name}`);
      return;
    }
  }
  for (const child of childrenOf(node.args)) collect(child, found);
}

/** The member that is asked for, where it is written down. */
function nameOf(member: string | ASTNode): string | undefined {
  if (typeof member === 'string') return member;
  return member.op === 'value' && typeof member.args === 'string' ? member.args : undefined;
}
