/**
 * What keeps a silent stream alive: complete frames that the clients of a protocol pass over. While something is waited for,
 * comments say what it is; people who look at the bytes read it, parsers do not.
 */
import type { Heartbeat, Wait } from '../exchange.ts';

/** `: text`, with the blank line that clients which cut streams at blank lines want to see behind every block (WHATWG HTML, event streams). */
export function sseHeartbeat(beat: Heartbeat): string {
  return `: ${wordsOf(beat)}\n\n`;
}

/** Anthropic's own event for it; clients expect it anywhere in a stream. */
export function anthropicHeartbeat(): string {
  return 'event: ping\ndata: {"type": "ping"}\n\n';
}

/** A line that says nothing yet. Blank lines would be shorter, and break ollama-python, which reads every line as JSON. */
export function ollamaChatHeartbeat({ model, wallTimeMs }: Heartbeat): string {
  const message = { role: 'assistant', content: '' };
  return `${JSON.stringify({ model, created_at: timeOf(wallTimeMs), message, done: false })}\n`;
}

export function ollamaGenerateHeartbeat({ model, wallTimeMs }: Heartbeat): string {
  return `${JSON.stringify({ model, created_at: timeOf(wallTimeMs), response: '', done: false })}\n`;
}

/** What is waited for, on one line of ASCII. */
function wordsOf({ wait, model }: Heartbeat): string {
  const words = wait === undefined ? 'still working' : waitWordsOf(wait, model);
  return words.replace(/[^\x20-\x7e]/gu, '?').slice(0, 300);
}

export function waitWordsOf({ for: what, boxName, position }: Wait, model: string): string {
  return what === 'load' ? `loading ${model} on ${boxName}` : `waiting for box ${boxName}, position ${position}`;
}

function timeOf(wallTimeMs: number): string {
  return new Date(wallTimeMs).toISOString();
}
