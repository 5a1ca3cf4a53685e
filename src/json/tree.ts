/**
 * A JSON text whose strings are read and replaced where they stand. Nothing is taken apart that nobody asks for, and what is not
 * replaced stays as it was, byte by byte. Member names fold as everywhere (object-text.ts); an object that was looked into
 * leaves without its losing spellings, so that nobody behind reads another text than was looked at here.
 */
import { editSplices } from './edits.ts';
import { foldName } from './fold.ts';
import { parseValue } from './parse.ts';
import { isSpace, type MemberSpan, scanArray, scanObject } from './scan.ts';
import { type Splice, spliceText } from './splice.ts';

/** A text that was checked to be JSON. */
export class JsonTree {
  readonly root: JsonNode;
  readonly text: string;
  readonly #splices: Splice[] = [];

  constructor(text: string) {
    this.text = text;
    let from = 0;
    while (from < text.length && isSpace(text.charCodeAt(from))) from++;
    let to = text.length;
    while (to > from && isSpace(text.charCodeAt(to - 1))) to--;
    this.root = new JsonNode(this, from, to);
  }

  /** Pieces of different nodes never overlap; a node is replaced once, and not what is inside it as well. */
  splice(splice: Splice): void {
    this.#splices.push(splice);
  }

  get isChanged(): boolean {
    return this.#splices.length > 0;
  }

  /** The text with all that was replaced. */
  write(): string {
    if (this.#splices.length === 0) return this.text;
    this.#splices.sort((first, second) => first.from - second.from);
    return spliceText(this.text, 0, this.text.length, this.#splices);
  }
}

interface Member {
  readonly name: string;
  readonly node: JsonNode;
}

export class JsonNode {
  readonly kind: 'object' | 'array' | 'string' | 'other';
  readonly #tree: JsonTree;
  readonly #from: number;
  readonly #to: number;
  #members: ReadonlyMap<string, Member> | undefined;
  #elements: readonly JsonNode[] | undefined;
  #string: string | undefined;

  constructor(tree: JsonTree, from: number, to: number) {
    this.#tree = tree;
    this.#from = from;
    this.#to = to;
    const first = tree.text[from];
    this.kind = first === '{' ? 'object' : first === '[' ? 'array' : first === '"' ? 'string' : 'other';
  }

  /** The exact JSON, as it came. */
  get json(): string {
    return this.#tree.text.slice(this.#from, this.#to);
  }

  /** The text of a string; undefined for anything else. Setting it replaces the node by that string. */
  get string(): string | undefined {
    if (this.kind === 'string') this.#string ??= JSON.parse(this.json) as string;
    return this.#string;
  }

  set string(text: string) {
    if (text === this.string) return;
    this.replace(JSON.stringify(text));
  }

  /** Once per node. */
  replace(json: string): void {
    this.#tree.splice({ from: this.#from, to: this.#to, insert: json });
  }

  /** `name` in lower case ASCII; undefined in anything that is no object. */
  member(name: string): JsonNode | undefined {
    return this.#opened().get(name)?.node;
  }

  /** The members that count, with their names as they are written. */
  members(): Iterable<Member> {
    return this.#opened().values();
  }

  /** Empty for anything that is no array. */
  elements(): readonly JsonNode[] {
    if (this.kind !== 'array') return [];
    this.#elements ??= scanArray(this.#tree.text, this.#from).map(({ from, to }) => new JsonNode(this.#tree, from, to));
    return this.#elements;
  }

  /** The member's value as JSON.parse gives it; for numbers and other small things. */
  valueOf(name: string): unknown {
    const json = this.member(name)?.json;
    return json === undefined ? undefined : parseValue(json);
  }

  #opened(): ReadonlyMap<string, Member> {
    this.#members ??= this.kind === 'object' ? this.#open() : new Map();
    return this.#members;
  }

  #open(): ReadonlyMap<string, Member> {
    const winners = new Map<string, MemberSpan>();
    const span = scanObject(this.#tree.text, this.#from, Number.POSITIVE_INFINITY);
    if ('fault' in span) return new Map();
    for (const member of span.members) winners.set(foldName(member.name), member);
    if (winners.size < span.members.length) {
      const fateOf = (member: MemberSpan) => (winners.get(foldName(member.name)) === member ? 'stays' : 'goes');
      for (const splice of editSplices(span, fateOf, '')) this.#tree.splice(splice);
    }
    const members = new Map<string, Member>();
    for (const [folded, { name, valueFrom, to }] of winners) {
      members.set(folded, { name, node: new JsonNode(this.#tree, valueFrom, to) });
    }
    return members;
  }
}

/** The tree of a text that may be no JSON object at all; undefined then. */
export function treeOf(text: string): JsonTree | undefined {
  try {
    JSON.parse(text);
  } catch {
    return undefined;
  }
  const tree = new JsonTree(text);
  return tree.root.kind === 'object' ? tree : undefined;
}
