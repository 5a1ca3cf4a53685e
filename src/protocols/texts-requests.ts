/** Where requests with a list of messages hold their texts: OpenAI's chat, Anthropic's, Ollama's. */
import type { RequestText, TextScope } from '../exchange.ts';
import type { JsonDraft } from '../json/object-text.ts';
import type { JsonNode } from '../json/tree.ts';
import { leavesOf, memberTree, TextsOf } from './texts.ts';

/** Finds texts member by member of the body, and counts its messages. */
export class RequestTexts {
  readonly texts: RequestText[] = [];
  readonly #body: JsonDraft;
  readonly #opened: { readonly name: string; readonly found: TextsOf }[] = [];
  #messages = 0;

  constructor(body: JsonDraft) {
    this.#body = body;
  }

  /** `read` is called with the member's node, when there is one. */
  open(name: string, read: (node: JsonNode, found: TextsOf) => void): this {
    const tree = memberTree(this.#body, name);
    if (tree === undefined) return this;
    const found = new TextsOf(tree);
    this.#opened.push({ name, found });
    read(tree.root, found);
    return this;
  }

  /** Texts that stand for themselves: a string, or parts that hold some. */
  openText(name: string, scope: TextScope, role: string): this {
    return this.open(name, (node, found) => {
      this.add(found, leavesOf(node), scope, role, this.nextMessage());
    });
  }

  nextMessage(): number {
    return this.#messages++;
  }

  add(found: TextsOf, nodes: readonly (JsonNode | undefined)[], scope: TextScope, role: string, message: number): void {
    for (const node of nodes) {
      const text = found.at(node, { scope, role, message });
      if (text !== undefined) this.texts.push(text);
    }
  }

  write(): void {
    for (const { name, found } of this.#opened) if (found.isChanged) this.#body.setText(name, found.write());
  }
}

const scopeOfRole: Readonly<Record<string, TextScope>> = {
  system: 'systemPrompt',
  developer: 'systemPrompt',
  tool: 'toolOutput',
  function: 'toolOutput',
};

/** Chat messages as OpenAI and Ollama have them. */
export function addChatMessages(texts: RequestTexts, messages: JsonNode, found: TextsOf): void {
  for (const message of messages.elements()) {
    const number = texts.nextMessage();
    const role = message.member('role')?.string ?? '';
    const scope = scopeOfRole[role] ?? 'messages';
    texts.add(found, leavesOf(message.member('content')), scope, role, number);
    for (const name of ['reasoning', 'reasoning_content', 'thinking', 'refusal']) {
      texts.add(found, [message.member(name)], scope, role, number);
    }
    const calls = [...(message.member('tool_calls')?.elements() ?? []), message.member('function_call')];
    for (const call of calls) texts.add(found, leavesOf(call), 'toolInput', role, number);
  }
}
