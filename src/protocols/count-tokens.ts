/**
 * The estimate behind `/v1/messages/count_tokens`, which Ollama does not have. Every model cuts text into tokens its own way, and
 * no box tells how, so this is a rule of thumb: mark it as one with the header `x-corral-estimated: true`.
 */
import type { ObjectText } from '../json/object-text.ts';
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
  const messages = body.get('messages');
  const list = Array.isArray(messages) ? messages : [];
  const content = list.map((message) => tokensIn(recordOf(message)?.content));
  const sum = [...content, tokensIn(body.get('system')), tokensIn(body.get('tools'))].reduce((total, one) => total + one, 0);
  return Math.max(1, Math.ceil(sum + list.length * tokensPerMessage));
}

/** `{"input_tokens":n}`. */
export function countTokensAnswer(body: ObjectText): string {
  return JSON.stringify({ input_tokens: estimateInputTokens(body) });
}

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
  if (record.type === 'image' || record.type === 'document') return tokensPerImage;
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
