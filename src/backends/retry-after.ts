/** How long a rate-limited answer asks to be left alone: one standard header, and what the vendors use beside it. */
import { durationMsOf } from '../fields/duration.ts';
import { FieldError } from '../fields/text-field.ts';

/** Below this many seconds `x-ratelimit-reset` is a span, above it a time since the epoch. */
const maxSpanSeconds = 30 * 86_400;

/** OpenAI's and Cerebras's; the smallest counts. */
const spanHeaders = [
  'x-ratelimit-reset-requests',
  'x-ratelimit-reset-tokens',
  'x-ratelimit-reset-requests-day',
  'x-ratelimit-reset-tokens-minute',
];

/** Milliseconds; undefined where the answer does not say. `wallMs`: now, since the epoch. */
export function retryAfterMsOf(headers: Headers, wallMs: number): number | undefined {
  return standardMs(headers, wallMs) ?? resetMs(headers, wallMs) ?? smallestSpanMs(headers);
}

function standardMs(headers: Headers, wallMs: number): number | undefined {
  const milliseconds = wholeNumber(headers.get('retry-after-ms'));
  if (milliseconds !== undefined) return milliseconds;
  const text = headers.get('retry-after');
  const seconds = wholeNumber(text);
  if (seconds !== undefined) return seconds * 1_000;
  // RFC 9110 §10.2.3: seconds, or a date.
  const date = text === null || !text.endsWith('GMT') ? Number.NaN : Date.parse(text);
  return Number.isNaN(date) || date < wallMs ? undefined : date - wallMs;
}

function resetMs(headers: Headers, wallMs: number): number | undefined {
  const seconds = wholeNumber(headers.get('x-ratelimit-reset'));
  if (seconds === undefined) return undefined;
  if (seconds < maxSpanSeconds) return seconds * 1_000;
  const untilMs = seconds * 1_000 - wallMs;
  return untilMs < 0 ? undefined : untilMs;
}

function smallestSpanMs(headers: Headers): number | undefined {
  const spans = spanHeaders.flatMap((name) => spanMs(headers.get(name)) ?? []);
  return spans.length === 0 ? undefined : Math.min(...spans);
}

/** `1m30s`, or a number of seconds. */
function spanMs(text: string | null): number | undefined {
  if (text === null || text === '') return undefined;
  try {
    return durationMsOf(/\d$/.test(text) ? `${text}s` : text);
  } catch (thrown) {
    if (thrown instanceof FieldError) return undefined;
    throw thrown;
  }
}

function wholeNumber(text: string | null): number | undefined {
  return text !== null && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}
