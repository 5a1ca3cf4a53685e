/** `request.headers`: names in any case, as HTTP has it. */

export type HeaderShape = 'plain' | 'joined' | 'raw' | 'split';

/** Their values are never shown by `redacted()`. */
const sensitive = new Set([
  'authorization',
  'proxy-authorization',
  'cookie',
  'set-cookie',
  'x-api-key',
  'api-key',
  'x-goog-api-key',
]);

/**
 * Headers as a map. The platform has joined several lines of one name to one text already (only `set-cookie` keeps its lines),
 * so a list is what `raw()` and `split()` make, and what several `set-cookie` lines are.
 */
export class HeaderView extends Map<string, unknown> {
  readonly #headers: Headers;
  readonly #shape: HeaderShape;
  readonly #isRedacted: boolean;

  constructor(headers: Headers, shape: HeaderShape = 'plain', isRedacted = false) {
    super();
    this.#headers = headers;
    this.#shape = shape;
    this.#isRedacted = isRedacted;
  }

  /** The same headers, told in another way. */
  as(shape: HeaderShape): HeaderView {
    return new HeaderView(this.#headers, shape, this.#isRedacted);
  }

  redacted(): HeaderView {
    return new HeaderView(this.#headers, this.#shape, true);
  }

  /** The first cookie of this name that the client sent. */
  cookie(name: string): string | undefined {
    for (const pair of (this.#headers.get('cookie') ?? '').split(';')) {
      const at = pair.indexOf('=');
      if (at >= 0 && pair.slice(0, at).trim() === name) return pair.slice(at + 1).trim();
    }
    return undefined;
  }

  override get(name: string): unknown {
    let value: string | null;
    try {
      value = this.#headers.get(name);
    } catch {
      return undefined; // no header can have this name
    }
    if (value === null) return undefined;
    const lower = name.toLowerCase();
    if (this.#isRedacted && sensitive.has(lower)) value = '<redacted>';
    else if (lower === 'set-cookie') return this.#shaped(this.#headers.getSetCookie());
    return this.#shaped([textOfBytes(value)]);
  }

  #shaped(lines: readonly string[]): unknown {
    if (this.#shape === 'raw') return [...lines];
    if (this.#shape === 'joined') return lines.join(',');
    if (this.#shape === 'split') return lines.flatMap((line) => line.split(',')).map((part) => part.trim());
    return lines.length === 1 ? lines[0] : [...lines];
  }

  override has(name: string): boolean {
    return this.get(name) !== undefined;
  }

  override *keys(): MapIterator<string> {
    // Headers give one entry for each `set-cookie`.
    yield* new Set(this.#headers.keys());
  }

  override *entries(): MapIterator<[string, unknown]> {
    for (const name of this.keys()) yield [name, this.get(name)];
  }

  override *values(): MapIterator<unknown> {
    for (const name of this.keys()) yield this.get(name);
  }

  override [Symbol.iterator](): MapIterator<[string, unknown]> {
    return this.entries();
  }

  override get size(): number {
    return new Set(this.#headers.keys()).size;
  }
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Header values come as one sign a byte; where the bytes are UTF-8, as they are nearly always beyond ASCII, that is what is meant. */
function textOfBytes(value: string): string {
  if (!/[\x80-\xff]/.test(value)) return value;
  try {
    return decoder.decode(Uint8Array.from(value, (sign) => sign.charCodeAt(0)));
  } catch {
    return value;
  }
}
