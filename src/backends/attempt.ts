/** One try at one candidate: its request is made, edited and sent, and a box's refusal is read to be understood. */
import { GatewayError, gatewayErrorOf } from '../errors.ts';
import {
  type Attempt,
  type AttemptEdit,
  type AttemptRecord,
  addWarning,
  type Call,
  type Exchange,
  type Lease,
  onGone,
  type Prediction,
  type Translation,
  type Upstream,
} from '../exchange.ts';
import type { JsonDraft } from '../json/object-text.ts';
import { readObject } from '../json/read-object.ts';
import type { AttemptsResult, AttemptTools, Payload, Refusal } from './attempt-tools.ts';
import { type Entered, enterBox } from './enter-box.ts';
import type { TargetHealth } from './health.ts';
import { refusalFor } from './native.ts';
import { createOutgoing } from './outgoing.ts';
import { type Answered, ClientGone, send } from './send.ts';
import { isSpokenToAsBox } from './speech.ts';
import type { Candidate } from './target.ts';

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
  if (call !== undefined && attempt.body !== undefined) editBody(attempt, call, attempt.body, candidate);
  const options = isBox && translation === undefined && target.passthrough === undefined ? tools.ollamaOptions : undefined;
  const carries = call !== undefined && options?.lift(attempt, call) === true;
  const { body } = attempt;
  const editsBefore = body?.edits;
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
  const mayAsk = carries || attempt.body !== body || body?.edits !== editsBefore;
  const entering = enterBox({ attempt, call, candidate, options, mayAsk }, tools);
  const entered = entering instanceof Promise ? await entering : entering;
  return sendTry(attempt, { call, bytes }, candidate, entered, tools);
}

/** Sends it, and reads what a box refuses. The box's slot is free again unless there is an answer to relay. */
async function sendTry(
  attempt: Attempt,
  { call, bytes }: Pick<Payload, 'call' | 'bytes'>,
  candidate: Candidate,
  { lease, native }: Entered,
  tools: AttemptTools,
): Promise<AttemptsResult> {
  const { exchange, upstream, isBox } = attempt;
  const { target, model } = candidate;
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
  return { kind: 'refused', candidate, refusal: await refusedBy(answered, attempt, candidate, { lease, native }, tools) };
}

/** What the box said, in the client's words, and what it says of the box. */
async function refusedBy(
  answered: Answered,
  { exchange }: Attempt,
  candidate: Candidate,
  { lease, native }: Entered,
  tools: AttemptTools,
): Promise<Refusal> {
  let fault: string | undefined = brokeOff;
  let isCrash: boolean | undefined = true;
  try {
    const refusal = await readRefusal(answered, exchange, candidate, tools);
    const understood = tools.faultOf(answered.response.status, refusal.text);
    fault = understood.isOfBox ? understood.why : undefined;
    isCrash = understood.isCrash;
    return native === undefined ? refusal : await refusalFor(refusal, native);
  } finally {
    lease?.end({ how: 'failed', fault, isCrash });
  }
}

const brokeOff = 'it broke off the connection';

/** What a connection that failed says of the box. Whether it is there at all is somebody else's to know; a policy's own time limit says nothing. */
function faultIn({ timeoutMs }: Attempt, thrown: unknown): string | undefined {
  if (!(thrown instanceof GatewayError)) return undefined;
  if (thrown.code === 'upstream_closed') return brokeOff;
  return thrown.code === 'upstream_timeout' && timeoutMs === undefined ? 'no first byte in time' : undefined;
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

/** What every call of its kind must have, whatever policies say afterwards. */
function editBody({ exchange, isBox }: Attempt, call: Call, body: JsonDraft, { target, model }: Candidate): void {
  if (target.passthrough === undefined) {
    if (isBox) editForBox(exchange, call, body);
    else askForUsage(call, body);
  }
  if (model !== undefined && model !== call.model) body.set('model', model);
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
