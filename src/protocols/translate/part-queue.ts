/**
 * Parts of an answer, one after another. Servers may send several calls of tools at once, piece by piece; clients read one at a
 * time. So the first that is not whole is written as it comes, and what belongs to later ones waits for it.
 */
import type { AnswerPart, AnswerWriter } from './answer-parts.ts';

/** Of what waits. No model writes near as much. */
const maxWaitingLength = 8_388_608;

export interface QueuedPart {
  readonly part: AnswerPart;
  /** Of a call: its arguments are a whole object. */
  readonly ending: ArgumentsEnd | undefined;
  waiting: string;
  state: 'waiting' | 'open' | 'closed';
}

export class PartQueue {
  readonly #writer: AnswerWriter;
  readonly #queue: QueuedPart[] = [];
  #waitingLength = 0;

  constructor(writer: AnswerWriter) {
    this.#writer = writer;
  }

  get isTooLong(): boolean {
    return this.#waitingLength > maxWaitingLength;
  }

  /** Words go on with the last part when they are of its kind. */
  say(part: AnswerPart, text: string): string {
    const last = this.#queue.at(-1);
    return this.more(last?.part.kind === part.kind ? last : this.add(part), text);
  }

  /** A new part behind all others; nothing is written of it yet. */
  add(part: AnswerPart): QueuedPart {
    const ending = part.kind === 'tool' ? new ArgumentsEnd() : undefined;
    const queued: QueuedPart = { part, ending, waiting: '', state: 'waiting' };
    this.#queue.push(queued);
    return queued;
  }

  more(queued: QueuedPart, text: string): string {
    queued.ending?.push(text);
    if (queued.state === 'open') return (text === '' ? '' : this.#writer.more(text)) + this.#advance(false);
    // After its end a call has nothing to say; servers send blanks there.
    if (queued.state === 'closed') return '';
    queued.waiting += text;
    this.#waitingLength += text.length;
    return this.#advance(false);
  }

  /** Writes all that waits. */
  end(): string {
    return this.#advance(true);
  }

  #advance(isEnd: boolean): string {
    let sent = '';
    for (;;) {
      const [first, next] = this.#queue;
      if (first === undefined) return sent;
      if (first.state === 'waiting') sent += this.#open(first);
      const isDone = next !== undefined && (first.ending === undefined || first.ending.isWhole);
      if (!isDone && !isEnd) return sent;
      first.state = 'closed';
      this.#queue.shift();
      sent += this.#writer.close();
    }
  }

  #open(queued: QueuedPart): string {
    const { waiting } = queued;
    queued.state = 'open';
    queued.waiting = '';
    this.#waitingLength -= waiting.length;
    return this.#writer.open(queued.part) + (waiting === '' ? '' : this.#writer.more(waiting));
  }
}

/** Notices when a JSON object that comes in pieces is whole. Keeps three values, never the text. */
export class ArgumentsEnd {
  isWhole = false;
  #depth = 0;
  #isInString = false;
  #isEscaped = false;

  push(text: string): void {
    for (let at = 0; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (this.#isInString) {
        if (this.#isEscaped) this.#isEscaped = false;
        else if (code === 0x5c) this.#isEscaped = true;
        else if (code === 0x22) this.#isInString = false;
      } else if (code === 0x22) {
        this.#isInString = true;
      } else if (code === 0x7b || code === 0x5b) {
        this.#depth++;
      } else if ((code === 0x7d || code === 0x5d) && --this.#depth === 0) {
        this.isWhole = true;
      }
    }
  }
}
