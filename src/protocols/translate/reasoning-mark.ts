/**
 * Thinking goes back to where it came from. Servers that think out loud in chat completions call it `reasoning_content`
 * (DeepSeek, Kimi, llama.cpp) or `reasoning` (Ollama, OpenRouter, vLLM, Groq), some want it back in the next request, and others
 * refuse members that they do not know. So the name travels with the thinking, as the signature of a Messages block or the
 * encrypted content of a Responses item, and only what carries such a mark is sent to a chat server again.
 */
const prefix = 'corral:';

export type ReasoningName = 'reasoning_content' | 'reasoning';

export function markOf(name: ReasoningName): string {
  return prefix + name;
}

/** The member that the thinking came in; undefined for thinking of other origin. */
export function nameInMark(mark: string | undefined): ReasoningName | undefined {
  const name = mark?.startsWith(prefix) ? mark.slice(prefix.length) : undefined;
  return name === 'reasoning_content' || name === 'reasoning' ? name : undefined;
}
