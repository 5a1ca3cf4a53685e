/**
 * What a call asks of Ollama beyond its own protocol: `num_ctx`, `keep_alive`, `think` and `options`, as members of its body or
 * in headers. Wherever it came from, it is brought to the one place where policies and translations look for it.
 */
import { GatewayError } from '../../errors.ts';
import { editMember } from '../../json/nested.ts';
import type { JsonDraft, ObjectText } from '../../json/object-text.ts';

const members: ReadonlySet<string> = new Set(['num_ctx', 'keep_alive', 'think', 'options']);

export const numCtxHeader = 'x-ollama-num-ctx';
export const keepAliveHeader = 'x-ollama-keep-alive';
export const thinkHeader = 'x-ollama-think';

/** Beyond this no model reads; what is larger is a slip. */
const maxNumCtx = 16_777_216;

/** Whether a call carries any of it: one look, for calls that carry nothing. `headers`: lower-case names. */
export function carriesAsked(body: ObjectText, headers: Readonly<Record<string, string>>): boolean {
  return body.hasAny(members) || numCtxHeader in headers || keepAliveHeader in headers || thinkHeader in headers;
}

/** Whether a body that policies have edited asks for anything. An empty `options` and null ask for nothing. */
export function asksAnything(body: JsonDraft): boolean {
  for (const name of members) {
    const text = body.textOf(name);
    if (text !== undefined && text !== 'null' && !/^\{\s*\}$/.test(text)) return true;
  }
  return false;
}

/** Ollama's options that a protocol has members of its own for, by the name of the protocol. */
const sampling = ['temperature', 'top_p', 'seed', 'stop', 'frequency_penalty', 'presence_penalty'];
const ownNames: Readonly<Record<string, readonly (readonly [option: string, member: string])[]>> = {
  completions: [...sampling.map(sameName), ['num_predict', 'max_tokens']],
  textCompletions: [...sampling.map(sameName), ['num_predict', 'max_tokens']],
  messages: [...['temperature', 'top_p', 'top_k'].map(sameName), ['stop', 'stop_sequences'], ['num_predict', 'max_tokens']],
  responses: [...['temperature', 'top_p'].map(sameName), ['num_predict', 'max_output_tokens']],
};

function sameName(name: string): readonly [option: string, member: string] {
  return [name, name];
}

/**
 * What stands in `options` and has a member of its own in the client's protocol moves there, where nothing stands yet: a
 * configuration's ceilings and defaults look for it there. `protocol`: its name.
 */
export function liftOptions(body: JsonDraft, protocol: string): void {
  const names = ownNames[protocol];
  if (names === undefined || body.textOf('options')?.startsWith('{') !== true) return;
  editMember(body, 'options', (options) => {
    for (const [option, member] of names) {
      const text = options.textOf(option);
      if (text === undefined || text === 'null') continue;
      options.delete(option);
      const own = body.textOf(member);
      if (own === undefined || own === 'null') body.setText(member, text);
    }
  });
}

/**
 * Headers become members, which they outdo, and leave `headers`. `isNative`: the protocol is Ollama's own, where `num_ctx` stands
 * in `options`; elsewhere it stands beside them, where a configuration's `overrides` and `defaults` meet it. Throws invalid_body.
 */
export function liftAsked(body: JsonDraft, headers: Record<string, string>, isNative: boolean): void {
  const numCtx = taken(headers, numCtxHeader);
  const keepAlive = taken(headers, keepAliveHeader);
  const think = taken(headers, thinkHeader);
  if (keepAlive !== undefined) body.setText('keep_alive', keepAliveText(keepAlive));
  if (think !== undefined) body.setText('think', thinkText(think));
  if (numCtx !== undefined) {
    if (!/^\d{1,9}$/.test(numCtx)) throw badNumCtx(numCtxHeader);
    setNumCtx(body, Number(numCtx), isNative);
    if (!isNative) dropOption(body);
    return;
  }
  const beside = body.textOf('num_ctx');
  if (isNative) {
    if (beside === undefined) return;
    body.delete('num_ctx');
    if (beside !== 'null' && optionIn(body) === undefined) setNumCtx(body, numCtxIn(beside), true);
    return;
  }
  const inside = optionIn(body);
  if (inside === undefined) return;
  dropOption(body);
  if (beside === undefined || beside === 'null') body.setText('num_ctx', inside);
}

/** The tokens of context that a body asks for; undefined: none. Throws invalid_body. */
export function askedNumCtx(body: JsonDraft, isNative: boolean): number | undefined {
  const text = isNative ? optionIn(body) : body.textOf('num_ctx');
  return text === undefined || text === 'null' ? undefined : numCtxIn(text);
}

export function setNumCtx(body: JsonDraft, numCtx: number, isNative: boolean): void {
  if (!isNative) body.setText('num_ctx', String(numCtx));
  else editMember(body, 'options', (options) => options.setText('num_ctx', String(numCtx)));
}

/** Whether a `keep_alive` is one that unloads at once (Ollama api/types.go, Duration: seconds, or a text as Go writes them). */
export function isUnload(json: string | undefined): boolean {
  if (json === undefined) return false;
  // Letter by letter: a pattern that knows what a number is has more than one way to read zeros, and a long text of them takes for ever.
  return /^(?:-?0(?:\.0*)?(?:e[-+]?\d+)?|"[-+]?[.nuµmsh]*0[.0nuµmsh]*")$/i.test(json.trim());
}

function numCtxIn(text: string): number {
  const number = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (number < 1 || number > maxNumCtx) throw badNumCtx('"num_ctx"');
  return number;
}

function badNumCtx(place: string): GatewayError {
  return new GatewayError(
    'invalid_body',
    `${place} must be a whole number of tokens, 1 to ${maxNumCtx}, such as 8192; leave it out to take what the box gives`,
  );
}

function taken(headers: Record<string, string>, name: string): string | undefined {
  const value = headers[name]?.trim();
  if (value !== undefined) delete headers[name];
  return value === '' ? undefined : value;
}

/** The text of `options.num_ctx`. Throws invalid_body where `options` is no object. */
function optionIn(body: JsonDraft): string | undefined {
  const options = body.textOf('options');
  if (options === undefined || options === 'null') return undefined;
  if (!options.startsWith('{')) throw new GatewayError('invalid_body', '"options" must be an object, such as {"num_ctx": 8192}');
  // An escape may hide the name; without one and without the name there is nothing to look for.
  if (!/num_ctx/i.test(options) && !options.includes('\\')) return undefined;
  let text: string | undefined;
  editMember(readOnly(body), 'options', (inner) => {
    text = inner.textOf('num_ctx');
  });
  return text === 'null' ? undefined : text;
}

/** `editMember` writes what it has read; this one only looks. */
function readOnly(body: JsonDraft): JsonDraft {
  return {
    edits: 0,
    has: (name) => body.has(name),
    get: (name) => body.get(name),
    textOf: (name) => body.textOf(name),
    set: () => undefined,
    setText: () => undefined,
    delete: () => undefined,
    bytes: () => body.bytes(),
  };
}

function dropOption(body: JsonDraft): void {
  if (optionIn(body) !== undefined) editMember(body, 'options', (options) => options.delete('num_ctx'));
}

function keepAliveText(value: string): string {
  if (/^-?\d+(?:\.\d+)?$/.test(value)) return String(Number(value));
  if (/^-?(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h))+$/.test(value)) return JSON.stringify(value);
  throw new GatewayError('invalid_body', `${keepAliveHeader} must be seconds or a duration, such as 300, 5m or -1`);
}

function thinkText(value: string): string {
  const lower = value.toLowerCase();
  if (lower === 'true' || lower === 'false') return lower;
  if (['low', 'medium', 'high', 'max'].includes(lower)) return JSON.stringify(lower);
  throw new GatewayError('invalid_body', `${thinkHeader} must be true, false, low, medium, high or max`);
}
