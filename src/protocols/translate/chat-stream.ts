/** A stream of chat completion chunks, read into parts that follow one another. */
import { parseValue } from '../../json/parse.ts';
import { countOf, type JsonRecord, recordOf, textOf } from '../answer-text.ts';
import type { AnswerWriter, TokenCounts, UpstreamError } from './answer-parts.ts';
import { idCarrying } from './call-id.ts';
import { headOf } from './chat-answer.ts';
import { argumentsIn, countsIn, reasonOf, saidIn, stopSequenceIn } from './chat-reading.ts';
import { errorIn, ownError } from './errors.ts';
import type { EventTranslation } from './events.ts';
import { freshId } from './identity.ts';
import { PartQueue, type QueuedPart } from './part-queue.ts';

const maxCalls = 256;

interface SeenCall {
  readonly id: string | undefined;
  readonly queued: QueuedPart;
}

/** Brings chunks to a writer. The end comes with `[DONE]`: only then is the usage known, which some servers send last. */
export function createChatStream(writer: AnswerWriter): EventTranslation {
  return new ChatStream(writer);
}

class ChatStream implements EventTranslation {
  failure: string | undefined;
  readonly #writer: AnswerWriter;
  readonly #parts: PartQueue;
  /** By index, in the order in which they came. */
  readonly #calls = new Map<number, SeenCall>();
  #hasBegun = false;
  #isEnded = false;
  #finish: unknown;
  #stopSequence: string | undefined;
  #usage: TokenCounts | undefined;

  constructor(writer: AnswerWriter) {
    this.#writer = writer;
    this.#parts = new PartQueue(writer);
  }

  event(data: string): string {
    if (this.#isEnded) return '';
    if (data.trim() === '[DONE]') return this.#finishAll();
    const chunk = chunkIn(data);
    if (chunk === undefined) return this.#giveUp('the upstream sent an event that cannot be read');
    const error = chunk.choices === undefined || chunk.error !== undefined ? errorIn(chunk) : undefined;
    if (error !== undefined) return this.#fail(error);
    let sent = this.#hasBegun ? '' : this.#writer.begin(headOf(chunk));
    this.#hasBegun = true;
    this.#usage = countsIn(chunk.usage) ?? this.#usage;
    const choice = recordOf(Array.isArray(chunk.choices) ? chunk.choices[0] : undefined);
    if (choice === undefined) return sent;
    const delta = recordOf(choice.delta) ?? recordOf(choice.message);
    if (delta !== undefined) sent += this.#words(delta) + this.#toolCalls(delta);
    this.#finish = choice.finish_reason ?? this.#finish;
    this.#stopSequence = stopSequenceIn(choice) ?? this.#stopSequence;
    const isTooMuch = this.#parts.isTooLong || this.#calls.size > maxCalls || this.#writer.isFull;
    return isTooMuch ? sent + this.#giveUp('the answer is too long to be translated') : sent;
  }

  alive(): string {
    return this.#isEnded ? '' : this.#writer.alive();
  }

  /** Whoever drives this adds an error where a stream lacks its end; so does this, for the case that nobody did. */
  end(): string {
    return this.#isEnded ? '' : this.#giveUp('the upstream ended its answer before it was whole');
  }

  #words(delta: JsonRecord): string {
    const { thinking, text, refusal } = saidIn(delta);
    let sent = '';
    if (thinking !== undefined) sent += this.#parts.say({ kind: 'thinking', name: thinking.name }, thinking.text);
    if (text !== '') sent += this.#parts.say({ kind: 'text' }, text);
    if (refusal !== '') sent += this.#parts.say({ kind: 'refusal' }, refusal);
    return sent;
  }

  #toolCalls(delta: JsonRecord): string {
    let sent = '';
    for (const [place, one] of (Array.isArray(delta.tool_calls) ? delta.tool_calls : []).entries()) {
      const given = recordOf(one);
      if (given !== undefined && this.#calls.size <= maxCalls) sent += this.#toolCall(given, place);
    }
    return sent;
  }

  #toolCall(given: JsonRecord, place: number): string {
    const called = recordOf(given.function);
    const index = this.#indexOf(given, place);
    let call = this.#calls.get(index);
    if (call === undefined) {
      const id = textOf(given.id);
      const told = idCarrying(id ?? `call_${freshId()}`, given.extra_content);
      const part = { kind: 'tool' as const, id: told, name: textOf(called?.name) ?? '' };
      call = { id, queued: this.#parts.add(part) };
      this.#calls.set(index, call);
    }
    return this.#parts.more(call.queued, argumentsIn(called));
  }

  /** Some servers number nothing, some give all calls one number; a piece without number and id goes on with the last call. */
  #indexOf(given: JsonRecord, place: number): number {
    const index = countOf(given.index);
    const id = textOf(given.id);
    const known = index === undefined ? undefined : this.#calls.get(index);
    if (index !== undefined && (known === undefined || id === undefined || known.id === id)) return index;
    if (id === undefined) return [...this.#calls.keys()].at(-1) ?? place;
    const same = [...this.#calls].find(([, call]) => call.id === id);
    return same?.[0] ?? Math.max(-1, ...this.#calls.keys()) + 1;
  }

  #finishAll(): string {
    let sent = this.#hasBegun ? '' : this.#writer.begin(headOf({}));
    this.#isEnded = true;
    sent += this.#parts.end();
    const reason = reasonOf(this.#finish, this.#calls.size > 0);
    return sent + this.#writer.end({ reason, stopSequence: this.#stopSequence, usage: this.#usage });
  }

  /** What is wrong with the answer itself. */
  #giveUp(message: string): string {
    this.failure = message;
    return this.#fail(ownError(message));
  }

  #fail(error: UpstreamError): string {
    this.#isEnded = true;
    return this.#writer.fail(error);
  }
}

function chunkIn(data: string): JsonRecord | undefined {
  try {
    return recordOf(parseValue(data));
  } catch {
    return undefined;
  }
}
