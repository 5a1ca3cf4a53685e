/**
 * The words of errors: what happened to which box, and what to do about it, after the Troubleshooting section of the Ollama
 * page. Pure. Boxes are named, never their URLs; lists and messages are bounded.
 */
import type { GatewayError } from '../../errors.ts';
import type { KnownModel, Upstream } from '../../exchange.ts';
import type { RunningModel } from './answers.ts';
import { type Advice, AdvisedTrouble } from './trouble.ts';
import { nearestName, smallerVariants } from './variants.ts';

export { type Advice, wordsOf } from './trouble.ts';

const maxNames = 10;
const maxNameLength = 200;
const maxMessageLength = 500;

/** Why a box does not serve, and the mend. */
export function troubleAdvice(upstream: Upstream, error: GatewayError): Advice {
  if (error instanceof AdvisedTrouble) return error.advice;
  const { name } = upstream;
  const { port, isHere } = placeOf(upstream.baseUrl);
  switch (error.code) {
    case 'upstream_refused':
      return {
        why: `${name} refused the connection: Ollama is not running there, or not bound to port ${port}.`,
        mend: `${startAdvice(port, isHere)} Check the port with \`lsof -i :${port}\`.`,
      };
    case 'upstream_unresolved':
      return {
        why: `${name} was not found: its host name does not resolve.`,
        mend: 'Check the spelling of the host in the configuration, or use the IP address.',
      };
    case 'upstream_silent':
      return {
        why: `${name} does not answer: the machine is off, asleep, or a firewall drops port ${port}.`,
        mend: `Wake it or check the network, then try \`curl\` on its /api/version from this machine.`,
      };
    case 'upstream_tls':
      return {
        why: `The TLS connection to ${name} failed.`,
        mend: 'Ollama itself speaks plain HTTP: use http:// unless a tunnel or proxy in front of it speaks TLS; then check its certificate or set backendTLS.',
      };
    case 'upstream_foreign_host':
      return foreignHostAdvice(upstream);
    case 'upstream_closed':
    case 'broken_stream':
      return {
        why: `${name} broke off the connection.`,
        mend: 'Ollama was stopped or crashed: look at its log on that machine (`journalctl -u ollama`, or ~/.ollama/logs/server.log).',
      };
    case 'loop_detected':
      return {
        why: `${name} is this gateway itself: requests would go round for ever.`,
        mend: "Point the backend at Ollama's own port (11434 by default), not at the gateway's.",
      };
    case 'upstream_unavailable':
      return {
        why: error.message.includes(name) ? `${clip(error.message)}.` : `${name}: ${clip(error.message)}.`,
        mend: 'Whatever stands in front of the box (tunnel, proxy) answers in its place: check that it reaches Ollama and lets this gateway in.',
      };
    case 'upstream_timeout':
      return {
        why: `${clip(error.message)}.`,
        mend: 'The model may be too large for the machine, or busy: see `ollama ps`, use a smaller model, or raise the time limit.',
      };
    default:
      return { why: clip(error.message), mend: '' };
  }
}

/** A box that answers 403 without a word has refused the Host or the Origin header (Ollama server/routes.go). */
export function foreignHostAdvice({ name, baseUrl }: Upstream): Advice {
  const { port } = placeOf(baseUrl);
  return {
    why: `${name} refused the request's Host or Origin header: Ollama answered 403 without a word.`,
    mend:
      `Have the tunnel send Host localhost:${port} (cloudflared: --http-host-header, ngrok: --host-header), or start Ollama with ` +
      `OLLAMA_HOST=0.0.0.0:${port}; if urlRewrite.authority names another host, leave it out; if an Origin is passed on, add it to OLLAMA_ORIGINS.`,
  };
}

/** Whether a box's answer is such a refusal. */
export function isForeignHostRefusal(status: number, bodyText: string): boolean {
  return status === 403 && bodyText === '';
}

/**
 * The model is on no box that was asked. `said` is Ollama's own message where there is one; `models` are the names that the
 * caller may see: nothing else is mentioned.
 */
export function missingModelAdvice(model: string, said: string | undefined, models: readonly string[]): Advice {
  const shown = clipName(model);
  const nearest = nearestName(model, models);
  const others =
    models.length === 0 ? 'No model is there yet.' : `There ${models.length === 1 ? 'is' : 'are'}: ${listOf(models)}.`;
  return {
    why: `${clip(said ?? `model '${shown}' not found`)}. ${others}`,
    mend: `${nearest === undefined ? 'Pull it' : `Did you mean ${clipName(nearest)}? Otherwise pull it`}: \`ollama pull ${shown}\`.`,
  };
}

/** The box could not load the model for want of memory. `models` are those of this box that the caller may see. */
export function outOfMemoryAdvice(boxName: string, model: string, said: string, models: readonly KnownModel[]): Advice {
  return {
    why: `${boxName} has not enough memory for ${clipName(model)}. Ollama says: ${clip(said)}`,
    mend: `${smallerAdvice(boxName, model, models)} Or close other applications, or unload other models with \`ollama stop\`.`,
  };
}

/**
 * The warning for a model that runs partly on the CPU: undefined when it is wholly in GPU memory. `models` are those of this
 * box that the caller may see.
 */
export function slowWarning(boxName: string, runner: RunningModel, models: readonly KnownModel[]): string | undefined {
  if (runner.sizeBytes <= 0 || runner.vramBytes >= runner.sizeBytes) return undefined;
  const percent = Math.max(1, Math.round((1 - runner.vramBytes / runner.sizeBytes) * 100));
  const where = runner.vramBytes <= 0 ? 'wholly on the CPU' : `${Math.min(percent, 99)}% on the CPU`;
  const [smaller] = smallerVariants(runner.name, models);
  const mend =
    smaller === undefined ? 'a smaller model would be faster' : `${clipName(smaller.name)} is smaller and on the same box`;
  return `slow: ${clipName(runner.name)} runs ${where} of ${boxName}; ${mend}`;
}

/** The box turned the request away because too many wait for a load (OLLAMA_MAX_QUEUE). */
export function busyAdvice(boxName: string, said: string): Advice {
  return {
    why: `${boxName} is busy: ${clip(said)}.`,
    mend: 'Try again in a moment, add another box with this model, or raise OLLAMA_MAX_QUEUE.',
  };
}

/** Ollama's own message in an error body: `{"error":"…"}`, or `{"error":{"message":"…"}}`, clipped; undefined when there is none. */
export function messageOf(bodyText: string): string | undefined {
  let body: unknown;
  try {
    body = JSON.parse(bodyText);
  } catch {
    return undefined;
  }
  const error = member(body, 'error');
  const message = typeof error === 'string' ? error : member(error, 'message');
  return typeof message === 'string' && message !== '' ? clip(message) : undefined;
}

/** The spellings of chat and show, and of embed (Ollama server/routes.go); `model ''` means that none was named. */
const missing = /^model (?:'[^']+'|"[^"]+") not found/;

/** Whether a box said that it has not got the model: 404 in Ollama's words. Other 404s are about the path. */
export function isModelMissing(status: number, bodyText: string): boolean {
  return status === 404 && missing.test(messageOf(bodyText) ?? '');
}

/** Messages of Ollama's scheduler, of the GPU libraries under it, and of a runner that the kernel ended for want of memory. */
const memory =
  /requires more system memory|out of memory|out of (?:device|host) ?memory|OutOf(?:Device|Host)Memory|insufficient (?:memory|vram)|not enough (?:memory|vram)|(?:unable|failed) to allocate|cannot allocate memory|bad_alloc|runner process .*signal: killed/i;

/** Whether an error body, or a message in a stream, tells that memory ran out. */
export function isOutOfMemory(bodyText: string): boolean {
  return memory.test(messageOf(bodyText) ?? bodyText.slice(0, maxMessageLength));
}

/** Whether the box turned the request away because its queue is full (Ollama server/sched.go ErrMaxQueue). */
export function isBusy(status: number, bodyText: string): boolean {
  return status === 503 && (messageOf(bodyText) ?? '').startsWith('server busy');
}

function startAdvice(port: number, isHere: boolean): string {
  if (!isHere) return `Start it on that machine, open to the network: \`OLLAMA_HOST=0.0.0.0:${port} ollama serve\`.`;
  const command = port === 11_434 ? 'ollama serve' : `OLLAMA_HOST=127.0.0.1:${port} ollama serve`;
  return `Start it with \`${command}\` (in a container, localhost is the container itself).`;
}

function smallerAdvice(boxName: string, model: string, models: readonly KnownModel[]): string {
  const smaller = smallerVariants(model, models);
  if (smaller.length === 0) return 'Use a smaller variant of the model.';
  return `Use a smaller variant that ${boxName} has: ${listOf(smaller.map((one) => one.name))}.`;
}

function placeOf(baseUrl: string): { port: number; isHere: boolean } {
  try {
    const { protocol, port, hostname } = new URL(baseUrl);
    const isHere = hostname === 'localhost' || hostname === '[::1]' || /^127\./.test(hostname);
    return { port: port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port), isHere };
  } catch {
    return { port: 11_434, isHere: false };
  }
}

function listOf(names: readonly string[]): string {
  const shown = names.slice(0, maxNames).map(clipName).join(', ');
  return names.length > maxNames ? `${shown} and ${names.length - maxNames} more` : shown;
}

function clip(text: string): string {
  return text.length > maxMessageLength ? `${text.slice(0, maxMessageLength - 1)}…` : text;
}

function clipName(name: string): string {
  return name.length > maxNameLength ? `${name.slice(0, maxNameLength - 1)}…` : name;
}

function member(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>)[name] : undefined;
}
