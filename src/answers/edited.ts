/**
 * What was decided on is what leaves (design decisions 7, 14 and 15). Paths and models are judged before an upstream is chosen;
 * policies edit each try after that. So what they have made of it is judged once more, just before it is sent.
 */
import type { Decided } from '../backends/attempt-tools.ts';
import { GatewayError } from '../errors.ts';
import type { Attempt, Exchange, Upstream } from '../exchange.ts';
import { canonicalModel, isCloudModel, isModelAllowed } from '../fields/model-name.ts';
import { modelInBody } from '../protocols/decode.ts';
import { verdictOf } from '../protocols/index.ts';
import type { AnswerTools } from './tools.ts';

/** Throws GatewayError where an edit has made of a try what nobody would have let pass. */
export function judgeEdited(
  attempt: Attempt,
  decided: Decided,
  isBox: boolean,
  tools: Pick<AnswerTools, 'fleet' | 'limits'>,
): void {
  if (isBox) judgePath(attempt, decided);
  judgeModel(attempt, decided, isBox, tools);
}

function judgePath({ exchange, outgoing, protocol }: Attempt, decided: Decided): void {
  const { method, path } = outgoing;
  const isEdited = method !== decided.method || path !== decided.path;
  // The path of a call that was understood is its protocol's own; others are the client's, as each backend rewrites it.
  if (!isEdited && exchange.call !== undefined) return;
  const verdict = verdictOf(method, path);
  if (verdict.kind === 'management') requireAdmin(exchange, verdict.path);
  else if (isEdited && !(verdict.kind === 'served' && verdict.protocol === protocol)) {
    throw new GatewayError(
      'path_not_served',
      `a policy of the backend makes this ${method} ${path}, which is not what was asked for; let the route's transformations or urlRewrite do that`,
    );
  }
}

/** `path`: as the box spells it. Throws admin_scope_required. */
export function requireAdmin({ identity }: Exchange, path: string): void {
  if (identity?.isAdmin === true) return;
  throw new GatewayError(
    'admin_scope_required',
    `${path} manages the box: it needs a key whose metadata has scopes: [admin], or CORRAL_ADMIN_TOKEN as the key`,
  );
}

function judgeModel(attempt: Attempt, { model }: Decided, isBox: boolean, tools: Pick<AnswerTools, 'fleet' | 'limits'>): void {
  const { exchange, upstream } = attempt;
  const allowedModels = exchange.identity?.allowedModels;
  if (!isBox && allowedModels === undefined) return;
  const edited = editedModelOf(attempt);
  if (edited === undefined || edited === model) return;
  if (model !== undefined && canonicalModel(edited) === canonicalModel(model)) return;
  if (isBox) refuseCloud(edited, upstream, tools);
  if (isModelAllowed(allowedModels, edited)) return;
  throw new GatewayError(
    'model_not_allowed',
    `this key may not use the model '${edited}', which a policy has put in the place of the one asked for; give it a name with modelAliases, or allow it`,
  );
}

/** The model in the body as it leaves; undefined where it names none, or nobody has changed it. */
function editedModelOf({ exchange, body, protocol, replacedBody }: Attempt): string | undefined {
  if (body === undefined) {
    const wasJudged = exchange.call !== undefined || exchange.requestModel !== undefined;
    return replacedBody !== undefined && wasJudged ? modelInBody(replacedBody, exchange) : undefined;
  }
  const name = body.get('model') ?? (protocol?.kind === 'show' ? body.get('name') : undefined);
  return typeof name === 'string' && name.trim() !== '' ? name : undefined;
}

/** Throws cloud_model_refused. */
export function refuseCloud(model: string, upstream: Upstream, { fleet, limits }: Pick<AnswerTools, 'fleet' | 'limits'>): void {
  if (limits.allowCloudModels || !(isCloudModel(model) || fleet.isRemote(upstream, model))) return;
  throw cloudRefusal(model);
}

export function cloudRefusal(model: string | undefined): GatewayError {
  return new GatewayError(
    'cloud_model_refused',
    `the model '${model}' runs on Ollama's cloud, not on your boxes; set fleet.allowCloudModels: true to let it pass`,
  );
}
