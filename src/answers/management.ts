/** Pull, create, delete and the like: for the admin scope only, at one named box, streamed through (design decision 7). */
import type { AiBackend, Target } from '../backends/target.ts';
import { GatewayError } from '../errors.ts';
import type { Exchange } from '../exchange.ts';
import { requireAdmin } from './edited.ts';
import { answerPassthrough } from './passthrough.ts';
import { boxHeader } from './placed.ts';
import type { AnswerTools } from './tools.ts';

const maxNameLetters = 64;

export function answerManagement(exchange: Exchange, path: string, ai: AiBackend, tools: AnswerTools): Promise<Response> {
  requireAdmin(exchange, path);
  // The spelling that was judged is the spelling that is sent.
  if (ai.pathOf(exchange) !== path) throw new GatewayError('path_not_served', `spell the path exactly as ${path}`);
  return answerPassthrough(exchange, [boxOf(exchange, ai, tools)], tools);
}

function boxOf(exchange: Exchange, ai: AiBackend, tools: AnswerTools): Target {
  const name = exchange.headers.get(boxHeader);
  if (name !== null) return boxNamed(name, ai, tools);
  const boxes = ai.targets.filter((target) => tools.fleet.isBox(target.upstream));
  const [only] = boxes;
  if (only !== undefined && new Set(boxes.map((box) => box.upstream)).size === 1) return only;
  throw notNamed(`name the box that is meant in the header ${boxHeader}`, boxes);
}

/** Throws box_not_named. */
export function boxNamed(name: string, ai: AiBackend, tools: AnswerTools): Target {
  const boxes = ai.targets.filter((target) => tools.fleet.isBox(target.upstream));
  const named = boxes.find((target) => target.upstream.name === name);
  if (named !== undefined) return named;
  throw notNamed(`no box is called ${JSON.stringify(name.slice(0, maxNameLetters))}; there are`, boxes);
}

function notNamed(why: string, boxes: readonly Target[]): GatewayError {
  const names = [...new Set(boxes.map((target) => target.upstream.name))].join(', ');
  return new GatewayError('box_not_named', `${why}: ${names}`);
}
