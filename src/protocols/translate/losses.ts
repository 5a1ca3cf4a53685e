/** What a translation has no words for: collected, and told in one warning. */
import { GatewayError } from '../../errors.ts';
import type { JsonDraft } from '../../json/object-text.ts';

export class Losses {
  readonly #target: string;
  readonly #names = new Set<string>();
  readonly #warnings: string[] = [];

  /** `target`: what is translated into, as people call it. */
  constructor(target: string) {
    this.#target = target;
  }

  /** Something of this name was left out. At most 24 are told of. */
  note(name: string): void {
    if (this.#names.size < 24) this.#names.add(name.slice(0, 60));
  }

  /** Takes these members out where they say anything (null says nothing). */
  drop(draft: JsonDraft, names: readonly string[]): void {
    for (const name of names) {
      if (!draft.has(name)) continue;
      if ((draft.get(name) ?? undefined) !== undefined) this.note(name);
      draft.delete(name);
    }
  }

  warn(text: string): void {
    this.#warnings.push(text);
  }

  refuse(what: string): never {
    throw new GatewayError('unsupported_parameter', `${what}: ${this.#target} have nothing like it`);
  }

  warnings(): readonly string[] {
    if (this.#names.size === 0) return this.#warnings;
    return [`left out, as ${this.#target} have nothing like it: ${[...this.#names].join(', ')}`, ...this.#warnings];
  }
}
