/** Reading answers whole: within a limit for each, and within what the process may hold of all of them. */
import { GatewayError } from '../errors.ts';
import { joinBytes } from '../json/splice.ts';

/** Bytes that are held by all exchanges together. */
export interface AnswerMemory {
  open(maxTotalBytes: number): Account;
}

/** What one exchange holds. */
export interface Account {
  /** Takes `bytes` when they are left. */
  take(bytes: number): boolean;
  /** Gives everything back. */
  close(): void;
}

export function createAnswerMemory(): AnswerMemory {
  let total = 0;
  return {
    open(maxTotalBytes) {
      let own = 0;
      return {
        take(bytes) {
          if (total + bytes > maxTotalBytes) return false;
          total += bytes;
          own += bytes;
          return true;
        },
        close() {
          total -= own;
          own = 0;
        },
      };
    },
  };
}

type Reader = ReadableStreamDefaultReader<Uint8Array>;

export interface HalfRead {
  readonly isWhole: false;
  readonly parts: readonly Uint8Array[];
  readonly reader: Reader;
  /** The process holds too much already; otherwise this one was too long. */
  readonly isFull: boolean;
  cancel(): void;
}

export type ReadAnswer = { readonly isWhole: true; readonly bytes: Uint8Array } | HalfRead;

/** Stops at the first chunk that is too much. Throws upstream_closed where the answer breaks off. */
export async function readWhole(body: ReadableStream<Uint8Array>, maxBytes: number, account: Account): Promise<ReadAnswer> {
  const reader = body.getReader();
  const parts: Uint8Array[] = [];
  let total = 0;
  for (;;) {
    const { done, value } = await reader.read().catch((cause: unknown) => {
      throw new GatewayError('upstream_closed', 'the answer broke off before it was whole', { cause });
    });
    if (done) return { isWhole: true, bytes: joinBytes(parts) };
    parts.push(value);
    total += value.length;
    const isFull = !account.take(value.length);
    if (isFull || total > maxBytes) {
      const cancel = () => void reader.cancel().catch(() => undefined);
      return { isWhole: false, parts, reader, isFull: isFull && total <= maxBytes, cancel };
    }
  }
}

/** What was read already, then the rest as it comes. */
export function replayed({ parts, reader, cancel }: HalfRead): ReadableStream<Uint8Array<ArrayBuffer>> {
  const waiting = [...parts];
  return new ReadableStream(
    {
      async pull(controller) {
        const part = waiting.shift();
        if (part !== undefined) return controller.enqueue(part as Uint8Array<ArrayBuffer>);
        const { done, value } = await reader.read();
        if (done) controller.close();
        else controller.enqueue(value as Uint8Array<ArrayBuffer>);
      },
      cancel,
    },
    { highWaterMark: 0 },
  );
}
