import { GoObject } from './go-json.ts';
import { defaultKeepAliveMs } from './runners.ts';

/** True for the calls that only load (or unload) a model. */
export function nothingAsked(pathname: string, body: GoObject): boolean {
  if (pathname === '/api/chat') {
    const messages = body.field('messages');
    return !Array.isArray(messages) || messages.length === 0;
  }
  if (pathname === '/v1/responses') return !body.field('input');
  return (pathname === '/api/generate' || pathname === '/v1/completions') && !body.field('prompt');
}

/** What is left of the tokens. `max_tokens: 0` and negative mean no limit on Ollama. */
export function limited(tokens: readonly string[], body: GoObject): { tokens: readonly string[]; finish: 'stop' | 'length' } {
  const options = body.field('options');
  const limits = [
    body.field('max_tokens'),
    body.field('max_output_tokens'),
    options instanceof GoObject ? options.field('num_predict') : undefined,
  ];
  const limit = limits.find((each): each is number => typeof each === 'number' && each > 0);
  return limit !== undefined && tokens.length >= limit
    ? { tokens: tokens.slice(0, limit), finish: 'length' }
    : { tokens, finish: 'stop' };
}

const unitsMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
const foreverMs = 293 * 365 * 86_400_000;

/** Seconds as a number or a Go duration; negative is for ever. Undefined when not given. /v1 has no such field. */
export function keepAliveMs(dialect: 'native' | 'openai' | 'anthropic', body: GoObject): number | undefined {
  if (dialect !== 'native') return undefined;
  const value = body.field('keep_alive');
  if (typeof value === 'number') return value < 0 ? foreverMs : value * 1000;
  const parts = typeof value === 'string' ? /^(-?)(\d+)(ms|s|m|h)$/.exec(value) : null;
  if (parts === null) return undefined;
  return parts[1] === '-' ? foreverMs : Number(parts[2]) * (unitsMs[parts[3] ?? 's'] ?? defaultKeepAliveMs);
}
