/** Where OpenAI's chat and completions hold texts. */
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

/** Members of every chunk. */
const chunkMembers = ['id', 'object', 'created', 'model', 'system_fingerprint'];
/** Members of a delta that come bit by bit: the answer first. */
const bitByBit = ['content', 'reasoning', 'reasoning_content', 'refusal'];
const inPieces: ReadonlySet<string> = new Set([...bitByBit, 'tool_calls', 'function_call']);

export const openaiChatTexts: ProtocolTexts = {
  openRequest(body) {
    const texts = new RequestTexts(body);
    return texts.open('messages', (node, found) => addChatMessages(texts, node, found));
  },
  addMessages: (body, prepend, append) => extendArray(body, 'messages', prepend.map(messageText), append.map(messageText)),
  replaceMessages: (body, messages) => body.setText('messages', `[${messages.map(messageText).join(',')}]`),
  openAnswer,
  openEvent,
  repeatsLanes: false,
};

/** The older protocol: a prompt, and a text behind it. */
export const openaiCompletionsTexts: ProtocolTexts = {
  openRequest: (body) => new RequestTexts(body).openText('prompt', 'messages', 'user').openText('suffix', 'messages', 'user'),
  addMessages: addToPrompt,
  replaceMessages: (body, messages) => body.set('prompt', joinParagraphs(contentsOf(messages))),
  openAnswer,
  openEvent,
  repeatsLanes: false,
};

function addToPrompt(body: JsonDraft, prepend: readonly PlainMessage[], append: readonly PlainMessage[]): void {
  const before = [...prepend, ...append].filter(isSystem).concat(prepend.filter((message) => !isSystem(message)));
  const behind = append.filter((message) => !isSystem(message));
  const prompt = body.get('prompt');
  const around = (text: unknown) =>
    typeof text === 'string' ? joinParagraphs([...contentsOf(before), text, ...contentsOf(behind)]) : text;
  if (Array.isArray(prompt)) body.set('prompt', prompt.map(around));
  else surround(body, 'prompt', contentsOf(before), contentsOf(behind));
}

function openAnswer(text: string) {
  const tree = treeOf(text);
  if (tree === undefined) return undefined;
  const found = new TextsOf(tree);
  const choices = tree.root.member('choices')?.elements() ?? [];
  const texts = choices.flatMap((choice, index): AnswerText[] => {
    dropLogprobs(choice);
    const message = choice.member('message');
    const main = [message?.member('content'), choice.member('text')].filter((node) => node?.kind === 'string');
    return [
      ...main.flatMap((node) => found.at(node, { choice: index, isMain: true }) ?? []),
      ...asidesAt(found, leavesOf(message, message?.member('content')?.kind === 'string' ? contentOnly : undefined), index),
    ];
  });
  return { texts, write: () => found.write() };
}

const contentOnly: ReadonlySet<string> = new Set(['content']);

/** They spell the answer out, token by token. */
function dropLogprobs(choice: JsonNode): void {
  const logprobs = choice.member('logprobs');
  if (logprobs?.kind === 'object') logprobs.replace('null');
}

function openEvent(data: string) {
  const tree = treeOf(data);
  if (tree === undefined) return undefined;
  const found = new TextsOf(tree);
  const pieces: StreamPiece[] = [];
  const wholes = [];
  const ends: string[] = [];
  for (const [place, choice] of (tree.root.member('choices')?.elements() ?? []).entries()) {
    dropLogprobs(choice);
    const index = choice.valueOf('index') ?? place;
    const group = `${index}`;
    if (choice.member('finish_reason')?.kind === 'string') ends.push(group);
    const delta = choice.member('delta');
    pieces.push(...piece(found, choice.member('text'), textPiece(tree, group)));
    for (const name of bitByBit) pieces.push(...piece(found, delta?.member(name), deltaPiece(tree, group, name)));
    for (const [at, call] of (delta?.member('tool_calls')?.elements() ?? []).entries()) {
      pieces.push(...callPieces(found, tree, group, call, call.valueOf('index') ?? at));
    }
    const oneCall = delta?.member('function_call')?.member('arguments');
    const alone = (text: string) => chunk(tree, group, `"delta":{"function_call":{"arguments":${JSON.stringify(text)}}}`);
    pieces.push(...piece(found, oneCall, { lane: `${group}/function_call`, group, isMain: false, alone }));
    const rest = bitByBit.flatMap((name) => delta?.member(name) ?? []).filter((node) => node.kind !== 'string');
    wholes.push(...wholesAt(found, [...leavesOf(delta, inPieces), ...rest.flatMap((node) => leavesOf(node))]));
  }
  const failed = tree.root.member('error') !== undefined;
  return { pieces, wholes, ends: failed ? ('all' as const) : ends, sequence: undefined, write: () => found.write() };
}

function textPiece(tree: JsonTree, group: string): Omit<StreamPiece, 'text'> {
  const alone = (text: string) => chunk(tree, group, `"text":${JSON.stringify(text)}`);
  return { lane: `${group}/text`, group, isMain: true, alone };
}

function deltaPiece(tree: JsonTree, group: string, name: string): Omit<StreamPiece, 'text'> {
  const alone = (text: string) => chunk(tree, group, `"delta":{"${name}":${JSON.stringify(text)}}`);
  return { lane: `${group}/${name}`, group, isMain: name === 'content', alone };
}

function callPieces(found: TextsOf, tree: JsonTree, group: string, call: JsonNode, index: unknown): readonly StreamPiece[] {
  const known = (kind: string, name: string): Omit<StreamPiece, 'text'> => ({
    lane: `${group}/tool_calls/${index}/${kind}`,
    group,
    isMain: false,
    alone: (text) =>
      chunk(tree, group, `"delta":{"tool_calls":[{"index":${index},"${kind}":{"${name}":${JSON.stringify(text)}}}]}`),
  });
  return [
    ...piece(found, call.member('function')?.member('arguments'), known('function', 'arguments')),
    ...piece(found, call.member('custom')?.member('input'), known('custom', 'input')),
  ];
}

function chunk(tree: JsonTree, index: string, member: string) {
  const head = membersText(tree.root, chunkMembers);
  const data = `{${head}${head === '' ? '' : ','}"choices":[{"index":${index},${member},"finish_reason":null}]}`;
  return { event: undefined, data };
}
