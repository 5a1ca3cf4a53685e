import type { GoObject } from './go-json.ts';
import { type GoValue, goJson } from './go-json.ts';

/** Prompt tokens of every input of an embedding. */
export const tokensPerInput = 3;

/** The texts to embed, or Ollama's complaint. */
export function inputsOf(body: GoObject, field: 'input' | 'prompt'): string[] | undefined {
  const input: GoValue | undefined = body.field(field);
  if (input === undefined || input === null || input === '') return [];
  if (typeof input === 'string') return [input];
  if (!Array.isArray(input)) return undefined;
  return input.every((each) => typeof each === 'string') ? input : undefined;
}

/** The same text always has the same vector: numbers that a float32 holds exactly. */
export function vectorOf(text: string, dimensions: number): number[] {
  return Array.from(
    { length: dimensions },
    (_, at) => ((text.length * 7 + (text.charCodeAt(at % Math.max(1, text.length)) || 0) + at * 13) % 64) / 64,
  );
}

/** The answer's text in the framing of the path. */
export function embeddingsBody(path: string, model: string, inputs: readonly string[], body: GoObject): string {
  const asked = body.field('dimensions');
  const vectors = inputs.map((text) => vectorOf(text, typeof asked === 'number' && asked > 0 ? asked : 8));
  const tokens = inputs.length * tokensPerInput;
  if (path === '/api/embeddings') return goJson({ embedding: vectors[0] ?? [] });
  if (path === '/api/embed') {
    const timing = inputs.length === 0 ? {} : { total_duration: 13_840_466, load_duration: 3_164_449, prompt_eval_count: tokens };
    return goJson({ model, embeddings: vectors, ...timing });
  }
  const base64 = body.field('encoding_format') === 'base64';
  const data = vectors.map((vector, index) => ({
    object: 'embedding',
    embedding: base64 ? Buffer.from(Float32Array.from(vector).buffer).toString('base64') : vector,
    index,
  }));
  return `${goJson({ object: 'list', data, model, usage: { prompt_tokens: tokens, total_tokens: tokens } })}\n`;
}
