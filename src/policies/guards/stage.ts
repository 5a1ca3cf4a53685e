/** What a text that comes bit by bit passes through: each stage holds back what it cannot judge yet. */
import type { GatewayError } from '../../errors.ts';
import { type GuardRule, type Range, replaced } from './rule.ts';
import { codePointIn, Watcher } from './watcher.ts';

export interface Stage {
  /** Takes more of the text; gives what may leave. Throws GatewayError to reject the answer. */
  push(text: string): string | Promise<string>;
  /** The text is over. */
  end(): string | Promise<string>;
  /** Characters held back. */
  readonly held: number;
  /** Gives at least so many of the held characters, however undecided; undefined for a stage that bounds itself. */
  force: ((characters: number) => string) | undefined;
}

/** Called for every match; throws to reject. Returns the mask. */
export type OnMatch = () => string;

/**
 * One rule on one text. Let go is what stands before the oldest unfinished match: whatever begins there has ended there, so that
 * the rule finds the same as in the whole text, however it was cut.
 */
export class RuleStage implements Stage {
  readonly #rule: GuardRule;
  readonly #onMatch: OnMatch;
  readonly #watcher: Watcher;
  /** What is held, behind the one character before it, which decides on word boundaries. */
  #text = '';
  /** Length of that character: 0 at the beginning of everything, else 1 or 2. */
  #from = 0;
  /** Place of `#text[#from]` in the whole. */
  #base = 0;

  constructor(rule: GuardRule, onMatch: OnMatch) {
    this.#rule = rule;
    this.#onMatch = onMatch;
    this.#watcher = new Watcher(rule.program);
  }

  get held(): number {
    return this.#text.length - this.#from;
  }

  push(text: string): string {
    this.#text += text;
    this.#watcher.feed(text);
    const open = Math.min(this.#watcher.openFrom - this.#base + this.#from, this.#text.length);
    if (open <= this.#from) return '';
    if (!this.#watcher.hasMatched) return this.#release(open, []);
    const ranges = this.#rule.find(this.#text, this.#from);
    const cut = cutBefore(open, ranges);
    const released = this.#release(
      cut,
      ranges.filter((range) => range.to <= cut),
    );
    // What is still held may hold matches, too: they are looked for again when it is let go.
    if (this.held === 0) this.#watcher.hasMatched = false;
    return released;
  }

  end(): string {
    const released = this.#release(this.#text.length, this.#rule.find(this.#text, this.#from));
    this.#watcher.restart(this.#base, this.#lastCharacter());
    return released;
  }

  force(characters: number): string {
    const ranges = this.#rule.find(this.#text, this.#from);
    const wanted = Math.min(this.#from + characters, this.#text.length);
    const begun = ranges.filter((range) => range.from < wanted);
    const released = this.#release(Math.max(wanted, begun.at(-1)?.to ?? 0), begun);
    this.#watcher.restart(this.#base, this.#lastCharacter());
    this.#watcher.feed(this.#text.slice(this.#from));
    return released;
  }

  #release(to: number, ranges: readonly Range[]): string {
    const mask = ranges.length === 0 ? '' : this.#onMatch();
    const released = replaced(this.#text, this.#from, to, ranges, mask);
    if (to > this.#from) {
      const isPair =
        to >= 2 && /[\udc00-\udfff]/.test(this.#text.charAt(to - 1)) && /[\ud800-\udbff]/.test(this.#text.charAt(to - 2));
      this.#base += to - this.#from;
      this.#from = isPair ? 2 : 1;
      this.#text = this.#text.slice(to - this.#from);
    }
    return released;
  }

  #lastCharacter(): number {
    return this.#from === 0 ? -1 : codePointIn(this.#text, 0);
  }
}

/** The place before which everything is decided: no match may lie across it. Several patterns can overlap each other. */
function cutBefore(open: number, ranges: readonly Range[]): number {
  let cut = open;
  for (const range of ranges.toReversed()) if (range.from < cut && range.to > cut) cut = range.from;
  return cut;
}

/** Where a guard rejects, its words end the answer. */
export function rejectionOf(error: GatewayError): OnMatch {
  return () => {
    throw error;
  };
}
