/**
 * The retry and failover loop: candidates in turn until one answers. Before the first byte a box may fail in any way and the
 * next one is asked; other upstreams are left for the next only where they cannot have seen the request, or where a `retry`
 * policy says so (design decision 19: a POST is not idempotent).
 */
import { GatewayError, gatewayErrorOf } from '../errors.ts';
import type { Attempt, AttemptEdit, AttemptRecord, Call, Exchange, Fleet, Translation, Upstream } from '../exchange.ts';
import { addWarning } from '../exchange.ts';
import type { JsonDraft } from '../json/object-text.ts';
import { readObject } from '../json/read-object.ts';
import { createOutgoing } from './outgoing.ts';
import { type Answered, ClientGone, type SendTools, send } from './send.ts';
import type { Candidate } from './target.ts';

export interface AttemptTools extends SendTools {
  readonly instanceId: string;
  readonly fleet: Fleet & {
    /** A box said that it has not got this model after all. */
    noteMissing(upstream: Upstream, model: string): void;
  };
  /** Whether a box's answer means that the model is not there (Ollama's 404 texts). */
  isModelMissing(status: number, text: string): boolean;
}

/** What came of it: an answer whose body is still to be relayed, or a box's refusal that was read to be understood. */
export type AttemptsResult =
  | {
      readonly kind: 'answered';
      readonly candidate: Candidate;
      readonly attempt: Attempt;
      readonly answered: Answered;
    }
  /** A policy answered in the upstream's place. */
  | { readonly kind: 'instead'; readonly candidate: Candidate; readonly response: Response }
  | { readonly kind: 'refused'; readonly candidate: Candidate; readonly refusal: Refusal };

export interface Refusal {
  readonly status: number;
  readonly headers: Headers;
  readonly bytes: Uint8Array;
  readonly text: string;
}

/** What is sent: a call that was understood, bytes that can be sent again, or neither: then the request's body streams through, once. */
export interface Payload {
  readonly call: Call | undefined;
  readonly bytes: Uint8Array | undefined;
  /** The bytes have no content-encoding any more. */
  readonly isPlain: boolean;
}

/** A box's errors are short and come whole; what is longer, or stalls half-way, counts as a connection that broke. */
const maxRefusalBytes = 256 * 1024;
const maxRefusalMs = 10_000;
/** However many boxes and retries are configured. */
const maxTries = 32;
/** Before these, nothing of the request has reached anybody. */
const beforeConnect = new Set(['upstream_refused', 'upstream_unresolved', 'upstream_tls']);
/** A box that answers so may be left for another: it is not up to the request. */
const boxUnable = new Set([502, 503, 504]);

/** Throws the last connection failure, or ClientGone; returns everything that an upstream answered. */
export async function tryCandidates(
  exchange: Exchange,
  payload: Payload,
  candidates: readonly Candidate[],
  tools: AttemptTools,
): Promise<AttemptsResult> {
  const retry = exchange.retry;
  let row = candidates.filter((candidate) => !candidate.isLastResort);
  let hasLeft = false;
  if (candidates.length > 1 || retry !== undefined)
    exchange.peer.onGone(() => {
      hasLeft = true;
    });
  const mayTryAnother = (index: number) => index + 1 < Math.min(row.length + (retry?.attempts ?? 0), maxTries);
  for (let index = 0; ; index++) {
    const candidate = row[index % row.length];
    if (candidate === undefined) throw new GatewayError('no_backends', 'no valid backends');
    if (index >= row.length && retry !== undefined) await pause(exchange, retry.backoffMs);
    // Between two tries nobody else looks: whoever left then is told to no try any more.
    if (hasLeft) throw new ClientGone();
    try {
      const result = await tryOne(exchange, payload, candidate, tools);
      if (result.kind === 'instead') return result;
      // The lists were wrong about this box; they may be about the others.
      if (lacksModel(result, tools)) row = [...candidates];
      if (!mayTryAnother(index) || !isWorthAnother(result, exchange, index + 1 < row.length, tools)) return result;
      if (result.kind === 'answered') result.answered.response.body.cancel();
    } catch (thrown) {
      if (thrown instanceof ClientGone || !mayTryAnother(index)) throw thrown;
      const error = gatewayErrorOf(thrown);
      // What a box would get wrong another host may serve.
      if (error === payload.call?.boxRefusal && index + 1 < row.length) continue;
      const isReplayable = tools.fleet.isBox(candidate.target.upstream) || beforeConnect.has(error.code) || retry !== undefined;
      if (!error.retryable || !isReplayable) throw thrown;
    }
  }
}

function isWorthAnother(
  result: Exclude<AttemptsResult, { kind: 'instead' }>,
  exchange: Exchange,
  isUntried: boolean,
  tools: AttemptTools,
): boolean {
  const { candidate } = result;
  const status = result.kind === 'answered' ? result.answered.response.status : result.refusal.status;
  if (exchange.retry?.statuses.has(status)) return true;
  if (!isUntried || !tools.fleet.isBox(candidate.target.upstream)) return false;
  return boxUnable.has(status) || lacksModel(result, tools);
}

function lacksModel(result: AttemptsResult, tools: AttemptTools): boolean {
  return result.kind === 'refused' && tools.isModelMissing(result.refusal.status, result.refusal.text);
}

async function tryOne(
  exchange: Exchange,
  { call, bytes, isPlain }: Payload,
  candidate: Candidate,
  tools: AttemptTools,
): Promise<AttemptsResult> {
  const { target, model } = candidate;
  const { upstream } = target;
  const isBox = tools.fleet.isBox(upstream);
  const translation = call === undefined ? undefined : target.translationFor(exchange.protocol, isBox);
  const { path, query } = target.pathFor({
    protocol: translation?.upstream ?? exchange.protocol,
    clientPath: exchange.path,
    matchedPrefix: exchange.matchedPrefix,
    query: exchange.query,
    isBox,
  });
  const attempt: Attempt = {
    exchange,
    upstream,
    outgoing: createOutgoing(exchange, {
      isBox,
      path,
      query,
      instanceId: tools.instanceId,
      bodyWasRead: isPlain,
    }),
    body: call?.body?.draft(),
    protocol: exchange.protocol,
    rewrites: undefined,
    timeoutMs: undefined,
  };
  if (call !== undefined && attempt.body !== undefined) {
    if (isBox) editForBox(exchange, call, attempt.body);
    if (model !== undefined && model !== call.model) attempt.body.set('model', model);
  }
  let response = await editWith(target.edits, attempt);
  if (translation !== undefined && call !== undefined) translate(attempt, call, translation);
  response ??= target.finalEdits.length === 0 ? undefined : await editWith(target.finalEdits, attempt);
  if (response !== undefined) return { kind: 'instead', candidate, response };

  const record: AttemptRecord = { upstream, startedMs: exchange.clock.now(), status: undefined, error: undefined };
  exchange.attempts.push(record);
  const body = attempt.body?.bytes() ?? formFor(call, model) ?? bytes ?? exchange.request.body ?? undefined;
  const answered = await send(attempt, body, model, record, tools);
  if (!isBox || answered.response.status < 400) return { kind: 'answered', candidate, attempt, answered };
  return { kind: 'refused', candidate, refusal: await readRefusal(answered, exchange, candidate, tools) };
}

/** Stops at the first edit that answers by itself. Waits only where an edit does. */
async function editWith(edits: readonly AttemptEdit[], attempt: Attempt): Promise<Response | undefined> {
  for (const edit of edits) {
    const edited = edit(attempt);
    const response = edited instanceof Promise ? await edited : edited;
    if (response !== undefined) return response;
  }
  return undefined;
}

function translate(attempt: Attempt, call: Call, translation: Translation): void {
  if (attempt.body === undefined) return;
  const { bytes, warnings } = translation.request(attempt.body.bytes());
  for (const warning of warnings) addWarning(attempt.exchange, warning);
  attempt.body = readObject(bytes).draft();
  attempt.protocol = translation.upstream;
  // The answer is translated before anything else looks at it.
  attempt.rewrites = [translation.rewriteFor(call), ...(attempt.rewrites ?? [])];
}

/** A form whose model is not the one that the client named. */
function formFor(call: Call | undefined, model: string | undefined): Uint8Array | undefined {
  return model === undefined || model === call?.model ? undefined : call?.bytesFor?.(model);
}

/** What Ollama would drop without a word is made to work, made loud, or refused. */
function editForBox(exchange: Exchange, call: Call, body: JsonDraft): void {
  if (call.boxRefusal !== undefined) throw call.boxRefusal;
  for (const [name, value] of call.boxChanges) body.set(name, value);
  for (const warning of call.boxWarnings ?? []) addWarning(exchange, warning);
}

async function readRefusal(
  { response, abort }: Answered,
  exchange: Exchange,
  candidate: Candidate,
  tools: AttemptTools,
): Promise<Refusal> {
  const { upstream } = candidate.target;
  const stop = exchange.clock.after(maxRefusalMs, () =>
    abort(new GatewayError('upstream_closed', `${upstream.name} stalled in the middle of its answer`)),
  );
  const bytes = await response.body.read(maxRefusalBytes).finally(stop);
  const text = new TextDecoder().decode(bytes);
  if (candidate.model !== undefined && tools.isModelMissing(response.status, text)) {
    tools.fleet.noteMissing(upstream, candidate.model);
  }
  return { status: response.status, headers: response.headers, bytes, text };
}

/** Throws request_timeout as soon as the pause turns out to reach beyond the exchange's own limit. */
async function pause({ clock, deadlineMs = Number.POSITIVE_INFINITY }: Exchange, delayMs: number): Promise<void> {
  if (delayMs <= 0) return;
  const leftMs = deadlineMs - clock.now();
  await new Promise<void>((resolve) => clock.after(Math.max(0, Math.min(delayMs, leftMs)), resolve));
  if (leftMs <= delayMs) throw new GatewayError('request_timeout', 'request timeout');
}
