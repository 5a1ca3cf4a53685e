/** Paths that nobody here understands, where the request's model alone tells who serves it (`llm`, agentgateway llm/model_router.rs). */
import type { AiBackend, Target } from '../backends/target.ts';
import { GatewayError } from '../errors.ts';
import type { Exchange } from '../exchange.ts';
import { isModelAllowed } from '../fields/model-name.ts';
import { modelInBody } from '../protocols/decode.ts';
import { refuseCloud } from './edited.ts';
import { answerPassthrough } from './passthrough.ts';
import type { AnswerTools } from './tools.ts';

/** The body passes as it came; keys, rules and visibility of models hold here as anywhere. */
export async function answerByModel(exchange: Exchange, ai: AiBackend, tools: AnswerTools, isMeant: boolean): Promise<Response> {
  const bytes = await exchange.bodies.read(exchange);
  try {
    const model = bytes.length === 0 ? undefined : modelInBody(bytes, exchange);
    if (model === undefined)
      throw new GatewayError('missing_model', `${exchange.path} is for one of several providers: name a model in the body`);
    requireAllowed(exchange, model);
    const targets = ai.targetsFor(model, exchange);
    for (const { upstream } of targets) if (tools.fleet.isBox(upstream)) refuseCloud(model, upstream, tools);
    if (!isMeant) refuseUnbound(exchange, targets, model);
    return await answerPassthrough(exchange, targets, tools);
  } finally {
    exchange.bodies.release(exchange);
  }
}

/**
 * Nothing passes as it came where the configuration binds every call: its guards, limits and models would not hold. Throws
 * path_not_served. `model`: as the body names it; undefined where nobody has looked.
 */
export function refuseUnbound({ method, path }: Exchange, targets: readonly Target[], model?: string): void {
  const keys = new Set(targets.flatMap(({ binds }) => binds));
  const isOther = ({ declares, modelFor }: Target) =>
    model === undefined ? declares !== undefined : modelFor(model, false) !== model;
  if (targets.some(isOther)) keys.add('the model that the configuration names');
  if (keys.size === 0) return;
  const mend = model === undefined ? `write ai.routes: {"${path}": passthrough}` : 'set passthrough: detect on the model';
  throw new GatewayError(
    'path_not_served',
    `${method} ${path} is no path that Corral understands, so ${[...keys].join(', ')} would not hold for it. If it may pass as it is, ${mend}`,
  );
}

/** The same for a backend that asks for no model, and a key that is limited to some: its limit holds on every path. */
export async function answerLimited(exchange: Exchange, targets: readonly Target[], tools: AnswerTools): Promise<Response> {
  const bytes = await exchange.bodies.read(exchange);
  try {
    const model = bytes.length === 0 ? undefined : modelInBody(bytes, exchange);
    if (model !== undefined) requireAllowed(exchange, model);
    return await answerPassthrough(exchange, targets, tools);
  } finally {
    exchange.bodies.release(exchange);
  }
}

function requireAllowed(exchange: Exchange, model: string): void {
  exchange.requestModel = model;
  if (!isModelAllowed(exchange.identity?.allowedModels, model))
    throw new GatewayError('model_not_allowed', `this key may not use the model '${model}'`);
}
