/** How a box is asked to load a model and nothing else, and what its answer means. */
import { GatewayError } from '../../errors.ts';
import type { Ask, Upstream } from '../../exchange.ts';
import { messageOf } from '../asking/advice.ts';
import type { Answer } from '../asking/ask.ts';

/** A box said why it could not load a model. */
export class LoadFailed extends GatewayError {
  readonly upstream: Upstream;
  readonly model: string;
  /** The box's answer, as it came. */
  readonly text: string;

  constructor(upstream: Upstream, model: string, { status, text = '' }: Answer) {
    const said = messageOf(text) ?? `it answered ${status}`;
    super('load_failed', `${upstream.name} could not load ${model.slice(0, 200)}: ${said.slice(0, 500)}`, { status });
    this.upstream = upstream;
    this.model = model;
    this.text = text;
  }
}

export type Outcome = 'loaded' | 'not loadable' | GatewayError;

/** Without a prompt, or without input, Ollama loads the model and nothing else (Ollama server/routes.go, GenerateHandler, EmbedHandler). */
export function loadRequestOf({ model, numCtx, work }: Ask): { path: string; json: string } {
  const options = numCtx === undefined ? {} : { options: { num_ctx: numCtx } };
  return work.use === 'embed'
    ? { path: '/api/embed', json: JSON.stringify({ model, ...options }) }
    : { path: '/api/generate', json: JSON.stringify({ model, stream: false, ...options }) };
}

/** `limitMs`: how long it might have taken. */
export function outcomeOf(answer: Answer | GatewayError, upstream: Upstream, model: string, limitMs: number): Outcome {
  if (answer instanceof GatewayError) {
    if (answer.code !== 'upstream_silent') return answer;
    const message = `${upstream.name} has not loaded ${model.slice(0, 200)} within ${Math.round(limitMs / 1_000)} s (fleet.loadTimeout)`;
    return new GatewayError('load_failed', message, { status: 504 });
  }
  if (answer.status < 300) return 'loaded';
  // The model is missing, or does not generate, or the request is refused for other reasons: the call itself gets the box's words.
  if (answer.status < 500 || answer.status === 501) return 'not loadable';
  return new LoadFailed(upstream, model, answer);
}
