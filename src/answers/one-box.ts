/**
 * A box of the herd by its name: `/_corral/boxes/desk/api/pull`. For whoever manages boxes with tools that cannot send headers
 * of their own. No client path begins so. For the admin scope only, whatever the path: lists here are the box's own, with every
 * model. What generates text has no business here: calls go to the herd.
 */
import type { AiBackend, Target } from '../backends/target.ts';
import { GatewayError } from '../errors.ts';
import type { Exchange } from '../exchange.ts';
import { verdictOf } from '../protocols/index.ts';
import { requireAdmin } from './edited.ts';
import { boxNamed } from './management.ts';
import { answerPassthrough } from './passthrough.ts';
import type { AnswerTools } from './tools.ts';

export const oneBoxPrefix = '/_corral/boxes/';

/** Served beside the paths that manage a box. */
const reading: ReadonlySet<string> = new Set(['list', 'show', 'probe']);

export function answerOneBox(exchange: Exchange, path: string, ai: AiBackend, tools: AnswerTools): Promise<Response> {
  requireAdmin(exchange, path);
  const { name, rest } = partsOf(path);
  const target: Target = boxNamed(name, ai, tools);
  const verdict = verdictOf(exchange.method, rest);
  const isServed = verdict.kind === 'management' || (verdict.kind === 'served' && reading.has(verdict.protocol.kind));
  if (!isServed) throw new GatewayError('path_not_served', `${exchange.method} ${rest} is not served for one box by its name`);
  // The spelling that was judged is the spelling that is sent; of these paths only /v1/models/:id has a part that varies.
  const spelt = verdict.kind === 'management' ? verdict.path : verdict.modelId === undefined ? verdict.protocol.path : rest;
  if (spelt !== rest || exchange.path !== path)
    throw new GatewayError(
      'path_not_served',
      `spell the path exactly as ${oneBoxPrefix}NAME${spelt}, on a route that rewrites no path`,
    );
  exchange.protocol = verdict.protocol;
  exchange.path = rest;
  return answerPassthrough(exchange, [target], tools);
}

function partsOf(path: string): { readonly name: string; readonly rest: string } {
  const end = path.indexOf('/', oneBoxPrefix.length);
  const encoded = path.slice(oneBoxPrefix.length, end < 0 ? undefined : end);
  const rest = end < 0 ? '/' : path.slice(end);
  try {
    return { name: decodeURIComponent(encoded), rest };
  } catch {
    return { name: encoded, rest };
  }
}
