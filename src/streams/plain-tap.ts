import type { StreamEnd, Tap } from '../platform.ts';
import { brokeOff, noBytes, stoppedShort, type TapListeners, type TapReport } from './report.ts';

export interface PlainTapOptions extends TapListeners {
  /** Content-Length, where it is known: an answer that is shorter or longer is broken. */
  readonly expectedBytes?: number | undefined;
}

export function createPlainTap(options: PlainTapOptions): Tap {
  return new PlainTap(options);
}

/**
 * Counts bytes. A broken answer has no place for an error in it: the client's connection is cut. A class, as every answer makes
 * one: closures would cost each of them several objects.
 */
export class PlainTap implements Tap {
  readonly #listeners: TapListeners;
  readonly #expectedBytes: number | undefined;
  #bytes = 0;
  #isOver = false;

  constructor(options: PlainTapOptions) {
    this.#listeners = options;
    this.#expectedBytes = options.expectedBytes;
  }

  push(chunk: Uint8Array): Uint8Array {
    if (chunk.length === 0) return chunk;
    if (this.#bytes === 0) this.#listeners.onFirstByte();
    this.#listeners.onBytes?.();
    this.#bytes += chunk.length;
    return chunk;
  }

  end(): StreamEnd {
    const hasLength = this.#expectedBytes === undefined || this.#expectedBytes === this.#bytes;
    if (hasLength && this.isWhole()) return this.#finish('completed', undefined, undefined);
    return this.#finish('broken', stoppedShort(this.#listeners.server), undefined);
  }

  fail(cause: unknown): StreamEnd {
    return this.#finish('broken', brokeOff(this.#listeners.server), cause);
  }

  gone(): void {
    this.#finish('abandoned', undefined, undefined);
  }

  /** Asked at a clean end: whether what came looks like all of it. */
  protected isWhole(): boolean {
    return true;
  }

  /** What a whole answer tells beside its end. */
  protected completedWith(bytes: number): TapReport {
    return { how: 'completed', bytes, events: 0 };
  }

  #finish(how: TapReport['how'], failure: string | undefined, cause: unknown): StreamEnd {
    if (!this.#isOver) {
      this.#isOver = true;
      this.#listeners.onEnd(this.#reportOf(how, failure, cause));
    }
    return how === 'completed' ? wholeEnd : brokenEnd;
  }

  #reportOf(how: TapReport['how'], failure: string | undefined, cause: unknown): TapReport {
    if (how === 'completed') return this.completedWith(this.#bytes);
    if (failure === undefined) return { how, bytes: this.#bytes, events: 0 };
    return { how, bytes: this.#bytes, events: 0, failure, ...(cause !== undefined && { cause }) };
  }
}

const wholeEnd: StreamEnd = { bytes: noBytes, complete: true };
const brokenEnd: StreamEnd = { bytes: noBytes, complete: false };
