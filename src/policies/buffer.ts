/**
 * Holds bodies until they are whole (agentgateway http/buffer.rs). Not Hono's body-limit: that one reads past the limit of
 * what the process may hold, and knows nothing of answers.
 */
import type { Context } from 'hono';
import * as z from 'zod';
import { GatewayError, gatewayErrorOf } from '../errors.ts';
import type { Exchange, GatewayEnv } from '../exchange.ts';
import { contentLengthOf } from '../http/hop-headers.ts';
import { type AnswerMemory, createAnswerMemory, readWhole, replayed } from './answer-memory.ts';
import { definePolicy, type PolicyScope } from './policy.ts';

function sideField(whole: string, beyond: string) {
  return z.strictObject({
    maxBytes: z
      .int()
      .nonnegative()
      .nullish()
      .describe(`The longest ${whole}. Default: the limit for request bodies (\`fleet.maxBodyBytes\`).`)
      .meta({ examples: [65_536] }),
    failureMode: z.enum(['failClosed', 'failOpen']).default('failClosed').describe(beyond),
  });
}

const optionsField = z.strictObject({
  request: sideField(
    'request body that is held',
    'Beyond it, failClosed answers 413. failOpen hands the body on as it comes where its length was announced, and up to the limit for request bodies otherwise.',
  )
    .nullish()
    .describe('Reads the request body, without its content-encoding, before anything is sent to an upstream.'),
  response: sideField(
    'answer that is held',
    'Beyond it, failClosed answers 502, and failOpen sends what was held and the rest as it comes.',
  )
    .nullish()
    .describe('Reads the whole answer before the client sees any of it: streams arrive in one piece, at their end.'),
});

export type BufferOptions = z.output<typeof optionsField>;

export const buffer = definePolicy<BufferOptions>({
  name: 'buffer',
  about: 'Holds request bodies or answers until they are whole, up to a limit.',
  places: ['route'],
  options: optionsField,
  example: `buffer:
  request:
    maxBytes: 1048576
`,

  onRequest({ request, response }, scope) {
    const holdRequest = holdingRequests(request, scope);
    const holdAnswer = holdingAnswers(response, scope);
    if (holdRequest === undefined && holdAnswer === undefined) return undefined;
    return async (c, next) => {
      await holdRequest?.(c.env);
      if (holdAnswer !== undefined) c.env.answerIsRead = true;
      await next();
      await holdAnswer?.(c);
    };
  },
});

function holdingRequests(
  options: BufferOptions['request'],
  { maxBodyBytes }: PolicyScope,
): ((exchange: Exchange) => Promise<void>) | undefined {
  if (options === undefined || options === null) return undefined;
  const maxBytes = Math.min(options.maxBytes ?? maxBodyBytes, maxBodyBytes);
  const isOpen = options.failureMode === 'failOpen';
  return async (exchange) => {
    const announced = exchange.heldBody === undefined ? contentLengthOf(exchange.request.headers) : exchange.heldBody.length;
    const isLonger = announced !== undefined && announced > maxBytes;
    if (isLonger && isOpen) return;
    if (isLonger) throw tooLong(maxBytes);
    try {
      // A body that was begun cannot be put back in front of its rest: without a length, failOpen holds all of it.
      const bytes = await exchange.bodies.read(exchange, isOpen ? undefined : maxBytes);
      if (!isOpen && bytes.length > maxBytes) throw tooLong(maxBytes);
    } catch (thrown) {
      const isOurLimit = !isOpen && maxBytes < maxBodyBytes && gatewayErrorOf(thrown).code === 'body_too_large';
      throw isOurLimit ? tooLong(maxBytes) : thrown;
    }
  };
}

function tooLong(maxBytes: number): GatewayError {
  return new GatewayError('body_too_large', `the request body is larger than the ${maxBytes} bytes that this route takes`);
}

/** Answers that are held at once, by all routes together, in limits for one body. */
const bodiesHeld = 8;

function holdingAnswers(
  options: BufferOptions['response'],
  { maxBodyBytes, state }: PolicyScope,
): ((c: Context<GatewayEnv>) => Promise<void>) | undefined {
  if (options === undefined || options === null) return undefined;
  const maxBytes = options.maxBytes ?? maxBodyBytes;
  const isOpen = options.failureMode === 'failOpen';
  const memory: AnswerMemory = state.kept('buffer/answers', createAnswerMemory);
  return async (c) => {
    const { body, status, headers } = c.res;
    if (body === null) return;
    const made = { status, headers: new Headers(headers) };
    const account = memory.open(Math.max(maxBytes, maxBodyBytes * bodiesHeld));
    try {
      const read = await readWhole(body, maxBytes, account);
      if (read.isWhole) {
        made.headers.delete('content-length');
        replace(c, new Response(read.bytes as Uint8Array<ArrayBuffer>, made));
      } else if (isOpen) {
        replace(c, new Response(replayed(read), made));
      } else {
        throw giveUp(c.env, read.isFull ? busy() : tooLargeAnswer(maxBytes), read.cancel);
      }
    } finally {
      account.close();
    }
  };
}

/** Hono merges a second response with the first one unless the first is taken away. */
function replace(c: Context<GatewayEnv>, response: Response): void {
  c.res = undefined;
  c.res = response;
}

/** The log shall tell what the client sees, and letting go of the answer is what ends the exchange. */
function giveUp(exchange: Exchange, error: GatewayError, cancel: () => void): GatewayError {
  exchange.status = error.status;
  exchange.error = error;
  cancel();
  return error;
}

function tooLargeAnswer(maxBytes: number): GatewayError {
  return new GatewayError('answer_too_large', `the answer is larger than the ${maxBytes} bytes that this route holds`);
}

function busy(): GatewayError {
  return new GatewayError('overloaded', 'Corral holds as many answers as its memory allows; try again in a moment', {
    headers: { 'retry-after': '1' },
  });
}
