/** Bytes kept from one chunk to the next, copied, because the runtime may take a chunk's memory back once it is sent. */
export class Carry {
  readonly #maxBytes: number;
  #buffer = new Uint8Array(0);
  #length = 0;

  /** What comes beyond `maxBytes` is not kept. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get length(): number {
    return this.#length;
  }

  /** A view of what is kept; overwritten by what comes next. */
  get bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.#length);
  }

  append(bytes: Uint8Array): void {
    const kept = bytes.subarray(0, this.#maxBytes - this.#length);
    const needed = this.#length + kept.length;
    if (needed > this.#buffer.length) {
      // Doubling: a frame that comes byte by byte must not be copied byte by byte.
      const grown = new Uint8Array(Math.min(this.#maxBytes, Math.max(needed, this.#buffer.length * 2, 512)));
      grown.set(this.bytes);
      this.#buffer = grown;
    }
    this.#buffer.set(kept, this.#length);
    this.#length = needed;
  }

  /** Forgets everything; a large buffer is given back, a small one used again. */
  clear(): void {
    this.#length = 0;
    if (this.#buffer.length > 16_384) this.#buffer = new Uint8Array(0);
  }
}

/** The last `size` bytes of a run of any length. */
export class Tail {
  readonly #size: number;
  #buffer = new Uint8Array(0);
  #length = 0;

  constructor(size: number) {
    this.#size = size;
  }

  get bytes(): Uint8Array {
    return this.#buffer.subarray(Math.max(0, this.#length - this.#size), this.#length);
  }

  append(bytes: Uint8Array): void {
    // Twice the size: what is kept is moved down once per `size` bytes, not at every chunk.
    if (this.#buffer.length === 0) this.#buffer = new Uint8Array(this.#size * 2);
    const last = bytes.length > this.#size ? bytes.subarray(bytes.length - this.#size) : bytes;
    if (this.#length + last.length > this.#buffer.length) {
      const kept = this.bytes;
      this.#length = kept.length;
      this.#buffer.copyWithin(0, kept.byteOffset, kept.byteOffset + kept.length);
    }
    this.#buffer.set(last, this.#length);
    this.#length += last.length;
  }
}

/** One array of all the parts; the part itself when only one has bytes. */
export function joined(parts: readonly Uint8Array[]): Uint8Array {
  const filled = parts.filter((part) => part.length > 0);
  const [first = new Uint8Array(0)] = filled;
  if (filled.length <= 1) return first;
  const whole = new Uint8Array(filled.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of filled) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
