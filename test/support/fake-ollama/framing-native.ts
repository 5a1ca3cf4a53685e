import { crashText, type Framing, type Generation, goTime, type StreamFraming, textOf } from './generation.ts';
import { goJson } from './go-json.ts';

const wholeHeaders = { 'Content-Type': 'application/json; charset=utf-8' };
const streamHeaders = { 'Content-Type': 'application/x-ndjson' };

/** The timing members of the last line; Ollama leaves them out when there was nothing to time. */
function durations(generation: Generation): Record<string, number> {
  if (generation.finish === 'load' || generation.finish === 'unload') return {};
  const loadNs = Math.round(Math.max(1, generation.loadDurationMs) * 1_000_000);
  const { promptMs, outputMs } = generation;
  const promptNs = promptMs === undefined ? 95_516_000 : Math.max(1_000, Math.round(promptMs * 1_000_000));
  const outputNs = outputMs === undefined ? 1_280_065_000 : Math.max(1_000, Math.round(outputMs * 1_000_000));
  return {
    total_duration: promptMs === undefined ? loadNs + 1_381_501_154 : loadNs + promptNs + outputNs,
    load_duration: loadNs,
    prompt_eval_count: generation.promptTokens,
    prompt_eval_duration: promptNs,
    eval_count: generation.tokens.length,
    eval_duration: outputNs,
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
