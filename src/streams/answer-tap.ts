/** Watches one whole JSON answer for its token counts. */
import type { Tap } from '../platform.ts';
import { Tail } from './carry.ts';
import { PlainTap } from './plain-tap.ts';
import type { TapListeners, TapReport } from './report.ts';
import type { TokenCounts } from './shape.ts';

/** Answers up to here are kept and parsed. Larger ones (embeddings) are not worth the memory. */
const maxWholeBytes = 65_536;
/** Of larger ones the end is kept: every API writes its counts there. */
const tailBytes = 16_384;

export interface AnswerTapOptions extends TapListeners {
  /** Token counts of the parsed answer. Never throws. */
  usageOf(answer: unknown): TokenCounts | undefined;
  /** Content-Length, where the box gave it. */
  readonly expectedBytes?: number | undefined;
}

export function createAnswerTap(options: AnswerTapOptions): Tap {
  return new AnswerTap(options);
}

class AnswerTap extends PlainTap {
  readonly #usageOf: AnswerTapOptions['usageOf'];
  readonly #kept: KeptText;

  constructor(options: AnswerTapOptions) {
    super(options);
    this.#usageOf = options.usageOf;
    this.#kept = new KeptText(options.expectedBytes);
  }

  override push(chunk: Uint8Array): Uint8Array {
    this.#kept.add(chunk);
    return super.push(chunk);
  }

  protected override isWhole(): boolean {
    return !looksCut(this.#kept.text());
  }

  protected override completedWith(bytes: number): TapReport {
    const kept = this.#kept;
    const answer = kept.isTail ? countsIn(kept.text()) : parsed(kept.text());
    return completedReport(bytes, this.#usageOf(answer), modelOf(answer));
  }
}

function completedReport(bytes: number, usage: TokenCounts | undefined, model: string | undefined): TapReport {
  if (usage !== undefined && model) return { how: 'completed', bytes, events: 0, usage, model };
  return { how: 'completed', bytes, events: 0, ...(usage && { usage }), ...(model && { model }) };
}

/** For chunks that are a whole answer: no state, so one for all. */
const wholeDecoder = new TextDecoder();

/** The answer as text, or, of one too long to keep, its end. Decoded at once, because a chunk's memory is gone once it is sent. */
class KeptText {
  readonly #expectedBytes: number | undefined;
  #decoder: TextDecoder | undefined;
  #tail: Tail | undefined;
  #text = '';
  #bytes = 0;
  #first = '';

  constructor(expectedBytes: number | undefined) {
    this.#expectedBytes = expectedBytes;
  }

  /** Only the end is kept. */
  get isTail(): boolean {
    return this.#tail !== undefined;
  }

  add(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    if (this.#bytes === 0) this.#first = String.fromCharCode(chunk[0] ?? 0);
    this.#bytes += chunk.length;
    if (this.#bytes <= maxWholeBytes) {
      this.#text += chunk.length === this.#expectedBytes ? wholeDecoder.decode(chunk) : this.#decoded(chunk);
      return;
    }
    if (this.#tail === undefined) {
      this.#tail = new Tail(tailBytes);
      this.#tail.append(new TextEncoder().encode(this.#text.slice(-tailBytes)));
      this.#text = '';
    }
    this.#tail.append(chunk);
  }

  /** Begins with the answer's first letter even where only its end is kept. */
  text(): string {
    if (this.#tail === undefined) return this.#text;
    return this.#first + new TextDecoder().decode(this.#tail.bytes);
  }

  #decoded(chunk: Uint8Array): string {
    this.#decoder ??= new TextDecoder();
    return this.#decoder.decode(chunk, { stream: true });
  }
}

/** An object or array that lacks its last bracket. Not every text that fails to parse: what a box sends oddly is not ours to cut. */
function looksCut(text: string): boolean {
  const isJson = text.startsWith('{') || text.startsWith('[');
  return isJson && !/[\]}]\s*$/.test(text.slice(-64));
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
