/**
 * The fewest tokens that a prompt can come to, whichever model reads it. Vocabularies differ, but none of them joins words over a
 * space: each word is a token at least, and so is punctuation that no word follows. What a template may leave out is left out.
 */
import type { JsonDraft } from '../json/object-text.ts';
import { recordOf } from './answer-text.ts';

export interface LeastTokens {
  readonly tokens: number;
  /** Nothing but texts is in it: no images, no tools, whose tokens are not known from their letters. */
  readonly isTextOnly: boolean;
}

/** Letters that one token may hold at most: longer words are several. */
const maxLettersPerToken = 24;
/** Of Chinese and Japanese, which have no spaces. Common models come to one and a half. */
const wideLettersPerToken = 3;
/** Ollama reads tools into types of its own, which lack some of what clients send (api/types.go, ToolFunction). */
const readShareOfTools = 0.5;

/** Of a request of any protocol. Roles that templates do not know, and thoughts of earlier turns, do not count. */
export function leastPromptTokens(body: Pick<JsonDraft, 'get'>): LeastTokens {
  const count: Count = { tokens: 0, isTextOnly: true };
  for (const name of ['system', 'instructions', 'prompt', 'suffix']) countIn(body.get(name), count);
  for (const name of ['messages', 'input']) {
    const items = body.get(name);
    if (!Array.isArray(items)) countIn(items, count);
    else for (const item of items) if (typeof item === 'string' || isRead(item)) countIn(item, count);
  }
  const tools = body.get('tools');
  if (Array.isArray(body.get('images'))) count.isTextOnly = false;
  if (Array.isArray(tools) && tools.length > 0) {
    const ofTools: Count = { tokens: 0, isTextOnly: false };
    countIn(tools, ofTools);
    count.tokens += ofTools.tokens * readShareOfTools;
    count.isTextOnly = false;
  }
  return { tokens: Math.floor(count.tokens), isTextOnly: count.isTextOnly };
}

interface Count {
  tokens: number;
  isTextOnly: boolean;
}

const roles: ReadonlySet<unknown> = new Set(['system', 'user', 'assistant', 'tool']);
/** Items of Responses that are no messages: outputs and calls of functions are read, what was thought is not. */
const itemTypes: ReadonlySet<unknown> = new Set(['function_call', 'function_call_output']);

function isRead(item: unknown): boolean {
  const record = recordOf(item);
  return record !== undefined && (roles.has(record.role) || itemTypes.has(record.type));
}

/** Where texts stand that a model gets to see; everything else is about them. */
const textMembers = [
  'content',
  'text',
  'output',
  'arguments',
  'input',
  'tool_calls',
  'function',
  'description',
  'parameters',
  'input_schema',
  'properties',
];
const attachments: ReadonlySet<unknown> = new Set([
  'image',
  'document',
  'image_url',
  'input_audio',
  'file',
  'input_image',
  'input_file',
]);

/** Walks without recursion: depth is the client's to choose. */
function countIn(value: unknown, count: Count): void {
  const left: unknown[] = [value];
  while (left.length > 0) {
    const one = left.pop();
    if (typeof one === 'string') count.tokens += leastTokensIn(one);
    else if (Array.isArray(one)) for (const item of one) left.push(item);
    else openRecord(one, left, count);
  }
}

function openRecord(value: unknown, left: unknown[], count: Count): void {
  const record = recordOf(value);
  if (record === undefined) return;
  if (attachments.has(record.type) || Array.isArray(record.images)) count.isTextOnly = false;
  if (attachments.has(record.type)) return;
  for (const name of textMembers) if (name in record) left.push(record[name]);
}

/** Reasoning models' templates leave out what was thought in earlier turns. */
const thoughts = /<think>[\s\S]*?(?:<\/think>|$)/g;

export function leastTokensIn(text: string): number {
  const said = text.includes('<think>') ? text.replace(thoughts, ' ') : text;
  let tokens = 0;
  let wide = 0;
  let run: Run = 'none';
  let length = 0;
  for (let at = 0; at < said.length; at++) {
    const code = said.charCodeAt(at);
    const kind = kindOf(code);
    if (kind === 'wide') {
      wide++;
      // Punctuation before it may be one with it.
      run = 'none';
      continue;
    }
    if (kind === run) {
      if (kind === 'word' && ++length % maxLettersPerToken === 0) tokens++;
      continue;
    }
    if (run === 'mark' && kind !== 'word') tokens++;
    if (kind === 'word') tokens++;
    // A line's end may be one with the punctuation before it.
    if (kind === 'line' && run === 'word') tokens++;
    run = kind;
    length = 1;
  }
  return tokens + (run === 'mark' ? 1 : 0) + wide / wideLettersPerToken;
}

type Run = 'none' | 'word' | 'mark' | 'space' | 'line' | 'wide';

function kindOf(code: number): Run {
  if (code > 0x7f) return code >= 0x2e80 ? 'wide' : code >= 0x2000 && code <= 0x2bff ? 'mark' : code < 0xc0 ? 'space' : 'word';
  if ((code | 0x20) >= 0x61 && (code | 0x20) <= 0x7a) return 'word';
  if (code >= 0x30 && code <= 0x39) return 'word';
  if (code === 0x0a || code === 0x0d) return 'line';
  return code <= 0x20 ? 'space' : 'mark';
}
