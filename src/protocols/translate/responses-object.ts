/** The `response` object of OpenAI's Responses, and the items of its output. */
import type { ObjectText } from '../../json/object-text.ts';
import type { AnswerEnd, AnswerHead, AnswerPart, TokenCounts, UpstreamError } from './answer-parts.ts';
import { JsonText } from './exact-json.ts';
import { idAs, nowInSeconds } from './identity.ts';
import { markOf } from './reasoning-mark.ts';

/** What a response repeats of its request, and what it says where the request says nothing. */
const echoed: Readonly<Record<string, string>> = {
  background: 'false',
  frequency_penalty: '0',
  instructions: 'null',
  max_output_tokens: 'null',
  max_tool_calls: 'null',
  metadata: '{}',
  parallel_tool_calls: 'true',
  presence_penalty: '0',
  prompt_cache_key: 'null',
  reasoning: 'null',
  safety_identifier: 'null',
  temperature: '1',
  text: '{"format":{"type":"text"}}',
  tool_choice: '"auto"',
  tools: '[]',
  top_logprobs: '0',
  top_p: '1',
  truncation: '"disabled"',
};

/** Made once for each answer: the members that never change while it comes. */
export function echoOf(request: ObjectText | undefined): Readonly<Record<string, unknown>> {
  const echo: Record<string, unknown> = { previous_response_id: null, store: false, service_tier: 'default' };
  for (const [name, usual] of Object.entries(echoed)) {
    const given = request?.textOf(name);
    echo[name] = new JsonText(oneLine(given === undefined || given === 'null' ? usual : given));
  }
  return echo;
}

/** Line ends stand in JSON only as blanks; in an event they would end it. */
function oneLine(json: string): string {
  return json.includes('\n') || json.includes('\r') ? json.replace(/[\r\n]/g, ' ') : json;
}

export interface ResponseState {
  readonly status: 'in_progress' | 'completed' | 'incomplete' | 'failed';
  readonly output: readonly object[];
  readonly usage?: TokenCounts | undefined;
  readonly incomplete?: string;
  readonly error?: UpstreamError;
}

export function responseObject(head: AnswerHead, echo: Readonly<Record<string, unknown>>, state: ResponseState): object {
  const { status, output, usage, incomplete, error } = state;
  return {
    id: idAs('resp_', head.id),
    object: 'response',
    created_at: head.created,
    completed_at: status === 'completed' ? nowInSeconds() : null,
    status,
    error: error === undefined ? null : { code: errorCode(error), message: error.message },
    incomplete_details: incomplete === undefined ? null : { reason: incomplete },
    model: head.model,
    output,
    ...echo,
    usage: usage === undefined ? null : usageOf(usage),
  };
}

function errorCode({ code, type }: UpstreamError): string {
  return code !== undefined ? String(code) : (type ?? 'server_error');
}

function usageOf({ input, cached, cacheWritten, output, reasoning }: TokenCounts): object {
  return {
    input_tokens: input,
    input_tokens_details: { cached_tokens: cached, ...(cacheWritten > 0 ? { cache_write_tokens: cacheWritten } : {}) },
    output_tokens: output,
    output_tokens_details: { reasoning_tokens: reasoning },
    total_tokens: input + output,
  };
}

/** Why an answer is not complete; undefined when it is. */
export function incompleteReason({ reason }: AnswerEnd): string | undefined {
  if (reason === 'length') return 'max_output_tokens';
  return reason === 'filtered' ? 'content_filter' : undefined;
}

const prefixes = { text: 'msg', refusal: 'msg', thinking: 'rs', tool: 'fc' } as const;

export function itemId({ kind }: AnswerPart, head: AnswerHead, index: number): string {
  return `${prefixes[kind]}_${head.id.replace(/^chatcmpl-/, '')}_${index}`;
}

export type ItemStatus = 'in_progress' | 'completed' | 'incomplete';

/** An item as it stands: without text at its start, with all of it at its end. */
export function itemOf(part: AnswerPart, id: string, text: string | undefined, status: ItemStatus): object {
  switch (part.kind) {
    case 'tool':
      return { id, type: 'function_call', status, call_id: part.id, name: part.name, arguments: text ?? '' };
    case 'thinking':
      return {
        id,
        type: 'reasoning',
        summary: text === undefined ? [] : [{ type: 'summary_text', text }],
        encrypted_content: text === undefined ? null : markOf(part.name),
      };
    default:
      return {
        id,
        type: 'message',
        status,
        role: 'assistant',
        content: text === undefined ? [] : [contentPart(part.kind, text)],
      };
  }
}

export function contentPart(kind: 'text' | 'refusal', text: string): object {
  return kind === 'refusal' ? { type: 'refusal', refusal: text } : { type: 'output_text', text, annotations: [], logprobs: [] };
}
