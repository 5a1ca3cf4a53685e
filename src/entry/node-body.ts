/** One answer of an upstream as undici's dispatcher hands it over: held until somebody takes it, then passed on chunk by chunk. */
import type { Dispatcher } from 'undici';
import type { GatewayError } from '../errors.ts';
import { staysBehind } from '../http/hop-headers.ts';
import type { UpstreamBody, UpstreamRequest, UpstreamResponse } from '../platform.ts';
import { networkErrorOf } from './network-errors.ts';
import { concat, tooLong } from './web-body.ts';

/** Who takes the bytes. Called synchronously, straight from the parser. */
export interface BodySink {
  /** False: wait; `NodeBody.resume` goes on. */
  data(chunk: Uint8Array): boolean;
  end(): void;
  fail(cause: GatewayError): void;
}

/** What may arrive before somebody takes the body; past that the connection is paused. */
const maxHeldBytes = 64 * 1024;

/**
 * A handler for `dispatch` instead of `undici.request`: no Readable and no AsyncResource per answer, and an answer that came
 * in one packet is here, whole, before anybody asks for it.
 */
export class NodeBody implements UpstreamBody, Dispatcher.DispatchHandler {
  readonly #request: UpstreamRequest;
  readonly #startedMs: number;
  #resolve: ((response: UpstreamResponse) => void) | undefined;
  #reject: ((reason: unknown) => void) | undefined;
  #controller: Dispatcher.DispatchController | undefined;
  #held: Uint8Array[] = [];
  #heldBytes = 0;
  #isEnded = false;
  #isGivenUp = false;
  #error: GatewayError | undefined;
  #sink: BodySink | undefined;
  /** Told when there is something to see, before anybody has taken the body. */
  #onFirst: (() => void) | undefined;

  constructor(
    request: UpstreamRequest,
    startedMs: number,
    resolve: (response: UpstreamResponse) => void,
    reject: (reason: unknown) => void,
  ) {
    this.#request = request;
    this.#startedMs = startedMs;
    this.#resolve = resolve;
    this.#reject = reject;
    request.signal.addEventListener('abort', this);
  }

  // --- as UpstreamBody

  first(): Promise<Uint8Array | undefined> {
    return new Promise((resolve, reject) => {
      const look = () => {
        const [chunk] = this.#held;
        if (chunk !== undefined || (this.#isEnded && this.#error === undefined)) resolve(chunk);
        else if (this.#error !== undefined) reject(this.#error);
        else this.#onFirst = look;
      };
      look();
    });
  }

  read(maxBytes: number): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      const chunks: Uint8Array[] = [];
      let total = 0;
      this.take({
        data: (chunk) => {
          total += chunk.length;
          if (total > maxBytes) {
            reject(tooLong(maxBytes));
            this.cancel();
            return true;
          }
          chunks.push(chunk);
          return true;
        },
        end: () => resolve(concat(chunks, total)),
        fail: reject,
      });
    });
  }

  stream(): ReadableStream<Uint8Array> {
    return new ReadableStream<Uint8Array>(
      {
        start: (controller) =>
          this.take({
            data(chunk) {
              controller.enqueue(chunk);
              return (controller.desiredSize ?? 0) > 0;
            },
            end: () => controller.close(),
            fail: (cause) => controller.error(cause),
          }),
        pull: () => this.resume(),
        cancel: () => this.cancel(),
      },
      { highWaterMark: 1 },
    );
  }

  cancel(): void {
    if (this.#isGivenUp) return;
    this.#isGivenUp = true;
    this.#sink = undefined;
    this.#held = [];
    if (!this.#isEnded) this.#controller?.abort(new Error('given up'));
    this.#release();
  }

  /** The whole body when all of it is here already, else undefined. */
  get whole(): Uint8Array | undefined {
    return this.#isEnded && this.#error === undefined && !this.#isGivenUp ? concat(this.#held, this.#heldBytes) : undefined;
  }

  /** Hands over what is held and from then on everything as it comes. Once only. */
  take(sink: BodySink): void {
    this.#sink = sink;
    const held = this.#held;
    this.#held = [];
    let goesOn = true;
    for (const chunk of held) goesOn = sink.data(chunk) && goesOn;
    if (this.#isGivenUp) return;
    if (this.#error !== undefined) sink.fail(this.#error);
    else if (this.#isEnded) sink.end();
    else if (goesOn) this.#controller?.resume();
    else this.#controller?.pause();
  }

  resume(): void {
    this.#controller?.resume();
  }

  // --- as undici's handler

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#isGivenUp) controller.abort(new Error('given up'));
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    received: Record<string, string | string[] | undefined>,
  ): void {
    if (status < 200) return;
    const resolve = this.#resolve;
    this.#resolve = undefined;
    this.#reject = undefined;
    this.#controller = controller;
    resolve?.({ status, headers: headersOf(received), body: this });
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Uint8Array): void {
    if (this.#isGivenUp) return;
    if (this.#sink !== undefined) {
      if (!this.#sink.data(chunk)) controller.pause();
      return;
    }
    this.#held.push(chunk);
    this.#heldBytes += chunk.length;
    this.#tellFirst();
    if (this.#heldBytes > maxHeldBytes) controller.pause();
  }

  onResponseEnd(): void {
    this.#isEnded = true;
    this.#release();
    if (!this.#isGivenUp) this.#sink?.end();
    this.#tellFirst();
  }

  onResponseError(_controller: Dispatcher.DispatchController | undefined, thrown: Error): void {
    const { signal } = this.#request;
    this.#release();
    if (this.#reject !== undefined) {
      const reject = this.#reject;
      this.#reject = undefined;
      reject(signal.aborted ? signal.reason : networkErrorOf(thrown, performance.now() - this.#startedMs));
      return;
    }
    if (this.#isGivenUp || this.#isEnded) return;
    this.#isEnded = true;
    this.#error = networkErrorOf(signal.aborted ? signal.reason : thrown);
    this.#sink?.fail(this.#error);
    this.#tellFirst();
  }

  /** The signal's listener: an object with this method instead of a closure per request. */
  handleEvent(): void {
    const { reason } = this.#request.signal;
    const reject = this.#reject;
    this.#reject = undefined;
    if (reject !== undefined) {
      this.#isGivenUp = true;
      reject(reason);
    }
    if (!this.#isEnded) this.#controller?.abort(reason instanceof Error ? reason : new Error('aborted'));
  }

  #tellFirst(): void {
    const onFirst = this.#onFirst;
    this.#onFirst = undefined;
    onFirst?.();
  }

  #release(): void {
    this.#request.signal.removeEventListener('abort', this);
  }
}

function headersOf(received: Record<string, string | string[] | undefined>): Headers {
  const headers = new Headers();
  const connection = String(received.connection ?? 'close');
  for (const name in received) {
    const value = received[name];
    if (value === undefined || staysBehind(name, connection)) continue;
    if (typeof value === 'string') headers.append(name, value);
    else for (const one of value) headers.append(name, one);
  }
  return headers;
}
