import { createdSeconds, dataEvent, type Framing, openaiUsage, type StreamFraming, textOf } from './generation.ts';
import { goJson } from './go-json.ts';

const wholeHeaders = { 'Content-Type': 'application/json' };
const streamHeaders = { 'Content-Type': 'text/event-stream' };
const done = 'data: [DONE]\n\n';
const noUsage = { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 };

/** POST /v1/chat/completions. */
export const chatCompletionsFraming: Framing = {
  wholeHeaders,
  whole: (generation) =>
    `${goJson({
      id: `chatcmpl-${generation.serial % 999}`,
      object: 'chat.completion',
      created: createdSeconds(generation),
      model: generation.model,
      system_fingerprint: 'fp_ollama',
      choices: [{ index: 0, message: { role: 'assistant', content: textOf(generation) }, finish_reason: generation.finish }],
      usage: openaiUsage(generation),
    })}\n`,
  stream(generation): StreamFraming {
    const event = (model: string, choices: unknown[], usage?: unknown) =>
      dataEvent({
        id: `chatcmpl-${generation.serial % 999}`,
        object: 'chat.completion.chunk',
        created: createdSeconds(generation),
        model,
        system_fingerprint: 'fp_ollama',
        choices,
        ...(usage === undefined ? {} : { usage }),
      });
    const delta = (content: string, first: boolean) => ({
      index: 0,
      delta: first ? { role: 'assistant', content } : { content },
      finish_reason: null,
    });
    const { model } = generation;
    const usage = generation.includeUsage ? event(model, [], openaiUsage(generation)) : '';
    return {
      headers: streamHeaders,
      open: [],
      tokens: generation.tokens.map((token, at) => event(model, [delta(token, at === 0)])),
      close: [`${event(model, [{ index: 0, delta: {}, finish_reason: generation.finish }])}${usage}${done}`],
      crash: [event('', [delta('', false)])],
    };
  },
};

/** POST /v1/completions. With `include_usage` every chunk carries a usage of zeros, the true one comes last. */
export const completionsFraming: Framing = {
  wholeHeaders,
  whole: (generation) =>
    `${goJson({
      id: `cmpl-${generation.serial % 999}`,
      object: 'text_completion',
      created: createdSeconds(generation),
      model: generation.model,
      system_fingerprint: 'fp_ollama',
      choices: [{ text: textOf(generation), index: 0, finish_reason: generation.finish }],
      usage: openaiUsage(generation),
    })}\n`,
  stream(generation): StreamFraming {
    const zero = generation.includeUsage ? noUsage : undefined;
    const event = (model: string, choices: unknown[], usage: unknown) =>
      dataEvent({
        id: `cmpl-${generation.serial % 999}`,
        object: 'text_completion',
        created: createdSeconds(generation),
        choices,
        model,
        system_fingerprint: 'fp_ollama',
        ...(usage === undefined ? {} : { usage }),
      });
    const choice = (text: string, finish: string | null) => ({ text, index: 0, finish_reason: finish });
    const { model } = generation;
    const usage = generation.includeUsage ? event(model, [], openaiUsage(generation)) : '';
    return {
      headers: streamHeaders,
      open: [],
      tokens: generation.tokens.map((token) => event(model, [choice(token, null)], zero)),
      close: [`${event(model, [choice('', generation.finish)], zero)}${usage}${done}`],
      crash: [event('', [choice('', null)], zero)],
    };
  },
};

/** OpenAI's error shape as Ollama fills it. */
export function openaiError(status: number, message: string): string {
  const type = status === 400 ? 'invalid_request_error' : status === 404 ? 'not_found_error' : 'api_error';
  return goJson({ error: { message, type, param: null, code: null } });
}
