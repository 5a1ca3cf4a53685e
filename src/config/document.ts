/** A YAML (or JSON) text as values, each of which knows where it stands. */
import {
  type Document,
  isAlias,
  isNode,
  isPair,
  isScalar,
  type Node,
  type ParsedNode,
  parseDocument,
  Scalar,
  visit,
  type YAMLParseError,
} from 'yaml';
import { type Position, type YamlPath, yamlPathOf } from './diagnostic.ts';
import { keyNameOf, locateIn, offsetOfNode, pathOf } from './document-places.ts';
import { markReferences } from './expand.ts';
import { type LineStarts, lineStartsOf, positionIn } from './lines.ts';

export interface Problem {
  readonly offset: number;
  readonly path: string;
  readonly message: string;
}

export interface ConfigDocument {
  /** Plain values; undefined when `problems` leave nothing to read. */
  readonly value: unknown;
  readonly problems: readonly Problem[];
  /** Offset of the value at a path, or of the deepest part of the path that exists. `'key'`: of its key. */
  offsetOf(path: YamlPath, what: 'key' | 'value'): number;
  exists(path: YamlPath): boolean;
  positionAt(offset: number): Position;
  /**
   * Makes the value at a path a text again when a variable made it a number, true, false or null: `key: $KEY` is meant as a
   * text, whatever the variable holds. True when it was one.
   */
  asText(path: YamlPath): boolean;
  /** The values after `asText`. */
  reread(): unknown;
}

const maxCharacters = 4 * 1024 * 1024;
const maxProblems = 100;
const maxAliasCount = 1_000;
/** Of nodes; the pair of a key and its value counts, too. Real files have some forty; whatever goes through values by recursion relies on it. */
const maxDepth = 200;
const tooDeep = 'the file is nested too deeply';

/** Reads the text. Never throws: whatever is wrong is in `problems`. */
export function openDocument(text: string, env: (name: string) => string | undefined): ConfigDocument {
  const lines = lineStartsOf(text);
  if (text.length > maxCharacters) return brokenDocument([wholeFile('the file is larger than 4 MiB')], lines);
  const marked = markReferences(text, env);
  if (marked === undefined) return brokenDocument([wholeFile('the file has more than 6000 references to variables')], lines);
  try {
    // Keys are compared after variables are in place; errors are put into words here.
    const document = parseDocument(marked.text, {
      prettyErrors: false,
      uniqueKeys: false,
      logLevel: 'error',
    });
    const syntax = [...document.errors, ...document.warnings].map((error) => syntaxProblem(error, marked.text));
    const broken = syntax.length > 0 ? syntax : structureProblems(document);
    if (broken.length > 0) return brokenDocument(firstPerLine(broken, lines), lines);
    const problems: Problem[] = [];
    const texts = expandScalars(document, marked, problems);
    problems.push(...repeatedKeys(document));
    const value: unknown = document.toJS({ maxAliasCount });
    if (isDeeperThan(maxDepth, value)) return brokenDocument([wholeFile(tooDeep)], lines);
    return readableDocument(document, value, texts, problems, lines);
  } catch (thrown) {
    return brokenDocument([wholeFile(unreadable(thrown))], lines);
  }
}

function wholeFile(message: string): Problem {
  return { offset: 0, path: '', message };
}

/** The two ways in which the YAML library gives up on a text; anything else is a fault of ours and goes on. */
function unreadable(thrown: unknown): string {
  if (thrown instanceof RangeError) return tooDeep;
  if (thrown instanceof ReferenceError && thrown.message.includes('alias count'))
    return 'the file repeats too much through aliases';
  throw thrown;
}

/** Aliases can stand within what others repeat: so values may be deeper than the text is. */
function isDeeperThan(limit: number, value: unknown, known = new Map<unknown, number>()): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (limit === 0) return true;
  if ((known.get(value) ?? Number.POSITIVE_INFINITY) <= limit) return false;
  known.set(value, limit);
  return Object.values(value).some((member) => isDeeperThan(limit - 1, member, known));
}

function syntaxProblem(error: YAMLParseError | { code: string; pos: [number, number]; message: string }, text: string): Problem {
  return { offset: Math.min(error.pos[0], text.length), path: '', message: syntaxMessageOf(error.code, error.message) };
}

function syntaxMessageOf(code: string, message: string): string {
  if (code === 'TAB_AS_INDENT') return 'a tab stands where YAML wants spaces';
  if (code === 'MULTIPLE_DOCS') return 'a second document begins here; a configuration is one document';
  if (code === 'RESOURCE_EXHAUSTION' || message.includes('call stack')) return tooDeep;
  if (code === 'TAG_RESOLVE_FAILED') return 'YAML tags ("!…") mean nothing here';
  const plain = message.replace(/[\uE000-\uF8FF]+/g, '$…').replace(/\s+/g, ' ');
  return `this is not YAML: ${plain.charAt(0).toLowerCase()}${plain.slice(1)}`;
}

/** One slip makes the parser stumble again and again; the first stumble of a line says it best. */
function firstPerLine(problems: readonly Problem[], lines: LineStarts): Problem[] {
  const seen = new Set<number>();
  return problems.filter(({ offset }) => {
    const { line } = positionIn(lines, offset);
    return !seen.has(line) && seen.add(line);
  });
}

/** Puts variables in place, in values and keys. Returns the texts of those plain values that became something else than a text. */
function expandScalars(
  document: Document,
  marked: NonNullable<ReturnType<typeof markReferences>>,
  problems: Problem[],
): Map<Node, string> {
  const texts = new Map<Node, string>();
  visit(document, {
    Scalar(_key, node, ancestors) {
      if (typeof node.value !== 'string' || !marked.hasMarks(node.value)) return;
      const path = yamlPathOf(pathOf(ancestors, node));
      const text = marked.expand(node.value, (message, offset) => problems.push({ offset, path, message }));
      node.value = node.type === Scalar.PLAIN ? plainValueOf(text) : text;
      if (node.value !== text) texts.set(node, text);
    },
  });
  return texts;
}

/** What YAML's core schema makes of a plain text. */
function plainValueOf(text: string): unknown {
  if (/^(?:~|null|Null|NULL|)$/.test(text)) return null;
  if (/^(?:true|True|TRUE)$/.test(text)) return true;
  if (/^(?:false|False|FALSE)$/.test(text)) return false;
  return /^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$/.test(text) ? Number(text) : text;
}

/** What is YAML, but cannot become plain values: keys that are lists, aliases of nothing or of what they stand in. */
function structureProblems(document: Document): Problem[] {
  const problems: Problem[] = [];
  const report = (node: unknown, message: string) => problems.push({ offset: offsetOfNode(node) ?? 0, path: '', message });
  const anchors = new Map<string, unknown>();
  visit(document, (_key, node, ancestors) => {
    if (ancestors.length > maxDepth) {
      report(node, tooDeep);
      return visit.BREAK;
    }
    if (isPair(node)) {
      if (!isScalar(node.key)) report(node.key, 'a key must be a plain text');
    } else if (isAlias(node)) {
      const source = anchors.get(node.source);
      if (source === undefined) report(node, `the alias "*${node.source}" has no anchor "&${node.source}" above it`);
      else if (ancestors.some((ancestor) => ancestor === source))
        report(node, `the alias "*${node.source}" stands inside of what it repeats`);
    } else if (isNode(node) && node.anchor !== undefined) anchors.set(node.anchor, node);
    return undefined;
  });
  return problems;
}

function repeatedKeys(document: Document): Problem[] {
  const problems: Problem[] = [];
  visit(document, {
    Map(_key, map, ancestors) {
      const seen = new Set<string>();
      for (const pair of map.items) {
        const name = keyNameOf(pair.key);
        if (seen.has(name)) {
          // In the order of the file: nobody is shown more.
          if (problems.length === maxProblems) return visit.BREAK;
          problems.push({
            offset: offsetOfNode(pair.key) ?? 0,
            path: yamlPathOf([...pathOf(ancestors, map), name]),
            message: 'this key stands here twice',
          });
        }
        seen.add(name);
      }
      return undefined;
    },
  });
  return problems;
}

function brokenDocument(problems: readonly Problem[], lines: LineStarts): ConfigDocument {
  return {
    value: undefined,
    problems,
    offsetOf: () => 0,
    exists: () => false,
    positionAt: (offset) => positionIn(lines, offset),
    asText: () => false,
    reread: () => undefined,
  };
}

function readableDocument(
  document: Document.Parsed<ParsedNode>,
  value: unknown,
  texts: Map<Node, string>,
  problems: readonly Problem[],
  lines: LineStarts,
): ConfigDocument {
  const locate = (path: YamlPath) => locateIn(document, path);
  return {
    value,
    problems,
    offsetOf(path, what) {
      const { found, key, node, isEmpty } = locate(path);
      const wantsKey = what === 'key' || !found || isEmpty;
      return (wantsKey ? (key ?? node) : node) ?? key ?? 0;
    },
    exists: (path) => locate(path).found,
    positionAt: (offset) => positionIn(lines, offset),
    asText(path) {
      const { scalar } = locate(path);
      const text = scalar === undefined ? undefined : texts.get(scalar);
      if (scalar === undefined || text === undefined || scalar.value === text) return false;
      scalar.value = text;
      return true;
    },
    reread: () => document.toJS({ maxAliasCount }) as unknown,
  };
}
