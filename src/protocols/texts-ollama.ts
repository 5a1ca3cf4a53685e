/** Where Ollama's own protocols hold texts. */
import type { AnswerText, PlainMessage, ProtocolTexts, StreamPiece } from '../exchange.ts';
import type { JsonDraft } from '../json/object-text.ts';
import { type JsonNode, type JsonTree, treeOf } from '../json/tree.ts';
import {
  asidesAt,
  contentsOf,
  extendArray,
  isSystem,
  joinParagraphs,
  leavesOf,
  membersText,
  messageText,
  piece,
  surround,
  TextsOf,
  wholesAt,
} from './texts.ts';
import { addChatMessages, RequestTexts } from './texts-requests.ts';

export const ollamaChatTexts: ProtocolTexts = {
  openRequest(body) {
    const texts = new RequestTexts(body);
    return texts.open('messages', (node, found) => addChatMessages(texts, node, found));
  },
  addMessages(body, prepend, append) {
    // A call without messages only loads the model, or unloads it: it stays one.
    const messages = body.get('messages');
    if (!Array.isArray(messages) || messages.length === 0) return;
    extendArray(body, 'messages', prepend.map(messageText), append.map(messageText));
  },
  replaceMessages: (body, messages) => body.setText('messages', `[${messages.map(messageText).join(',')}]`),
  openAnswer: (text) => openAnswer(text, (root) => root.member('message'), 'content'),
  openEvent: (data) => openEvent(data, (root) => root.member('message'), ['content', 'thinking'], inMessage),
  repeatsLanes: false,
};

export const ollamaGenerateTexts: ProtocolTexts = {
  openRequest: (body) =>
    new RequestTexts(body)
      .openText('system', 'systemPrompt', 'system')
      .openText('template', 'systemPrompt', 'system')
      .openText('prompt', 'messages', 'user')
      .openText('suffix', 'messages', 'user'),
  addMessages: addToPrompt,
  replaceMessages(body, messages) {
    const system = messages.filter(isSystem);
    body.set('system', system.length === 0 ? undefined : joinParagraphs(contentsOf(system)));
    body.set('prompt', joinParagraphs(contentsOf(messages.filter((one) => !isSystem(one)))));
  },
  openAnswer: (text) => openAnswer(text, (root) => root, 'response'),
  openEvent: (data) => openEvent(data, (root) => root, ['response', 'thinking'], inRoot),
  repeatsLanes: false,
};

function addToPrompt(body: JsonDraft, prepend: readonly PlainMessage[], append: readonly PlainMessage[]): void {
  // Without a prompt the call only loads the model.
  if ((body.get('prompt') ?? '') === '') return;
  const people = (messages: readonly PlainMessage[]) => contentsOf(messages.filter((one) => !isSystem(one)));
  surround(body, 'system', contentsOf(prepend.filter(isSystem)), contentsOf(append.filter(isSystem)));
  surround(body, 'prompt', people(prepend), people(append));
}

type Holder = (root: JsonNode) => JsonNode | undefined;

function openAnswer(text: string, holderOf: Holder, main: string) {
  const tree = treeOf(text);
  if (tree === undefined) return undefined;
  dropLogprobs(tree);
  const found = new TextsOf(tree);
  const holder = holderOf(tree.root);
  const answer = found.at(holder?.member(main), { choice: 0, isMain: true });
  const texts: AnswerText[] = [
    ...(answer === undefined ? [] : [answer]),
    ...asidesAt(found, leavesOf(holder, new Set([main, ...facts])), 0),
  ];
  return { texts, write: () => found.write() };
}

/** Members of an answer's line that no model wrote. */
const facts = ['model', 'created_at', 'done_reason', 'remote_model', 'remote_host', 'context', 'logprobs', 'error'];

/** They spell the answer out, token by token. */
function dropLogprobs({ root }: JsonTree): void {
  const logprobs = root.member('logprobs');
  if (logprobs?.kind === 'array' && logprobs.elements().length > 0) logprobs.replace('[]');
}

function openEvent(data: string, holderOf: Holder, names: readonly string[], memberOf: typeof inRoot) {
  const tree = treeOf(data);
  if (tree === undefined) return undefined;
  dropLogprobs(tree);
  const found = new TextsOf(tree);
  const holder = holderOf(tree.root);
  const pieces = names.flatMap((name) => piece(found, holder?.member(name), pieceOf(tree, name, memberOf)));
  const wholes = wholesAt(found, leavesOf(holder, new Set([...names, ...facts])));
  const isLast = tree.root.valueOf('done') === true || tree.root.member('error') !== undefined;
  const ends: readonly string[] | 'all' = isLast ? 'all' : [];
  return { pieces, wholes, ends, sequence: undefined, write: () => found.write() };
}

function pieceOf(tree: JsonTree, name: string, memberOf: typeof inRoot): Omit<StreamPiece, 'text'> {
  return {
    lane: name,
    group: '',
    isMain: name !== 'thinking',
    alone: (text) => {
      const head = membersText(tree.root, ['model', 'created_at']);
      return { event: undefined, data: `{${head}${head === '' ? '' : ','}${memberOf(name, text)},"done":false}` };
    },
  };
}

function inMessage(name: string, text: string): string {
  return `"message":${JSON.stringify({ role: 'assistant', content: '', [name]: text })}`;
}

function inRoot(name: string, text: string): string {
  return JSON.stringify({ response: '', [name]: text }).slice(1, -1);
}
