/** Runs a model: reads the call, orders the boxes, tries them in turn, relays the first answer. */
import { tryCandidates } from '../backends/attempts.ts';
import { orderCandidates } from '../backends/candidates.ts';
import { ClientGone } from '../backends/send.ts';
import type { AiBackend, Candidate } from '../backends/target.ts';
import { GatewayError, gatewayErrorOf } from '../errors.ts';
import type { Call, Exchange, Protocol } from '../exchange.ts';
import { isCloudModel, isModelAllowed } from '../fields/model-name.ts';
import { answerDemo, isDemoModel } from '../fleet/demo/demo.ts';
import { LoadFailed } from '../fleet/loads/load-answer.ts';
import { decodeCall } from '../protocols/decode.ts';
import { cloudRefusal } from './edited.ts';
import { answerBatch, batchOf } from './embedding-batch.ts';
import { isUnloadCall } from './ollama-options.ts';
import { type Patience, patienceFor } from './patience.ts';
import { tellWhy } from './placed.ts';
import { loadRefusal, respondWithRefusal } from './refusal.ts';
import { relayAnswer } from './relay.ts';
import type { AnswerTools } from './tools.ts';
import { unreachableError } from './unreachable.ts';
import { isDemoOpen } from './visible-models.ts';
import { workOf } from './work.ts';

export async function answerInference(
  exchange: Exchange,
  ai: AiBackend,
  protocol: Protocol,
  tools: AnswerTools,
): Promise<Response> {
  const bytes = await exchange.bodies.read(exchange);
  let serving: Promise<Response> | undefined;
  try {
    const call = decodeCall(protocol, bytes, exchange, tools.limits.allowances);
    exchange.requestModel = call.model;
    exchange.call = call;
    const demo = mayAnswerDemo(exchange, call, tools) ? demoAnswer(exchange, call) : undefined;
    if (demo !== undefined) return demo;
    const patience = patienceFor(exchange, call, tools);
    // By far most calls: released below, without a promise more for it.
    if (patience === undefined) return await serveCall(exchange, call, ai, protocol, tools, undefined);
    serving = serveAndRelease(exchange, call, ai, protocol, tools, patience);
    return await patience.answer(serving);
  } finally {
    if (serving === undefined) exchange.bodies.release(exchange);
  }
}

/** Early headers may have left meanwhile, so that nobody else waits for its end. One promise, where `finally` makes three. */
async function serveAndRelease(
  exchange: Exchange,
  call: Call,
  ai: AiBackend,
  protocol: Protocol,
  tools: AnswerTools,
  patience: Patience,
): Promise<Response> {
  try {
    return await serveCall(exchange, call, ai, protocol, tools, patience);
  } finally {
    exchange.bodies.release(exchange);
  }
}

function mayAnswerDemo({ identity }: Exchange, { model }: Call, tools: AnswerTools): boolean {
  return isDemoModel(model) && isDemoOpen(tools) && isModelAllowed(identity?.allowedModels, 'demo');
}

function demoAnswer(exchange: Exchange, { protocol, isStream, wantsUsage, model = 'demo' }: Call): Response | undefined {
  return answerDemo({ path: protocol.path, isStream, wantsUsage, model, id: exchange.id }, exchange.clock);
}

async function serveCall(
  exchange: Exchange,
  call: Call,
  ai: AiBackend,
  protocol: Protocol,
  tools: AnswerTools,
  patience: Patience | undefined,
): Promise<Response> {
  const batch = protocol.operation === 'embeddings' ? batchOf(call, tools) : undefined;
  // `/api/show` runs nothing.
  if (protocol.kind === 'inference' && !isUnloadCall(call))
    exchange.work = workOf(exchange, call, tools.limits.fleet, batch === undefined ? undefined : 'bulk');
  const ordered = orderCandidates(ai.targetsFor(call.model, exchange), call.model, tools.fleet, tools.random, exchange);
  const named = ordered.every(isNamed) ? ordered : ordered.filter(isNamed);
  if (named.length === 0) throw missingModel(ordered);
  const candidates = atHome(allowed(exchange, call, named), tools);
  exchange.requestModel ??= candidates[0]?.model;
  tellWhy(exchange, candidates, tools.limits.fleet.placement.explain);
  try {
    const joined = batch === undefined ? undefined : await answerBatch(exchange, call, batch, candidates, tools);
    if (joined instanceof Response) return joined;
    const asked = joined?.candidates ?? candidates;
    const result = await tryCandidates(exchange, { call, bytes: call.bytes, isPlain: true }, asked, tools);
    const hasBegun = patience?.settle() === true;
    if (result.kind === 'refused') return respondWithRefusal(exchange, result.candidate, result.refusal, candidates, tools);
    if (result.kind === 'instead') return result.response;
    if (hasBegun) await patience?.judge(result.attempt, result.answered);
    return await relayAnswer(exchange, call, protocol, result, tools);
  } catch (thrown) {
    if (thrown instanceof ClientGone) throw thrown;
    if (thrown instanceof LoadFailed) throw loadRefusal(exchange, thrown, tools);
    throw unreachableError(gatewayErrorOf(thrown), exchange);
  }
}

function isNamed({ model }: Candidate): boolean {
  return model !== undefined;
}

function missingModel(candidates: readonly Candidate[]): GatewayError {
  if (candidates.length === 0) return new GatewayError('no_backends', 'no valid backends');
  return new GatewayError(
    'missing_model',
    'the request names no model and the configuration has no default: send "model", or set provider.openAI.model on the backend',
  );
}

/**
 * Keys hold on every surface. The name that the client used is what counts; where it used none, each box's own default does,
 * so that failing over brings nobody to a model that the key does not have.
 */
function allowed({ identity }: Exchange, { model }: Call, candidates: readonly Candidate[]): readonly Candidate[] {
  const patterns = identity?.allowedModels;
  if (patterns === undefined) return candidates;
  const isAllowed = (name = '') => isModelAllowed(patterns, name);
  const left = model === undefined ? candidates.filter((candidate) => isAllowed(candidate.model)) : candidates;
  if (left.length > 0 && (model === undefined || isAllowed(model))) return left;
  throw new GatewayError('model_not_allowed', `this key may not use the model '${model ?? candidates[0]?.model}'`);
}

/** Cloud models leave the house only where the configuration says so (design decision 15). */
function atHome(candidates: readonly Candidate[], { fleet, limits }: AnswerTools): readonly Candidate[] {
  const isAway = ({ target: { upstream }, model = '' }: Candidate) =>
    fleet.isBox(upstream) && (isCloudModel(model) || fleet.isRemote(upstream, model));
  const away = limits.allowCloudModels ? undefined : candidates.find(isAway);
  if (away === undefined) return candidates;
  const left = candidates.filter((candidate) => !isAway(candidate));
  if (left.length > 0) return left;
  throw cloudRefusal(away.model);
}
