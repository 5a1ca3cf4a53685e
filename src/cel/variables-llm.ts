/** `llm` and `llmRequest`: what is known of a call to a model. */
import type { Exchange } from '../exchange.ts';
import type { Scene } from './scene.ts';
import { celValueOfJson } from './values.ts';
import { type Readers, View } from './views.ts';

const decoder = new TextDecoder();

const llm: Readers<Exchange> = new Map<string, (exchange: Exchange) => unknown>([
  ['streaming', ({ call }) => call?.isStream],
  ['requestModel', ({ call, requestModel }) => requestModel ?? call?.model],
  ['responseModel', ({ responseModel }) => responseModel],
  ['inputTokens', ({ usage }) => intOf(usage?.inputTokens)],
  ['outputTokens', ({ usage }) => intOf(usage?.outputTokens)],
  ['totalTokens', ({ usage }) => (usage === undefined ? undefined : intOf(usage.inputTokens + usage.outputTokens))],
]);

export function llmView({ exchange }: Scene): unknown {
  return exchange.call === undefined ? undefined : new View(llm, exchange);
}

/** The call's body as the client sent it. */
export function llmRequestOf({ exchange, extras }: Scene): unknown {
  if (extras.llmRequest !== undefined) return extras.llmRequest;
  const bytes = exchange.call?.bytes ?? exchange.heldBody;
  return bytes === undefined ? undefined : celValueOfJson(decoder.decode(bytes));
}

function intOf(count: number | undefined): bigint | undefined {
  return count === undefined ? undefined : BigInt(Math.round(count));
}
