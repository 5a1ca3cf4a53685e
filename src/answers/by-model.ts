/** Paths that nobody here understands, where the request's model alone tells who serves it (`llm`, agentgateway llm/model_router.rs). */
import type { AiBackend } from '../backends/target.ts';
import { GatewayError } from '../errors.ts';
import type { Exchange } from '../exchange.ts';
import { isModelAllowed } from '../fields/model-name.ts';
import { modelInBody } from '../protocols/decode.ts';
import { answerPassthrough } from './passthrough.ts';
import type { AnswerTools } from './tools.ts';

/** The body passes as it came; keys, rules and visibility of models hold here as anywhere. */
export async function answerByModel(exchange: Exchange, ai: AiBackend, tools: AnswerTools): Promise<Response> {
  const bytes = await exchange.bodies.read(exchange);
  try {
    const model = bytes.length === 0 ? undefined : modelInBody(bytes, exchange);
    if (model === undefined)
      throw new GatewayError('missing_model', `${exchange.path} is for one of several providers: name a model in the body`);
    exchange.requestModel = model;
    if (!isModelAllowed(exchange.identity?.allowedModels, model))
      throw new GatewayError('model_not_allowed', `this key may not use the model '${model}'`);
    return await answerPassthrough(exchange, ai.targetsFor(model, exchange), tools);
  } finally {
    exchange.bodies.release(exchange);
  }
}
