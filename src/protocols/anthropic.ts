/** What Anthropic's protocols share (Ollama anthropic/anthropic.go). */
import type { GatewayError } from '../errors.ts';
import type { EventFacts, StreamShape, TokenCounts } from '../exchange.ts';
import { countOf, errorMessageOf, parsedRecord, recordOf, textOf } from './answer-text.ts';

/** Anthropic's names for what went wrong, by status. */
export function anthropicErrorType(status: number): string {
  switch (status) {
    case 401:
      return 'authentication_error';
    case 403:
      return 'permission_error';
    case 404:
      return 'not_found_error';
    case 413:
      return 'request_too_large';
    case 429:
      return 'rate_limit_error';
    case 503:
    case 529:
      return 'overloaded_error';
    case 504:
      return 'timeout_error';
    default:
      return status < 500 ? 'invalid_request_error' : 'api_error';
  }
}

/** The SDKs show `details.error_code` as the error's code; Corral's own code stands there. */
function errorText(error: GatewayError, exchangeId: string): string {
  const body = { type: anthropicErrorType(error.status), message: error.message, details: { error_code: error.code } };
  return JSON.stringify({ type: 'error', error: body, request_id: exchangeId });
}

export function anthropicErrorBody(error: GatewayError, exchangeId: string): { contentType: string; text: string } {
  return { contentType: 'application/json', text: errorText(error, exchangeId) };
}

export function anthropicErrorInStream(error: GatewayError, exchangeId: string): string {
  return `event: error\ndata: ${errorText(error, exchangeId)}\n\n`;
}

/** Cached input counts as input. Undefined without both figures: half a usage would be taken for a whole one. */
function anthropicUsage(usage: unknown): TokenCounts | undefined {
  const counts = recordOf(usage);
  const fresh = countOf(counts?.input_tokens);
  const outputTokens = countOf(counts?.output_tokens);
  if (fresh === undefined || outputTokens === undefined) return undefined;
  const cacheCreationInputTokens = countOf(counts?.cache_creation_input_tokens);
  const cachedInputTokens = countOf(counts?.cache_read_input_tokens);
  return {
    inputTokens: fresh + (cacheCreationInputTokens ?? 0) + (cachedInputTokens ?? 0),
    outputTokens,
    ...(cachedInputTokens !== undefined && { cachedInputTokens }),
    ...(cacheCreationInputTokens !== undefined && { cacheCreationInputTokens }),
  };
}

export function anthropicUsageOf(answer: unknown): TokenCounts | undefined {
  return anthropicUsage(recordOf(answer)?.usage);
}

function factsOf(data: string): EventFacts {
  const event = parsedRecord(data);
  const facts: EventFacts = {};
  if (event === undefined) return facts;
  if (event.type === 'error') facts.failed = errorMessageOf(event.error) ?? 'unknown error';
  const model = event.type === 'message_start' ? textOf(recordOf(event.message)?.model) : undefined;
  if (model !== undefined) facts.model = model;
  // message_start carries usage too, but Ollama only guesses there (middleware/anthropic.go).
  const usage = event.type === 'message_delta' ? anthropicUsage(event.usage) : undefined;
  if (usage !== undefined) facts.usage = usage;
  return facts;
}

/** Streams of /v1/messages. Ollama sends neither ping nor error events: after a crash the stream just ends. */
export const anthropicStream: StreamShape = {
  framing: 'sse',
  telling: ['message_start', 'message_delta', 'message_stop', '"error"'],
  factsOf,
  isTerminator: (data, event) => event === 'message_stop' || parsedRecord(data)?.type === 'message_stop',
};
