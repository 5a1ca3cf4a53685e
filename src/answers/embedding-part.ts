/**
 * One part of a big batch of embeddings: an exchange of its own as far as boxes, slots and limits of tokens are concerned, and
 * none as far as the log and the metrics of requests are.
 */
import { type Refusal, tryCandidates } from '../backends/attempts.ts';
import { ClientGone } from '../backends/send.ts';
import type { Candidate } from '../backends/target.ts';
import { GatewayError, gatewayErrorOf } from '../errors.ts';
import { type AttemptRecord, addWarning, type Call, type Exchange, type Upstream, type Wait } from '../exchange.ts';
import { relayAnswer } from './relay.ts';
import type { AnswerTools } from './tools.ts';
import { workOf } from './work.ts';

export interface Part {
  readonly exchange: Exchange;
  /** Nobody wants its answer any more: as if its client had left. */
  leave(): void;
}

/** What came of a part. */
export type PartAnswer =
  | { readonly kind: 'read'; readonly text: string; readonly headers: Headers; readonly upstream: Upstream }
  /** What the client gets instead of the batch. */
  | { readonly kind: 'refused'; readonly candidate: Candidate; readonly refusal: Refusal }
  | { readonly kind: 'instead'; readonly response: Response };

/** `call`: the whole one's with fewer inputs. */
export function openPart(whole: Exchange, call: Call, tools: AnswerTools): Part {
  const listeners = new Set<() => void>();
  // What it tells of waiting is its own.
  const { peer, queuedMs: _queued, queuePosition: _position, ...shared } = whole;
  let wait: Wait | undefined;
  let hasLeft = false;
  const exchange: Exchange = {
    ...shared,
    whole,
    call,
    peer: {
      port: peer.port,
      address: () => peer.address(),
      waitUntil: (work) => peer.waitUntil(work),
      onGone: (listener) => {
        if (hasLeft) listener();
        else listeners.add(listener);
      },
    },
    work: undefined,
    attempts: [],
    warnings: [],
    endings: undefined,
    departures: undefined,
    // What the parts before it have told already.
    usage: undefined,
    firstByteMs: undefined,
    responseModel: undefined,
    // Headers of the whole may have left already (answers/patience.ts); a part's answer goes to no client, and ends nothing.
    isRelayed: false,
    isAnswered: false,
    // Its answer is read here, and must be readable.
    answerIsRead: true,
    get wait() {
      return wait;
    },
    set wait(now) {
      wait = now;
      whole.wait = now;
    },
  };
  delete exchange.queuedMs;
  exchange.work = workOf(exchange, call, tools.limits.fleet, 'bulk');
  return {
    exchange,
    leave() {
      if (hasLeft) return;
      hasLeft = true;
      for (const listener of listeners) listener();
    },
  };
}

/** `take`: told of each piece of the answer's body before it is kept, in bytes. Throws what the try failed with, or ClientGone. */
export async function servePart(
  { exchange }: Part,
  row: readonly Candidate[],
  take: (bytes: number) => void,
  tools: AnswerTools,
): Promise<PartAnswer> {
  const { call } = exchange;
  if (call === undefined) throw new TypeError('a part is a call');
  const result = await tryCandidates(exchange, { call, bytes: call.bytes, isPlain: true }, row, tools);
  const { candidate } = result;
  if (result.kind === 'refused') return result;
  if (result.kind === 'instead') return result;
  const response = await relayAnswer(exchange, call, call.protocol, result, tools);
  if (!response.ok) return { kind: 'instead', response };
  const text = await readWhole(response, exchange, candidate, take);
  return { kind: 'read', text, headers: response.headers, upstream: candidate.target.upstream };
}

async function readWhole(
  { body }: Response,
  exchange: Exchange,
  { target: { upstream } }: Candidate,
  take: (bytes: number) => void,
): Promise<string> {
  const reader = body?.getReader();
  const decoder = new TextDecoder();
  const pieces: string[] = [];
  try {
    for (;;) {
      const step = await reader?.read();
      if (step === undefined || step.done) break;
      take(step.value.length);
      pieces.push(decoder.decode(step.value, { stream: true }));
    }
  } catch (thrown) {
    reader?.cancel().catch(() => undefined);
    if (thrown instanceof GatewayError) throw thrown;
    throw exchange.error ?? new GatewayError('upstream_closed', `${upstream.name} broke off in the middle of its answer`);
  }
  if (exchange.error !== undefined) throw exchange.error;
  pieces.push(decoder.decode());
  return pieces.join('');
}

/** Tries are told of in logs and spans; those of a batch without end are not. */
const maxAttempts = 32;
const truncated = 'truncated:';

/**
 * A part is over: what it has learnt is the whole's from now on. Tries that came to nothing stand in the whole's list; of those
 * that were answered only the last does (`noteAnswering`), because every other one counts as a retry.
 */
export function settlePart(whole: Exchange, part: Exchange, failure?: unknown): void {
  if (failure instanceof ClientGone) part.outcome = 'abandoned';
  else if (failure !== undefined) {
    part.status = gatewayErrorOf(failure).status;
    part.outcome ??= 'failed';
  }
  for (const attempt of part.attempts) if (hasFailed(attempt)) note(whole, attempt);
  for (const warning of part.warnings) {
    // Each part has numbers of its own in it; one of them says it.
    const isTold = warning.startsWith(truncated) && whole.warnings.some((told) => told.startsWith(truncated));
    if (!isTold) addWarning(whole, warning);
  }
  if (part.queuedMs !== undefined) whole.queuedMs = Math.max(whole.queuedMs ?? 0, part.queuedMs);
  if (part.queuePosition !== undefined) whole.queuePosition = Math.max(whole.queuePosition ?? 0, part.queuePosition);
  // A load moves the limit of the part that has waited for it.
  if (part.deadlineMs !== undefined) whole.deadlineMs = Math.max(whole.deadlineMs ?? 0, part.deadlineMs);
  whole.firstByteMs ??= part.firstByteMs;
  whole.responseModel ??= part.responseModel;
  if (part.usage !== undefined) {
    const { inputTokens = 0, outputTokens = 0 } = whole.usage ?? {};
    whole.usage = {
      inputTokens: inputTokens + part.usage.inputTokens,
      outputTokens: outputTokens + part.usage.outputTokens,
      estimated: part.usage.estimated || whole.usage?.estimated === true,
    };
  }
  // Limits of tokens are taken and settled part by part.
  const nowMs = whole.clock.now();
  for (const ending of part.endings ?? []) ending(part, nowMs);
}

/** The try that the log takes for the one that has answered. */
export function noteAnswering(whole: Exchange, attempt: AttemptRecord | undefined): void {
  if (attempt !== undefined) note(whole, attempt);
}

function note({ attempts }: Exchange, attempt: AttemptRecord): void {
  // The newest say why it failed.
  if (attempts.length >= maxAttempts) attempts.shift();
  attempts.push(attempt);
}

function hasFailed({ error, status }: AttemptRecord): boolean {
  return error !== undefined || (status !== undefined && status >= 400);
}
