import { crashText, type Framing, type Generation, goTime, type StreamFraming, textOf } from './generation.ts';
import { goJson } from './go-json.ts';

const wholeHeaders = { 'Content-Type': 'application/json; charset=utf-8' };
const streamHeaders = { 'Content-Type': 'application/x-ndjson' };

/** The timing members of the last line; Ollama leaves them out when there was nothing to time. */
function durations(generation: Generation): Record<string, number> {
  if (generation.finish === 'load' || generation.finish === 'unload') return {};
  const loadNs = Math.max(1, generation.loadDurationMs) * 1_000_000;
  return {
    total_duration: loadNs + 1_381_501_154,
    load_duration: loadNs,
    prompt_eval_count: generation.promptTokens,
    prompt_eval_duration: 95_516_000,
    eval_count: generation.tokens.length,
    eval_duration: 1_280_065_000,
  };
}

function framingOf(
  content: (text: string) => Record<string, unknown>,
  extra: (generation: Generation) => Record<string, unknown>,
): Framing {
  const last = (generation: Generation, text: string) =>
    goJson({
      model: generation.model,
      created_at: goTime(generation),
      ...content(text),
      done: true,
      done_reason: generation.finish,
      ...extra(generation),
      ...durations(generation),
    });
  return {
    wholeHeaders,
    whole: (generation) => last(generation, textOf(generation)),
    stream(generation): StreamFraming {
      const line = (text: string) =>
        `${goJson({ model: generation.model, created_at: goTime(generation), ...content(text), done: false })}\n`;
      return {
        headers: streamHeaders,
        open: [],
        tokens: generation.tokens.map(line),
        close: [`${last(generation, '')}\n`],
        crash: [`${goJson({ error: crashText })}\n`],
      };
    },
  };
}

/** POST /api/chat. */
export const chatFraming = framingOf(
  (text) => ({ message: { role: 'assistant', content: text } }),
  () => ({}),
);

/** POST /api/generate. */
export const generateFraming = framingOf(
  (text) => ({ response: text }),
  (generation) => (generation.tokens.length === 0 ? {} : { context: [105, 2364, 107, 14946] }),
);
