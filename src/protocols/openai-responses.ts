/** `POST /v1/responses` and `POST /v1/responses/compact` (Ollama openai/responses.go). */
import type { GatewayError } from '../errors.ts';
import type { CallAllowances, CallReading, EventFacts, Protocol, StreamSeen, StreamShape, TokenCounts } from '../exchange.ts';
import type { ObjectText } from '../json/object-text.ts';
import { countOf, errorMessageOf, type JsonRecord, parsedRecord, recordOf, textOf } from './answer-text.ts';
import { defineProtocol } from './define.ts';
import { sseHeartbeat } from './heartbeats.ts';
import { detailsOf, openaiErrorBody, openaiErrorCode, openaiErrorInStream } from './openai.ts';
import { readOpenaiToolChoice, refuseStoredContext } from './openai-parameters.ts';
import { startReading } from './reading.ts';
import { responsesTexts } from './texts-responses.ts';
import { readWebSearch } from './web-search.ts';

function usageOf(answer: unknown): TokenCounts | undefined {
  const counts = recordOf(recordOf(answer)?.usage);
  const inputTokens = countOf(counts?.input_tokens);
  const outputTokens = countOf(counts?.output_tokens);
  if (inputTokens === undefined || outputTokens === undefined) return undefined;
  return { inputTokens, outputTokens, ...detailsOf(counts?.input_tokens_details, counts?.output_tokens_details) };
}

const lastEvents: ReadonlySet<unknown> = new Set(['response.completed', 'response.incomplete', 'response.failed']);

function factsOf(data: string): EventFacts {
  const event = parsedRecord(data);
  const facts: EventFacts = {};
  if (event === undefined) return facts;
  const failed = failureIn(event);
  if (failed !== undefined) facts.failed = failed;
  if (event.type !== 'response.created' && !lastEvents.has(event.type)) return facts;
  const answer = recordOf(event.response);
  const model = textOf(answer?.model);
  if (model !== undefined) facts.model = model;
  const answerId = textOf(answer?.id);
  if (answerId !== undefined) facts.answerId = answerId;
  const usage = usageOf(answer);
  if (usage !== undefined) facts.usage = usage;
  return facts;
}

function failureIn(event: JsonRecord): string | undefined {
  if (event.type === 'response.failed') return errorMessageOf(recordOf(event.response)?.error) ?? 'unknown error';
  // OpenAI's `error` event has its message beside the type, or one level down.
  return event.type === 'error' ? (errorMessageOf(event.error) ?? textOf(event.message) ?? 'unknown error') : undefined;
}

const responsesStream: StreamShape = {
  framing: 'sse',
  telling: ['response.created', 'response.completed', 'response.incomplete', 'response.failed', '"error"'],
  factsOf,
  isTerminator: (data, event) => lastEvents.has(event) || lastEvents.has(parsedRecord(data)?.type),
};

/**
 * `response.failed`. The SDKs refuse it when its id is not the stream's own, and order events by `sequence_number`, which
 * counts from 0 and up by one: the next is the number of events so far. Where there were none, `response.created` comes first:
 * the helpers of openai-node take nothing else for a beginning, and would hide the error.
 */
function errorInStream(error: GatewayError, exchangeId: string, seen: StreamSeen = {}): string {
  const response = {
    id: seen.answerId ?? `resp_${exchangeId}`,
    object: 'response',
    created_at: Math.floor(Date.now() / 1000),
    status: 'failed',
    error: { code: openaiErrorCode(error), message: error.message },
    incomplete_details: null,
    instructions: null,
    metadata: {},
    model: seen.model ?? '',
    output: [],
    parallel_tool_calls: true,
    temperature: null,
    tool_choice: 'auto',
    tools: [],
    top_p: null,
    usage: null,
  };
  const begun = { ...response, status: 'in_progress', error: null };
  const beginning = seen.events === 0 ? responseEvent('response.created', 0, begun) : '';
  return beginning + responseEvent('response.failed', beginning === '' ? (seen.events ?? 0) : 1, response);
}

function responseEvent(type: string, sequenceNumber: number, response: object): string {
  return `event: ${type}\ndata: ${JSON.stringify({ type, sequence_number: sequenceNumber, response })}\n\n`;
}

function readCall(body: ObjectText, allowed?: CallAllowances): CallReading {
  const reading = startReading(body, false);
  refuseStoredContext(body, reading);
  readOpenaiToolChoice(body, reading);
  readWebSearch(body, reading, allowed);
  if (body.get('background') === true) reading.warnings.push('background is not read by Ollama: the answer comes now');
  return reading;
}

export const openaiResponses: Protocol = defineProtocol({
  name: 'responses',
  family: 'openai',
  kind: 'inference',
  methods: ['POST'],
  path: '/v1/responses',
  operation: 'chat',
  body: 'json',
  stream: responsesStream,
  usageOf,
  readCall,
  errorBody: openaiErrorBody,
  errorInStream,
  heartbeat: sseHeartbeat,
  texts: responsesTexts,
});

/** Shortens a conversation; newer boxes only, older ones answer 404. Never a stream. */
export const openaiResponsesCompact: Protocol = defineProtocol({
  name: 'responsesCompact',
  family: 'openai',
  kind: 'inference',
  methods: ['POST'],
  path: '/v1/responses/compact',
  operation: 'chat',
  body: 'json',
  usageOf,
  readCall: (body, allowed) => ({ ...readCall(body, allowed), isStream: false }),
  errorBody: openaiErrorBody,
  errorInStream: openaiErrorInStream,
  texts: responsesTexts,
});
