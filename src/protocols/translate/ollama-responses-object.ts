/** The object that Ollama's `/v1/responses` gives, whole and in the events of streams (openai/responses.go, ToResponse). */
import type { ObjectText } from '../../json/object-text.ts';
import { JsonText, textAsIs } from './exact-json.ts';
import { nowInSeconds } from './identity.ts';
import type { NativeLine } from './ollama-line.ts';
import { objectsIn, objectUnder, stringIn, textIn } from './reading.ts';

export interface ResponseHead {
  readonly id: string;
  /** Seconds since 1970. */
  readonly created: number;
}

export interface ResponseState {
  readonly status: 'in_progress' | 'completed';
  readonly output: readonly object[];
  readonly usage: object | null;
}

export function usageOf({ input, output }: NativeLine): object {
  return {
    input_tokens: input,
    output_tokens: output,
    total_tokens: input + output,
    input_tokens_details: { cached_tokens: 0 },
    output_tokens_details: { reasoning_tokens: 0 },
  };
}

/** Always `completed` at the end, even where the limit of tokens has cut it: that is how a box tells it. */
export function responseOf({ id, created }: ResponseHead, request: ObjectText, { status, output, usage }: ResponseState): object {
  const number = (name: string) => new JsonText(textIn(request, name) ?? '1');
  return {
    id,
    object: 'response',
    created_at: created,
    completed_at: status === 'completed' ? nowInSeconds() : null,
    status,
    incomplete_details: null,
    model: stringIn(request, 'model') ?? '',
    previous_response_id: null,
    instructions: stringIn(request, 'instructions') || null,
    output,
    error: null,
    tools: (objectsIn(request, 'tools') ?? []).map(toolEcho),
    tool_choice: 'auto',
    truncation: stringIn(request, 'truncation') ?? 'disabled',
    parallel_tool_calls: true,
    text: { format: formatEcho(request) },
    top_p: number('top_p'),
    presence_penalty: 0,
    frequency_penalty: 0,
    top_logprobs: 0,
    temperature: number('temperature'),
    reasoning: reasoningEcho(request),
    usage,
    max_output_tokens: textAsIs(textIn(request, 'max_output_tokens')) ?? null,
    max_tool_calls: null,
    store: false,
    background: request.get('background') === true,
    service_tier: 'default',
    metadata: {},
    safety_identifier: null,
    prompt_cache_key: null,
  };
}

function toolEcho(tool: ObjectText): object {
  return {
    type: stringIn(tool, 'type') ?? '',
    name: stringIn(tool, 'name') ?? '',
    description: stringIn(tool, 'description') ?? null,
    strict: textAsIs(textIn(tool, 'strict')) ?? null,
    parameters: textAsIs(textIn(tool, 'parameters')) ?? null,
  };
}

function formatEcho(request: ObjectText): object {
  const format = objectUnder(objectUnder(request, 'text'), 'format');
  if (format === undefined) return { type: 'text' };
  return {
    type: stringIn(format, 'type') ?? '',
    name: stringIn(format, 'name') || undefined,
    schema: textAsIs(textIn(format, 'schema')),
    strict: textAsIs(textIn(format, 'strict')),
  };
}

function reasoningEcho(request: ObjectText): object | null {
  const reasoning = objectUnder(request, 'reasoning');
  const effort = stringIn(reasoning, 'effort') || null;
  const summary = stringIn(reasoning, 'summary') || null;
  return effort === null && summary === null ? null : { effort, summary };
}
