/**
 * Ollama cuts a prompt that is longer than the context and answers as if all were well. Where the context is known, a prompt that
 * cannot fit is refused instead, with the error that agents act on; where a box has cut one all the same, that is said.
 */
import type { Refusal } from '../backends/attempts.ts';
import { GatewayError } from '../errors.ts';
import { type Ask, type Attempt, addWarning, type Call, type Exchange, type Protocol, type Upstream } from '../exchange.ts';
import { canonicalModel } from '../fields/model-name.ts';
import type { JsonDraft } from '../json/object-text.ts';
import { readObject } from '../json/read-object.ts';
import { estimatePromptTokens } from '../protocols/count-tokens.ts';
import { leastPromptTokens } from '../protocols/least-tokens.ts';
import type { TapReport } from '../streams/report.ts';
import type { AnswerTools } from './tools.ts';

type TruncationTools = Pick<AnswerTools, 'fleet' | 'limits' | 'tokenRatios'>;

/** Shorter bodies fit into any context that somebody works with. */
const minBytes = 4_096;
/** Longer ones are not looked into: what makes them long is images, or a box will say so. */
const maxBytes = 8 * 1024 * 1024;
/** A token of a request's body takes at least so many bytes. */
const minBytesPerToken = 2;
/** Below that many bytes for each token that a box has read, nothing can have been cut. */
const maxBytesPerToken = 6;
/** Fewer tokens are no context's share. */
const minCutTokens = 256;
/** How many more than were read there must have been for certain. */
const cutRatio = 1.25;

/** Before a try leaves for a box. Throws context_exceeded where the prompt cannot fit; one that might is never refused. */
export function judgePrompt(
  attempt: Attempt,
  call: Call,
  { model, numCtx }: Pick<Ask, 'model' | 'numCtx'>,
  tools: TruncationTools,
): void {
  const { refuse } = tools.limits.fleet.truncation;
  const { exchange, upstream, protocol: spoken } = attempt;
  const { protocol } = exchange;
  const body = attempt.body ?? call.body;
  if (refuse === 'never' || protocol === undefined || body === undefined) return;
  const isAgents = protocol.family !== 'ollama' && (protocol.operation === 'chat' || protocol.operation === 'text_completion');
  if (spoken?.family === 'ollama' && (isAgents || refuse === 'always')) letBoxRefuse(attempt);
  if (!isAgents || call.bytes.length < minBytes || call.bytes.length > maxBytes) return;
  const context = numCtx ?? contextOf(upstream, body, model, tools);
  if (context === undefined || call.bytes.length < context * minBytesPerToken) return;
  const { tokens } = leastPromptTokens(body);
  const fewest = Math.floor(tokens * tools.tokenRatios.factorOf(canonicalModel(model)));
  if (fewest <= context) return;
  const most = tools.fleet.factsOf(upstream, model)?.contextLength;
  throw contextExceeded(protocol, Math.max(fewest, estimatePromptTokens(body)), { context, most });
}

/** The box itself then says no, by its own count; unless the client has said what it wants. */
function letBoxRefuse(attempt: Attempt): void {
  const { body, replacedBody } = attempt;
  if (body !== undefined) {
    if (!body.has('truncate')) body.set('truncate', false);
  } else if (replacedBody !== undefined) {
    const draft = readObject(replacedBody).draft();
    if (draft.has('truncate')) return;
    draft.set('truncate', false);
    attempt.replacedBody = draft.bytes();
  }
}

/** Tokens of context that the box will have for this try: as asked for, else as it has the model in memory. Undefined: not known. */
function contextOf(
  upstream: Upstream,
  body: Pick<JsonDraft, 'get'>,
  model: string,
  { fleet }: TruncationTools,
): number | undefined {
  const options = body.get('options') as { num_ctx?: unknown } | null | undefined;
  const asked = options?.num_ctx ?? body.get('num_ctx');
  if (asked !== undefined) return typeof asked === 'number' && asked > 0 ? asked : undefined;
  return fleet.isResident(upstream, model) === true ? fleet.runnerOn(upstream, model)?.contextLength : undefined;
}

/** A context that is too small: what it is now, and what the model was made for, if that is known. */
interface Narrow {
  readonly context: number;
  readonly most: number | undefined;
}

/** The error in the words of the client's protocol, which agents look for. `tokens`: of the prompt. */
export function contextExceeded(protocol: Protocol, tokens: number, { context, most }: Narrow): GatewayError {
  if (protocol.family === 'anthropic')
    return new GatewayError('context_exceeded', `prompt is too long: ${tokens} tokens > ${context} maximum`);
  const param =
    protocol.operation === 'text_completion' ? 'prompt' : protocol.name.startsWith('responses') ? 'input' : 'messages';
  const what = param === 'messages' ? 'messages' : 'prompt';
  return new GatewayError(
    'context_exceeded',
    `This model's maximum context length is ${context} tokens. However, your ${what} resulted in ${tokens} tokens. ` +
      `Please reduce the length of the ${what}${most !== undefined && tokens > most ? `: the model was made for ${most} tokens at most.` : ', or give the model more context (num_ctx, OLLAMA_CONTEXT_LENGTH).'}`,
    { param },
  );
}

/** A box's own refusal of a prompt that is too long (llama-server's, which Ollama hands on as text in a text). */
const exceeded = /exceed_context_size_error/;
const promptCount = /n_prompt_tokens\\*"\s*:\s*(\d{1,9})/;
const contextCount = /n_ctx\\*"\s*:\s*(\d{1,9})/;

/** The refusal in the client's protocol; undefined where it is another one, or the client speaks Ollama's own. `most`: what the model was made for. */
export function contextRefusal(
  { protocol }: Exchange,
  { status, text }: Refusal,
  most: number | undefined,
): GatewayError | undefined {
  if (status !== 400 || protocol === undefined || protocol.family === 'ollama' || !exceeded.test(text)) return undefined;
  const tokens = promptCount.exec(text)?.[1];
  const context = contextCount.exec(text)?.[1];
  if (tokens === undefined || context === undefined) return undefined;
  return contextExceeded(protocol, Number(tokens), { context: Number(context), most });
}

/** An answer that has ended, as it is looked at for a prompt that was cut. */
export interface Ended {
  readonly call: Call | undefined;
  readonly upstream: Upstream;
  readonly isBox: boolean;
  /** As it was asked of the box. */
  readonly model: string | undefined;
  /** It was looked at: once is enough. */
  isJudged?: boolean;
}

/** When an answer has ended: learns, and finds out whether its prompt was cut. Returns the warning then, which is noted already. */
export function noteTruncation(exchange: Exchange, ended: Ended, tools: TruncationTools): string | undefined {
  const { usage } = exchange;
  if (ended.isJudged === true) return undefined;
  ended.isJudged = true;
  const { call, upstream, isBox, model } = ended;
  const bytes = call?.bytes.length ?? 0;
  // Nearly always: nothing to look at.
  if (bytes < minBytes || bytes > maxBytes || usage === undefined || usage.estimated || usage.inputTokens < minCutTokens)
    return undefined;
  const body = call?.body;
  if (!isBox || body === undefined || model === undefined || !tools.limits.fleet.truncation.warn) return undefined;
  const isSuspect = bytes >= usage.inputTokens * maxBytesPerToken;
  const name = canonicalModel(model);
  if (!isSuspect && !tools.tokenRatios.wants(name)) return undefined;
  const { tokens, isTextOnly } = leastPromptTokens(body);
  // Of embeddings each text has a context of its own.
  const isEmbedding = call?.protocol.operation === 'embeddings';
  const context = contextOf(upstream, body, model, tools);
  if (isSuspect && wasCut(tokens, usage.inputTokens, isEmbedding ? undefined : context)) {
    const most = tools.fleet.factsOf(upstream, model)?.contextLength;
    return tell(exchange, upstream, { model, fewest: tokens, context, most, isEmbedding });
  }
  if (isTextOnly) tools.tokenRatios.learn(name, tokens, usage.inputTokens);
  return undefined;
}

/**
 * For a stream of server-sent events, whose headers have left when its tokens are known: says in a comment before its end that its
 * prompt was cut. Undefined: there is nothing to look at, as nearly always.
 */
export function truncationAside(
  exchange: Exchange,
  ended: Ended,
  tools: TruncationTools,
): ((report: TapReport) => Uint8Array | undefined) | undefined {
  if ((ended.call?.bytes.length ?? 0) < minBytes || exchange.protocol?.stream?.framing !== 'sse') return undefined;
  return ({ usage }) => {
    if (usage === undefined) return undefined;
    exchange.usage = { ...usage, estimated: false };
    const warning = noteTruncation(exchange, ended, tools);
    return warning === undefined ? undefined : new TextEncoder().encode(`: ${headerText(warning)}\n\n`);
  };
}

/**
 * Ollama keeps about half of the context, or the newest messages that fit into all of it. Old boxes leave out of their count what
 * they had in their cache: what is far from either says nothing.
 */
function wasCut(fewest: number, read: number, context: number | undefined): boolean {
  if (fewest < read * cutRatio) return false;
  return context === undefined || (read >= context / 3 && read <= context);
}

interface Cut {
  readonly model: string;
  /** So many tokens there were at least; of embeddings in all texts together. */
  readonly fewest: number;
  /** What the runner has, and what the model was made for. */
  readonly context: number | undefined;
  readonly most: number | undefined;
  readonly isEmbedding: boolean;
}

function tell(exchange: Exchange, upstream: Upstream, cut: Cut): string {
  const { model, fewest, isEmbedding } = cut;
  const read = exchange.usage?.inputTokens ?? 0;
  const what = isEmbedding ? 'texts' : 'a prompt';
  const warning = `truncated: ${upstream.name} read ${read} tokens of ${what} of ${fewest} or more; ${mendOf(cut)}`;
  addWarning(exchange, warning);
  exchange.telemetry.promptTruncated?.(canonicalModel(model), upstream.name);
  return warning;
}

/** No option gives a model more context than it was made for. Those for embeddings have little, and usually all of it. */
function mendOf({ model, fewest, context, most, isEmbedding }: Cut): string {
  const name = model.slice(0, 200);
  const more = `give ${name} more context (num_ctx, OLLAMA_CONTEXT_LENGTH)`;
  if (!isEmbedding)
    return most !== undefined && fewest > most ? `${name} was made for ${most} at most: shorten the prompt` : more;
  const limit = Math.min(context ?? Number.POSITIVE_INFINITY, most ?? Number.POSITIVE_INFINITY);
  if (!Number.isFinite(limit)) return `split long texts for ${name}`;
  const split = `split texts of more than ${limit} tokens`;
  if (most === undefined) return `${split} for ${name}`;
  return limit < most ? `${split}, or ${more}: ${most} at most` : `${split}: ${name} was made for no more`;
}

/** Warnings name boxes and models, which people may call what they like; headers hold ASCII. */
export function headerText(warning: string): string {
  return warning.replace(/[^\x20-\x7e]/gu, '?');
}
