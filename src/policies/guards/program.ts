/**
 * A pattern as the machine that RE2 makes of it, asked what no search tells: might text that has not come yet still turn what
 * is here into a match? Only then must a stream wait. The machine is stepped as in any search without backtracking: all
 * threads at once, one character at a time.
 */
import type { RE2JS } from 're2js';

/** The instructions of re2js (its Inst.js); the version is pinned, and a test holds it against this. */
const op = { alt: 1, altMatch: 2, capture: 3, emptyWidth: 4, fail: 5, match: 6, nop: 7, firstRune: 8, lastRune: 11 } as const;

interface Instruction {
  readonly op: number;
  readonly out: number;
  readonly arg: number;
  matchRune(rune: number): boolean;
}

/** Conditions of an emptyWidth instruction. */
const beginLine = 1;
const endLine = 2;
const beginText = 4;
const wordBoundary = 16;
const noWordBoundary = 32;
const any = 63;

export class Program {
  /** Characters of the longest match; Infinity where there is no longest. */
  readonly maxLength: number;
  readonly #code: readonly Instruction[];
  readonly #start: number;
  /** ASCII characters with which a match can begin. */
  readonly #begins = new Uint8Array(128);

  constructor(regex: RE2JS) {
    const { inst, start } = programIn(regex);
    this.#code = inst;
    this.#start = start;
    const first: number[] = [];
    this.#close([start], any, first, new Set());
    for (let char = 0; char < 128; char++) {
      if (first.some((pc) => this.#code[pc]?.matchRune(char))) this.#begins[char] = 1;
    }
    this.maxLength = this.#longest();
  }

  get size(): number {
    return this.#code.length;
  }

  mayBegin(char: number): boolean {
    return char >= 128 || this.#begins[char] === 1;
  }

  /**
   * Steps over one character. `threads` are where matches have got to, the oldest first; `starts` where each began. What they
   * become is put into `next` and `nextStarts`. True when a match has ended before this character.
   */
  step(from: Threads, to: Threads, at: number, char: number, flags: number): boolean {
    to.clear();
    let hasMatched = false;
    if (seen.length < this.size) seen = new Uint8Array(this.size * 2);
    else seen.fill(0, 0, this.size);
    const run = (pc: number, start: number): void => {
      const stack = [pc];
      for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
        if (seen[next] === 1) continue;
        seen[next] = 1;
        const { op: kind, out, arg } = this.#code[next] as Instruction;
        if (kind === op.match) hasMatched = true;
        else if (kind === op.alt || kind === op.altMatch) stack.push(arg, out);
        else if (kind === op.capture || kind === op.nop) stack.push(out);
        else if (kind === op.emptyWidth) {
          if ((arg & ~flags) === 0) stack.push(out);
        } else if (kind >= op.firstRune && kind <= op.lastRune && this.#code[next]?.matchRune(char)) to.add(out, start);
      }
    };
    for (let index = 0; index < from.size; index++) run(from.pcs[index] as number, from.starts[index] as number);
    if (this.mayBegin(char)) run(this.#start, at);
    return hasMatched;
  }

  #close(open: number[], flags: number, found: number[], visited: Set<number>): void {
    for (let pc = open.pop(); pc !== undefined; pc = open.pop()) {
      if (visited.has(pc)) continue;
      visited.add(pc);
      const { op: kind, out, arg } = this.#code[pc] as Instruction;
      if (kind === op.alt || kind === op.altMatch) open.push(arg, out);
      else if (kind === op.capture || kind === op.nop || (kind === op.emptyWidth && (arg & ~flags) === 0)) open.push(out);
      else if (kind !== op.fail) found.push(pc);
    }
  }

  /** The longest way through the machine; a circle that takes characters makes it endless. Without recursion: programs are long. */
  #longest(): number {
    const lengths = new Map<number, number>();
    const isOpen = new Set<number>();
    const stack = [this.#start];
    for (let pc = stack.at(-1); pc !== undefined; pc = stack.at(-1)) {
      const { op: kind, out, arg } = this.#code[pc] as Instruction;
      const isEnd = kind === op.match || kind === op.fail;
      const nexts = isEnd ? [] : kind === op.alt || kind === op.altMatch ? [out, arg] : [out];
      if (lengths.has(pc)) {
        stack.pop();
      } else if (isOpen.has(pc)) {
        const own = kind >= op.firstRune && kind <= op.lastRune ? 1 : 0;
        lengths.set(pc, own + Math.max(0, ...nexts.map((next) => lengths.get(next) ?? 0)));
        isOpen.delete(pc);
        stack.pop();
      } else {
        isOpen.add(pc);
        // A circle that takes no character is none that makes a match longer, but patterns hardly have those: all count.
        if (nexts.some((next) => isOpen.has(next) && !lengths.has(next))) return Number.POSITIVE_INFINITY;
        stack.push(...nexts.filter((next) => !lengths.has(next)));
      }
    }
    return lengths.get(this.#start) ?? Number.POSITIVE_INFINITY;
  }
}

let seen = new Uint8Array(256);

/** Where matches have got to, the oldest first, and where each began. */
export class Threads {
  pcs: number[] = [];
  starts: number[] = [];
  size = 0;

  clear(): void {
    this.size = 0;
  }

  /** Two may stand at one place; the older one is looked at first, and the other one then no more. */
  add(pc: number, start: number): void {
    this.pcs[this.size] = pc;
    this.starts[this.size++] = start;
  }
}

/** What holds between two characters; -1 is the beginning of the text. */
export function flagsBetween(before: number, behind: number): number {
  let flags = isWord(before) === isWord(behind) ? noWordBoundary : wordBoundary;
  if (before < 0) flags |= beginText | beginLine;
  else if (before === 10) flags |= beginLine;
  if (behind === 10) flags |= endLine;
  return flags;
}

function isWord(char: number): boolean {
  return (char >= 48 && char <= 57) || (char >= 65 && char <= 90) || char === 95 || (char >= 97 && char <= 122);
}

function programIn(regex: RE2JS): { readonly inst: readonly Instruction[]; readonly start: number } {
  const { prog } = (regex as unknown as { re2Input: { prog: { inst: readonly Instruction[]; start: number } } }).re2Input;
  return prog;
}
