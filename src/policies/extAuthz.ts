/**
 * Asks another server whether a request may pass (agentgateway http/ext_authz.rs), over HTTP. Differs on purpose: a header that
 * the server is to set and does not is taken from the request, because a client could have sent it; and a server that answers
 * 5xx has not decided, so `failureMode` does.
 */
import type { MiddlewareHandler } from 'hono';
import * as z from 'zod';
import { GatewayError } from '../errors.ts';
import { type Attempt, type Exchange, editHeaders, type GatewayEnv } from '../exchange.ts';
import { createDecisionCache, type Decision } from './authz-cache.ts';
import { type AuthzQuestion, askServer, decisionOf, denied } from './authz-call.ts';
import { type ExtAuthzOptions, extAuthzShape, optionsOf, questionOf, readsBody } from './authz-options.ts';
import { withConditions } from './conditional.ts';
import { definePolicy, type PolicyScope } from './policy.ts';

const plain = definePolicy<ExtAuthzOptions>({
  name: 'extAuthz',
  about: 'Asks another server over HTTP whether a request may pass.',
  places: ['listener', 'route', 'backend'],
  options: z.strictObject(extAuthzShape).transform(optionsOf),
  example: `extAuthz:
  host: localhost:9000
  protocol:
    http:
      path: '"/check" + request.path'
      includeResponseHeaders: [x-user]
  includeRequestHeaders: [authorization, cookie]
`,
  inherits: 'both',
  protects: ({ failureMode }) => failureMode !== 'allow',

  onRequest(options, scope): MiddlewareHandler<GatewayEnv> {
    const { decide, needsBody } = createDecider(options, scope);
    return async (c, next) => {
      const exchange = c.env;
      if (needsBody) await exchange.bodies.read(exchange);
      const response = await decide(exchange, (name, value) => setHeader(exchange, name, value));
      if (response !== undefined) return response;
      await next();
      return undefined;
    };
  },

  onBackendAttempt(options, scope) {
    const { decide, needsBody } = createDecider(options, scope);
    return (attempt) => {
      if (needsBody) refuseStreamingBody(attempt);
      return decide(attempt.exchange, (name, value) => {
        if (value === undefined) delete attempt.outgoing.headers[name];
        else attempt.outgoing.headers[name] = value;
      });
    };
  },
});

export const extAuthz = withConditions(plain, (condition) =>
  z.strictObject({ ...extAuthzShape, ...condition }).transform(({ condition: when, ...given }, context) => ({
    condition: when ?? undefined,
    options: optionsOf(given, context),
  })),
);

type HeaderSetter = (name: string, value: string | undefined) => void;

/** Resolves with the answer for who may not pass. */
type Decide = (exchange: Exchange, set: HeaderSetter) => Promise<Response | undefined>;

function createDecider(options: ExtAuthzOptions, scope: PolicyScope): { readonly decide: Decide; readonly needsBody: boolean } {
  const question = questionOf(options);
  const server = scope.serverOf(options.server);
  const cache = options.cache ? createDecisionCache(options.cache, scope.clock) : undefined;

  const decide: Decide = async (exchange, set) => {
    const key = cache?.keyOf(exchange);
    const known = key === undefined ? undefined : cache?.find(key);
    const decision = known ?? (await decisionFor(exchange, question, server, options, scope));
    if (decision === undefined) {
      for (const name of question.responseHeaders) set(name, undefined);
      return undefined;
    }
    const response = apply(decision, exchange, set);
    // Only now: how long it holds may depend on what the server has said.
    if (key !== undefined && known === undefined) cache?.remember(key, decision, exchange);
    return response;
  };
  return { decide, needsBody: readsBody(options) };
}

/** Undefined: nobody has decided, and the request may pass. That is never remembered. */
async function decisionFor(
  exchange: Exchange,
  question: AuthzQuestion,
  server: ReturnType<PolicyScope['serverOf']>,
  { failureMode }: ExtAuthzOptions,
  { sideCalls }: PolicyScope,
): Promise<Decision | undefined> {
  const undecided = (cause: unknown): undefined => {
    if (failureMode === 'allow') return undefined;
    throw denied(`${server.name} has not decided`, failureMode === 'deny' ? 403 : failureMode.denyWithStatus, cause);
  };
  let answer: Awaited<ReturnType<typeof askServer>>;
  try {
    answer = await askServer(exchange, question, server, sideCalls);
  } catch (thrown) {
    if (!(thrown instanceof GatewayError) || thrown.code === 'ext_authz_denied') throw thrown;
    return undecided(thrown);
  }
  const { status } = answer;
  // A fault of the server's is a no all the same where a no is wanted: then the client may see it.
  const isNoDecision = status < 200 || status > 599 || (status >= 500 && failureMode !== 'deny');
  if (isNoDecision) return undecided(new Error(`${server.name} answered with status ${status}`));
  return decisionOf(exchange, question, answer);
}

function apply(decision: Decision, exchange: Exchange, set: HeaderSetter): Response | undefined {
  if (decision.kind === 'allowed') {
    for (const [name, value] of decision.headers) set(name, value);
    if (decision.metadata !== undefined) exchange.claims = { ...exchange.claims, extauthz: decision.metadata };
    return undefined;
  }
  const { status, headers, bytes } = decision;
  exchange.error = new GatewayError('ext_authz_denied', `external authorization failed with status ${status}`, { status });
  const isBare = exchange.method === 'HEAD' || status === 304 || bytes.length === 0;
  return new Response(isBare ? null : (bytes as Uint8Array<ArrayBuffer>), { status, headers });
}

/** A header that a key had been in may be the server's own from now on. */
function setHeader(exchange: Exchange, name: string, value: string | undefined): void {
  const headers = editHeaders(exchange);
  if (value === undefined) headers.delete(name);
  else {
    headers.set(name, value);
    exchange.consumedHeaders.delete(name);
  }
}

/** Read now, it would be missing when it is sent on. */
function refuseStreamingBody({ exchange }: Attempt): void {
  if (exchange.heldBody === undefined && exchange.request.body !== null)
    throw denied('bodies stream through to this backend: put an extAuthz that reads them on the route');
}
