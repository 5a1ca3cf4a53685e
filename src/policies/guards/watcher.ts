/** Follows one text, as it grows, through a program: from where on may a match still be under way? */
import { flagsBetween, type Program, Threads } from './program.ts';

/**
 * Not `codePointAt`: V8 (13.6 in Node 24, also in Deno 2.9) compiles it so that at the end of a slice it reads on in the text
 * that the slice is of. A half of a pair, as a stream may bring it, would count as two characters, and all behind it be misplaced.
 */
export function codePointIn(text: string, index: number): number {
  const first = text.charCodeAt(index);
  if ((first & 0xfc00) !== 0xd800 || index + 1 >= text.length) return first;
  const second = text.charCodeAt(index + 1);
  return (second & 0xfc00) === 0xdc00 ? 0x10000 + ((first & 0x3ff) << 10) + (second & 0x3ff) : first;
}

export class Watcher {
  readonly #program: Program;
  #threads = new Threads();
  #spare = new Threads();
  #before = -1;
  #at = 0;
  /** A match may have ended since `forget` was last called. */
  hasMatched = false;

  constructor(program: Program) {
    this.#program = program;
  }

  /** The place, counted from the first character ever fed, where the oldest unfinished match began; Infinity: there is none. */
  get openFrom(): number {
    let first = Number.POSITIVE_INFINITY;
    for (let index = 0; index < this.#threads.size; index++) first = Math.min(first, this.#threads.starts[index] as number);
    return first;
  }

  feed(text: string): void {
    for (let index = 0; index < text.length; ) {
      const char = codePointIn(text, index);
      if (this.#threads.size > 0 || this.#program.mayBegin(char)) {
        const flags = flagsBetween(this.#before, char);
        if (this.#program.step(this.#threads, this.#spare, this.#at, char, flags)) this.hasMatched = true;
        const done = this.#threads;
        this.#threads = this.#spare;
        this.#spare = done;
      }
      const length = char > 0xffff ? 2 : 1;
      this.#before = char;
      this.#at += length;
      index += length;
    }
  }

  /** Begins anew at `at`, behind `before`: whatever was under way is over. */
  restart(at: number, before: number): void {
    this.#threads.clear();
    this.#at = at;
    this.#before = before;
    this.hasMatched = false;
  }
}
