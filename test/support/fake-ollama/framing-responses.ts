import { createdSeconds, type Framing, type Generation, namedEvent, type StreamFraming, textOf } from './generation.ts';
import { goJson } from './go-json.ts';

function usage(generation: Generation): Record<string, unknown> {
  const output = generation.tokens.length;
  return {
    input_tokens: generation.promptTokens,
    output_tokens: output,
    total_tokens: generation.promptTokens + output,
    input_tokens_details: { cached_tokens: 0 },
    output_tokens_details: { reasoning_tokens: 0 },
  };
}

/** Go writes maps with their keys sorted, at every depth; the stream's events are maps. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, inner]) => [key, sorted(inner)]),
  );
}

/** POST /v1/responses. */
export const responsesFraming: Framing = {
  wholeHeaders: { 'Content-Type': 'application/json' },
  whole(generation) {
    const created = createdSeconds(generation);
    const content = [{ type: 'output_text', text: textOf(generation), annotations: [], logprobs: [] }];
    return `${goJson({
      id: `resp_${generation.serial}`,
      object: 'response',
      created_at: created,
      completed_at: created,
      status: 'completed',
      incomplete_details: null,
      model: generation.model,
      previous_response_id: null,
      instructions: null,
      output: [{ id: `msg_${generation.serial}`, type: 'message', status: 'completed', role: 'assistant', content }],
      error: null,
      tools: [],
      tool_choice: 'auto',
      truncation: 'disabled',
      parallel_tool_calls: true,
      text: { format: { type: 'text' } },
      top_p: 1,
      presence_penalty: 0,
      frequency_penalty: 0,
      top_logprobs: 0,
      temperature: generation.temperature,
      reasoning: null,
      usage: usage(generation),
      max_output_tokens: generation.maxOutputTokens,
      max_tool_calls: null,
      store: false,
      background: false,
      service_tier: 'default',
      metadata: {},
      safety_identifier: null,
      prompt_cache_key: null,
    })}\n`;
  },
  stream(generation): StreamFraming {
    let sequence = 0;
    const event = (type: string, members: Record<string, unknown>) =>
      namedEvent(type, sorted({ ...members, type, sequence_number: sequence++ }));
    const item_id = `msg_${generation.serial}`;
    const place = { item_id, output_index: 0, content_index: 0 };
    const part = (text: string) => ({ type: 'output_text', text, annotations: [], logprobs: [] });
    const item = (status: string, content: unknown[]) => ({ id: item_id, type: 'message', role: 'assistant', status, content });
    const text = textOf(generation);
    const open = [
      event('response.created', { response: response(generation, 'in_progress', [], null) }),
      event('response.in_progress', { response: response(generation, 'in_progress', [], null) }),
      event('response.output_item.added', { output_index: 0, item: item('in_progress', []) }),
      event('response.content_part.added', { ...place, part: part('') }),
    ];
    const tokens = generation.tokens.map((delta) => event('response.output_text.delta', { ...place, delta, logprobs: [] }));
    const whole = item('completed', [part(text)]);
    const close = [
      event('response.output_text.done', { ...place, text, logprobs: [] }),
      event('response.content_part.done', { ...place, part: part(text) }),
      event('response.output_item.done', { output_index: 0, item: whole }),
      event('response.completed', { response: response(generation, 'completed', [whole], usage(generation)) }),
    ];
    return { headers: responsesStreamHeaders, open, tokens, close, crash: [] };
  },
};

/** The two surfaces that were written later say so in their headers. */
export const responsesStreamHeaders = {
  'Cache-Control': 'no-cache',
  Connection: 'keep-alive',
  'Content-Type': 'text/event-stream',
};

function response(generation: Generation, status: string, output: unknown[], used: unknown): Record<string, unknown> {
  const created = createdSeconds(generation);
  return {
    id: `resp_${generation.serial}`,
    object: 'response',
    created_at: created,
    completed_at: status === 'completed' ? created : null,
    status,
    incomplete_details: null,
    model: generation.model,
    previous_response_id: null,
    instructions: null,
    output,
    error: null,
    tools: [],
    tool_choice: 'auto',
    truncation: 'disabled',
    parallel_tool_calls: true,
    text: { format: { type: 'text' } },
    top_p: 1,
    presence_penalty: 0,
    frequency_penalty: 0,
    top_logprobs: 0,
    temperature: generation.temperature,
    reasoning: null,
    usage: used,
    max_output_tokens: generation.maxOutputTokens,
    max_tool_calls: null,
    store: false,
    background: false,
    service_tier: 'default',
    metadata: {},
    safety_identifier: null,
    prompt_cache_key: null,
  };
}
