/** Where Anthropic's messages hold texts. */
import type { AnswerText, PlainMessage, ProtocolTexts, RequestText, StreamPiece, StreamWhole, TextScope } from '../exchange.ts';
import type { JsonDraft } from '../json/object-text.ts';
import { type JsonNode, treeOf } from '../json/tree.ts';
import {
  asidesAt,
  contentsOf,
  extendArray,
  isSystem,
  joinParagraphs,
  leavesOf,
  messageText,
  piece,
  TextsOf,
  wholesAt,
} from './texts.ts';
import { RequestTexts } from './texts-requests.ts';

export const anthropicTexts: ProtocolTexts = {
  openRequest(body): { texts: readonly RequestText[]; write(): void } {
    const texts = new RequestTexts(body).openText('system', 'systemPrompt', 'system');
    return texts.open('messages', (messages, found) => {
      for (const message of messages.elements()) addMessage(texts, message, found);
    });
  },
  addMessages(body, prepend, append) {
    addSystem(body, prepend.filter(isSystem), append.filter(isSystem));
    const rest = (messages: readonly PlainMessage[]) => messages.filter((one) => !isSystem(one)).map(messageText);
    if (!prepend.concat(append).every(isSystem)) extendArray(body, 'messages', rest(prepend), rest(append));
  },
  replaceMessages(body, messages) {
    const system = messages.filter(isSystem);
    body.set('system', system.length === 0 ? undefined : joinParagraphs(contentsOf(system)));
    body.setText(
      'messages',
      `[${messages
        .filter((one) => !isSystem(one))
        .map(messageText)
        .join(',')}]`,
    );
  },
  openAnswer(text) {
    const tree = treeOf(text);
    if (tree === undefined) return undefined;
    const found = new TextsOf(tree);
    const blocks = tree.root.member('content')?.elements() ?? [];
    const texts = blocks.flatMap((block, choice): AnswerText[] => {
      const main = found.at(block.member('text'), { choice, isMain: true });
      return [...(main === undefined ? [] : [main]), ...asidesAt(found, leavesOf(block, textOnly), choice)];
    });
    return { texts, write: () => found.write() };
  },
  openEvent,
  repeatsLanes: false,
};

const textOnly: ReadonlySet<string> = new Set(['text']);

function addMessage(texts: RequestTexts, message: JsonNode, found: TextsOf): void {
  const number = texts.nextMessage();
  const role = message.member('role')?.string ?? '';
  const scope: TextScope = isSystem({ role }) ? 'systemPrompt' : 'messages';
  const content = message.member('content');
  if (content?.kind === 'string') texts.add(found, [content], scope, role, number);
  for (const block of content?.elements() ?? []) {
    texts.add(found, leavesOf(block), scopeOfBlock(block.member('type')?.string ?? '') ?? scope, role, number);
  }
}

/** `tool_use` and its relatives hold what the model asked for, `…_result` what came of it. */
function scopeOfBlock(type: string): TextScope | undefined {
  if (type.endsWith('tool_use')) return 'toolInput';
  if (type.endsWith('tool_result')) return 'toolOutput';
  return type === 'mid_conv_system' ? 'systemPrompt' : undefined;
}

/** `system` is a text or a list of blocks; with more than the client's own in it, it is a list. */
function addSystem(body: JsonDraft, prepend: readonly PlainMessage[], append: readonly PlainMessage[]): void {
  if (prepend.length + append.length === 0) return;
  const blockOf = (text: string) => JSON.stringify({ type: 'text', text });
  const given = body.get('system') ?? undefined;
  if (given === undefined || typeof given === 'string') {
    const own = given === undefined || given === '' ? [] : [blockOf(given)];
    body.setText(
      'system',
      `[${[...prepend.map((one) => blockOf(one.content)), ...own, ...append.map((one) => blockOf(one.content))].join(',')}]`,
    );
    return;
  }
  extendArray(
    body,
    'system',
    prepend.map((one) => blockOf(one.content)),
    append.map((one) => blockOf(one.content)),
  );
}

/** Members of blocks and deltas that come bit by bit, and the kind of delta that carries them. */
const kinds: Readonly<Record<string, string>> = {
  text: 'text_delta',
  thinking: 'thinking_delta',
  partial_json: 'input_json_delta',
};
const inPieces: ReadonlySet<string> = new Set(Object.keys(kinds));

function openEvent(data: string) {
  const tree = treeOf(data);
  if (tree === undefined) return undefined;
  const { root } = tree;
  const found = new TextsOf(tree);
  const type = root.member('type')?.string ?? '';
  const pieces: StreamPiece[] = [];
  const wholes: StreamWhole[] = [];
  const lane = `${root.valueOf('index') ?? 0}`;
  const holder = type === 'content_block_delta' ? root.member('delta') : root.member('content_block');
  if (type === 'content_block_delta' || type === 'content_block_start') {
    for (const name in kinds) pieces.push(...piece(found, holder?.member(name), pieceOf(lane, name)));
    wholes.push(...wholesAt(found, leavesOf(holder, inPieces)));
  } else if (type === 'message_start') {
    wholes.push(...wholesAt(found, leavesOf(root.member('message')?.member('content'))));
  }
  const ends = endsAll.has(type) ? ('all' as const) : type === 'content_block_stop' ? [lane] : [];
  return { pieces, wholes, ends, sequence: undefined, write: () => found.write() };
}

const endsAll: ReadonlySet<string> = new Set(['message_delta', 'message_stop', 'error']);

function pieceOf(lane: string, name: string): Omit<StreamPiece, 'text'> {
  return {
    lane,
    group: lane,
    isMain: name === 'text',
    alone: (text) => ({
      event: 'content_block_delta',
      data: `{"type":"content_block_delta","index":${lane},"delta":{"type":"${kinds[name]}","${name}":${JSON.stringify(text)}}}`,
    }),
  };
}
