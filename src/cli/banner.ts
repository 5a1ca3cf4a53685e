/** What a start says: where Corral listens, what it found there, and one command that works. */
import type { BoxReport } from '../fleet/fleet.ts';

/** `http://127.0.0.1:3000`; an address that means every interface stays as it is. */
export function urlOf(hostname: string, port: number, isTls = false): string {
  return `http${isTls ? 's' : ''}://${hostname.includes(':') ? `[${hostname}]` : hostname}:${port}`;
}

/** One line per box: version and models, or why it does not answer and what to do. */
export function boxLines(boxes: readonly BoxReport[]): string[] {
  const width = Math.max(0, ...boxes.map(({ name }) => name.length));
  return boxes.map((box) => `  box ${box.name.padEnd(width)}  ${box.url}  ${stateOf(box)}`);
}

const shownModels = 5;

function stateOf({ isAlive, isBox, version, models, why, mend }: BoxReport): string {
  const trouble = why === undefined ? undefined : `${why}${mend === undefined ? '' : ` ${mend}`}`;
  if (isAlive === undefined) return 'has not answered yet';
  if (!isAlive) return trouble ?? 'does not answer';
  const kind = isBox ? `Ollama ${version ?? 'of unknown version'}` : 'OpenAI-compatible';
  return [kind, modelsText(models), trouble].filter((part) => part !== undefined).join(', ');
}

function modelsText(models: readonly string[] | undefined): string | undefined {
  if (models === undefined) return undefined;
  if (models.length === 0) return 'no models yet (ollama pull llama3.2)';
  const shown = models.slice(0, shownModels).join(', ');
  const rest = models.length - shownModels;
  return `${models.length} ${models.length === 1 ? 'model' : 'models'}: ${shown}${rest > 0 ? ` and ${rest} more` : ''}`;
}

export interface CurlFacts {
  /** As other programs on this machine reach it. */
  readonly url: string;
  readonly boxes: readonly BoxReport[];
  readonly hasDemo: boolean;
  readonly needsKey: boolean;
}

/** A request that can be pasted and answers, as a stream. */
export function curlLine({ url, boxes, hasDemo, needsKey }: CurlFacts): string {
  const body = JSON.stringify({ model: modelFor(boxes, hasDemo), stream: true, messages: [{ role: 'user', content: 'Hello!' }] });
  // Model names may hold anything but must not end the shell's quotes.
  const quoted = body.replaceAll("'", "'\\''");
  const key = needsKey ? ` -H "authorization: Bearer $CORRAL_API_KEY"` : '';
  return `  curl -N ${url}/v1/chat/completions -H 'content-type: application/json'${key} -d '${quoted}'`;
}

/** A model that answers in words: names of embedding models are passed over. */
function modelFor(boxes: readonly BoxReport[], hasDemo: boolean): string {
  const alive = boxes.filter((box) => box.isAlive === true);
  const models = alive.flatMap((box) => box.models ?? []);
  const fallback = alive.length === 0 && hasDemo ? 'demo' : 'llama3.2';
  return models.find((model) => !/embed|minilm|\bbge|rerank/i.test(model)) ?? fallback;
}
