/**
 * Where members that a configuration sets belong in a body: each protocol has its own name for a limit of tokens, and Ollama's
 * own reads most of what steers the model from `options` alone. Compiled once for each kind of body.
 */
import type { Attempt } from '../exchange.ts';
import { isTokenLimit, optionNameOf, optionText, tokenLimitNames } from '../fields/ollama-options.ts';
import { foldName } from '../json/fold.ts';
import { editMember } from '../json/nested.ts';
import type { JsonDraft } from '../json/object-text.ts';

/**
 * asWritten: by the name that the configuration has, whatever the protocol: servers that are no Ollama (as agentgateway).
 * options: Ollama's own chat and generate. textless: embeddings and what else writes no text. The others are named by their
 * limit of tokens.
 */
type BodyKind = 'asWritten' | 'options' | 'textless' | 'max_tokens' | 'max_output_tokens';

interface Placed {
  readonly name: string;
  readonly json: string;
  /** Folded names at the top of the body that mean the same. */
  readonly alsoCalled: readonly string[];
}

interface PlacedMembers {
  readonly top: readonly Placed[];
  readonly options: readonly Placed[];
}

/** Steers the writing of text, and is no option. */
const textOnly: ReadonlySet<string> = new Set(['think', 'format']);

/** The edit that sets the members whatever the client sent. */
export function compileOverrides(members: Readonly<Record<string, unknown>> | undefined): (attempt: Attempt) => void {
  return compileEdit(members, override);
}

/** The edit that sets those of the members that the body has under none of their names. A null counts as sent. */
export function compileDefaults(members: Readonly<Record<string, unknown>> | undefined): (attempt: Attempt) => void {
  return compileEdit(members, fillIn);
}

function override(body: JsonDraft, holder: JsonDraft, { name, json, alsoCalled }: Placed): void {
  for (const other of alsoCalled) if (body.has(other)) body.delete(other);
  holder.setText(name, json);
}

function fillIn(body: JsonDraft, holder: JsonDraft, { name, json, alsoCalled }: Placed): void {
  if (!holder.has(name.toLowerCase()) && !alsoCalled.some((other) => body.has(other))) holder.setText(name, json);
}

function compileEdit(
  members: Readonly<Record<string, unknown>> = {},
  put: (body: JsonDraft, holder: JsonDraft, member: Placed) => void,
): (attempt: Attempt) => void {
  // `model` decides where a call goes: the compiler asks for it by itself.
  const given = Object.entries(members).filter(([name]) => foldName(name) !== 'model');
  if (given.length === 0) return () => undefined;
  const byKind: Readonly<Record<BodyKind, PlacedMembers>> = {
    asWritten: placedIn('asWritten', given),
    options: placedIn('options', given),
    textless: placedIn('textless', given),
    max_tokens: placedIn('max_tokens', given),
    max_output_tokens: placedIn('max_output_tokens', given),
  };
  return (attempt) => {
    const { body } = attempt;
    if (body === undefined) return;
    const { top, options } = byKind[bodyKindOf(attempt)];
    for (const member of top) put(body, body, member);
    if (options.length === 0) return;
    editMember(body, 'options', (inner) => {
      for (const member of options) put(body, inner, member);
    });
  };
}

function bodyKindOf({ protocol, isBox }: Attempt): BodyKind {
  const isOllamas = protocol?.family === 'ollama';
  if (protocol === undefined || !(isBox || isOllamas)) return 'asWritten';
  if (protocol.operation !== 'chat' && protocol.operation !== 'text_completion') return 'textless';
  if (isOllamas) return 'options';
  return protocol.name.startsWith('responses') ? 'max_output_tokens' : 'max_tokens';
}

/** What means the same counts once: of several names the last holds, which is the inner place's. */
function placedIn(kind: BodyKind, members: readonly (readonly [name: string, value: unknown])[]): PlacedMembers {
  const top = new Map<string, Placed>();
  const options = new Map<string, Placed>();
  const toOptions = (name: string, value: unknown) => {
    const json = optionText(name, JSON.stringify(value ?? null));
    options.set(name, { name, json, alsoCalled: name === 'num_predict' ? tokenLimitNames : [foldName(name)] });
  };
  for (const [name, value] of members) {
    const folded = foldName(name);
    const option = optionNameOf(folded);
    if (kind === 'textless' && (option !== undefined || textOnly.has(folded))) continue;
    if (kind === 'options' && option !== undefined) {
      toOptions(option, value);
    } else if (kind === 'options' && folded === 'options' && isObject(value)) {
      for (const [inner, innerValue] of Object.entries(value)) toOptions(inner, innerValue);
    } else {
      const isLimit = (kind === 'max_tokens' || kind === 'max_output_tokens') && isTokenLimit(folded);
      const placed = isLimit ? kind : name;
      const alsoCalled = isLimit ? tokenLimitNames.filter((other) => other !== kind) : [];
      top.set(foldName(placed), { name: placed, json: JSON.stringify(value ?? null), alsoCalled });
    }
  }
  return { top: [...top.values()], options: [...options.values()] };
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
