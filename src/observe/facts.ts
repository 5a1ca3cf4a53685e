/** What metrics, log lines and spans say alike about an exchange. */
import type { AnswerSeen, Exchange } from '../exchange.ts';

/** `gen_ai.provider.name`; undefined where no upstream was tried. */
export function providerOf({ attempts }: Exchange): string | undefined {
  const last = attempts[attempts.length - 1];
  if (last === undefined) return undefined;
  return last.upstream.kind === 'box' && last.isOllama !== false ? 'ollama' : 'openai';
}

/** From the first byte to the last, by tokens; streams only, whose bytes come as they are made. */
export function secondsPerTokenOf({ call, firstByteMs, usage }: Exchange, endedMs: number): number | undefined {
  if (call?.isStream !== true || firstByteMs === undefined || usage === undefined || usage.outputTokens === 0) return undefined;
  return (endedMs - firstByteMs) / 1_000 / usage.outputTokens;
}

const noHeaders = new Headers();

/** The answer as expressions see it once it has left: its headers are gone by then. */
export function answerSeenOf({ status }: Exchange): AnswerSeen {
  return { status, headers: noHeaders };
}

/** Milliseconds by which a stream's first token came later than was predicted when its box was chosen; negative: earlier. */
export function predictionErrorOf({ attempts, call, firstByteMs }: Exchange): number | undefined {
  const attempt = attempts.at(-1);
  if (attempt?.predictedMs === undefined || firstByteMs === undefined || call?.isStream !== true) return undefined;
  return firstByteMs - attempt.startedMs + (attempt.waitedMs ?? 0) - attempt.predictedMs;
}
