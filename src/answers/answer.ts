/** What a matched route answers: one file per kind of request, chosen here by the route's backend and the path. */
import { hasPassed, instanceHeader } from '../backends/outgoing.ts';
import { isBoxForSure } from '../backends/speech.ts';
import type { AiBackend, Backend } from '../backends/target.ts';
import { GatewayError } from '../errors.ts';
import type { Exchange, Protocol } from '../exchange.ts';
import { type PathVerdict, protocolOfRouteType, verdictOf } from '../protocols/index.ts';
import { answerByModel, answerLimited, refuseUnbound } from './by-model.ts';
import { answerCount } from './count.ts';
import { answerInference } from './inference.ts';
import { answerList, answerModel } from './lists.ts';
import { answerManagement } from './management.ts';
import { answerOneBox, oneBoxPrefix } from './one-box.ts';
import { answerPassthrough } from './passthrough.ts';
import type { AnswerTools } from './tools.ts';

export function answerBackend(exchange: Exchange, backend: Backend, tools: AnswerTools): Response | Promise<Response> {
  switch (backend.kind) {
    case 'ai':
      return answerAi(exchange, backend.ai, tools);
    case 'host':
      return answerPassthrough(exchange, backend.targets, tools);
    case 'weighted':
      return answerBackend(exchange, choose(backend.choices, tools.random), tools);
    case 'none':
      throw new GatewayError('no_backends', 'no valid backends');
    case 'broken':
      throw new GatewayError(backend.code, backend.message);
  }
}

function choose(choices: readonly { readonly weight: number; readonly backend: Backend }[], random: () => number): Backend {
  const total = choices.reduce((sum, { weight }) => sum + weight, 0);
  let rest = random() * total;
  for (const { weight, backend } of choices) {
    rest -= weight;
    if (rest < 0) return backend;
  }
  return { kind: 'none' };
}

function answerAi(exchange: Exchange, ai: AiBackend, tools: AnswerTools): Response | Promise<Response> {
  if (hasPassed(exchange.request, tools.instanceId)) return answerLoop(exchange, tools.instanceId);
  const path = ai.pathOf(exchange);
  if (path.startsWith(oneBoxPrefix)) return answerOneBox(exchange, path, ai, tools);
  const type = ai.routeTypeOf(path);
  const protocol = type === undefined ? undefined : protocolOfRouteType(type);
  if (protocol !== undefined) return answerProtocol(exchange, ai, protocol, undefined, tools);

  const hasBox = ai.targets.some((target) => tools.fleet.isBox(target.upstream));
  const verdict = verdictOf(exchange.method, path);
  if (hasBox && verdict.kind === 'management') {
    // Neither `ai.routes` nor an opened path makes this anything that everybody may do.
    exchange.protocol = verdict.protocol;
    return answerManagement(exchange, verdict.path, ai, tools);
  }
  // On boxes the path decides whatever `ai.routes` says of passing through: paths there are allow-listed.
  const isOpened = ai.openPaths.opens(exchange.method, path);
  const isOpen = !hasBox || isOpened;
  if (isOpen && (type === 'passthrough' || type === 'detect')) return answerOpenPath(exchange, ai, tools);
  const isWhole = verdict.kind === 'served' || ai.targets.some((target) => isBoxForSure(target, tools.fleet));
  const served = isWhole ? verdict : verdictBelowV1(exchange.method, path, verdict);
  if (served.kind === 'served') return answerProtocol(exchange, ai, served.protocol, served.modelId, tools);
  if (isOpen) return answerOpenPath(exchange, ai, tools, isOpened);
  if (verdict.kind === 'unknown') throw new GatewayError('path_not_served', unknownPathMessage(exchange.method, path));
  exchange.protocol = verdict.protocol;
  const allow = 'allow' in verdict ? verdict.allow : '';
  throw new GatewayError('method_not_allowed', `${path} takes ${allow}, not ${exchange.method}`, { headers: { allow } });
}

/** What is no box is reached below `/v1` anyway: `/chat/completions` is what it looks like, guards and all. */
function verdictBelowV1(method: string, path: string, verdict: PathVerdict): PathVerdict {
  return verdict.kind === 'unknown' ? verdictOf(method, `/v1${path}`) : verdict;
}

/**
 * A path that passes through. Among several providers only the model in the body says whose it is. Unless the configuration
 * says that it may (`isMeant`), nothing passes that something there would bind, were it understood.
 */
function answerOpenPath(exchange: Exchange, ai: AiBackend, tools: AnswerTools, isMeant = true): Promise<Response> {
  const hasBody = exchange.request.body !== null;
  if (!ai.needsModel) {
    if (!isMeant && hasBody) refuseUnbound(exchange, ai.targets);
    const isLimited = exchange.identity?.allowedModels !== undefined && hasBody;
    return isLimited ? answerLimited(exchange, ai.targets, tools) : answerPassthrough(exchange, ai.targets, tools);
  }
  const boxes = ai.targets.filter((target) => tools.fleet.isBox(target.upstream));
  // One that was opened on boxes may be about no model at all.
  if (!hasBody && boxes.length > 0) return answerPassthrough(exchange, boxes, tools);
  return answerByModel(exchange, ai, tools, isMeant);
}

function answerProtocol(
  exchange: Exchange,
  ai: AiBackend,
  protocol: Protocol,
  modelId: string | undefined,
  tools: AnswerTools,
): Response | Promise<Response> {
  exchange.protocol = protocol;
  switch (protocol.kind) {
    case 'inference':
      return answerInference(exchange, ai, protocol, tools);
    case 'list':
      return answerList(exchange, ai, protocol, tools);
    case 'show':
      return modelId === undefined ? answerInference(exchange, ai, protocol, tools) : answerModel(exchange, ai, modelId, tools);
    case 'estimate':
      return answerCount(exchange, ai, protocol, tools);
    case 'probe':
      return answerOpenPath(exchange, ai, tools);
    case 'management':
      return answerManagement(exchange, protocol.path, ai, tools);
  }
}

/** A box that names this Corral is refused; its probe learns so from the header (design decision 17). */
function answerLoop({ method, path }: Exchange, instanceId: string): Response {
  if (path === '/api/version' && method === 'GET') {
    return new Response('{"version":"corral"}', {
      headers: { 'content-type': 'application/json', [instanceHeader]: instanceId },
    });
  }
  throw new GatewayError('loop_detected', 'this request has passed this Corral before: a box that it names is Corral itself');
}

function unknownPathMessage(method: string, path: string): string {
  const refusal = `${method} ${path} is not a path that Corral hands to an Ollama box.`;
  const proposal = openPathFor(method, path);
  return proposal === undefined ? refusal : `${refusal} If you trust it, open it with fleet.openPaths: ["${proposal}"]`;
}

/** What opens this path for other ids, too; undefined for spellings that cannot be opened. */
function openPathFor(method: string, path: string): string | undefined {
  if (!/^[A-Z]+$/.test(method) || !/^\/[\x21-\x7e]*$/.test(path) || /[?#%*"]|\/\/|\/\.{1,2}(?:\/|$)/.test(path)) return undefined;
  return `${method} ${path
    .split('/')
    .map((segment) => (looksLikeId(segment) ? '*' : segment))
    .join('/')}`;
}

/** `resp_67c9`, `file-abc123`, `42`, a UUID; not `v1`, `v1beta` or a word. */
function looksLikeId(segment: string): boolean {
  if (!/\d/.test(segment) || /^v\d+[a-z]*\d*$/i.test(segment)) return false;
  return /^\d+$/.test(segment) || /[_-][^_-]*\d/.test(segment) || segment.length >= 16;
}
