/** What `flatten()` makes, for logs and traces: one value that stands for several fields. */
import { CelFailure } from './expression.ts';
import { entriesOf, plainOf, textOfValue } from './values.ts';

const maxFields = 256;

export class Flattened {
  readonly #value: unknown;
  readonly #isDeep: boolean;

  constructor(value: unknown, isDeep: boolean) {
    if (typeof value !== 'object' || value === null || value instanceof Uint8Array || value instanceof Date) {
      throw new CelFailure('flatten takes a map or a list');
    }
    this.#value = value;
    this.#isDeep = isDeep;
  }

  /** `name.member` with each member's value as text; deep, members of members too. At most 256 fields, without those that are null. */
  fieldsOf(name: string): readonly (readonly [name: string, value: string])[] {
    const fields: [string, string][] = [];
    const add = (prefix: string, value: unknown): void => {
      for (const [key, member] of entriesOf(value)) {
        if (fields.length >= maxFields) return;
        const inner = `${prefix}.${String(key)}`;
        const isNested = typeof member === 'object' && member !== null && typeof plainOf(member) === 'object';
        if (this.#isDeep && isNested) add(inner, member);
        else {
          const text = textOfValue(member);
          if (text !== undefined) fields.push([inner, text]);
        }
      }
    };
    add(name, this.#value);
    return fields;
  }

  /** Where fields cannot be several: the whole as it is. */
  get whole(): unknown {
    return this.#value;
  }
}
