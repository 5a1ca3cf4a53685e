import { stringify } from 'lossless-json';
import { foldName } from './fold.ts';
import type { JsonDraft, ObjectText } from './object-text.ts';
import { parseValue } from './parse.ts';

/** What becomes of one member: its new JSON text under the plain name, or undefined when it goes. */
export interface MemberEdit {
  readonly name: string;
  readonly json: string | undefined;
}

/** The object that a draft edits: it writes the edits into its own text. */
export interface DraftedObject extends Pick<ObjectText, 'has' | 'get' | 'textOf'> {
  /** The edited text of the object alone. */
  write(edits: ReadonlyMap<string, MemberEdit>): string;
  /** The edited text, UTF-8; the original bytes when nothing changed. */
  writeBytes(edits: ReadonlyMap<string, MemberEdit>): Uint8Array;
}

const none: ReadonlyMap<string, MemberEdit> = new Map();

/** Edits of an object, kept apart from it until they are written out. */
export class TextDraft implements JsonDraft {
  edits = 0;
  readonly #object: DraftedObject;
  /** Most drafts are only read: they share one that is empty. */
  #edits: ReadonlyMap<string, MemberEdit> = none;

  #written: Map<string, MemberEdit> | undefined;

  constructor(object: DraftedObject) {
    this.#object = object;
  }

  has(name: string): boolean {
    const edit = this.#edits.get(foldName(name));
    return edit === undefined ? this.#object.has(name) : edit.json !== undefined;
  }

  get(name: string): unknown {
    const edit = this.#edits.get(foldName(name));
    if (edit === undefined) return this.#object.get(name);
    return edit.json === undefined ? undefined : parseValue(edit.json);
  }

  textOf(name: string): string | undefined {
    const edit = this.#edits.get(foldName(name));
    return edit === undefined ? this.#object.textOf(name) : edit.json;
  }

  /** Numbers from lossless-json and bigints are written exactly. */
  set(name: string, value: unknown): void {
    this.#edit(name, stringify(value));
  }

  setText(name: string, json: string): void {
    this.#edit(name, json);
  }

  delete(name: string): void {
    this.#edit(name, undefined);
  }

  bytes(): Uint8Array {
    return this.#object.writeBytes(this.#edits);
  }

  /** What `bytes` says, as text of the object alone. */
  text(): string {
    return this.#object.write(this.#edits);
  }

  #edit(name: string, json: string | undefined): void {
    this.edits++;
    if (this.#written === undefined) {
      this.#written = new Map();
      this.#edits = this.#written;
    }
    this.#written.set(foldName(name), { name, json });
  }
}
