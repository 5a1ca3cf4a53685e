/** Reading request bodies: never more than the limit, never longer than the time allowed, never more at once than the process can hold. */
import { GatewayError } from '../errors.ts';
import type { Exchange } from '../exchange.ts';
import { contentLengthOf } from '../http/hop-headers.ts';
import { joinBytes } from '../json/splice.ts';
import { bodyTooLarge, inflate } from './inflate.ts';

/** Bytes of request bodies that all exchanges together may hold. */
export interface BodyBudget {
  /** Takes `bytes` when they are left. */
  take(bytes: number): boolean;
  give(bytes: number): void;
}

export function createBodyBudget(maxBytes: number): BodyBudget {
  let left = maxBytes;
  return {
    take(bytes) {
      if (bytes > left) return false;
      left -= bytes;
      return true;
    },
    give(bytes) {
      left = Math.min(maxBytes, left + bytes);
    },
  };
}

export interface BodyLimits {
  readonly maxBodyBytes: number;
  /** From the first look at the body to its last byte. */
  readonly bodyTimeoutMs: number;
}

/** Where the body comes from. */
export type BodySource = Pick<Exchange, 'request' | 'clock'>;

/** Up to this length the runtime reads the body by itself, which is faster than a reader and holds little. */
const directBytes = 1024 * 1024;

/**
 * The body as it came. Its length stays taken from the budget: the caller gives `result.length` back when the bytes are done
 * with. Throws body_too_large, overloaded, body_timeout, and invalid_body when the client broke off.
 */
export function readBody(source: BodySource, limits: BodyLimits, budget: BodyBudget): Promise<Uint8Array> {
  const { request } = source;
  const length = contentLengthOf(request.headers);
  if (length !== undefined && length > limits.maxBodyBytes) return Promise.reject(bodyTooLarge(limits.maxBodyBytes));
  // Asked before `body`: on Node a look at that property alone makes a web stream, which costs more than reading.
  if (length !== undefined && length <= directBytes) return readDirectly(source, length, limits, budget);
  return request.body === null ? Promise.resolve(new Uint8Array(0)) : readPiecewise(source, limits, budget);
}

/**
 * The body without its content-encoding; the budget as with `readBody`. What is sent on must not carry the request's
 * content-encoding header. Throws what `readBody` and `inflate` throw.
 */
export function readInflatedBody(source: BodySource, limits: BodyLimits, budget: BodyBudget): Promise<Uint8Array> {
  const encoding = source.request.headers.get('content-encoding');
  return encoding === null ? readBody(source, limits, budget) : readAndInflate(source, encoding, limits, budget);
}

async function readAndInflate(source: BodySource, encoding: string, limits: BodyLimits, budget: BodyBudget): Promise<Uint8Array> {
  const bytes = await readBody(source, limits, budget);
  try {
    return await inflateWithin(bytes, encoding, limits, budget);
  } finally {
    budget.give(bytes.length);
  }
}

/** What comes out is taken from the budget, `bytes` are the caller's. Throws what `inflate` throws, and overloaded. */
export async function inflateWithin(
  bytes: Uint8Array,
  encoding: string,
  limits: BodyLimits,
  budget: BodyBudget,
): Promise<Uint8Array> {
  // What may come out is reserved before any of it does; deflate, gzip's method, makes at most 1032 bytes of one.
  const reserved = Math.min(limits.maxBodyBytes, bytes.length * (/zstd/i.test(encoding) ? limits.maxBodyBytes : 1032));
  takeOrRefuse(budget, reserved);
  let kept = 0;
  try {
    const plain = await inflate(bytes, encoding, limits.maxBodyBytes);
    kept = plain.length;
    return plain;
  } finally {
    budget.give(reserved - kept);
  }
}

/** Throws overloaded. */
export function takeOrRefuse(budget: BodyBudget, bytes: number): void {
  if (budget.take(bytes)) return;
  throw new GatewayError('overloaded', 'Corral holds as many request bodies as its memory allows; try again in a moment', {
    headers: { 'retry-after': '1' },
  });
}

async function readDirectly(source: BodySource, length: number, limits: BodyLimits, budget: BodyBudget): Promise<Uint8Array> {
  takeOrRefuse(budget, length);
  let kept = 0;
  try {
    const bytes = new Uint8Array(await withinTime(source, limits, source.request.arrayBuffer()));
    // HTTP servers hold a body to its length; were one not to, the books must still balance.
    if (bytes.length > length) takeOrRefuse(budget, bytes.length - length);
    kept = Math.max(bytes.length, length);
    budget.give(kept - bytes.length);
    return bytes;
  } catch (thrown) {
    budget.give(length - kept);
    throw thrown;
  }
}

async function readPiecewise(source: BodySource, limits: BodyLimits, budget: BodyBudget): Promise<Uint8Array> {
  const reader = (source.request.body as ReadableStream<Uint8Array>).getReader();
  let total = 0;
  const readAll = async (): Promise<Uint8Array> => {
    const parts: Uint8Array[] = [];
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return joinBytes(parts);
      if (total + value.length > limits.maxBodyBytes) throw bodyTooLarge(limits.maxBodyBytes);
      takeOrRefuse(budget, value.length);
      total += value.length;
      parts.push(value);
    }
  };
  try {
    return await withinTime(source, limits, readAll());
  } catch (thrown) {
    // Cancelled first: a read that is still under way then ends with nothing, and takes no more from the budget.
    reader.cancel().catch(() => undefined);
    budget.give(total);
    throw thrown;
  }
}

/** The reading's result, or body_timeout. A client that sends one byte a second must not hold memory for ever. */
function withinTime<Result>({ clock }: BodySource, { bodyTimeoutMs }: BodyLimits, reading: Promise<Result>): Promise<Result> {
  return new Promise((resolve, reject) => {
    const stop = clock.after(bodyTimeoutMs, () =>
      reject(
        new GatewayError('body_timeout', `the request body did not arrive within ${Math.round(bodyTimeoutMs / 1000)} seconds`),
      ),
    );
    reading.then(
      (result) => {
        stop();
        resolve(result);
      },
      (thrown: unknown) => {
        stop();
        reject(thrown instanceof GatewayError ? thrown : brokenOff(thrown));
      },
    );
  });
}

function brokenOff(cause: unknown): GatewayError {
  return new GatewayError('invalid_body', 'the request body broke off before it was whole', { cause });
}
