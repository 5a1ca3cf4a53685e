/** Text completions by way of `/api/generate`, as Ollama's own `/v1/completions` does it (openai/openai.go, FromCompleteRequest). */
import type { GatewayError } from '../../errors.ts';
import type { JsonDraft, ObjectText } from '../../json/object-text.ts';
import { openaiErrorInStream } from '../openai.ts';
import { jsonOf, textAsIs } from './exact-json.ts';
import { freshId, nowInSeconds } from './identity.ts';
import { usageOf } from './ollama-chat-answer.ts';
import type { NativeLine } from './ollama-line.ts';
import { fillOption, flagIn, optionsOf, ownMembers, putOption, stopsIn, typedIn } from './ollama-reading.ts';
import type { LineWriter, NativeWords } from './ollama-rewrite.ts';
import { invalid, textIn } from './reading.ts';

const struct = 'CompletionRequest';
const noUsage = { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 };

/** The JSON of the native request. Throws invalid_body where Ollama would. */
export function nativeGenerateOf(body: ObjectText): string {
  const logprobs = Number(typedIn(body, 'logprobs', 'int', struct) ?? '0');
  return jsonOf({
    model: textAsIs(textIn(body, 'model')),
    prompt: textAsIs(typedIn(body, 'prompt', 'string', struct)),
    suffix: textAsIs(typedIn(body, 'suffix', 'string', struct)),
    stream: flagIn(body, 'stream', struct),
    think: textAsIs(textIn(body, 'think')),
    logprobs: logprobs > 0 ? true : undefined,
    top_logprobs: logprobs > 0 ? logprobs : undefined,
    options: optionsOf(body, (options) => putOptions(options, body)),
    ...ownMembers(body),
  });
}

function putOptions(options: JsonDraft, body: ObjectText): void {
  const stop = body.get('stop');
  const stray = Array.isArray(stop) ? stop.find((one) => typeof one !== 'string') : undefined;
  if (stray !== undefined) throw invalid("invalid type for 'stop' field: only texts can end an answer");
  putOption(options, 'stop', stopsIn(body));
  putOption(options, 'num_predict', typedIn(body, 'max_tokens', 'int', struct));
  putOption(options, 'seed', typedIn(body, 'seed', 'int', struct));
  for (const name of ['temperature', 'top_p', 'frequency_penalty', 'presence_penalty']) {
    const json = typedIn(body, name, 'float32', struct);
    // Go cannot tell a 0 from nothing here.
    putOption(options, name, name === 'top_p' && Number(json) === 0 ? undefined : json);
  }
  fillOption(options, 'temperature', '1');
  fillOption(options, 'top_p', '1');
  fillOption(options, 'frequency_penalty', '0');
  fillOption(options, 'presence_penalty', '0');
}

export function completionsWords(wantsUsage: boolean): NativeWords {
  return { whole: completionOf, writer: () => new CompletionsWriter(wantsUsage) };
}

/** Log probabilities are asked for and left out, as on the box's own path. */
function completionOf(line: NativeLine): string {
  const { model, created, text, reason } = line;
  return `${JSON.stringify({
    id: `cmpl-${freshId()}`,
    object: 'text_completion',
    created,
    model,
    system_fingerprint: 'fp_ollama',
    choices: [{ text, index: 0, finish_reason: reason || null }],
    usage: usageOf(line),
  })}\n`;
}

class CompletionsWriter implements LineWriter {
  readonly isFull = false;
  readonly #wantsUsage: boolean;
  readonly #id = `cmpl-${freshId()}`;

  constructor(wantsUsage: boolean) {
    this.#wantsUsage = wantsUsage;
  }

  line(line: NativeLine): string {
    const { model, text, reason } = line;
    const choice = { text, index: 0, finish_reason: reason || null };
    const chunk = this.#frame(model, [choice], this.#wantsUsage ? { usage: noUsage } : {});
    if (!line.isDone) return chunk;
    const usage = this.#wantsUsage ? this.#frame(model, [], { usage: usageOf(line) }) : '';
    return `${chunk}${usage}data: [DONE]\n\n`;
  }

  fail(error: GatewayError): string {
    return openaiErrorInStream(error);
  }

  alive(): string {
    return ': alive\n\n';
  }

  #frame(model: string, choices: readonly object[], more: object): string {
    const head = { id: this.#id, object: 'text_completion', created: nowInSeconds(), choices, model };
    return `data: ${JSON.stringify({ ...head, system_fingerprint: 'fp_ollama', ...more })}\n\n`;
  }
}
