/** What the protocols' texts have in common: texts at nodes of a tree, and the search for all texts below a node. */
import type { AnswerText, EditableText, PlainMessage, StreamPiece, StreamWhole } from '../exchange.ts';
import type { JsonDraft } from '../json/object-text.ts';
import { type JsonNode, JsonTree } from '../json/tree.ts';

/** Texts of one tree; what is put into them is written when all is done, because a node can be replaced once only. */
export class TextsOf {
  readonly #tree: JsonTree;
  readonly #texts: { readonly node: JsonNode; readonly text: EditableText }[] = [];

  constructor(tree: JsonTree) {
    this.#tree = tree;
  }

  /** The node's text with what else is known of it; undefined when it is no string. */
  at<Known extends object>(node: JsonNode | undefined, known: Known): (Known & EditableText) | undefined {
    const text = node?.string;
    if (node === undefined || text === undefined) return undefined;
    const editable = { ...known, text };
    this.#texts.push({ node, text: editable });
    return editable;
  }

  get isChanged(): boolean {
    return this.#tree.isChanged || this.#texts.some(({ node, text }) => node.string !== text.text);
  }

  write(): string {
    for (const { node, text } of this.#texts.splice(0)) node.string = text.text;
    return this.#tree.write();
  }
}

/** Members that hold no text: names, kinds, references, and bytes in base64, where digits mean nothing. */
const structural: ReadonlySet<string> = new Set([
  'type',
  'id',
  'role',
  'name',
  'object',
  'status',
  'call_id',
  'item_id',
  'tool_call_id',
  'tool_use_id',
  'signature',
  'encrypted_content',
  'fingerprint',
  'data',
  'image_url',
  'file_id',
  'file_data',
  'b64_json',
  'images',
  'media_type',
  'mime_type',
  'format',
  'finish_reason',
  'cache_control',
]);

export function isStructural(name: string): boolean {
  return structural.has(name.toLowerCase());
}

/** All strings under a node that may be texts, at any depth. */
export function leavesOf(node: JsonNode | undefined, except: ReadonlySet<string> = none): JsonNode[] {
  const leaves: JsonNode[] = [];
  const open = node === undefined ? [] : [node];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (next.kind === 'string') {
      if (!next.json.startsWith('"data:')) leaves.push(next);
    } else if (next.kind === 'array') {
      open.push(...next.elements().toReversed());
    } else if (next.kind === 'object') {
      const members = [...next.members()].filter(({ name }) => !isStructural(name));
      open.push(
        ...members
          .filter((member) => next !== node || !except.has(member.name))
          .map((member) => member.node)
          .toReversed(),
      );
    }
  }
  return leaves;
}

const none: ReadonlySet<string> = new Set();

export function wholesAt(texts: TextsOf, nodes: readonly JsonNode[]): StreamWhole[] {
  return nodes.flatMap((node) => texts.at(node, {}) ?? []);
}

export function asidesAt(texts: TextsOf, nodes: readonly JsonNode[], choice: number): AnswerText[] {
  return nodes.flatMap((node) => texts.at(node, { choice, isMain: false }) ?? []);
}

export function piece(texts: TextsOf, node: JsonNode | undefined, known: Omit<StreamPiece, 'text'>): readonly StreamPiece[] {
  const found = texts.at(node, known);
  return found === undefined ? [] : [found];
}

/** The exact JSON of some members, for an event that repeats them: `"id":"x","model":"m"`. */
export function membersText(node: JsonNode, names: readonly string[]): string {
  const texts = names.map((name) => {
    const json = node.member(name)?.json;
    return json === undefined ? '' : `"${name}":${json}`;
  });
  return texts.filter((text) => text !== '').join(',');
}

/** A member of a draft as a tree; undefined when it is absent. */
export function memberTree(body: JsonDraft, name: string): JsonTree | undefined {
  const text = body.textOf(name);
  return text === undefined ? undefined : new JsonTree(text);
}

/** Adds elements to the array that a member is or, when it is absent, becomes; anything else is left for the box to refuse. */
export function extendArray(body: JsonDraft, name: string, prepend: readonly string[], append: readonly string[]): void {
  const text = body.textOf(name)?.trim() ?? '[]';
  if (!text.startsWith('[')) return;
  const inner = text.slice(1, -1).trim();
  body.setText(name, `[${[...prepend, ...(inner === '' ? [] : [inner]), ...append].join(',')}]`);
}

export function messageText({ role, content }: PlainMessage): string {
  return JSON.stringify({ role, content });
}

export function isSystem({ role }: Pick<PlainMessage, 'role'>): boolean {
  return role === 'system' || role === 'developer';
}

export function contentsOf(messages: readonly PlainMessage[]): string[] {
  return messages.map(({ content }) => content);
}

/** Paragraphs around a text; empty ones take no part. */
export function joinParagraphs(paragraphs: readonly string[]): string {
  return paragraphs.filter((paragraph) => paragraph !== '').join('\n\n');
}

/** A member that must be one string, with paragraphs put around it. */
export function surround(body: JsonDraft, name: string, before: readonly string[], behind: readonly string[]): void {
  if (before.length + behind.length === 0) return;
  const value = body.get(name) ?? '';
  if (typeof value === 'string') body.set(name, joinParagraphs([...before, value, ...behind]));
}
