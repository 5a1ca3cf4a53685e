/** What Ollama's own protocols share (Ollama server/routes.go, api/types.go). */
import type { GatewayError } from '../errors.ts';
import type { EventFacts, StreamShape } from '../exchange.ts';
import { countOf, errorMessageOf, parsedRecord, recordOf, textOf } from './answer-text.ts';

/** `{"error":"text"}` and nothing else: ollama-js and the `ollama` command take it as it is. */
export function ollamaErrorBody(error: GatewayError): { contentType: string; text: string } {
  return { contentType: 'application/json; charset=utf-8', text: JSON.stringify({ error: error.message }) };
}

/** One line; Ollama reports a crashed runner the same way. */
export function ollamaErrorInStream(error: GatewayError): string {
  return `${JSON.stringify({ error: error.message })}\n`;
}

/** The counts of a `"done":true` line. Ollama leaves a count out when it is 0 (api/types.go, Metrics: omitempty). */
export function ollamaUsageOf(answer: unknown): { inputTokens: number; outputTokens: number } | undefined {
  const line = recordOf(answer);
  if (line?.done !== true) return undefined;
  return { inputTokens: countOf(line.prompt_eval_count) ?? 0, outputTokens: countOf(line.eval_count) ?? 0 };
}

function factsOf(data: string): EventFacts {
  const line = parsedRecord(data);
  const facts: EventFacts = {};
  if (line === undefined) return facts;
  const failed = errorMessageOf(line.error);
  if (failed !== undefined) facts.failed = failed;
  const model = textOf(line.model);
  if (model !== undefined) facts.model = model;
  const usage = ollamaUsageOf(line);
  if (usage !== undefined) facts.usage = usage;
  return facts;
}

/**
 * Streams of /api/chat and /api/generate: one JSON object a line. Calls that only load or unload a model answer with a single
 * object as application/json, even when a stream was asked for; it too says `"done":true`.
 */
export const ollamaStream: StreamShape = {
  framing: 'ndjson',
  telling: ['"done":true', '"error"'],
  factsOf,
  isTerminator: (data) => parsedRecord(data)?.done === true,
};
