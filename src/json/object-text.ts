/**
 * A JSON object as text: read member by member, edited without touching a byte of what is not meant. Ollama (Go's
 * encoding/json) folds member names by Unicode simple folding and lets the last one win; so does this.
 */

/** A JSON object that was checked to be one. Reading never changes it. */
export interface ObjectText {
  /** Whether a member whose name folds to `name` exists. `name` is given in lower case ASCII. */
  has(name: string): boolean;
  /** Whether any of these members exists: cheaper than to ask for one after the other. Names in lower case ASCII. */
  hasAny(names: ReadonlySet<string>): boolean;
  /** The member's value as JSON.parse gives it (big integers rounded: look, do not re-serialise); undefined when absent. */
  get(name: string): unknown;
  /** The member's exact JSON text; undefined when absent. */
  textOf(name: string): string | undefined;
  /** A fresh draft. Several drafts of one object do not see each other. */
  draft(): JsonDraft;
}

/** Pending edits of one object, written out once. */
export interface JsonDraft {
  /** How often it was edited so far: two equal numbers say that nothing was touched in between. */
  readonly edits: number;
  has(name: string): boolean;
  get(name: string): unknown;
  textOf(name: string): string | undefined;
  /** Replaces or appends the member. `undefined` deletes it. */
  set(name: string, value: unknown): void;
  /** Replaces or appends the member with JSON text that is known to be valid. */
  setText(name: string, json: string): void;
  delete(name: string): void;
  /** The original bytes when nothing was edited and no member was a losing spelling; otherwise the edited text, UTF-8. */
  bytes(): Uint8Array;
}
