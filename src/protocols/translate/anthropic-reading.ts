/** What Anthropic's answers say, for clients of chat completions. */
import { countOf, type JsonRecord, recordOf } from '../answer-text.ts';

export type FinishReason = 'stop' | 'length' | 'tool_calls' | 'content_filter';

export function finishReasonOf(stopReason: unknown, hasTools: boolean): FinishReason {
  switch (stopReason) {
    case 'max_tokens':
    case 'model_context_window_exceeded':
      return 'length';
    case 'refusal':
      return 'content_filter';
    default:
      return hasTools ? 'tool_calls' : 'stop';
  }
}

/** What a message has used. Counts come at its beginning and at its end, and the later ones hold. */
export interface MessageCounts {
  input: number;
  cached: number;
  written: number;
  output: number;
  thinking: number | undefined;
}

export function noCounts(): MessageCounts {
  return { input: 0, cached: 0, written: 0, output: 0, thinking: undefined };
}

export function takeCounts(counts: MessageCounts, usage: JsonRecord | undefined): void {
  counts.input = countOf(usage?.input_tokens) ?? counts.input;
  counts.cached = countOf(usage?.cache_read_input_tokens) ?? counts.cached;
  counts.written = countOf(usage?.cache_creation_input_tokens) ?? counts.written;
  counts.output = countOf(usage?.output_tokens) ?? counts.output;
  counts.thinking = countOf(recordOf(usage?.output_tokens_details)?.thinking_tokens) ?? counts.thinking;
}

/** In OpenAI's words input that came from a cache is input. */
export function chatUsageOf({ input, cached, written, output, thinking }: MessageCounts): object {
  const prompt = input + cached + written;
  return {
    prompt_tokens: prompt,
    completion_tokens: output,
    total_tokens: prompt + output,
    prompt_tokens_details: { cached_tokens: cached, ...(written > 0 ? { cache_write_tokens: written } : {}) },
    ...(thinking === undefined ? {} : { completion_tokens_details: { reasoning_tokens: thinking } }),
  };
}
