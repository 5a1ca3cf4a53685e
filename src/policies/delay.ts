/** Makes requests wait, to see how clients bear it (agentgateway http/delay.rs). */
import * as z from 'zod';
import { celOf } from '../cel/cel-field.ts';
import { type CelExpression, CelFailure } from '../cel/expression.ts';
import { GatewayError } from '../errors.ts';
import type { Exchange } from '../exchange.ts';
import { durationMsOf } from '../fields/duration.ts';
import { FieldError, parsedOr } from '../fields/text-field.ts';
import { definePolicy } from './policy.ts';

/** However long an expression would have it: a request that waits holds its connection. */
const maxDelayMs = 3_600_000;

/** Milliseconds, or what gives them. */
type Duration = number | CelExpression;

function durationOf(text: string): Duration {
  try {
    return Math.min(durationMsOf(text.trim()), maxDelayMs);
  } catch (thrown) {
    if (!(thrown instanceof FieldError)) throw thrown;
    // What begins like a duration is meant as one: its own complaint says more than CEL's.
    if (/^-?(?:[\d.]+ ?[a-zµμ]+ ?)+$/i.test(text.trim())) throw thrown;
    return celOf(text);
  }
}

const optionsField = z.strictObject({
  duration: z
    .string({ error: 'expected a duration such as "2s", or a CEL expression' })
    .transform((text, context) => parsedOr(() => durationOf(text), context))
    .describe(
      'How long each request waits: a duration such as `2s`, or a CEL expression that gives one, or a number of milliseconds. 0 and less: not at all; an hour at most.',
    )
    .meta({ examples: ['2s', 'random() < 0.1 ? 500 : 0'] }),
});

export type DelayOptions = z.output<typeof optionsField>;

export const delay = definePolicy<DelayOptions>({
  name: 'delay',
  about: 'Lets requests wait before they go on, to try out how clients bear a slow server.',
  places: ['route'],
  options: optionsField,
  example: `delay:
  duration: 2s
`,

  onRequest({ duration }) {
    if (duration === 0) return undefined;
    return async (c, next) => {
      const exchange = c.env;
      const delayMs = typeof duration === 'number' ? duration : await evaluated(duration, exchange);
      if (delayMs > 0 && !(await pause(exchange, delayMs))) {
        exchange.outcome = 'abandoned';
        // Nobody reads this; 499 is what the log shows for a client that left.
        return new Response(null, { status: 499 });
      }
      return next();
    };
  },
});

/** What fails, or gives no time, delays nothing. */
async function evaluated(expression: CelExpression, exchange: Exchange): Promise<number> {
  if (expression.needs.requestBody) await exchange.bodies.read(exchange);
  try {
    const value = expression.evaluate(exchange);
    // Ints are bigints here, and CEL's durations turn into milliseconds as numbers do.
    const delayMs = typeof value === 'string' ? durationMsOf(value) : Number(value);
    return Number.isNaN(delayMs) ? 0 : Math.min(delayMs, maxDelayMs);
  } catch (thrown) {
    if (thrown instanceof CelFailure || thrown instanceof FieldError) return 0;
    throw thrown;
  }
}

/** False when the client left meanwhile. Throws request_timeout at the exchange's own limit, if that comes first. */
async function pause({ clock, peer, deadlineMs = Number.POSITIVE_INFINITY }: Exchange, delayMs: number): Promise<boolean> {
  const leftMs = deadlineMs - clock.now();
  const isWaited = await new Promise<boolean>((resolve) => {
    const cancel = clock.after(Math.max(0, Math.min(delayMs, leftMs)), () => resolve(true));
    peer.onGone(() => {
      cancel();
      resolve(false);
    });
  });
  if (isWaited && leftMs <= delayMs) throw new GatewayError('request_timeout', 'request timeout');
  return isWaited;
}
