/** Reading requests that are about to be translated: what cannot be read is refused, with the place. */
import { GatewayError } from '../../errors.ts';
import { memberObject, memberObjects } from '../../json/nested.ts';
import type { ObjectText } from '../../json/object-text.ts';

/** The objects of a list. Undefined when absent or null. Throws invalid_body for anything but a list of objects. */
export function objectsIn(parent: ObjectText, name: string, place = name): readonly ObjectText[] | undefined {
  const value = parent.textOf(name);
  if (value === undefined || value === 'null') return undefined;
  const objects = memberObjects(parent, name);
  if (objects === undefined) throw invalid(`"${place}" must be a list`);
  return objects.map((object, index) => {
    if (object === undefined) throw invalid(`"${place}[${index}]" must be an object`);
    return object;
  });
}

/** Text, or a list of parts; undefined when absent or null. */
export function contentOf(parent: ObjectText, name: string, place: string): string | readonly ObjectText[] | undefined {
  const value = parent.textOf(name);
  if (value?.startsWith('"')) return stringIn(parent, name);
  return objectsIn(parent, name, `${place}.${name}`);
}

/** The member as text; undefined when it is none. */
export function stringIn(parent: ObjectText | undefined, name: string): string | undefined {
  // Looked at as text first: an object is not parsed only to see that it is none.
  if (!parent?.textOf(name)?.startsWith('"')) return undefined;
  const value = parent.get(name);
  return typeof value === 'string' ? value : undefined;
}

export function numberIn(parent: ObjectText | undefined, name: string): number | undefined {
  const value = parent?.get(name);
  return typeof value === 'number' ? value : undefined;
}

/** The member's exact text, null and absent left out. */
export function textIn(parent: ObjectText | undefined, name: string): string | undefined {
  const text = parent?.textOf(name);
  return text === 'null' ? undefined : text;
}

export function objectUnder(parent: ObjectText | undefined, name: string): ObjectText | undefined {
  return parent === undefined ? undefined : memberObject(parent, name);
}

/** The object as it was written. */
export function wholeText(object: ObjectText): string {
  return new TextDecoder().decode(object.draft().bytes());
}

export function invalid(message: string): GatewayError {
  return new GatewayError('invalid_body', message);
}

/** `data:image/png;base64,…` taken apart; undefined for other addresses. Media types may have parameters. */
export function dataUrlParts(url: string): { mediaType: string; data: string } | undefined {
  if (!/^data:/i.test(url)) return undefined;
  const comma = url.indexOf(',');
  const head = url.slice(5, Math.max(comma, 5));
  if (comma < 0 || !/;\s*base64$/i.test(head)) return undefined;
  return { mediaType: head.slice(0, head.search(/;/)).trim().toLowerCase() || 'text/plain', data: url.slice(comma + 1) };
}
