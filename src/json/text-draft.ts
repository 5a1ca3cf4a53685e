import { stringify } from 'lossless-json';
import { foldName } from './fold.ts';
import type { JsonDraft } from './object-text.ts';
import { parseValue } from './parse.ts';
import type { MemberEdit, TextObject } from './text-object.ts';

/** Edits of a `TextObject`, kept apart from it until they are written out. */
export class TextDraft implements JsonDraft {
  readonly #object: TextObject;
  readonly #edits = new Map<string, MemberEdit>();

  constructor(object: TextObject) {
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
    this.#edits.set(foldName(name), { name, json });
  }
}
