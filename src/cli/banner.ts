/** What a start says: where Corral listens, what it found there, and one command that works. */
import type { BoxReport } from '../fleet/fleet.ts';
import type { Lock, Trial } from './try-it.ts';

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
  readonly trial: Trial;
  readonly boxes: readonly BoxReport[];
  readonly hasDemo: boolean;
  /** The shell variable that holds a key. */
  readonly keyVariable: string;
}

/** A request that can be pasted and answers, as a stream. */
export function curlLine({ url, trial, boxes, hasDemo, keyVariable }: CurlFacts): string {
  const model = modelFor(trial, boxes, hasDemo);
  const body = JSON.stringify({ model, stream: true, messages: [{ role: 'user', content: 'Hello!' }] });
  // Model names may hold anything but must not end the shell's quotes.
  const quoted = body.replaceAll("'", "'\\''");
  const insecure = url.startsWith('https:') ? ' -k' : '';
  return `  curl -N${insecure} ${url}${trial.path} -H 'content-type: application/json'${credential(trial.lock, keyVariable)} -d '${quoted}'`;
}

function credential(lock: Lock, keyVariable: string): string {
  switch (lock) {
    case 'none':
      return '';
    case 'password':
      return ' --user NAME';
    case 'key':
      return ` -H "authorization: Bearer $${keyVariable}"`;
    case 'token':
      return ' -H "authorization: Bearer $TOKEN"';
  }
}

/** A model that is there and answers in words: names of embedding models are passed over. */
function modelFor(trial: Trial, boxes: readonly BoxReport[], hasDemo: boolean): string {
  const alive = boxes.filter((box) => box.isAlive === true && trial.upstreams.has(box.name));
  const names = [
    ...trial.models.filter((one) => one.box !== undefined && alive.some((box) => hasModel(box, one))).map(({ name }) => name),
    ...alive.flatMap((box) => box.models ?? []).filter((model) => trial.lists(model)),
    ...trial.models.filter(({ box }) => box === undefined).map(({ name }) => name),
  ];
  const fallback = alive.length === 0 && hasDemo ? 'demo' : (trial.models[0]?.name ?? 'llama3.2');
  return names.find((model) => !/embed|minilm|\bbge|rerank/i.test(model)) ?? fallback;
}

function hasModel({ name, models = [] }: BoxReport, wanted: Trial['models'][number]): boolean {
  return name === wanted.box && (models.includes(wanted.name) || models.includes(`${wanted.name}:latest`));
}
