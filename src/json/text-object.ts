/**
 * The object behind `ObjectText`: a text, where its members stand, and which of them count. Ollama folds member names and lets
 * the last one win. So here the last of all members whose names fold to the same name wins; the others are the losers, and
 * no text that is forwarded contains them.
 *
 * Dropping the losers also settles what Go would do with `{"stream":true,"STREAM":null}`: there a later null leaves the earlier
 * value in place, and a later object is merged into the earlier one. Once only the winner is forwarded, no box can differ.
 * A winner keeps the client's spelling (every box reads it) until it is edited: then it gets the plain one.
 */
import { editSplices, type Fate } from './edits.ts';
import { foldName } from './fold.ts';
import type { ObjectText } from './object-text.ts';
import { parseValue } from './parse.ts';
import { type MemberSpan, type ObjectSpan, scanArray, scanObject } from './scan.ts';
import { type Splice, spliceBytes, spliceText } from './splice.ts';
import { type MemberEdit, TextDraft } from './text-draft.ts';

/** Edits by folded name. */
export type MemberEdits = ReadonlyMap<string, MemberEdit>;

const noEdits: MemberEdits = new Map();

export class TextObject implements ObjectText {
  readonly #text: string;
  readonly #span: ObjectSpan;
  readonly #bytes: Uint8Array | undefined;
  /** Folded name → the member that counts. */
  readonly #winners = new Map<string, MemberSpan>();
  readonly #values = new Map<string, unknown>();
  /** Members whose insides were looked at: they leave without losers of their own. */
  readonly #opened = new Map<string, OpenedMember>();

  /** `bytes`, where there are any, are the UTF-8 of the whole `text`. */
  constructor(text: string, span: ObjectSpan, bytes?: Uint8Array) {
    this.#text = text;
    this.#span = span;
    this.#bytes = bytes;
    for (const member of span.members) this.#winners.set(foldName(member.name), member);
  }

  has(name: string): boolean {
    return this.#winners.has(this.#folded(name));
  }

  hasAny(names: ReadonlySet<string>): boolean {
    for (const name of this.#winners.keys()) if (names.has(name)) return true;
    return false;
  }

  get(name: string): unknown {
    const folded = this.#folded(name);
    const known = this.#values.get(folded);
    if (known !== undefined) return known;
    const json = this.textOf(folded);
    if (json === undefined) return undefined;
    const value = parseValue(json);
    // What is opened can still lose members, deeper down.
    if (!this.#opened.has(folded)) this.#values.set(folded, value);
    return value;
  }

  textOf(name: string): string | undefined {
    const folded = this.#folded(name);
    const member = this.#winners.get(folded);
    if (member === undefined) return undefined;
    return this.#opened.get(folded)?.settled() ?? this.#text.slice(member.valueFrom, member.to);
  }

  draft(): TextDraft {
    return new TextDraft(this);
  }

  /** The objects inside a member: itself, or an array's elements (undefined for what is no object). See nested.ts. */
  open(name: string): OpenedMember | undefined {
    const folded = this.#folded(name);
    const member = this.#winners.get(folded);
    if (member === undefined) return undefined;
    let opened = this.#opened.get(folded);
    if (opened === undefined) {
      opened = new OpenedMember(this.#text, member.valueFrom, member.to);
      this.#opened.set(folded, opened);
      this.#values.delete(folded); // It may have been read with its losers.
    }
    return opened;
  }

  /** The object's text with `edits` made and without losers. */
  write(edits: MemberEdits = noEdits): string {
    return spliceText(this.#text, this.#span.from, this.#span.to, this.#splices(edits));
  }

  /** The same as UTF-8: the very bytes it was read from when they say just that. */
  writeBytes(edits: MemberEdits): Uint8Array {
    const bytes = this.#bytes;
    if (bytes === undefined) return new TextEncoder().encode(this.write(edits));
    const splices = this.#splices(edits);
    const isAlone = this.#span.to === this.#text.length || this.#text.slice(this.#span.to).trim() === '';
    if (splices.length === 0 && isAlone) return bytes;
    return spliceBytes(this.#text, bytes, isAlone ? this.#text.length : this.#span.to, splices);
  }

  /** Callers may write a name as they like; those who write it in lower case, as nearly all do, are not made to pay. */
  #folded(name: string): string {
    return this.#winners.has(name) ? name : foldName(name);
  }

  #splices(edits: MemberEdits): Splice[] {
    const hasLosers = this.#winners.size < this.#span.members.length;
    if (!hasLosers && edits.size === 0 && this.#opened.size === 0) return [];
    let added = '';
    for (const [folded, { name, json }] of edits) {
      if (json === undefined || this.#winners.has(folded)) continue;
      added += `${added === '' ? '' : ','}${JSON.stringify(name)}:${json}`;
    }
    return editSplices(this.#span, (member) => this.#fateOf(member, edits), added);
  }

  #fateOf(member: MemberSpan, edits: MemberEdits): Fate {
    const folded = foldName(member.name);
    if (this.#winners.get(folded) !== member) return 'goes';
    const edit = edits.get(folded);
    if (edit === undefined) {
      const settled = this.#opened.get(folded)?.settled();
      return settled === undefined ? 'stays' : { from: member.valueFrom, insert: settled };
    }
    if (edit.json === undefined) return 'goes';
    if (edit.name === member.name) return { from: member.valueFrom, insert: edit.json };
    return { from: member.from, insert: `${JSON.stringify(edit.name)}:${edit.json}` };
  }
}

/** A member's value, taken apart into the objects it is or holds. */
export class OpenedMember {
  readonly isArray: boolean;
  readonly objects: readonly (TextObject | undefined)[];
  readonly #text: string;
  readonly #from: number;
  readonly #to: number;
  readonly #spans: readonly { readonly from: number; readonly to: number }[];

  constructor(text: string, from: number, to: number) {
    this.isArray = text[from] === '[';
    this.#text = text;
    this.#from = from;
    this.#to = to;
    this.#spans = this.isArray ? scanArray(text, from) : [{ from, to }];
    this.objects = this.#spans.map((span) => objectAt(text, span.from));
  }

  /** The value's text without losers; undefined when it holds none. */
  settled(): string | undefined {
    const splices: Splice[] = [];
    for (const [index, span] of this.#spans.entries()) {
      const insert = this.objects[index]?.write();
      // Dropping is all that can have happened, and it always shortens.
      if (insert !== undefined && insert.length < span.to - span.from) splices.push({ ...span, insert });
    }
    return splices.length === 0 ? undefined : spliceText(this.#text, this.#from, this.#to, splices);
  }
}

/** The object that begins at `from`, in text known to be valid JSON; undefined when something else begins there. */
export function objectAt(text: string, from: number): TextObject | undefined {
  if (text[from] !== '{') return undefined;
  const span = scanObject(text, from, Number.POSITIVE_INFINITY);
  return 'fault' in span ? undefined : new TextObject(text, span);
}
