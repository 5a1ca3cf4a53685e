/** `llm` and `llmRequest`: what is known of a call to a model. */
import { parse } from '@marcbachmann/cel-js';
import type { Exchange, Usage } from '../exchange.ts';
import { promptOf } from './prompts.ts';
import type { Scene } from './scene.ts';
import { adoptJson, celValueOfJson } from './values.ts';
import { type Readers, View } from './views.ts';

const decoder = new TextDecoder();

type ExchangeReader = (exchange: Exchange) => unknown;

const tokens =
  (member: Exclude<keyof Usage, 'estimated'>): ExchangeReader =>
  ({ usage }) =>
    intOf(usage?.[member]);

const total: ExchangeReader = ({ usage }) => (usage === undefined ? undefined : intOf(usage.inputTokens + usage.outputTokens));

const llm: Readers<Exchange> = new Map<string, ExchangeReader>([
  ['streaming', ({ call }) => call?.isStream],
  ['requestModel', ({ call, requestModel }) => requestModel ?? call?.model],
  ['responseModel', ({ responseModel }) => responseModel],
  ['provider', providerOf],
  ['inputTokens', tokens('inputTokens')],
  ['providerInputTokens', tokens('inputTokens')],
  ['outputTokens', tokens('outputTokens')],
  ['totalTokens', total],
  ['providerTotalTokens', total],
  ['cachedInputTokens', tokens('cachedInputTokens')],
  ['cacheCreationInputTokens', tokens('cacheCreationInputTokens')],
  ['reasoningTokens', tokens('reasoningTokens')],
  [
    'timeToFirstToken',
    ({ firstByteMs, startedMs }) => durationOf(firstByteMs === undefined ? undefined : firstByteMs - startedMs),
  ],
  ['timePerOutputToken', timePerToken],
  ['prompt', ({ call }) => (call?.body === undefined ? undefined : promptOf(call.body))],
  ['completion', ({ completion }) => (completion === undefined ? undefined : [completion])],
  ['params', ({ call }) => (call?.body === undefined ? undefined : new View(params, call.body))],
]);

/** By agentgateway's names; Ollama's own protocol has some of them under `options`. */
const params: Readers<{ get(name: string): unknown }> = new Map(
  Object.entries({
    temperature: ['temperature'],
    top_p: ['top_p'],
    frequency_penalty: ['frequency_penalty'],
    presence_penalty: ['presence_penalty'],
    seed: ['seed'],
    max_tokens: ['max_tokens', 'max_completion_tokens', 'max_output_tokens', 'num_predict'],
    encoding_format: ['encoding_format'],
    dimensions: ['dimensions'],
  }).map(([name, members]) => [name, (body) => paramOf(body, members)] as const),
);

function paramOf(body: { get(name: string): unknown }, members: readonly string[]): unknown {
  const options = body.get('options');
  const inner = typeof options === 'object' && options !== null ? (options as Record<string, unknown>) : {};
  for (const member of members) {
    const value = body.get(member) ?? (Object.hasOwn(inner, member) ? inner[member] : undefined);
    if (value !== undefined && value !== null) return adoptJson(structuredClone(value));
  }
  return undefined;
}

export function llmView({ exchange }: Scene): unknown {
  return exchange.call === undefined ? undefined : new View(llm, exchange);
}

/** The call's body as the client sent it. */
export function llmRequestOf({ exchange, extras }: Scene): unknown {
  if (extras.llmRequest !== undefined) return extras.llmRequest;
  const bytes = exchange.call?.bytes ?? exchange.heldBody;
  return bytes === undefined ? undefined : celValueOfJson(decoder.decode(bytes));
}

/** The kind of server that was tried last, in OpenTelemetry's words where it has one. */
function providerOf({ attempts }: Exchange): string | undefined {
  const last = attempts.at(-1);
  if (last === undefined) return undefined;
  return last.upstream.kind === 'box' && last.isOllama !== false ? 'ollama' : 'openai';
}

function timePerToken({ firstByteMs, clock, usage, outcome }: Exchange): unknown {
  if (firstByteMs === undefined || outcome === undefined || usage === undefined || usage.outputTokens < 1) return undefined;
  return durationOf((clock.now() - firstByteMs) / usage.outputTokens);
}

/** cel-js does not hand out its durations' class, so one is made by an expression. */
const readDuration = parse('duration(text)');

function durationOf(durationMs: number | undefined): unknown {
  return durationMs === undefined ? undefined : readDuration({ text: `${durationMs.toFixed(3)}ms` });
}

function intOf(count: number | undefined): bigint | undefined {
  return count === undefined ? undefined : BigInt(Math.round(count));
}
