/** Runs a model: reads the call, orders the boxes, tries them in turn, relays the first answer. */
import { tryCandidates } from '../backends/attempts.ts';
import { orderCandidates } from '../backends/candidates.ts';
import { ClientGone } from '../backends/send.ts';
import type { AiBackend, Candidate } from '../backends/target.ts';
import { GatewayError, gatewayErrorOf } from '../errors.ts';
import type { Call, Exchange, Protocol } from '../exchange.ts';
import { isCloudModel, isModelAllowed } from '../fields/model-name.ts';
import { answerDemo, isDemoModel } from '../fleet/demo.ts';
import { decodeCall, readInflatedBody } from '../protocols/decode.ts';
import { respondWithRefusal } from './refusal.ts';
import { relayAnswer } from './relay.ts';
import type { AnswerTools } from './tools.ts';
import { unreachableError } from './unreachable.ts';
import { isDemoOpen } from './visible-models.ts';

export async function answerInference(
  exchange: Exchange,
  ai: AiBackend,
  protocol: Protocol,
  tools: AnswerTools,
): Promise<Response> {
  const bytes = await readInflatedBody(exchange, tools.limits, tools.budget);
  try {
    const call = decodeCall(protocol, bytes, exchange, tools.limits.allowances);
    exchange.call = call;
    exchange.requestModel = call.model;
    const demo = isDemoModel(call.model) && isDemoOpen(tools) ? demoAnswer(exchange, call) : undefined;
    return demo ?? (await serveCall(exchange, call, ai, protocol, tools));
  } finally {
    tools.budget.give(bytes.length);
  }
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
): Promise<Response> {
  const ordered = orderCandidates(ai.targetsFor(call.model, exchange), call.model, tools.fleet, tools.random);
  const candidates = ordered.filter((candidate) => candidate.model !== undefined);
  if (candidates.length === 0) throw missingModel(ordered);
  checkModels(exchange, call, candidates, tools);
  try {
    const result = await tryCandidates(exchange, { call, bytes: call.bytes }, candidates, tools);
    if (result.kind === 'refused') return respondWithRefusal(exchange, result.candidate, result.refusal, tools);
    return await relayAnswer(exchange, call, protocol, result.candidate, result.answered, tools);
  } catch (thrown) {
    if (thrown instanceof ClientGone) throw thrown;
    throw unreachableError(gatewayErrorOf(thrown), exchange);
  }
}

function missingModel(candidates: readonly Candidate[]): GatewayError {
  if (candidates.length === 0) return new GatewayError('no_backends', 'no valid backends');
  return new GatewayError(
    'missing_model',
    'the request names no model and the configuration has no default: send "model", or set provider.openAI.model on the backend',
  );
}

/** Keys hold on every surface; cloud models leave the house only where the configuration says so (design decision 15). */
function checkModels(exchange: Exchange, call: Call, candidates: readonly Candidate[], tools: AnswerTools): void {
  const asked = call.model ?? candidates[0]?.model ?? '';
  const patterns = exchange.identity?.allowedModels;
  if (patterns !== undefined && !isModelAllowed(patterns, asked)) {
    throw new GatewayError('model_not_allowed', `this key may not use the model '${asked}'`);
  }
  if (tools.limits.allowCloudModels) return;
  const cloud = candidates.find(
    ({ target: { upstream }, model = '' }) =>
      tools.fleet.isBox(upstream) && (isCloudModel(model) || tools.fleet.isRemote(upstream, model)),
  );
  if (cloud === undefined) return;
  throw new GatewayError(
    'cloud_model_refused',
    `the model '${cloud.model}' runs on Ollama's cloud, not on your boxes; set fleet.allowCloudModels: true to let it pass`,
  );
}
