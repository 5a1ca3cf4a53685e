/** What expressions look into: each member is worked out when an expression reads it, so what nobody reads costs nothing. */

/** Works a member out; undefined when it is not there. */
export type Reader<Source> = (source: Source) => unknown;
export type Readers<Source> = ReadonlyMap<string, Reader<Source>>;

/** A map whose values are computed. It is a Map because cel-js looks into those by `get`. */
export class View<Source = unknown> extends Map<string, unknown> {
  readonly #readers: Readers<Source>;
  readonly #source: Source;

  constructor(readers: Readers<Source>, source: Source) {
    super();
    this.#readers = readers;
    this.#source = source;
  }

  override get(name: string): unknown {
    return this.#readers.get(name)?.(this.#source);
  }

  override has(name: string): boolean {
    return this.get(name) !== undefined;
  }

  override *keys(): MapIterator<string> {
    for (const [name] of this.entries()) yield name;
  }

  override *entries(): MapIterator<[string, unknown]> {
    for (const [name, reader] of this.#readers) {
      const value = reader(this.#source);
      if (value !== undefined) yield [name, value];
    }
  }

  override *values(): MapIterator<unknown> {
    for (const [, value] of this.entries()) yield value;
  }

  override [Symbol.iterator](): MapIterator<[string, unknown]> {
    return this.entries();
  }

  override get size(): number {
    return [...this.entries()].length;
  }
}
