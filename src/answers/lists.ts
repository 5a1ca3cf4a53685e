/** Lists and single models, from what Corral knows of the boxes: the union, each model once, never waiting for a dead box. */
import type { AiBackend } from '../backends/target.ts';
import { GatewayError } from '../errors.ts';
import type { Exchange, KnownModel, Protocol } from '../exchange.ts';
import { canonicalModel } from '../fields/model-name.ts';
import { missingModelAdvice, wordsOf } from '../fleet/asking/advice.ts';
import { anthropicModel, anthropicModels, ollamaPs, ollamaTags, openaiModel, openaiModels } from '../protocols/model-lists.ts';
import { answerPassthrough } from './passthrough.ts';
import type { AnswerTools } from './tools.ts';
import { boxesOf, type VisibleModels, visibilityOf, visibleModels } from './visible-models.ts';

export async function answerList(exchange: Exchange, ai: AiBackend, protocol: Protocol, tools: AnswerTools): Promise<Response> {
  const boxes = boxesOf(ai, tools);
  if (boxes.length === 0 && ai.addedModels.length === 0) return answerElsewhere(exchange, ai, tools);
  await tools.fleet.learn((work) => exchange.peer.waitUntil(work));
  if (protocol.path === '/api/ps')
    return json(
      exchange,
      runningText(
        exchange,
        ai,
        boxes.map((box) => box.name),
        tools,
      ),
      protocol,
    );
  const { models, extras } = visibleModels(exchange, ai, tools);
  if (protocol.family === 'ollama') return json(exchange, ollamaTags(models, extras), protocol);
  if (!isAnthropic(exchange)) return json(exchange, openaiModels(models, extras), protocol);
  const query = new URLSearchParams(exchange.query);
  const page = { limit: query.get('limit'), afterId: query.get('after_id'), beforeId: query.get('before_id') };
  return json(exchange, anthropicModels(models, extras, page), protocol);
}

/** `GET /v1/models/:id`. Names may hold slashes; aliases and virtual models answer like models. */
export async function answerModel(exchange: Exchange, ai: AiBackend, id: string, tools: AnswerTools): Promise<Response> {
  if (boxesOf(ai, tools).length === 0 && ai.addedModels.length === 0) return answerElsewhere(exchange, ai, tools);
  await tools.fleet.learn((work) => exchange.peer.waitUntil(work));
  const visible = visibleModels(exchange, ai, tools);
  const found = findModel(id, visible);
  if (found === undefined) {
    const names = [...visible.models, ...visible.extras].map(({ name }) => name);
    throw new GatewayError('model_not_found', wordsOf(missingModelAdvice(id, `model '${id}' not found`, names)));
  }
  return json(exchange, isAnthropic(exchange) ? anthropicModel(id, found.model) : openaiModel(id, found.model));
}

/** Nothing is known here: the first server that this client may use tells its own. */
function answerElsewhere(exchange: Exchange, ai: AiBackend, tools: AnswerTools): Promise<Response> {
  return answerPassthrough(exchange, ai.targetsFor(undefined, exchange), tools);
}

function findModel(id: string, { models, extras }: VisibleModels): { model: KnownModel | undefined } | undefined {
  const wanted = canonicalModel(id);
  const model = models.find(({ name }) => canonicalModel(name) === wanted);
  if (model !== undefined) return { model };
  const extra = extras.find(({ name }) => canonicalModel(name) === wanted);
  return extra === undefined ? undefined : { model: extra.target };
}

function runningText(exchange: Exchange, ai: AiBackend, boxes: readonly string[], tools: AnswerTools): string {
  const maySee = visibilityOf(exchange, tools, ai);
  const runners = tools.fleet
    .running()
    .filter(({ runner, boxNames }) => boxNames.some((name) => boxes.includes(name)) && maySee(runner.name));
  return ollamaPs(runners.map(({ runner }) => runner.item));
}

/** Anthropic's SDKs always send this header; OpenAI's never do. */
function isAnthropic({ headers }: Exchange): boolean {
  return headers.has('anthropic-version');
}

function json({ method }: Exchange, text: string, protocol?: Protocol): Response {
  const contentType = protocol?.family === 'ollama' ? 'application/json; charset=utf-8' : 'application/json';
  return new Response(method === 'HEAD' ? null : text, { headers: { 'content-type': contentType } });
}
