/** An upstream's body where the client is the runtime's `fetch`. */
import { GatewayError } from '../errors.ts';
import type { UpstreamBody } from '../platform.ts';
import { networkErrorOf } from './network-errors.ts';

export class WebBody implements UpstreamBody {
  readonly #response: Response;
  /** As announced by the upstream and undefined for chunked bodies. */
  readonly length: number | undefined;
  #begun: { readonly reader: ReadableStreamDefaultReader<Uint8Array>; readonly reading: Reading } | undefined;

  constructor(response: Response, length: number | undefined) {
    this.#response = response;
    this.length = length;
  }

  /** Null where the answer has no body at all. */
  get source(): ReadableStream<Uint8Array> | null {
    return this.#response.body;
  }

  async first(): Promise<Uint8Array | undefined> {
    const reader = this.source?.getReader();
    if (reader === undefined) return undefined;
    const reading = reader.read();
    this.#begun = { reader, reading };
    try {
      return (await reading).value;
    } catch (thrown) {
      throw networkErrorOf(thrown);
    }
  }

  /** What `first` has begun to read; undefined where nobody has asked for it. */
  get begun(): { readonly reader: ReadableStreamDefaultReader<Uint8Array>; readonly reading: Reading } | undefined {
    return this.#begun;
  }

  stream(): ReadableStream<Uint8Array> {
    if (this.#begun !== undefined) return goneOn(this.#begun.reader, this.#begun.reading);
    return this.source ?? new ReadableStream({ start: (controller) => controller.close() });
  }

  /** Everything at once. Only for bodies whose `length` is known and small. */
  async whole(): Promise<Uint8Array> {
    try {
      return new Uint8Array(await this.#response.arrayBuffer());
    } catch (thrown) {
      throw networkErrorOf(thrown);
    }
  }

  async read(maxBytes: number): Promise<Uint8Array> {
    if (this.length !== undefined) {
      if (this.length > maxBytes) throw this.#tooLong(maxBytes);
      return this.whole();
    }
    const reader = this.source?.getReader();
    if (reader === undefined) return new Uint8Array(0);
    const chunks: Uint8Array[] = [];
    let total = 0;
    for (;;) {
      const { done, value } = await reader.read().catch((thrown: unknown) => {
        throw networkErrorOf(thrown);
      });
      if (done) return concat(chunks, total);
      total += value.length;
      if (total > maxBytes) {
        reader.cancel().catch(ignore);
        throw tooLong(maxBytes);
      }
      chunks.push(value);
    }
  }

  cancel(): void {
    (this.#begun?.reader ?? this.source)?.cancel().catch(ignore);
  }

  #tooLong(maxBytes: number): GatewayError {
    this.cancel();
    return tooLong(maxBytes);
  }
}

export type Reading = Promise<ReadableStreamReadResult<Uint8Array>>;

/** The stream behind a reader whose first reading has been begun. */
function goneOn(reader: ReadableStreamDefaultReader<Uint8Array>, begun: Reading): ReadableStream<Uint8Array> {
  let reading: Reading | undefined = begun;
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const result = await (reading ?? reader.read());
        reading = undefined;
        if (result.done) controller.close();
        else controller.enqueue(result.value);
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  );
}

/** The chunks as one array; the array itself when there is just one. */
export function concat(chunks: readonly Uint8Array[], total: number): Uint8Array {
  if (chunks.length === 1 && chunks[0] !== undefined) return chunks[0];
  const whole = new Uint8Array(total);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}

export function tooLong(maxBytes: number): GatewayError {
  return new GatewayError('upstream_closed', `the answer is longer than ${maxBytes} bytes`);
}

/** For promises whose failure changes nothing: the connection is being given up anyway. */
export function ignore(): void {}
