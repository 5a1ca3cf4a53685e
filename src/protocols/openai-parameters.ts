/** Parameters of OpenAI's protocols that Ollama does not read (Ollama openai/openai.go): mapped, refused or spoken about. */
import { GatewayError } from '../errors.ts';
import { foldName } from '../json/fold.ts';
import { memberObject } from '../json/nested.ts';
import type { ObjectText } from '../json/object-text.ts';
import { given, type OpenReading, readToolChoice } from './reading.ts';

/** `max_completion_tokens`, OpenAI's newer name, becomes the `max_tokens` that the box reads. */
export function readTokenLimit(body: ObjectText, reading: OpenReading): void {
  const newer = given(body, 'max_completion_tokens');
  if (newer === undefined) return;
  const older = given(body, 'max_tokens');
  if (older === undefined) reading.boxChanges.set('max_tokens', newer);
  else if (older !== newer) reading.warnings.push('max_tokens and max_completion_tokens differ: max_tokens holds');
}

/** `"none"` removes the tools; `"required"` and named tools cannot be forced. */
export function readOpenaiToolChoice(body: ObjectText, reading: OpenReading): void {
  const choice = given(body, 'tool_choice');
  if (choice === undefined || choice === 'auto') return;
  readToolChoice(reading, choice === 'none' ? 'none' : 'forced');
}

/** Warns about the ignored ones that change what the client gets. */
export function warnOfIgnored(body: ObjectText, reading: OpenReading): void {
  const choices = given(body, 'n');
  if (typeof choices === 'number' && choices > 1) reading.warnings.push('n is not read by Ollama: there is one choice');
  const bias = given(body, 'logit_bias');
  if (typeof bias === 'object' && Object.keys(bias ?? {}).length > 0)
    reading.warnings.push('logit_bias is not read by Ollama: no token was made likelier or rarer');
}

/** Whether the client asked for usage in the stream. */
export function asksForUsage(body: ObjectText): boolean {
  return memberObject(body, 'stream_options')?.get('include_usage') === true;
}

/** Asks the box for usage where the client did not; its other stream options stay. The extra chunk is taken out again. */
export function askForUsage(body: ObjectText, reading: OpenReading): void {
  if (!reading.isStream || reading.wantsUsage) return;
  const options = memberObject(body, 'stream_options');
  // Something that is no object is for the box to refuse.
  if (options === undefined && given(body, 'stream_options') !== undefined) return;
  const kept = Object.entries((body.get('stream_options') ?? {}) as object);
  const others = kept.filter(([name]) => foldName(name) !== 'include_usage');
  reading.boxChanges.set('stream_options', { ...Object.fromEntries(others), include_usage: true });
}

/** Embedding inputs as token numbers belong to OpenAI's tokenizer; a box takes text only. */
export function refuseTokenInput(body: ObjectText, reading: OpenReading): void {
  // The text tells without parsing what may be megabytes of numbers.
  const input = body.textOf('input');
  if (input === undefined || !/^\[\s*[-\d[]/.test(input)) return;
  reading.boxRefusal = new GatewayError(
    'unsupported_parameter',
    '"input" holds token numbers, which only OpenAI\'s own models understand; send text. ' +
      'LangChain: OpenAIEmbeddings(check_embedding_ctx_length=False). Other clients: switch off their own tokenizing',
  );
}

/** Ollama keeps nothing between requests: going on would silently lose the conversation so far (openai/responses.go). */
export function refuseStoredContext(body: ObjectText, reading: OpenReading): void {
  for (const member of ['previous_response_id', 'conversation']) {
    const value = given(body, member);
    if (value === undefined || value === '') continue;
    reading.boxRefusal = new GatewayError(
      'unsupported_parameter',
      `"${member}" names a conversation that was not kept: Ollama stores nothing between requests. Send the whole conversation in "input"`,
    );
    return;
  }
}
