/** Minimal shapes, and readers written without a look at the code under test. */
import type { StreamShape } from '../../../src/exchange.ts';

type Json = Record<string, unknown>;

function jsonOf(data: string): Json | undefined {
  try {
    return JSON.parse(data) as Json;
  } catch {
    return undefined;
  }
}

function counts(usage: unknown, input: string, output: string) {
  const { [input]: inputTokens, [output]: outputTokens } = usage as Record<string, number>;
  return { inputTokens: inputTokens ?? 0, outputTokens: outputTokens ?? 0 };
}

export const openaiShape: StreamShape = {
  framing: 'sse',
  telling: ['"usage"', '[DONE]', '"error"'],
  factsOf(data) {
    const chunk = jsonOf(data);
    if (chunk?.error) return { failed: String((chunk.error as Json).message) };
    if (!chunk?.usage) return {};
    const usage = counts(chunk.usage, 'prompt_tokens', 'completion_tokens');
    if (usage.inputTokens + usage.outputTokens === 0) return {};
    const isUsageOnly = (chunk.choices as unknown[]).length === 0;
    return { usage, model: String(chunk.model), ...(isUsageOnly && { isUsageOnly }) };
  },
  isTerminator: (data) => data === '[DONE]',
};

export const anthropicShape: StreamShape = {
  framing: 'sse',
  telling: ['message_start', 'message_delta', 'message_stop'],
  factsOf(data) {
    const event = jsonOf(data);
    if (event?.type === 'message_start') return { model: String((event.message as Json).model) };
    return event?.type === 'message_delta' ? { usage: counts(event.usage, 'input_tokens', 'output_tokens') } : {};
  },
  isTerminator: (_, event) => event === 'message_stop',
};

export const responsesShape: StreamShape = {
  framing: 'sse',
  telling: ['response.completed'],
  factsOf(data) {
    const response = jsonOf(data)?.response as Json | undefined;
    return response?.usage
      ? { usage: counts(response.usage, 'input_tokens', 'output_tokens'), answerId: String(response.id) }
      : {};
  },
  isTerminator: (_, event) => event === 'response.completed',
};

export const ollamaShape: StreamShape = {
  framing: 'ndjson',
  telling: ['"done":true', '"error"'],
  factsOf(data) {
    const line = jsonOf(data);
    if (line?.error) return { failed: String(line.error) };
    return line?.done ? { usage: counts(line, 'prompt_eval_count', 'eval_count'), model: String(line.model) } : {};
  },
  isTerminator: (data) => jsonOf(data)?.done === true,
};

export interface ClientEvent {
  readonly name: string | undefined;
  readonly data: string;
}

/** An SSE client after WHATWG HTML: fields line by line, dispatch at a blank line, the unfinished rest thrown away. */
export function sseEvents(text: string): ClientEvent[] {
  const events: ClientEvent[] = [];
  let data: string[] = [];
  let name: string | undefined;
  const lines = text.replace(/^\ufeff/, '').split(/\r\n|\r|\n/);
  for (const line of lines.slice(0, -1)) {
    const [, field = line, value = ''] = /^([^:]*):? ?(.*)$/s.exec(line) ?? [];
    if (line === '') {
      if (data.length > 0) events.push({ name, data: data.join('\n') });
      data = [];
      name = undefined;
    } else if (field === 'data') data.push(value);
    else if (field === 'event') name = value;
  }
  return events;
}

/** What ollama-js does: every line that ends, blank ones passed over. */
export function ndjsonLines(text: string): ClientEvent[] {
  const lines = text.split('\n').slice(0, -1);
  return lines.filter((line) => line.trim() !== '').map((data) => ({ name: undefined, data }));
}
