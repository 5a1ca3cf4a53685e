import type { TapReport } from './report.ts';
import type { StreamSeen, StreamShape } from './shape.ts';

/** What a stream has told so far, event by event. */
export class StreamStory {
  /** Events with content: neither the usage, nor a failure, nor the end. */
  events = 0;
  readonly #shape: StreamShape;
  #isTerminated = false;
  #failed: string | undefined;
  #usage: TapReport['usage'];
  #model: string | undefined;
  #answerId: string | undefined;

  constructor(shape: StreamShape) {
    this.#shape = shape;
  }

  /** The box has said how the answer ended, well or badly. */
  get isEnded(): boolean {
    return this.#isTerminated || this.#failed !== undefined;
  }

  /** Takes in one telling event. True: it only exists because Corral asked for usage. */
  learn(data: string, event: string | undefined): boolean {
    const isTerminator = this.#shape.isTerminator(data, event);
    const facts = this.#shape.factsOf(data, event);
    const isUsageOnly = facts.isUsageOnly === true;
    if (isTerminator) this.#isTerminated = true;
    this.#failed ??= facts.failed;
    this.#usage = facts.usage ?? this.#usage;
    this.#model = facts.model ?? this.#model;
    this.#answerId = facts.answerId ?? this.#answerId;
    if (!isTerminator && !isUsageOnly && facts.usage === undefined && facts.failed === undefined) this.events++;
    return isUsageOnly;
  }

  seen(): StreamSeen {
    return { answerId: this.#answerId, model: this.#model, events: this.events };
  }

  /** `how` and `failure` stand unless the stream itself said how it ended. */
  report(how: TapReport['how'], failure: string | undefined, cause: unknown, bytes: number): TapReport {
    const ending = this.#failed !== undefined ? 'broken' : this.#isTerminated ? 'completed' : how;
    const reason = this.#failed ?? (ending === 'broken' ? failure : undefined);
    return {
      how: ending,
      bytes,
      events: this.events,
      ...(this.#usage !== undefined && { usage: this.#usage }),
      ...(this.#model !== undefined && { model: this.#model }),
      ...(reason !== undefined && { failure: reason }),
      ...(cause !== undefined && { cause }),
    };
  }
}
