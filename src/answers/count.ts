/** Token counting: asked of upstreams that can, estimated for boxes and others, which cannot, and marked as an estimate. */
import { isBoxForSure } from '../backends/speech.ts';
import type { AiBackend } from '../backends/target.ts';
import type { Exchange, Protocol } from '../exchange.ts';
import { countTokensAnswer } from '../protocols/count-tokens.ts';
import { decodeCall } from '../protocols/decode.ts';
import { answerInference } from './inference.ts';
import type { AnswerTools } from './tools.ts';

export async function answerCount(exchange: Exchange, ai: AiBackend, protocol: Protocol, tools: AnswerTools): Promise<Response> {
  const canCount = ai.targets.every((target) => target.countsTokens && !isBoxForSure(target, tools.fleet));
  if (canCount) return answerInference(exchange, ai, protocol, tools);
  const bytes = await exchange.bodies.read(exchange);
  try {
    const call = decodeCall(protocol, bytes, exchange);
    exchange.requestModel = call.model;
    const text = call.body === undefined ? '{"input_tokens":0}' : countTokensAnswer(call.body);
    return new Response(text, { headers: { 'content-type': 'application/json', 'x-corral-estimated': 'true' } });
  } finally {
    exchange.bodies.release(exchange);
  }
}
