/** Durations as Go writes them: `300ms`, `1.5s`, `1h30m`; days (`30d`) as newer agentgateway allows. Values are milliseconds. */
import * as z from 'zod';
import { onlyHere } from './portable.ts';
import { FieldError, parsedOr } from './text-field.ts';

const unitMs: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3, // U+00B5, micro sign
  μs: 1e-3, // U+03BC, Greek mu; Go takes both
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

const expected = 'a duration with a unit, such as "500ms", "30s", "15m" or "1h30m"';
const maxMs = 10 * 366 * 86_400_000;
const whole = /^(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h|d)(?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h|d))*$/;
const part = /(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h|d)/g;

/** Milliseconds of a duration text; may be a fraction. Throws FieldError. Ten years is the most. */
export function durationMsOf(text: string): number {
  if (text === '0') return 0;
  if (text.startsWith('-')) throw new FieldError(`a duration cannot be negative, but this is "${text}"`);
  // The length is bounded because the pattern is applied to whatever stands in the file.
  if (text.length > 64 || !whole.test(text)) throw new FieldError(`expected ${expected}, not "${text.slice(0, 64)}"`);
  let sumMs = 0;
  for (const [, amount, unit] of text.matchAll(part)) sumMs += Number(amount) * (unitMs[unit ?? ''] ?? 0);
  if (sumMs > maxMs) throw new FieldError(`"${text}" is longer than ten years`);
  return sumMs;
}

/** A duration in the YAML. Output: milliseconds. */
export const durationField = onlyHere(
  z
    .string({ error: `expected ${expected}` })
    .transform((text, context) => parsedOr(() => durationMsOf(text), context))
    .meta({ title: 'duration' }),
  (text) => (/\dd/.test(String(text)) ? 'agentgateway 1.4 knows no days in durations: write hours' : undefined),
);
