/** What chat completions of any server say, read without trust: whole answers and chunks have these things in common. */
import { stringify } from 'lossless-json';
import { countOf, type JsonRecord, recordOf, textOf } from '../answer-text.ts';
import type { AnswerEnd, TokenCounts } from './answer-parts.ts';
import type { ReasoningName } from './reasoning-mark.ts';

/** Token counts of a `usage` member; undefined where it has none. */
export function countsIn(usage: unknown): TokenCounts | undefined {
  const counts = recordOf(usage);
  const input = countOf(counts?.prompt_tokens);
  const output = countOf(counts?.completion_tokens);
  if (input === undefined && output === undefined) return undefined;
  const prompt = recordOf(counts?.prompt_tokens_details);
  const completion = recordOf(counts?.completion_tokens_details);
  return {
    input: input ?? 0,
    // DeepSeek has a name of its own for it.
    cached: countOf(prompt?.cached_tokens) ?? countOf(counts?.prompt_cache_hit_tokens) ?? 0,
    cacheWritten: countOf(prompt?.cache_write_tokens) ?? 0,
    output: output ?? 0,
    reasoning: countOf(completion?.reasoning_tokens) ?? 0,
  };
}

/** Calls of tools decide: some servers say `stop` beside them, and clients would not make the calls. */
export function reasonOf(finish: unknown, hasTools: boolean): AnswerEnd['reason'] {
  if (finish === 'length') return 'length';
  if (finish === 'content_filter') return 'filtered';
  return hasTools || finish === 'tool_calls' || finish === 'function_call' ? 'tools' : 'stop';
}

/** vLLM names the sequence that ended the answer. */
export function stopSequenceIn(choice: JsonRecord): string | undefined {
  return choice.finish_reason === 'stop' ? textOf(choice.stop_reason) : undefined;
}

export interface Said {
  readonly thinking: { readonly name: ReasoningName; readonly text: string } | undefined;
  readonly text: string;
  readonly refusal: string;
}

/** The words of a message or a delta. */
export function saidIn(message: JsonRecord): Said {
  const inParts = partsIn(message.content);
  const content = textOf(message.reasoning_content);
  const plain = textOf(message.reasoning);
  const thinking =
    content !== undefined
      ? { name: 'reasoning_content' as const, text: content }
      : plain !== undefined
        ? { name: 'reasoning' as const, text: plain }
        : inParts.thinking === ''
          ? undefined
          : { name: 'reasoning_content' as const, text: inParts.thinking };
  return { thinking, text: inParts.text, refusal: textOf(message.refusal) ?? '' };
}

/** Text, or parts of it: Mistral's models think in parts of type `thinking`. */
function partsIn(content: unknown): { text: string; thinking: string } {
  if (typeof content === 'string') return { text: content, thinking: '' };
  let text = '';
  let thinking = '';
  for (const one of Array.isArray(content) ? content : []) {
    const part = recordOf(one);
    if (part?.type === 'thinking') thinking += textsIn(part.thinking);
    else text += textOf(part?.text) ?? '';
  }
  return { text, thinking };
}

function textsIn(thinking: unknown): string {
  if (typeof thinking === 'string') return thinking;
  return (Array.isArray(thinking) ? thinking : []).map((part) => textOf(recordOf(part)?.text) ?? '').join('');
}

/** Arguments are text; some servers send the object itself. Numbers that lossless-json read stay exact. */
export function argumentsIn(called: JsonRecord | undefined): string {
  const given = called?.arguments;
  if (typeof given === 'string') return given;
  return recordOf(given) === undefined ? '' : (stringify(given) ?? '');
}
