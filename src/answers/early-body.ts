/** The body of an answer whose headers left before anybody had answered: heartbeats, then what the work comes to. */
import { ClientGone } from '../backends/send.ts';
import type { GatewayError } from '../errors.ts';
import { type Exchange, tellGone } from '../exchange.ts';
import type { StreamWatch } from '../streams/idle.ts';

/** What follows the heartbeats. `isEnded`: whoever gives the bytes ends the exchange, too. */
export type Following =
  | { readonly reader: ReadableStreamDefaultReader<Uint8Array> | undefined; readonly isEnded: boolean }
  | { readonly error: GatewayError; readonly isEnded: false };

export interface EarlyBodyOptions {
  readonly exchange: Exchange;
  readonly watch: StreamWatch;
  readonly beatEveryMs: number;
  beat(): Uint8Array;
  /** Lines: the last one gets its end where it has none. */
  readonly endsLine: boolean;
  /** Never rejects. */
  readonly following: Promise<Following>;
  /** The last words for the client. */
  wordsOf(error: GatewayError): string;
  /** The exchange is over. */
  end(): void;
}

type Controller = ReadableStreamDefaultController<Uint8Array>;

const lineFeed = 0x0a;

export class EarlyBody {
  readonly stream: ReadableStream<Uint8Array>;
  readonly #options: EarlyBodyOptions;
  readonly #opened: Promise<Following>;
  #following: Following | undefined;
  #isOver = false;
  /** Of a body that does not end the exchange itself. */
  #hasEnded = false;
  #lastByte = lineFeed;
  #controller: Controller | undefined;

  constructor(options: EarlyBodyOptions) {
    this.#options = options;
    this.#opened = options.following.then((following) => this.#open(following));
    this.stream = new ReadableStream<Uint8Array>(
      {
        start: (controller) => this.#beginBeats(controller),
        pull: (controller) => this.#pull(controller),
        cancel: () => this.#leave(),
      },
      { highWaterMark: 0 },
    );
  }

  #beginBeats(controller: Controller): void {
    this.#controller = controller;
    // At once: some runtimes send headers with the first bytes only.
    this.#beat();
    this.#options.watch.beat(this.#options.beatEveryMs, () => this.#beat());
  }

  #beat(): boolean {
    // Less than nothing is wanted: the client has not even taken the last one.
    if (this.#isOver || (this.#controller?.desiredSize ?? -1) < 0) return false;
    this.#controller?.enqueue(this.#options.beat());
    return true;
  }

  #open(following: Following): Following {
    this.#options.watch.stop();
    this.#following = following;
    if (this.#isOver) this.#letGo(following);
    else if ('error' in following) this.#end(following.error);
    // Whatever follows counts its own silence, from now on.
    else this.#beat();
    return following;
  }

  async #pull(controller: Controller): Promise<void> {
    const following = this.#following ?? (await this.#opened);
    if (this.#isOver) return;
    if ('error' in following) return this.#close(controller, new TextEncoder().encode(this.#options.wordsOf(following.error)));
    const { reader } = following;
    try {
      const step = await reader?.read();
      if (this.#isOver) return;
      if (step === undefined || step.done) return this.#finish(controller, following.isEnded);
      this.#lastByte = step.value.at(-1) ?? this.#lastByte;
      controller.enqueue(step.value);
    } catch (thrown) {
      if (this.#isOver) return;
      this.#isOver = true;
      if (!following.isEnded) this.#end();
      controller.error(thrown);
    }
  }

  #finish(controller: Controller, isEnded: boolean): void {
    const isUnfinished = this.#options.endsLine && this.#lastByte !== lineFeed;
    this.#close(controller, new Uint8Array(isUnfinished ? [lineFeed] : []));
    if (!isEnded) this.#end();
  }

  #close(controller: Controller, last: Uint8Array): void {
    this.#isOver = true;
    if (last.length > 0) controller.enqueue(last);
    controller.close();
  }

  /** The client has left, or a policy has let the answer go. */
  #leave(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const { exchange, watch } = this.#options;
    watch.stop();
    if (this.#following === undefined) tellGone(exchange);
    else this.#letGo(this.#following);
  }

  #letGo(following: Following): void {
    if (!('error' in following)) {
      following.reader?.cancel().catch(() => undefined);
      if (following.isEnded) return;
    }
    const { exchange } = this.#options;
    // What a policy has let go of before the client had any of it is what is answered instead.
    if (exchange.isAnswered && !this.#hasEnded) exchange.outcome = 'abandoned';
    this.#end();
  }

  #end(error?: GatewayError): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    const { exchange, end } = this.#options;
    if (error?.cause instanceof ClientGone) {
      exchange.outcome = 'abandoned';
    } else if (error !== undefined) {
      exchange.error = error;
      exchange.outcome = error.status < 500 ? 'refused' : 'failed';
    }
    end();
  }
}
