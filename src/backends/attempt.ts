/** One try at one candidate: its request is made, edited and sent, and a box's refusal is read to be understood. */
import { GatewayError, gatewayErrorOf } from '../errors.ts';
import { cordonedError, isWork } from '../exchange/cordoned.ts';
import {
  type Ask,
  type Attempt,
  type AttemptEdit,
  type AttemptRecord,
  addWarning,
  type Call,
  type Exchange,
  type Fleet,
  type Lease,
  onGone,
  type Prediction,
  type Translation,
  type Upstream,
} from '../exchange.ts';
import type { JsonDraft } from '../json/object-text.ts';
import { readObject } from '../json/read-object.ts';
import type { TargetHealth } from './health.ts';
import { goNatively, type OllamaOptions, refusalFor, type Settled } from './native.ts';
import { createOutgoing } from './outgoing.ts';
import { type QueueWaiter, tellNotQueued, tellQueued, waiterOf } from './queue-wait.ts';
import { type Answered, ClientGone, type SendTools, send } from './send.ts';
import { isSpokenToAsBox } from './speech.ts';
import type { Candidate } from './target.ts';

export interface AttemptTools extends SendTools {
  readonly instanceId: string;
  readonly fleet: Fleet & {
    /** A box said that it has not got this model after all. */
    noteMissing(upstream: Upstream, model: string): void;
  };
  /** What a box's refusal means for the call. */
  faultOf(status: number, text: string): BoxFault;
  /** Asked before a call leaves for a box: throws context_exceeded where its prompt cannot fit. */
  judgePrompt(attempt: Attempt, call: Call, asked: Pick<Ask, 'model' | 'numCtx'>): void;
  /** Whether a box's answer means that the model is not there (Ollama's 404 texts). */
  isModelMissing(status: number, text: string): boolean;
  /** Asked when policies have edited a try: throws GatewayError where it has become what nobody would have let pass. */
  judgeEdited(attempt: Attempt, decided: Decided, isBox: boolean): void;
  /** `num_ctx`, `keep_alive`, `think` and `options` on every surface; left out, they pass as they came. */
  readonly ollamaOptions?: OllamaOptions;
}

/** What a box's refusal means for the call. */
export interface BoxFault {
  /** Another box may do better. */
  readonly mayMoveOn: boolean;
  /** It speaks of the box, and not of the request or of a moment's crowd. */
  readonly isOfBox: boolean;
  /** The model's runner seems to have died. */
  readonly isCrash?: boolean;
  /** In a few words, for the log. */
  readonly why: string;
}

/** What a try was to be before policies edited it. */
export interface Decided {
  readonly method: string;
  readonly path: string;
  readonly model: string | undefined;
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
/** Tells an upstream that it, or another one, has been asked before (agentgateway's name for it). */
const retryHeader = 'x-retry-attempt';

/** `number`: 0 for the first try. Throws what the connection failed with, what a policy threw, or ClientGone. */
export async function tryOne(
  exchange: Exchange,
  { call, bytes, isPlain }: Payload,
  candidate: Candidate,
  number: number,
  tools: AttemptTools,
): Promise<AttemptsResult> {
  const { target, model } = candidate;
  const { upstream } = target;
  const isMaybeBox = tools.fleet.isBox(upstream);
  const isBox = isSpokenToAsBox(target, exchange.protocol, tools.fleet);
  const translation = call === undefined ? undefined : target.translationFor(exchange.protocol, isBox);
  const { path, query } = target.pathFor({
    protocol: translation?.upstream ?? exchange.protocol,
    clientPath: exchange.path,
    matchedPrefix: exchange.matchedPrefix,
    query: exchange.query,
    isBox,
    isTranslated: translation !== undefined,
  });
  const attempt: Attempt = {
    exchange,
    upstream,
    isBox,
    outgoing: createOutgoing(exchange, {
      isBox: isMaybeBox,
      path,
      query,
      instanceId: tools.instanceId,
      bodyWasRead: isPlain,
    }),
    body: call?.body?.draft(),
    protocol: target.passthrough === 'opaque' ? undefined : exchange.protocol,
    rewrites: undefined,
    timeoutMs: undefined,
  };
  if (number > 0) attempt.outgoing.headers[retryHeader] = String(number);
  if (call !== undefined && attempt.body !== undefined) {
    if (target.passthrough === undefined) {
      if (isBox) editForBox(exchange, call, attempt.body);
      else askForUsage(call, attempt.body);
    }
    if (model !== undefined && model !== call.model) attempt.body.set('model', model);
  }
  const options = isBox && translation === undefined && target.passthrough === undefined ? tools.ollamaOptions : undefined;
  const carries = call !== undefined && options?.lift(attempt, call) === true;
  const edited = editWith(target.edits, attempt);
  // While a policy asks somebody, nobody else looks whether the client is still there.
  if (edited instanceof Promise) onGone(exchange, () => undefined);
  let response = edited instanceof Promise ? await edited : edited;
  if (translation !== undefined && call !== undefined) translate(attempt, call, translation);
  response ??= target.finalEdits.length === 0 ? undefined : await editWith(target.finalEdits, attempt);
  if (response !== undefined) return { kind: 'instead', candidate, response };
  if (exchange.hasLeft === true) throw new ClientGone();
  if (call === undefined || target.edits.length + target.finalEdits.length > 0)
    tools.judgeEdited(attempt, { method: exchange.method, path, model }, isMaybeBox);
  const { body: draft, protocol: spoken, rewrites, outgoing } = attempt;
  const { path: boxPath, query: boxQuery } = outgoing;
  let settled = settle(attempt, call, candidate, carries, options, tools);
  const admitted = isBox ? admit(exchange, candidate, settled?.numCtx, tools) : undefined;
  const lease = admitted instanceof Promise ? await admitted : admitted;
  // A load has told how large the context is, and others may have asked for more meanwhile: what was settled before would load anew.
  if (lease !== undefined && lease.loadMs > 0)
    holding(lease, () => {
      if (settled?.native !== undefined) {
        Object.assign(attempt, { body: draft, protocol: spoken, rewrites, replacedBody: undefined });
        Object.assign(outgoing, { path: boxPath, query: boxQuery });
      }
      settled = settle(attempt, call, candidate, carries, options, tools);
    });
  const native = settled?.native;
  const record = recordOf(exchange, upstream, isBox, candidate.prediction, lease);
  exchange.attempts.push(record);
  // A policy of the backend may have read what would have streamed through: then it has no coding any more.
  if (bytes === undefined && exchange.heldBody !== undefined) delete attempt.outgoing.headers['content-encoding'];
  // An answer that is translated, guarded or read by a policy must be readable.
  if (attempt.rewrites !== undefined || exchange.answerIsRead) delete attempt.outgoing.headers['accept-encoding'];
  const body = bodyFor(attempt, call, model, bytes);
  const { health } = target;
  health?.begin();
  let answered: Answered;
  try {
    answered = await send(attempt, body, model, record, tools, lease);
  } catch (thrown) {
    const fault = faultIn(attempt, thrown);
    lease?.end({ how: thrown instanceof ClientGone ? 'abandoned' : 'failed', fault, isCrash: fault === brokeOff });
    if (health !== undefined) learnFailure(health, exchange, thrown);
    throw thrown;
  }
  const { status, headers } = answered.response;
  health?.answered(exchange, { status, headers }, record.startedMs);
  if (!isBox || status < 400) return { kind: 'answered', candidate, attempt, answered };
  let fault: string | undefined = brokeOff;
  let isCrash: boolean | undefined = true;
  try {
    const refusal = await readRefusal(answered, exchange, candidate, tools);
    const understood = tools.faultOf(status, refusal.text);
    fault = understood.isOfBox ? understood.why : undefined;
    isCrash = understood.isCrash;
    return { kind: 'refused', candidate, refusal: native === undefined ? refusal : await refusalFor(refusal, native) };
  } finally {
    lease?.end({ how: 'failed', fault, isCrash });
  }
}

/** The context of a try for a box, and the words it is put in. Throws where its prompt cannot fit. */
function settle(
  attempt: Attempt,
  call: Call | undefined,
  candidate: Candidate,
  carries: boolean,
  options: OllamaOptions | undefined,
  tools: AttemptTools,
): Settled | undefined {
  if (call === undefined) return undefined;
  const { target, model } = candidate;
  const settled = options?.settle(attempt, call, candidate, carries);
  if (settled?.native !== undefined) goNatively(attempt, settled.native, target);
  if (attempt.isBox && model !== undefined) tools.judgePrompt(attempt, call, { model, numCtx: settled?.numCtx });
  return settled;
}

const brokeOff = 'it broke off the connection';

/** What a connection that failed says of the box. Whether it is there at all is somebody else's to know; a policy's own time limit says nothing. */
function faultIn({ timeoutMs }: Attempt, thrown: unknown): string | undefined {
  if (!(thrown instanceof GatewayError)) return undefined;
  if (thrown.code === 'upstream_closed') return brokeOff;
  return thrown.code === 'upstream_timeout' && timeoutMs === undefined ? 'no first byte in time' : undefined;
}

/** A slot of the box, and the model in its memory. Only for what was understood: nothing is known of other requests. */
function admit(
  exchange: Exchange,
  { target: { upstream }, model, prediction: predicted }: Candidate,
  numCtx: number | undefined,
  tools: AttemptTools,
): Lease | Promise<Lease> | undefined {
  const { work } = exchange;
  // With work the box itself says so, in its turn.
  if (work === undefined && isWork(exchange.protocol) && tools.fleet.isCordoned(upstream)) throw cordonedError(upstream.name);
  if (work === undefined || model === undefined) return undefined;
  const startedMs = exchange.clock.now();
  const waiter = waiterOf(exchange);
  try {
    const lease = tools.fleet.admit(upstream, { model, numCtx, work, predicted }, waiter);
    if (!(lease instanceof Promise)) return lease;
    return unlessGone(exchange, lease).then(
      (granted) => settleWait(exchange, upstream, waiter, granted),
      (thrown) => notAdmitted(exchange, upstream, { waiter, startedMs }, thrown, tools),
    );
  } catch (thrown) {
    return notAdmitted(exchange, upstream, { waiter, startedMs }, thrown, tools);
  }
}

/** Throws it on. */
function notAdmitted(
  exchange: Exchange,
  upstream: Upstream,
  { waiter, startedMs }: { readonly waiter: QueueWaiter; readonly startedMs: number },
  thrown: unknown,
  tools: AttemptTools,
): never {
  tellNotQueued(exchange, upstream, waiter, thrown);
  // Whoever has left waited there to the end: the log names the box.
  if (!(thrown instanceof ClientGone)) exchange.wait = undefined;
  if (thrown instanceof GatewayError && !ofQueue.has(thrown.code)) {
    const answeredMs = exchange.clock.now();
    exchange.attempts.push({ upstream, isOllama: true, startedMs, answeredMs, status: undefined, error: thrown });
    tools.fleet.noteFailure(upstream, thrown);
  }
  throw thrown;
}

/** Without a prediction, as nearly always, it has no members for one. */
function recordOf(
  { clock }: Exchange,
  upstream: Upstream,
  isOllama: boolean,
  prediction: Prediction | undefined,
  lease: Lease | undefined,
): AttemptRecord {
  const record: AttemptRecord = {
    upstream,
    isOllama,
    startedMs: clock.now(),
    answeredMs: undefined,
    status: undefined,
    error: undefined,
  };
  if (prediction === undefined) return record;
  const waitedMs = lease === undefined ? 0 : lease.queuedMs + lease.loadMs;
  return { ...record, predictedMs: prediction.totalMs, waitedMs };
}

/** The box was not asked anything yet: it is no try. */
const ofQueue: ReadonlySet<string> = new Set(['queue_full', 'queue_timeout', 'box_cordoned', 'request_timeout']);

/** What a client waits for never comes once it has left; its exchange ends all the same. */
function unlessGone(exchange: Exchange, lease: Promise<Lease>): Promise<Lease> {
  return new Promise((resolve, reject) => {
    let hasLeft = false;
    onGone(exchange, () => {
      hasLeft = true;
      reject(new ClientGone());
    });
    lease.then((granted) => {
      if (hasLeft) granted.end();
      else resolve(granted);
    }, reject);
  });
}

/** The slot is free again where `judge` throws. */
function holding(lease: Lease, judge: () => void): void {
  try {
    judge();
  } catch (thrown) {
    lease.end({ how: 'abandoned' });
    throw thrown;
  }
}

/** A load has a limit of its own: the request's is moved by what it took. */
function settleWait(exchange: Exchange, upstream: Upstream, waiter: QueueWaiter, lease: Lease): Lease {
  exchange.wait = undefined;
  tellQueued(exchange, upstream, waiter, lease.queuedMs);
  if (exchange.deadlineMs !== undefined) exchange.deadlineMs += lease.loadMs;
  return lease;
}

/** Neither a client that leaves nor a limit of the request itself says anything of the upstream. */
function learnFailure(health: TargetHealth, exchange: Exchange, thrown: unknown): void {
  const error = gatewayErrorOf(thrown);
  if (thrown instanceof ClientGone || error.code === 'request_timeout') health.leave();
  else health.failed(exchange, error);
}

/** Stops at the first edit that answers by itself. A promise only where an edit gives one. */
function editWith(edits: readonly AttemptEdit[], attempt: Attempt, from = 0): MaybeLater<Response | undefined> {
  for (let index = from; index < edits.length; index++) {
    const edited = edits[index]?.(attempt);
    if (edited instanceof Promise) return edited.then((response) => response ?? editWith(edits, attempt, index + 1));
    if (edited !== undefined) return edited;
  }
  return undefined;
}

type MaybeLater<Result> = Result | Promise<Result>;

function translate(attempt: Attempt, call: Call, translation: Translation): void {
  if (attempt.body === undefined) return;
  const { bytes, warnings } = translation.request(attempt.body.bytes());
  for (const warning of warnings) addWarning(attempt.exchange, warning);
  attempt.body = readObject(bytes).draft();
  attempt.protocol = translation.upstream;
  // The answer is translated before anything else looks at it.
  attempt.rewrites = [translation.rewriteFor(call), ...(attempt.rewrites ?? [])];
}

/** What leaves as the body; none with a method that a policy has made one without a body: `fetch` would not send it. */
function bodyFor(
  { exchange, body, outgoing, replacedBody }: Attempt,
  call: Call | undefined,
  model: string | undefined,
  bytes: Uint8Array | undefined,
): Uint8Array | ReadableStream<Uint8Array> | undefined {
  if (outgoing.method === 'GET' || outgoing.method === 'HEAD') return undefined;
  const form = replacedBody === undefined ? formFor(call, model) : undefined;
  return body?.bytes() ?? form ?? unreadBody(exchange, replacedBody ?? bytes ?? exchange.heldBody);
}

/** A body that a policy has read and found empty is none: `fetch` sends no body with a GET, not even an empty one. */
function unreadBody({ request }: Exchange, bytes: Uint8Array | undefined): Uint8Array | ReadableStream<Uint8Array> | undefined {
  if (bytes === undefined) return request.body ?? undefined;
  return bytes.length === 0 ? undefined : bytes;
}

/** A form whose model is not the one that the client named. */
function formFor(call: Call | undefined, model: string | undefined): Uint8Array | undefined {
  return model === undefined || model === call?.model ? undefined : call?.bytesFor?.(model);
}

/** Whoever else streams is asked for usage, too; what the client did not ask for is taken out again on the way back. */
function askForUsage({ boxChanges }: Call, body: JsonDraft): void {
  if (boxChanges.has('stream_options')) body.set('stream_options', boxChanges.get('stream_options'));
}

/** What Ollama would drop without a word is made to work, made loud, or refused. */
function editForBox(exchange: Exchange, call: Call, body: JsonDraft): void {
  if (call.boxRefusal !== undefined) throw call.boxRefusal;
  for (const [name, value] of call.boxChanges) body.set(name, value);
  if (call.boxTexts !== undefined) for (const [name, json] of call.boxTexts) body.setText(name, json);
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
