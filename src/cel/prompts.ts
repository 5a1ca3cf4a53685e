/** A call's conversation as `llm.prompt` has it: `{role, content}` for each message, whatever the protocol. */
import type { ObjectText } from '../json/object-text.ts';

export interface PromptMessage {
  readonly role: string;
  readonly content: string;
}

/** System prompt first. Parts that are no text (images) are left out; what has none at all has the content "". */
export function promptOf(body: ObjectText): readonly PromptMessage[] {
  // `instructions`: Responses; `system`: Messages and /api/generate.
  const before = ['instructions', 'system'].flatMap((name) => {
    const content = textIn(body.get(name));
    return content === '' ? [] : [{ role: 'system', content }];
  });
  const messages: unknown = body.get('messages') ?? body.get('input') ?? body.get('prompt');
  if (!Array.isArray(messages))
    return [...before, ...(messages === undefined ? [] : [{ role: 'user', content: textIn(messages) }])];
  return [...before, ...messages.map(messageOf)];
}

function messageOf(message: unknown): PromptMessage {
  if (typeof message !== 'object' || message === null) return { role: 'user', content: textIn(message) };
  const { role, content, output } = message as Record<string, unknown>;
  return { role: typeof role === 'string' ? role : 'user', content: textIn(content ?? output) };
}

/** A text, or the texts of a list of parts, a line each. */
function textIn(content: unknown): string {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return '';
  return content
    .map((part: unknown) => (typeof part === 'object' && part !== null && 'text' in part ? part.text : part))
    .filter((text) => typeof text === 'string')
    .join('\n');
}
