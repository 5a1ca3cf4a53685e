/** Watches one whole JSON answer for its token counts. */
import type { Tap } from '../platform.ts';
import { Carry, Tail } from './carry.ts';
import { createPlainTap } from './plain-tap.ts';
import type { TapListeners } from './report.ts';

/** Answers up to here are kept and parsed. Larger ones (embeddings) are not worth the memory. */
const maxWholeBytes = 65_536;
/** Of larger ones the end is kept: every API writes its counts there. */
const tailBytes = 16_384;

export interface AnswerTapOptions extends TapListeners {
  /** Token counts of the parsed answer. Never throws. */
  usageOf(answer: unknown): { inputTokens: number; outputTokens: number } | undefined;
  /** Content-Length, where the box gave it. */
  readonly expectedBytes?: number | undefined;
}

export function createAnswerTap(options: AnswerTapOptions): Tap {
  const whole = new Carry(maxWholeBytes);
  const tail = new Tail(tailBytes);
  let bytes = 0;
  let firstByte: number | undefined;
  const keptText = () => new TextDecoder().decode(bytes > maxWholeBytes ? tail.bytes : whole.bytes);
  const plain = createPlainTap({
    ...options,
    isWhole: () => !looksCut(firstByte, keptText()),
    onEnd(report) {
      if (report.how !== 'completed') return options.onEnd(report);
      const answer = bytes > maxWholeBytes ? countsIn(keptText()) : parsed(keptText());
      const usage = options.usageOf(answer);
      const model = modelOf(answer);
      options.onEnd({ ...report, ...(usage && { usage }), ...(model && { model }) });
    },
  });
  return {
    ...plain,
    push(chunk) {
      firstByte ??= chunk[0];
      bytes += chunk.length;
      if (bytes <= maxWholeBytes) {
        whole.append(chunk);
      } else {
        if (whole.length > 0) tail.append(whole.bytes);
        whole.clear();
        tail.append(chunk);
      }
      return plain.push(chunk);
    },
  };
}

/** An object or array that lacks its last bracket. Not every text that fails to parse: what a box sends oddly is not ours to cut. */
function looksCut(firstByte: number | undefined, text: string): boolean {
  if (firstByte === undefined) return false;
  const first = String.fromCharCode(firstByte);
  return (first === '{' || first === '[') && !/[\]}]\s*$/.test(text.slice(-64));
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function modelOf(answer: unknown): string | undefined {
  if (typeof answer !== 'object' || answer === null || !('model' in answer)) return undefined;
  return typeof answer.model === 'string' ? answer.model : undefined;
}

/**
 * What stands in the end of an answer too long to keep: `"usage":{…}`, or Ollama's own counters, put together as if they were
 * the answer. The last ones count. A quote inside a JSON string is escaped, so no generated text is taken for a member.
 */
function countsIn(text: string): Record<string, unknown> {
  const found: Record<string, unknown> = {};
  const usage = [...text.matchAll(/(?<!\\)"usage":\s*/g)].at(-1);
  if (usage !== undefined) found.usage = parsed(objectAt(text, usage.index + usage[0].length));
  for (const [, name = '', digits] of text.matchAll(/(?<!\\)"(prompt_eval_count|eval_count)":\s*(\d{1,15})/g)) {
    found[name] = Number(digits);
  }
  if (/(?<!\\)"done":\s*true/.test(text)) found.done = true;
  const model = [...text.matchAll(/(?<!\\)"model":\s*("(?:[^"\\]|\\.){0,400}")/g)].at(-1)?.[1];
  if (model !== undefined) found.model = parsed(model);
  return found;
}

/** The text from `from` to the brace that closes it. Usage objects hold numbers and objects, no strings with braces. */
function objectAt(text: string, from: number): string {
  let depth = 0;
  for (let at = from; at < text.length; at++) {
    if (text[at] === '{') depth++;
    else if (text[at] === '}' && --depth === 0) return text.slice(from, at + 1);
  }
  return '';
}
