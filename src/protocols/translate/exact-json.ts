/** JSON put together from values and from text that was read elsewhere: what is text stays as it was written, digit by digit. */
import { objectAt, type TextObject } from '../../json/text-object.ts';

/** JSON text to be written as it is. Must be valid. */
export class JsonText {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** The JSON of a value that Corral itself has made, at most a few levels deep. Members that are undefined are left out. */
export function jsonOf(value: unknown): string {
  if (value instanceof JsonText) return value.text;
  if (Array.isArray(value)) return `[${value.map(jsonOf).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const members = Object.entries(value).flatMap(([name, member]) =>
    member === undefined ? [] : [`${JSON.stringify(name)}:${jsonOf(member)}`],
  );
  return `{${members.join(',')}}`;
}

/** The text as JSON to be written as it is; undefined stays undefined. */
export function textAsIs(json: string | undefined): JsonText | undefined {
  return json === undefined ? undefined : new JsonText(json);
}

/** The JSON object that is this text, read member by member; undefined when it is none. */
export function objectIn(text: string): TextObject | undefined {
  const from = text.search(/[^ \t\r\n]/);
  if (from < 0 || text[from] !== '{' || !isJson(text)) return undefined;
  return objectAt(text, from);
}

export function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/**
 * A tool's arguments as an object: the text itself where it is one, nothing at all is an empty one. What a model has garbled is
 * handed on under a name of its own rather than lost.
 */
export function argumentsObject(text: string): JsonText {
  const trimmed = text.trim();
  if (trimmed === '') return new JsonText('{}');
  return new JsonText(trimmed.startsWith('{') && isJson(trimmed) ? trimmed : JSON.stringify({ arguments: text }));
}

/** A tool's input, which is JSON, as the text that OpenAI's protocols have in its place: exactly as it was written. */
export function argumentsText(json: string | undefined): string {
  return json === undefined || json === 'null' ? '{}' : json;
}
