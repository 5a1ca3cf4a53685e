/** The conversation of a chat completions request as Anthropic's turns. */
import type { ObjectText } from '../../json/object-text.ts';
import { argumentsObject, type JsonText, textAsIs } from './exact-json.ts';
import type { Losses } from './losses.ts';
import { contentOf, dataUrlParts, invalid, objectsIn, objectUnder, stringIn, textIn } from './reading.ts';

type Block = Readonly<Record<string, unknown>>;

interface Turn {
  readonly role: 'user' | 'assistant';
  readonly content: Block[];
}

export interface Conversation {
  readonly system: readonly Block[];
  readonly messages: readonly Turn[];
  /** The turn that goes on has called tools without the thinking before it: Anthropic does not let it think any further. */
  readonly lacksThinking: boolean;
}

export function conversationOf(body: ObjectText, losses: Losses): Conversation {
  const given = objectsIn(body, 'messages');
  if (given === undefined) throw invalid('"messages" is missing');
  const system: Block[] = [];
  const messages: Turn[] = [];
  for (const [index, message] of given.entries()) {
    const place = `messages[${index}]`;
    const role = stringIn(message, 'role');
    const content = contentOf(message, 'content', place) ?? '';
    if (role === 'system' || role === 'developer') {
      if (messages.length > 0) losses.warn(`a ${role} message within the conversation was moved to its beginning`);
      system.push(...blocksOf(content, losses));
    } else if (role === 'user') {
      add(messages, 'user', blocksOf(content, losses));
    } else if (role === 'assistant') {
      add(messages, 'assistant', assistantBlocks(message, content, losses));
    } else if (role === 'tool') {
      add(messages, 'user', [toolResult(message, content, losses)]);
    } else throw invalid(`"${place}.role" must be system, developer, user, assistant or tool`);
  }
  trimPrefill(messages);
  return { system, messages, lacksThinking: lacksThinking(messages) };
}

/** Turns of one side become one: Anthropic wants the results of all calls in a single turn. */
function add(messages: Turn[], role: Turn['role'], blocks: readonly Block[]): void {
  if (blocks.length === 0) return;
  const last = messages.at(-1);
  if (last?.role === role) last.content.push(...blocks);
  else messages.push({ role, content: [...blocks] });
}

function blocksOf(content: string | readonly ObjectText[], losses: Losses): Block[] {
  if (typeof content === 'string') return textBlocks(content, undefined);
  return content.flatMap((part) => partBlocks(part, losses));
}

/** Anthropic refuses texts of nothing but blanks. */
function textBlocks(text: string, cache: JsonText | undefined): Block[] {
  return text.trim() === '' ? [] : [{ type: 'text', text, cache_control: cache }];
}

function partBlocks(part: ObjectText, losses: Losses): Block[] {
  const type = stringIn(part, 'type');
  const cache = textAsIs(textIn(part, 'cache_control'));
  switch (type) {
    case 'text':
      return textBlocks(stringIn(part, 'text') ?? '', cache);
    case 'refusal':
      return textBlocks(stringIn(part, 'refusal') ?? '', cache);
    case 'image_url': {
      const url = stringIn(objectUnder(part, 'image_url'), 'url') ?? stringIn(part, 'image_url');
      if (url === undefined) throw invalid('an image without a URL');
      return [{ type: 'image', source: sourceOf(url), cache_control: cache }];
    }
    case 'file': {
      const data = stringIn(objectUnder(part, 'file'), 'file_data');
      const title = stringIn(objectUnder(part, 'file'), 'filename');
      if (data === undefined) return losses.refuse('a file that is named by "file_id"');
      return [{ type: 'document', source: sourceOf(data), title, cache_control: cache }];
    }
    default:
      return losses.refuse(`content of type ${type}`);
  }
}

function sourceOf(url: string): Block {
  const parts = dataUrlParts(url);
  return parts === undefined ? { type: 'url', url } : { type: 'base64', media_type: parts.mediaType, data: parts.data };
}

/** Thinking goes along where it still has the signature without which Anthropic refuses it. */
function assistantBlocks(message: ObjectText, content: string | readonly ObjectText[], losses: Losses): Block[] {
  const blocks: Block[] = [];
  const signature = stringIn(message, 'reasoning_signature');
  const thinking = stringIn(message, 'reasoning_content') ?? stringIn(message, 'reasoning');
  if (signature !== undefined && thinking !== undefined) blocks.push({ type: 'thinking', thinking, signature });
  blocks.push(...blocksOf(content, losses), ...textBlocks(stringIn(message, 'refusal') ?? '', undefined));
  for (const call of objectsIn(message, 'tool_calls') ?? []) {
    const called = objectUnder(call, 'function');
    const custom = objectUnder(call, 'custom');
    const input = called === undefined ? JSON.stringify({ input: stringIn(custom, 'input') ?? '' }) : argumentsOf(called);
    const name = stringIn(called ?? custom, 'name') ?? '';
    blocks.push({ type: 'tool_use', id: plainId(stringIn(call, 'id')), name, input: argumentsObject(input) });
  }
  return blocks;
}

/** Text, as OpenAI has it, or the object itself. */
function argumentsOf(called: ObjectText): string {
  return stringIn(called, 'arguments') ?? textIn(called, 'arguments') ?? '';
}

function toolResult(message: ObjectText, content: string | readonly ObjectText[], losses: Losses): Block {
  const blocks = blocksOf(content, losses);
  const [first] = blocks;
  const isText = blocks.length === 1 && first?.type === 'text';
  return {
    type: 'tool_result',
    tool_use_id: plainId(stringIn(message, 'tool_call_id')),
    content: isText ? first.text : blocks.length === 0 ? undefined : blocks,
  };
}

/** Anthropic's ids hold letters, digits, `_` and `-`; the same id becomes the same everywhere. */
function plainId(id: string | undefined): string {
  return (id ?? '').replace(/[^a-zA-Z0-9_-]/g, '_');
}

/** An answer that the client has begun may not end in blanks. */
function trimPrefill(messages: Turn[]): void {
  const last = messages.at(-1);
  const block = last?.role === 'assistant' ? last.content.at(-1) : undefined;
  if (last === undefined || block?.type !== 'text') return;
  last.content[last.content.length - 1] = { ...block, text: (block.text as string).trimEnd() };
}

function lacksThinking(messages: readonly Turn[]): boolean {
  const isWords = ({ role, content }: Turn) => role === 'user' && !content.some(({ type }) => type === 'tool_result');
  const turns = messages.slice(messages.findLastIndex(isWords) + 1).filter(({ role }) => role === 'assistant');
  return turns.some(({ content }) => content.some(({ type }) => type === 'tool_use') && content[0]?.type !== 'thinking');
}
