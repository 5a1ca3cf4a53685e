/** cel-js's parser and checker, with its mistakes in our words and its few gaps filled. */
import { type ASTNode, TypeError as CelTypeError, type Context, ParseError } from '@marcbachmann/cel-js';
import { nearestOf } from '../fields/nearest.ts';
import { FieldError } from '../fields/text-field.ts';
import { celEnvironment } from './environment.ts';
import { CelFailure } from './expression.ts';
import { replacedMethods } from './functions-text.ts';
import { patternOf } from './patterns.ts';
import { variables } from './variables.ts';
import { nodesOf } from './walk.ts';

export interface ParsedCel {
  /** Evaluates with the variables that are members of what it is given. */
  run(context: Context): unknown;
  /** As written. */
  readonly ast: ASTNode;
}

/** Throws FieldError with the column. */
export function parseCel(source: string): ParsedCel {
  try {
    // Checked as it was written, run as it was mended: the mistakes are told in the writer's own words.
    const written = checked(source);
    checkPatterns(written.ast);
    return { run: mended(source), ast: written.ast };
  } catch (thrown) {
    if (thrown instanceof ParseError || thrown instanceof CelTypeError) {
      throw new FieldError(`${placeOf(source, thrown.range?.start ?? 0)}: ${wordsOf(thrown)}`);
    }
    throw thrown;
  }
}

function checked(source: string) {
  const parsed = celEnvironment.parse(source);
  checkWithMixedBranches(parsed);
  return parsed;
}

type Parsed = ReturnType<typeof celEnvironment.parse>;

/** As many ternaries of two types as there may be nodes. */
const maxMends = 4_000;

/** cel-js wants both branches of `? :` to be of one type; agentgateway's CEL does not mind, so one branch is made `dyn`. */
function checkWithMixedBranches(parsed: Parsed): void {
  for (let mends = 0; ; mends++) {
    const { valid, error } = parsed.check();
    if (valid) return;
    const node = error?.node as ASTNode | undefined;
    if (error?.code !== 'incompatible_ternary_branches' || node?.op !== '?:' || mends > maxMends) throw error;
    const branches = node.args as [ASTNode, ASTNode, ASTNode];
    branches[2] = wrapped('dyn', branches[2]);
  }
}

/** The same expression as it is run: our own methods in the places of cel-js's, and everything that is walked through counted. */
function mended(source: string): Parsed {
  const parsed = celEnvironment.parse(source);
  for (const node of nodesOf(parsed.ast)) {
    if (node.op !== 'rcall') continue;
    const call = node.args as [name: string, receiver: ASTNode, args: ASTNode[]];
    call[0] = replacedMethods.get(call[0]) ?? call[0];
    countItems(node);
  }
  checkWithMixedBranches(parsed);
  return parsed;
}

/** What cel-js has made of `list.all(x, …)` and its like. Its types keep this to themselves; the version is pinned, and tests hold it. */
interface Expanded {
  readonly meta: { readonly alternate?: { readonly op: string; readonly args: { iterable?: ASTNode } } };
}

function countItems(node: ASTNode): void {
  const expanded = (node as unknown as Expanded).meta.alternate;
  if (expanded?.args.iterable !== undefined) expanded.args.iterable = wrapped('counted', expanded.args.iterable);
}

/** `name(node)`, in the node's own place. */
function wrapped(name: 'dyn' | 'counted', node: ASTNode): ASTNode {
  const { start, end } = node;
  const call = celEnvironment.parse(`${name}(0)`).ast;
  return Object.assign(call, { args: [name, [node]], pos: start, start, end });
}

/** A pattern that is written down is judged at once. */
function checkPatterns(ast: ASTNode): void {
  for (const node of nodesOf(ast)) {
    if (node.op !== 'rcall' && node.op !== 'call') continue;
    const args = (node.op === 'rcall' ? node.args[2] : node.args[1]) as ASTNode[];
    const pattern = patternPlaces.get(`${node.op} ${node.args[0]}`);
    const given = pattern === undefined ? undefined : args[pattern];
    if (given?.op !== 'value' || typeof given.args !== 'string') continue;
    try {
      patternOf(given.args);
    } catch (thrown) {
      if (!(thrown instanceof CelFailure)) throw thrown;
      throw new FieldError(`${placeOf(ast.input, given.start)}: ${thrown.message}`);
    }
  }
}

/** Which argument is a pattern. */
const patternPlaces: ReadonlyMap<string, number> = new Map([
  ['rcall matches', 0],
  ['rcall regexReplace', 0],
  ['call matches', 1],
]);

function placeOf(source: string, at: number): string {
  const before = source.slice(0, at);
  const line = before.split('\n').length;
  const column = at - before.lastIndexOf('\n');
  return line > 1 ? `line ${line}, column ${column}` : `column ${column}`;
}

const functionNames = [...new Set(celEnvironment.getDefinitions().functions.map(({ name }) => name))].filter(
  (name) => name !== 'counted' && ![...replacedMethods.values()].includes(name),
);

function wordsOf({ code, summary, node }: ParseError | CelTypeError): string {
  const plain = summary.replaceAll(/\s+/g, ' ').slice(0, 300);
  if (code === 'unknown_variable') {
    const name = String(node?.args);
    return `there is no variable "${name}"${hint(name, [...variables.keys()])}`;
  }
  if (code !== 'no_matching_overload' || !Array.isArray(node?.args)) return plain;
  const name = String(node.args[0]);
  if (functionNames.includes(name)) return plain;
  return `there is no function "${name}"${hint(name, functionNames)}`;
}

function hint(word: string, known: readonly string[]): string {
  const nearest = nearestOf(word, known);
  return nearest === undefined ? '' : `; did you mean "${nearest}"?`;
}
