/** Answers of `/api/chat` as chat completions: what Ollama's own `/v1` makes of them (openai/openai.go, middleware/openai.go). */
import type { GatewayError } from '../../errors.ts';
import { openaiErrorInStream } from '../openai.ts';
import { freshId } from './identity.ts';
import type { NativeCall, NativeLine } from './ollama-line.ts';
import { isEmptyLine } from './ollama-line.ts';
import type { LineWriter, NativeWords } from './ollama-rewrite.ts';

/** `wantsUsage`: the client has asked for a last chunk with the token counts. */
export function chatWords(wantsUsage: boolean): NativeWords {
  return { whole: completionOf, writer: () => new ChunkWriter(wantsUsage) };
}

function completionOf(line: NativeLine): string {
  const { model, created, text, thinking, calls, logprobs } = line;
  const message = {
    role: 'assistant',
    content: text,
    ...(thinking === '' ? {} : { reasoning: thinking }),
    ...(calls.length === 0 ? {} : { tool_calls: calls.map(callOf) }),
  };
  const choice = { index: 0, message, finish_reason: reasonOf(line.reason, calls.length > 0) || null };
  return `${JSON.stringify({
    id: `chatcmpl-${freshId()}`,
    object: 'chat.completion',
    created,
    model,
    system_fingerprint: 'fp_ollama',
    choices: [logprobs.length === 0 ? choice : { ...choice, logprobs: { content: logprobs } }],
    usage: usageOf(line),
  })}\n`;
}

export function usageOf({ input, output }: NativeLine): object {
  return { prompt_tokens: input, completion_tokens: output, total_tokens: input + output };
}

function callOf({ id, index, name, input }: NativeCall): object {
  return { id, index, type: 'function', function: { name, arguments: input } };
}

/** Only an answer that has ended by itself has ended for its calls. */
function reasonOf(reason: string, hasCalls: boolean): string {
  return reason === 'stop' && hasCalls ? 'tool_calls' : reason;
}

class ChunkWriter implements LineWriter {
  readonly isFull = false;
  readonly #wantsUsage: boolean;
  readonly #id = `chatcmpl-${freshId()}`;
  /** Of the first line: one for all chunks. */
  #created: number | undefined;
  #hasBegun = false;
  #hasCalls = false;

  constructor(wantsUsage: boolean) {
    this.#wantsUsage = wantsUsage;
  }

  line(line: NativeLine): string {
    this.#created ??= line.created;
    let sent = '';
    // The last line mostly has counts only. An answer without a word still begins with its role.
    if (!(line.isDone && this.#hasBegun && isEmptyLine(line))) sent = this.#deltas(line);
    return line.isDone ? sent + this.#finish(line) : sent;
  }

  fail(error: GatewayError): string {
    return openaiErrorInStream(error);
  }

  alive(): string {
    return ': alive\n\n';
  }

  #deltas({ model, text, thinking, calls, logprobs }: NativeLine): string {
    const role = this.#hasBegun ? {} : { role: 'assistant' };
    this.#hasBegun = true;
    if (calls.length > 0) this.#hasCalls = true;
    const toolCalls = calls.length === 0 ? {} : { tool_calls: calls.map(callOf) };
    if (thinking !== '' && (text !== '' || calls.length > 0)) {
      const thought = this.#chunk(model, { ...role, reasoning: thinking }, logprobs);
      return thought + this.#chunk(model, { content: text, ...toolCalls }, []);
    }
    const reasoning = thinking === '' ? {} : { reasoning: thinking };
    return this.#chunk(model, { ...role, content: text, ...reasoning, ...toolCalls }, logprobs);
  }

  #finish(line: NativeLine): string {
    const finish = reasonOf(line.reason === '' ? 'stop' : line.reason, this.#hasCalls);
    const last = this.#frame(line.model, [{ index: 0, delta: {}, finish_reason: finish }]);
    const usage = this.#wantsUsage ? this.#frame(line.model, [], { usage: usageOf(line) }) : '';
    return `${last}${usage}data: [DONE]\n\n`;
  }

  #chunk(model: string, delta: object, logprobs: readonly unknown[]): string {
    const choice = { index: 0, delta, finish_reason: null };
    return this.#frame(model, [logprobs.length === 0 ? choice : { ...choice, logprobs: { content: logprobs } }]);
  }

  #frame(model: string, choices: readonly object[], more: object = {}): string {
    const head = { id: this.#id, object: 'chat.completion.chunk', created: this.#created, model };
    return `data: ${JSON.stringify({ ...head, system_fingerprint: 'fp_ollama', choices, ...more })}\n\n`;
  }
}
