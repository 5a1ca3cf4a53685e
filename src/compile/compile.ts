/** Config → Plan: all three dialects end in binds with listeners with routes. */
import type { MiddlewareHandler } from 'hono';
import { type Backend, targetsOf } from '../backends/target.ts';
import type { Config, PolicyOptions, RouteConfig } from '../config/schema.ts';
import type { GatewayEnv, Upstream } from '../exchange.ts';
import type { LegSecrets } from '../fleet/asking/relay.ts';
import type { SideCalls } from '../http/side-calls.ts';
import type { Platform } from '../platform.ts';
import { type ApiKeyOptions, apiKey } from '../policies/apiKey.ts';
import { networkVerdictOf } from '../policies/authorization-rules.ts';
import { createHostTable } from '../routes/hostnames.ts';
import { createRouteTable, type RouteEntry } from '../routes/table.ts';
import type { State } from '../state/state.ts';
import type { BackendScope } from './ai-backend.ts';
import { createAttachedPolicies, mergeOptions } from './attached.ts';
import { withHerd } from './herd.ts';
import { type BindWanted, type ListenerWanted, listenersWanted } from './listeners.ts';
import { compileLlm } from './llm.ts';
import { compileOpenPaths } from './open-paths.ts';
import type { BindPlan, ListenerPlan, Plan, PlanSettings, RoutePlan } from './plan.ts';
import { middlewaresOf } from './policy-stack.ts';
import { warnUnreachable } from './reachability.ts';
import { compileRoutes, type RouteScope } from './routes.ts';
import { serverTlsOf } from './server-tls.ts';
import { createServers, moderationOf } from './servers.ts';
import { legOf, settingsOf } from './settings.ts';
import { compileTelemetry } from './telemetry.ts';
import { warnOfIdleReserves, warnOfUnusedBoxes } from './unused-boxes.ts';
import { createUpstreams } from './upstreams.ts';
import { compileWarm } from './warm.ts';

export interface CompileScope {
  readonly platform: Pick<Platform, 'runtime' | 'refuses' | 'refusesServer' | 'clock' | 'report'>;
  /** CORRAL_API_KEY: a strict key on every listener. */
  readonly apiKey: string | undefined;
  /** CORRAL_ADMIN_TOKEN: counts as a key with the admin scope. */
  readonly adminToken: string | undefined;
  /** The relay's role (`--relay`), and CORRAL_RELAY_SECRET. */
  readonly isRelay?: boolean;
  readonly relaySecret?: string | undefined;
  readonly allowAnonymous: boolean;
  readonly allowedHosts: readonly string[];
  /** OLLAMA_ORIGINS, split at its commas. */
  readonly originPatterns: readonly string[];
  readonly random: () => number;
  readonly state: State;
  readonly sideCalls: SideCalls;
}

export interface CompiledPlan extends Plan {
  headersFor(upstream: Upstream): Readonly<Record<string, string>>;
  /** Not among the settings: those are shown. */
  readonly leg: LegSecrets;
}

/** Throws PlanError where the runtime cannot do what the configuration asks for. */
export function compilePlan(given: Config, scope: CompileScope): CompiledPlan {
  const config = withHerd(given);
  const warnings: string[] = [];
  const settings: PlanSettings = settingsOf(config, scope.platform.runtime);
  const leg = legOf(config.fleet.relay, scope.relaySecret);
  const attached = createAttachedPolicies(config.policies);
  const upstreams = createUpstreams(scope.platform.refuses, scope.state, config.fleet.boxes);
  const backendScope: BackendScope = {
    config,
    upstreams,
    surroundings: {
      adminToken: scope.adminToken,
      state: scope.state,
      clock: scope.platform.clock,
      runtime: scope.platform.runtime,
      maxBodyBytes: settings.maxBodyBytes,
      sideCalls: scope.sideCalls,
      isRelay: scope.isRelay === true && leg.secret !== undefined,
      moderation: moderationOf(config),
      serverOf: createServers(config, scope.platform.refuses),
      warn: (yamlPath, message) => warnings.push(`${yamlPath}: ${message}`),
      report: (level, message) => scope.platform.report(level, message),
    },
    attached,
    openPaths: compileOpenPaths(config.fleet.openPaths),
  };
  const wanted: readonly BindWanted[] = listenersWanted(config, attached);
  warnUnreachable(wanted, backendScope.surroundings.warn);
  const llmOf = ({ servesLlm, layer, routePolicies }: ListenerWanted): Backend | undefined => {
    if (config.llm === undefined || !servesLlm) return undefined;
    // As around the request: what is attached to the listener for its routes holds for each try, too.
    const llm = { ...config.llm, policies: mergeOptions(routePolicies, config.llm.policies) };
    return { kind: 'ai', ai: compileLlm(llm, layer, backendScope, scope.random) };
  };
  const compileOne = (listener: ListenerWanted) =>
    compileListener(withApiKey(listener, scope.apiKey), {
      ...backendScope,
      llm: llmOf(listener),
      guard: scope,
    });
  const { refusesServer } = scope.platform;
  const binds = wanted.map(({ port, listeners }) => ({
    ...bindOf(port, listeners.map(compileOne)),
    tls: serverTlsOf(listeners, refusesServer),
  }));
  for (const index of attached.unused())
    warnings.push(`policies[${index}].target: names nothing here that serves requests, so this policy does nothing`);
  warnOfUnusedBoxes(upstreams, backendScope.surroundings.warn);
  warnOfIdleReserves(config.fleet.boxes, backendScope.surroundings.warn);
  const routes = binds.flatMap((bind) => bind.listeners).flatMap(({ entries }) => entries.map(({ route }) => route));
  const targets = routes.flatMap(({ backend }) => targetsOf(backend));
  return {
    binds,
    upstreams: upstreams.all,
    settings,
    warm: compileWarm(config.fleet, upstreams.all, targets, backendScope.surroundings.warn),
    telemetry: compileTelemetry(config, backendScope.surroundings),
    mayConnect: networkVerdictOf(config.frontendPolicies.networkAuthorization, (message) =>
      warnings.push(`frontendPolicies.networkAuthorization: ${message}`),
    ),
    // A route that several gateways serve is compiled for each.
    warnings: [...new Set(warnings)],
    everyRouteIsProtected: routes.length > 0 && routes.every((route) => route.isProtected),
    headersFor: upstreams.headersFor,
    leg,
  };
}

function bindOf(port: number, listeners: readonly ListenerPlan[]): BindPlan {
  const byHost = createHostTable(listeners.map((listener) => ({ hostname: listener.hostname, listener })));
  return { port, listeners, listenerOf: byHost };
}

interface ListenerScope extends Omit<RouteScope, 'listener'> {
  readonly llm: Backend | undefined;
}

function compileListener(
  { name, gatewayName, hostname, layer, routes, routePolicies }: ListenerWanted,
  scope: ListenerScope,
): ListenerPlan {
  const routeScope: RouteScope = { ...scope, listener: layer };
  const entries = [...compileRoutes(routes, routeScope), ...llmEntries(routeScope, scope.llm, routePolicies)];
  const policies: readonly MiddlewareHandler<GatewayEnv>[] = middlewaresOf([layer], scope.surroundings);
  return {
    name,
    gatewayName,
    hostname,
    policies,
    routes: createRouteTable(entries),
    entries,
  };
}

/** The models of `llm` are one more route, for every path that no other route takes. */
function llmEntries(
  scope: RouteScope,
  backend: Backend | undefined,
  routePolicies: PolicyOptions,
): readonly RouteEntry<RoutePlan>[] {
  if (backend === undefined) return [];
  const route: RouteConfig = {
    hostnames: [],
    matches: [{ path: { kind: 'prefix', value: '/' }, headers: [], query: [], method: undefined }],
    policies: mergeOptions(routePolicies, scope.config.llm?.policies ?? {}),
    namespace: 'default',
    backends: [],
    name: undefined,
  };
  // No route's name is empty: whoever calls one "llm" does not share its memory.
  const within = `${scope.listener.stateKey}/`;
  return compileRoutes([{ config: route, name: 'llm', yamlPath: 'llm' }], scope, within).map((entry) => ({
    ...entry,
    route: { ...entry.route, backend },
  }));
}

function withApiKey(listener: ListenerWanted, key: string | undefined): ListenerWanted {
  if (key === undefined) return listener;
  return {
    ...listener,
    layer: { ...listener.layer, options: { ...listener.layer.options, ...strictKey(listener.layer.options, key) } },
  };
}

/** CORRAL_API_KEY joins the keys that a listener has, and makes them obligatory. */
function strictKey(options: PolicyOptions, key: string): PolicyOptions {
  const given = options.apiKey as ApiKeyOptions | undefined;
  const added = apiKey.options.parse({ keys: [{ key, metadata: { name: 'CORRAL_API_KEY' } }] });
  return { apiKey: given === undefined ? added : { ...given, mode: 'strict', keys: [...given.keys, ...added.keys] } };
}
