/** The conversation of a Messages request as chat messages. */
import type { ObjectText } from '../../json/object-text.ts';
import { carriedBy } from './call-id.ts';
import { argumentsText } from './exact-json.ts';
import type { Losses } from './losses.ts';
import { contentOf, invalid, objectsIn, objectUnder, stringIn } from './reading.ts';
import { nameInMark } from './reasoning-mark.ts';

type ChatPart = Readonly<Record<string, unknown>>;

/** Claude Code writes a line here that changes with every request and concerns nobody but Anthropic's billing. */
const billingLine = /^x-anthropic-billing-header:/;
const betweenBlocks = '\n\n';

export function chatMessagesOf(body: ObjectText, losses: Losses): object[] {
  const system = systemTextOf(contentOf(body, 'system', 'the body'));
  const messages: object[] = system === '' ? [] : [{ role: 'system', content: system }];
  const turns = objectsIn(body, 'messages');
  if (turns === undefined) throw invalid('"messages" is missing');
  for (const [index, turn] of turns.entries()) {
    const place = `messages[${index}]`;
    const role = stringIn(turn, 'role');
    const content = contentOf(turn, 'content', place) ?? '';
    if (role === 'assistant') messages.push(assistantMessage(content, losses));
    else if (role === 'system') messages.push({ role, content: systemTextOf(content) });
    else if (role === 'user') messages.push(...userMessages(content, losses));
    else throw invalid(`"${place}.role" must be user or assistant`);
  }
  return messages;
}

function systemTextOf(content: string | readonly ObjectText[] | undefined): string {
  if (content === undefined || typeof content === 'string') return content ?? '';
  const texts = content.map((block) => stringIn(block, 'text') ?? '');
  return texts.filter((text) => text !== '' && !billingLine.test(text)).join(betweenBlocks);
}

/** Results of tools come first: they must follow the calls at once. */
function userMessages(content: string | readonly ObjectText[], losses: Losses): object[] {
  if (typeof content === 'string') return [{ role: 'user', content }];
  const results: object[] = [];
  const parts: ChatPart[] = [];
  for (const block of content) {
    if (stringIn(block, 'type') !== 'tool_result') {
      parts.push(...partsOf(block, losses));
      continue;
    }
    const { text, images } = toolResultOf(block, losses);
    results.push({ role: 'tool', tool_call_id: carriedBy(stringIn(block, 'tool_use_id') ?? '').id, content: text });
    parts.push(...images);
  }
  return parts.length === 0 && results.length > 0 ? results : [...results, { role: 'user', content: joinedParts(parts) }];
}

/** Plain text where there is nothing else: not every server takes lists of parts. */
function joinedParts(parts: readonly ChatPart[]): string | readonly ChatPart[] {
  return parts.every(({ type }) => type === 'text') ? parts.map(({ text }) => text).join(betweenBlocks) : parts;
}

/** Messages of tools are text in chat completions: their images go with the user's next words, in order. */
function toolResultOf(block: ObjectText, losses: Losses): { text: string; images: ChatPart[] } {
  const content = contentOf(block, 'content', 'tool_result') ?? '';
  const parts = typeof content === 'string' ? [{ type: 'text', text: content }] : content.flatMap((one) => partsOf(one, losses));
  const images = parts.filter(({ type }) => type !== 'text');
  const texts = parts.filter(({ type }) => type === 'text').map(({ text }) => text as string);
  if (images.length > 0) texts.push(images.length === 1 ? '(an image: see below)' : `(${images.length} images: see below)`);
  const text = texts.join(betweenBlocks);
  return { text: block.get('is_error') === true ? `Error: ${text}` : text, images };
}

function partsOf(block: ObjectText, losses: Losses): ChatPart[] {
  const type = stringIn(block, 'type');
  switch (type) {
    case 'text':
      return [{ type, text: stringIn(block, 'text') ?? '' }];
    case 'image':
      return [{ type: 'image_url', image_url: { url: imageUrlOf(objectUnder(block, 'source'), losses) } }];
    case 'document':
      return documentParts(block, losses);
    case 'search_result': {
      const content = contentOf(block, 'content', 'search_result');
      const text = typeof content === 'string' ? content : systemTextOf(content);
      const head = [stringIn(block, 'title'), stringIn(block, 'source')].filter((line) => line !== undefined).join('\n');
      return [{ type: 'text', text: `${head}\n${text}` }];
    }
    default:
      losses.note(`blocks of type ${type}`);
      return [];
  }
}

function imageUrlOf(source: ObjectText | undefined, losses: Losses): string {
  const type = stringIn(source, 'type');
  if (type === 'base64') return `data:${stringIn(source, 'media_type') ?? 'image/png'};base64,${stringIn(source, 'data') ?? ''}`;
  const url = stringIn(source, 'url');
  return type === 'url' && url !== undefined ? url : losses.refuse(`an image whose source is of type ${type}`);
}

function documentParts(block: ObjectText, losses: Losses): ChatPart[] {
  const source = objectUnder(block, 'source');
  const title = stringIn(block, 'title');
  const type = stringIn(source, 'type');
  const headed = (text: string) => [{ type: 'text', text: title === undefined ? text : `${title}\n${text}` }];
  if (type === 'text') return headed(stringIn(source, 'data') ?? '');
  if (type === 'base64') {
    const data = `data:${stringIn(source, 'media_type') ?? 'application/pdf'};base64,${stringIn(source, 'data') ?? ''}`;
    return [{ type: 'file', file: { filename: title ?? 'document.pdf', file_data: data } }];
  }
  const content = source === undefined || type !== 'content' ? undefined : contentOf(source, 'content', 'document');
  if (content === undefined) return losses.refuse(`a document whose source is of type ${type}`);
  return typeof content === 'string' ? headed(content) : content.flatMap((one) => partsOf(one, losses));
}

function assistantMessage(content: string | readonly ObjectText[], losses: Losses): object {
  if (typeof content === 'string') return { role: 'assistant', content };
  const thoughts = new Map<string, string>();
  const calls: object[] = [];
  let text = '';
  for (const block of content) {
    const type = stringIn(block, 'type');
    if (type === 'text') text += stringIn(block, 'text') ?? '';
    else if (type === 'tool_use') calls.push(callOf(block));
    else if (type === 'thinking') {
      const name = nameInMark(stringIn(block, 'signature'));
      if (name !== undefined) thoughts.set(name, (thoughts.get(name) ?? '') + (stringIn(block, 'thinking') ?? ''));
    } else if (type !== 'redacted_thinking') losses.note(`blocks of type ${type}`);
  }
  return {
    role: 'assistant',
    content: text === '' && calls.length > 0 ? null : text,
    ...Object.fromEntries(thoughts),
    ...(calls.length > 0 ? { tool_calls: calls } : {}),
  };
}

function callOf(block: ObjectText): object {
  const called = { name: stringIn(block, 'name') ?? '', arguments: argumentsText(block.textOf('input')) };
  const { id, extra } = carriedBy(stringIn(block, 'id') ?? '');
  return { id, type: 'function', function: called, extra_content: extra };
}
