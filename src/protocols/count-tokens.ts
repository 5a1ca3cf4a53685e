/**
 * The estimate behind `/v1/messages/count_tokens`, which Ollama does not have. Every model cuts text into tokens its own way, and
 * no box tells how, so this is a rule of thumb: mark it as one with the header `x-corral-estimated: true`.
 */
import type { JsonDraft, ObjectText } from '../json/object-text.ts';
import { recordOf } from './answer-text.ts';

/** English and code come to about four letters a token in the vocabularies of the models that Ollama runs. */
const lettersPerToken = 4;
/** Letters beyond Latin (Chinese, Japanese, emoji …) are mostly one token each. */
const tokensPerWideLetter = 1;
/** What a chat template writes around one message. */
const tokensPerMessage = 4;
/** Between gemma3's 256 and what larger vision models spend on a photograph. */
const tokensPerImage = 1000;

/** The tokens that a Messages request will probably take up: system, messages and tools. At least 1. */
export function estimateInputTokens(body: ObjectText): number {
  const sum = tokensInMessages(body) + tokensIn(body.get('system')) + tokensIn(body.get('tools'));
  return Math.max(1, Math.ceil(sum));
}

/** Members of any protocol's request that a model reads, beside `messages` and `images`. */
const promptMembers = ['system', 'instructions', 'prompt', 'suffix', 'input', 'tools'] as const;

/** The same for a request of any protocol: chat, completions, embeddings, Responses, Messages, Ollama's own. At least 1. */
export function estimatePromptTokens(body: Pick<JsonDraft, 'get'>): number {
  const texts = promptMembers.reduce((sum, name) => sum + tokensIn(body.get(name)), 0);
  return Math.max(1, Math.ceil(tokensInMessages(body) + texts + tokensInImages(body.get('images'))));
}

function tokensInMessages(body: Pick<JsonDraft, 'get'>): number {
  const messages = body.get('messages');
  if (!Array.isArray(messages)) return 0;
  return messages.reduce((sum: number, one) => {
    const message = recordOf(one);
    return sum + tokensPerMessage + tokensIn(message?.content) + tokensInImages(message?.images);
  }, 0);
}

/** Ollama's own way to send images: base64 beside the text. */
function tokensInImages(images: unknown): number {
  return Array.isArray(images) ? images.length * tokensPerImage : 0;
}

/** `{"input_tokens":n}`. */
export function countTokensAnswer(body: ObjectText): string {
  return JSON.stringify({ input_tokens: estimateInputTokens(body) });
}

/** Blocks whose bytes are no text: Anthropic's, those of chat completions and of Responses. */
const attachments = new Set(['image', 'document', 'image_url', 'input_audio', 'file', 'input_image', 'input_file']);

/** Walks without recursion: depth is the client's to choose. */
function tokensIn(value: unknown): number {
  const left: unknown[] = [value];
  let tokens = 0;
  while (left.length > 0) {
    const one = left.pop();
    if (typeof one === 'string') tokens += tokensInText(one);
    else if (typeof one === 'number' || typeof one === 'boolean') tokens += 1;
    else if (Array.isArray(one)) for (const item of one) left.push(item);
    else tokens += tokensInBlock(one, left);
  }
  return tokens;
}

/** Names of members count too (schemas and tool inputs are sent as JSON); of images and documents the base64 does not. */
function tokensInBlock(block: unknown, left: unknown[]): number {
  const record = recordOf(block);
  if (record === undefined) return 0;
  if (typeof record.type === 'string' && attachments.has(record.type)) return tokensPerImage;
  let tokens = 0;
  for (const [name, member] of Object.entries(record)) {
    if (name === 'type' || name === 'cache_control') continue;
    if (name !== 'text') tokens += tokensInText(name);
    left.push(member);
  }
  return tokens;
}

function tokensInText(text: string): number {
  let wide = 0;
  for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) > 0x2ff) wide++;
  return (text.length - wide) / lettersPerToken + wide * tokensPerWideLetter;
}
