/**
 * Objects inside an object, read and edited by the same rules. Whoever looks into a member does it through here: what was
 * opened is forwarded without its losing spellings, so that no box reads another `options.num_ctx` than Corral did. What nobody
 * opens (a tool's parameters, a JSON schema, arguments: there `a` and `A` are different things) is not touched.
 */
import type { JsonDraft, ObjectText } from './object-text.ts';
import { type OpenedMember, objectAt, TextObject } from './text-object.ts';

/** The object under `name` (lower case ASCII); undefined when there is none or it is no object. */
export function memberObject(parent: ObjectText, name: string): ObjectText | undefined {
  const opened = opening(parent, name);
  return opened?.isArray === false ? opened.objects[0] : undefined;
}

/** The elements of the array under `name`, undefined in place of those that are no objects; undefined when there is no array. */
export function memberObjects(parent: ObjectText, name: string): readonly (ObjectText | undefined)[] | undefined {
  const opened = opening(parent, name);
  return opened?.isArray ? opened.objects : undefined;
}

/**
 * Edits the object under `name` exactly, number by number and byte by byte in what is not meant. Where there is no object
 * (absent, null, another type), `edit` starts with an empty one; when it stays empty, nothing happens.
 */
export function editMember(draft: JsonDraft, name: string, edit: (member: JsonDraft) => void): void {
  const inner = objectAt(draft.textOf(name) ?? '', 0);
  const innerDraft = (inner ?? emptyObject()).draft();
  edit(innerDraft);
  const text = innerDraft.text();
  if (inner !== undefined || text !== '{}') draft.setText(name, text);
}

/**
 * The JSON text of an object, or of an array of objects, without losing spellings in those objects (not below them). For text
 * that reached Corral on another way than through `readObject`. The text must be valid JSON.
 */
export function dedupeText(json: string): string {
  const from = json.search(/[^ \t\r\n]/);
  if (from < 0) return json;
  const wrapped = new TextObject(json, {
    from,
    to: json.length,
    members: [{ name: '', from, valueFrom: from, to: json.length }],
  });
  wrapped.open('');
  return wrapped.textOf('') ?? json;
}

function opening(parent: ObjectText, name: string): OpenedMember | undefined {
  if (parent instanceof TextObject) return parent.open(name);
  throw new TypeError('Only objects that readObject gave can be opened.');
}

function emptyObject(): TextObject {
  return new TextObject('{}', { from: 0, to: 2, members: [] });
}
