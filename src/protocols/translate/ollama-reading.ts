/** Reading requests for a box as Ollama itself would: what Go refuses there is refused here, in the same words. */
import { editMember } from '../../json/nested.ts';
import type { JsonDraft, ObjectText } from '../../json/object-text.ts';
import { JsonText, textAsIs } from './exact-json.ts';
import { invalid, stringIn, textIn } from './reading.ts';

export type GoType = 'string' | 'int' | 'float64' | 'float32' | 'bool';

const kindOfFirst: Readonly<Record<string, string>> = { '"': 'string', '[': 'array', '{': 'object', t: 'bool', f: 'bool' };

/**
 * The member's exact text; undefined when absent or null. Throws invalid_body where Go's encoding/json could not read it into
 * that type. `struct`: what Ollama calls the request.
 */
export function typedIn(body: ObjectText, name: string, type: GoType, struct: string): string | undefined {
  const text = textIn(body, name);
  if (text === undefined) return undefined;
  const kind = kindOfFirst[text[0] ?? ''] ?? 'number';
  const wanted = type === 'string' || type === 'bool' ? type : 'number';
  const isFraction = type === 'int' && kind === 'number' && !/^-?\d+$/.test(text);
  if (kind === wanted && !isFraction) return text;
  const said = isFraction ? `number ${text}` : kind;
  throw invalid(`json: cannot unmarshal ${said} into Go struct field ${struct}.${name} of type ${type}`);
}

/** `true` or `false`; absent is false. */
export function flagIn(body: ObjectText, name: string, struct: string): boolean {
  return typedIn(body, name, 'bool', struct) === 'true';
}

/** `options` as the box gets it: what the client or the configuration wrote there, and what `put` adds. */
export function optionsOf(body: ObjectText, put: (options: JsonDraft) => void): JsonText {
  const draft = body.draft();
  if (textIn(body, 'options') === undefined) draft.setText('options', '{}');
  editMember(draft, 'options', (options) => {
    put(options);
    const numCtx = textIn(body, 'num_ctx');
    if (numCtx !== undefined) options.setText('num_ctx', numCtx);
  });
  return new JsonText(draft.textOf('options') ?? '{}');
}

/** An option that the client's own protocol has a member for: what stands there holds, as everywhere in that protocol. */
export function putOption(options: JsonDraft, name: string, json: string | undefined): void {
  if (json !== undefined) options.setText(name, json);
}

/** What Ollama sets on this protocol where nobody says anything. */
export function fillOption(options: JsonDraft, name: string, json: string): void {
  if (!options.has(name)) options.setText(name, json);
}

/** Members of Ollama's own that go with every native request as they stand. */
export function ownMembers(body: ObjectText): Readonly<Record<string, JsonText | undefined>> {
  return {
    keep_alive: textAsIs(textIn(body, 'keep_alive')),
    truncate: textAsIs(textIn(body, 'truncate')),
    shift: textAsIs(textIn(body, 'shift')),
  };
}

/** A text or a list of texts, as the list that Ollama's options want. What is no text in a list goes, as on `/v1`. */
export function stopsIn(body: ObjectText): string | undefined {
  const stop = body.get('stop');
  if (typeof stop === 'string') return JSON.stringify([stop]);
  return Array.isArray(stop) ? JSON.stringify(stop.filter((one) => typeof one === 'string')) : undefined;
}

/** What is asked for by `think`, or by OpenAI's word for an effort (Ollama openai/openai.go, thinkFromReasoningEffort). */
export function thinkOf(body: ObjectText, effort: string | undefined): JsonText | undefined {
  const own = textIn(body, 'think');
  if (own !== undefined) return new JsonText(own);
  switch (effort) {
    case undefined:
    case '':
      return undefined;
    case 'none':
      return new JsonText('false');
    case 'minimal':
      return new JsonText('"low"');
    case 'low':
    case 'medium':
    case 'high':
    case 'max':
      return new JsonText(JSON.stringify(effort));
    case 'xhigh':
    case 'ultra':
      return new JsonText('"max"');
    default:
      throw invalid(
        `invalid reasoning value: ${JSON.stringify(effort)} (must be "minimal", "low", "medium", "high", "xhigh", "ultra", "max", or "none")`,
      );
  }
}

/** The base64 of a data URL, as Ollama takes images on OpenAI's paths (openai/openai.go, decodeImageURL). Throws invalid_body. */
export function imageIn(url: string): string {
  if (/^https?:\/\//.test(url)) {
    throw invalid('image URLs are not currently supported, please use base64 encoded data instead');
  }
  const head = /^data:(?:image\/(?:jpeg|jpg|png|webp))?;base64,/.exec(url)?.[0];
  const data = head === undefined ? '' : url.slice(head.length);
  if (head === undefined || !isBase64(data)) throw invalid('invalid image input');
  return data;
}

/** As Go reads it: line ends are passed over, the padding must be there. */
export function isBase64(data: string): boolean {
  const letters = /[\r\n]/.test(data) ? data.replace(/[\r\n]/g, '') : data;
  return letters.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(letters);
}

/** A tool's arguments as the object that Ollama wants. Undefined when they are no object. */
export function argumentsIn(text: string | undefined): JsonText | undefined {
  const trimmed = text?.trim() ?? '';
  if (trimmed[0] !== '{') return undefined;
  try {
    JSON.parse(trimmed);
    return new JsonText(trimmed);
  } catch {
    return undefined;
  }
}

/** Go lowers the roles of messages when it reads them (api/types.go, Message.UnmarshalJSON). */
export function roleIn(message: ObjectText): string {
  return stringIn(message, 'role') ?? '';
}
