/** Bodies and statuses of answers that transformations change: read whole first, within a limit. */
import type { Context } from 'hono';
import { GatewayError } from '../errors.ts';
import type { AnswerRewrite, Exchange, GatewayEnv, StreamRewrite } from '../exchange.ts';
import { joinBytes } from '../json/splice.ts';
import { type AnswerMemory, readWhole } from './answer-memory.ts';
import type { PolicyScope } from './policy.ts';
import { bodyFrom, type EditOptions, evaluated, expressionsIn, statusOf } from './transformation-edits.ts';

/** Answers that are held at once, by all routes together, in limits for one body. */
const bodiesHeld = 8;

/** Statuses of answers without a body (fetch standard, null body status). */
const bodyless = new Set([204, 205, 304]);

export interface AnswerReader {
  /** The whole body of `c.res`; undefined where there is none. Throws answer_too_large, overloaded, upstream_closed. */
  read(c: Context<GatewayEnv>): Promise<Uint8Array | undefined>;
}

export function answerReader(memory: AnswerMemory, { maxBodyBytes }: PolicyScope): AnswerReader {
  return {
    async read(c) {
      const { body } = c.res;
      if (body === null) return undefined;
      const account = memory.open(maxBodyBytes * bodiesHeld);
      try {
        const read = await readWhole(body, maxBodyBytes, account);
        if (read.isWhole) return read.bytes;
        const error = read.isFull ? busy() : tooLarge(maxBodyBytes);
        // The log shall tell what the client sees, and letting go of the answer is what ends the exchange.
        c.env.status = error.status;
        c.env.error = error;
        read.cancel();
        throw error;
      } finally {
        account.close();
      }
    },
  };
}

function tooLarge(maxBytes: number): GatewayError {
  const message = `the answer is larger than the ${maxBytes} bytes that may be transformed; fleet.maxBodyBytes sets this limit`;
  return new GatewayError('answer_too_large', message);
}

function busy(): GatewayError {
  return new GatewayError('overloaded', 'Corral holds as many answers as its memory allows; try again in a moment', {
    headers: { 'retry-after': '1' },
  });
}

export interface MadeAnswer {
  readonly status: number;
  readonly headers: Headers;
  /** Undefined: the body stays what it is. */
  readonly body: Uint8Array | undefined;
}

/** Hono merges a second response with the first one unless the first is taken away. */
export function replaceAnswer(c: Context<GatewayEnv>, { status, headers, body }: MadeAnswer): void {
  const hasNone = bodyless.has(status) || c.env.method === 'HEAD';
  const stream = body === undefined ? c.res.body : (body as Uint8Array<ArrayBuffer>);
  const response = new Response(hasNone ? null : stream, { status, headers });
  // Nobody will read it, and an answer that is not read never ends.
  if (hasNone && body === undefined) void c.res.body?.cancel().catch(() => undefined);
  c.res = undefined;
  c.res = response;
}

/**
 * The rewrite of one backend's answers; undefined where only headers are edited. On streams the status stays what the upstream
 * said: it is on its way before the answer is whole.
 */
export function answerRewriteOf(
  edits: EditOptions | undefined,
  { maxBodyBytes }: PolicyScope,
): ((exchange: Exchange) => AnswerRewrite) | undefined {
  const body = edits?.body;
  const status = edits?.set[':status'] ?? edits?.add[':status'];
  const readsBody = expressionsIn(edits).some(([, { needs }]) => needs.responseBody);
  if (body === undefined && status === undefined) return undefined;
  const encoder = new TextEncoder();
  return (exchange) => {
    const made = (bytes: Uint8Array, given: number) => {
      const extras = { answer: { status: given, headers: new Headers(), body: readsBody ? bytes : undefined } };
      const subject = { evaluate: (expression: NonNullable<typeof body>) => expression.evaluate(exchange, extras) };
      return {
        bytes: body === undefined ? bytes : bodyFrom(subject, body),
        status: status === undefined ? given : (statusOf(evaluated(subject, status)) ?? given),
      };
    };
    return {
      whole(text, given) {
        const { bytes, status: to } = made(encoder.encode(text), given);
        return { text: new TextDecoder().decode(bytes), status: to };
      },
      stream: () => (body === undefined ? undefined : heldStream((bytes) => made(bytes, 200).bytes, maxBodyBytes)),
    };
  };
}

/** A stream that is held to its end, and comes out changed. */
function heldStream(change: (bytes: Uint8Array) => Uint8Array, maxBytes: number): StreamRewrite {
  const held: Uint8Array[] = [];
  const nothing = new Uint8Array(0);
  let length = 0;
  return {
    isOver: false,
    push(chunk) {
      length += chunk.length;
      if (length > maxBytes) throw tooLarge(maxBytes);
      held.push(chunk.slice());
      return nothing;
    },
    end: () => change(joinBytes(held)),
  };
}
