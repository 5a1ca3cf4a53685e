/**
 * The hot path, on one screen:
 *
 *   request → listener (by port and host) → its policies → route (by precedence) → its policies → what the route answers
 *
 * Policies are Hono middleware, run as an onion: each sees what comes back from those inside it, errors included, because an
 * error becomes a response where it is thrown. So a 401 carries CORS headers, and the one list of policies orders both ways.
 */
import { type Context, Hono, type MiddlewareHandler } from 'hono';
import { answerBackend } from './answers/answer.ts';
import { respondToError } from './answers/error.ts';
import { createExchange, type ExchangeScope } from './answers/open-exchange.ts';
import type { AnswerTools } from './answers/tools.ts';
import type { BindPlan, ListenerPlan, Plan } from './compile/plan.ts';
import { GatewayError } from './errors.ts';
import type { GatewayEnv } from './exchange.ts';
import type { Peer } from './platform.ts';

export interface Gateway {
  /** Answers one request. Never rejects. */
  fetch(request: Request, peer: Peer): Response | Promise<Response>;
  /** Exchanges whose last byte has not left yet. */
  readonly inFlight: number;
  /** From now on new requests are told to come back later; those under way finish. */
  drain(): void;
  /** Calls back once nothing is under way any more. */
  onIdle(listener: () => void): void;
}

type Middleware = MiddlewareHandler<GatewayEnv>;
type Step = (c: Context<GatewayEnv>) => Response | Promise<Response>;

export function createGateway(plan: Plan, tools: AnswerTools & ExchangeScope): Gateway {
  const binds = new Map(plan.binds.map((bind) => [bind.port, bind]));
  const firstBind = plan.binds[0];
  const { hasBackground } = tools.platform;
  const { mayConnect } = plan;
  let isDraining = false;

  const { leg } = tools;

  const enter: Step = (c) => {
    const known = leg?.know(c.env);
    return known === undefined ? walk(c) : known.then(() => walk(c));
  };

  const walk: Step = (c) => {
    const exchange = c.env;
    if (isDraining)
      throw new GatewayError('draining', 'Corral is shutting down; try again in a moment', { headers: { 'retry-after': '5' } });
    if (mayConnect !== undefined && !mayConnect(exchange)) throw new GatewayError('network_refused', 'authorization failed');
    const bind: BindPlan | undefined =
      exchange.peer.port === undefined ? firstBind : (binds.get(exchange.peer.port) ?? firstBind);
    const listener = bind?.listenerOf(exchange.host);
    if (listener === undefined) throw new GatewayError('listener_not_found', 'listener not found');
    exchange.listenerName = listener.name;
    exchange.gatewayName = listener.gatewayName;
    return runOnion(listener.policies, c, (inner) => walkRoute(inner, listener));
  };

  const walkRoute = (c: Context<GatewayEnv>, listener: ListenerPlan): Response | Promise<Response> => {
    const exchange = c.env;
    let match = listener.routes.match(exchange);
    while (match?.route.children !== undefined) match = match.route.children.routes.match(exchange);
    if (match === undefined) throw new GatewayError('route_not_found', 'route not found');
    const { route } = match;
    exchange.routeName = route.name;
    exchange.matchedPrefix = match.prefix;
    return runOnion(route.policies, c, () => answerBackend(exchange, route.backend, tools));
  };

  const app = new Hono<GatewayEnv>({ strict: true });
  app.all('*', (c) => guard(c, leg === undefined ? walk : enter));

  return {
    fetch(request, peer) {
      // Where nothing runs between requests, they carry the probes that are due.
      const probes = hasBackground ? undefined : tools.fleet.catchUp();
      if (probes !== undefined) peer.waitUntil(probes);
      const exchange = createExchange(request, peer, tools);
      if (tools.startTrace !== undefined) exchange.trace = tools.startTrace(exchange);
      const answer = tools.exchanges.close(exchange, app.fetch(request, exchange));
      return leg === undefined ? answer : leg.early(exchange, answer);
    },
    get inFlight() {
      return tools.exchanges.open;
    },
    drain() {
      isDraining = true;
    },
    onIdle(listener) {
      tools.exchanges.onIdle(listener);
    },
  };
}

/** Runs the policies around the last step. A handler's error becomes the response that the policies outside it see. */
function runOnion(policies: readonly Middleware[], c: Context<GatewayEnv>, last: Step): Response | Promise<Response> {
  if (policies.length === 0) return last(c);
  const take = (response: Response | undefined): void => {
    if (response !== undefined && !(c.finalized && c.res === response)) replaceResponse(c, response);
  };
  // Not async: each such step costs a promise more, on every request.
  const runFrom = (index: number): Promise<void> => {
    const policy = policies[index];
    const step = policy === undefined ? last : () => policy(c, () => runFrom(index + 1)) as Promise<Response | undefined>;
    const response = guard<Response | undefined>(c, step);
    return response instanceof Promise ? response.then(take) : Promise.resolve(take(response));
  };
  return runFrom(0).then(() => c.res);
}

/** Hono merges a second response with the first one, by building a third: that would lose the bytes that Node pipes beside it. */
function replaceResponse(c: Context<GatewayEnv>, response: Response): void {
  c.res = undefined;
  c.res = response;
}

function guard<Result>(
  c: Context<GatewayEnv>,
  step: (c: Context<GatewayEnv>) => Result | Promise<Result>,
): Result | Response | Promise<Result | Response> {
  try {
    const result = step(c);
    return result instanceof Promise ? result.catch((thrown) => respondInstead(c, thrown)) : result;
  } catch (thrown) {
    return respondInstead(c, thrown);
  }
}

/** A policy may fail when it has an answer already: that one is let go, or its exchange would never end. */
function respondInstead(c: Context<GatewayEnv>, thrown: unknown): Response {
  const lost = c.finalized ? c.res : undefined;
  const response = respondToError(c.env, thrown);
  if (lost === undefined) return response;
  // The log shall tell what the client sees.
  c.env.status = response.status;
  void lost.body?.cancel().catch(() => undefined);
  return response;
}
