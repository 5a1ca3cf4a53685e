/** What OpenAI's protocols share: errors, usage, the chat and completions stream (Ollama openai/openai.go). */
import type { GatewayError } from '../errors.ts';
import type { EventFacts, StreamShape, TokenCounts } from '../exchange.ts';
import { countOf, errorMessageOf, parsedRecord, recordOf, textOf } from './answer-text.ts';

/** Ollama's three types, and OpenAI's for credentials, which Ollama never needs. */
export function openaiErrorType(status: number): string {
  if (status === 401) return 'authentication_error';
  if (status === 403) return 'permission_error';
  if (status === 404) return 'not_found_error';
  return status < 500 ? 'invalid_request_error' : 'api_error';
}

function errorObject(error: GatewayError): object {
  const { message, status, param = null } = error;
  return { error: { message, type: openaiErrorType(status), param, code: openaiErrorCode(error) } };
}

/** Corral's own codes (src/errors.ts), but for the one that agents act on, by OpenAI's name for it. */
export function openaiErrorCode({ code }: GatewayError): string {
  return code === 'context_exceeded' ? 'context_length_exceeded' : code;
}

/** `{"error":{"message","type","param","code"}}`. */
export function openaiErrorBody(error: GatewayError): { contentType: string; text: string } {
  return { contentType: 'application/json', text: `${JSON.stringify(errorObject(error))}\n` };
}

/** The OpenAI SDKs throw on a data event with an `error` member. No `[DONE]` follows: the stream did not end as if complete. */
export function openaiErrorInStream(error: GatewayError): string {
  return `data: ${JSON.stringify(errorObject(error))}\n\n`;
}

/** `prompt_tokens` and `completion_tokens` of a `usage` member; embeddings have no completion. */
export function openaiUsage(usage: unknown): TokenCounts | undefined {
  const counts = recordOf(usage);
  const inputTokens = countOf(counts?.prompt_tokens);
  if (inputTokens === undefined) return undefined;
  const outputTokens = countOf(counts?.completion_tokens) ?? 0;
  return { inputTokens, outputTokens, ...detailsOf(counts?.prompt_tokens_details, counts?.completion_tokens_details) };
}

/** What OpenAI tells beside the sums, under its two names for them; Ollama tells nothing of it. */
export function detailsOf(input: unknown, output: unknown): Pick<TokenCounts, 'cachedInputTokens' | 'reasoningTokens'> {
  const cachedInputTokens = countOf(recordOf(input)?.cached_tokens);
  const reasoningTokens = countOf(recordOf(output)?.reasoning_tokens);
  return {
    ...(cachedInputTokens !== undefined && { cachedInputTokens }),
    ...(reasoningTokens !== undefined && { reasoningTokens }),
  };
}

export function openaiUsageOf(answer: unknown): TokenCounts | undefined {
  return openaiUsage(recordOf(answer)?.usage);
}

function factsOf(data: string): EventFacts {
  const chunk = parsedRecord(data);
  const facts: EventFacts = {};
  if (chunk === undefined) return facts;
  const failed = errorMessageOf(chunk.error);
  if (failed !== undefined) facts.failed = failed;
  const model = textOf(chunk.model);
  if (model !== undefined) facts.model = model;
  const usage = openaiUsage(chunk.usage);
  // On /v1/completions Ollama writes a zero usage into every chunk but the last (openai.go, include_usage).
  if (usage === undefined || usage.inputTokens + usage.outputTokens === 0) return facts;
  facts.usage = usage;
  if (Array.isArray(chunk.choices) && chunk.choices.length === 0) facts.isUsageOnly = true;
  return facts;
}

/** Streams of /v1/chat/completions and /v1/completions: unnamed events, `data: [DONE]` at the end. */
export const openaiStream: StreamShape = {
  framing: 'sse',
  telling: ['"usage"', '[DONE]', '"error"'],
  factsOf,
  isTerminator: (data) => data.trim() === '[DONE]',
};
