/** Where the bodies of a protocol hold texts: what guards may read and write. */
import type { JsonDraft } from '../json/object-text.ts';

/** Kinds of content that a guard's `scope` names. */
export type TextScope = 'systemPrompt' | 'messages' | 'toolInput' | 'toolOutput';

export interface PlainMessage {
  readonly role: string;
  readonly content: string;
}

/** A text in a body; what is put in its place is written out with the body. */
export interface EditableText {
  text: string;
}

export interface RequestText extends EditableText {
  readonly scope: TextScope;
  readonly role: string;
  /** Which message it belongs to, in the order of the conversation. */
  readonly message: number;
}

export interface AnswerText extends EditableText {
  /** Which choice, or which block of content. */
  readonly choice: number;
  /** The answer itself; false for reasoning, refusals, arguments of tools and what else is said beside it. */
  readonly isMain: boolean;
}

/** A piece of a text that a stream brings bit by bit. */
export interface StreamPiece extends EditableText {
  /** The text that it belongs to. */
  readonly lane: string;
  /** Lanes of one group come one after the other: when another one begins, the one before has ended. */
  readonly group: string;
  readonly isMain: boolean;
  /** An event that carries only this lane, with this text. */
  alone(text: string, sequence: number | undefined): { readonly event: string | undefined; readonly data: string };
}

/** A text that comes whole, in a stream. */
export interface StreamWhole extends EditableText {
  /** It repeats what came in this lane. */
  readonly lane?: string | undefined;
  readonly isMain?: boolean;
}

export interface OpenedEvent {
  readonly pieces: readonly StreamPiece[];
  readonly wholes: readonly StreamWhole[];
  /** Lanes, or groups of them, that end with this event. */
  readonly ends: readonly string[] | 'all';
  /** Its number, where the protocol counts events. Set it to write another one. */
  sequence: number | undefined;
  /** The event's data. What tells generated text beside the text itself (log probabilities) is left out of it. */
  write(): string;
}

/** Where a protocol's bodies hold texts, for those who read and change them. Unknown members of answers count as texts. */
export interface ProtocolTexts {
  openRequest(body: JsonDraft): { readonly texts: readonly RequestText[]; write(): void };
  /** Adds messages before and behind the client's. */
  addMessages(body: JsonDraft, prepend: readonly PlainMessage[], append: readonly PlainMessage[]): void;
  /** Puts a conversation in place of the client's. */
  replaceMessages(body: JsonDraft, messages: readonly PlainMessage[]): void;
  /** Undefined: this is no JSON object. */
  openAnswer(text: string): { readonly texts: readonly AnswerText[]; write(): string } | undefined;
  /** Undefined: this is no JSON object. */
  openEvent(data: string): OpenedEvent | undefined;
  /** Later events repeat whole lanes. */
  readonly repeatsLanes: boolean;
}
