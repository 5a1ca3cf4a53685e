/** Routes: their rules, policies and backends; equal ones become one (design decision 2). */
import type { MiddlewareHandler } from 'hono';
import type { Backend } from '../backends/target.ts';
import type { MatchConfig, PolicyOptions, RouteConfig } from '../config/schema.ts';
import type { ErrorCode } from '../errors.ts';
import type { GatewayEnv } from '../exchange.ts';
import { matchesText, type StringMatch } from '../fields/string-match.ts';
import { apiKey } from '../policies/apiKey.ts';
import type { CorsOptions } from '../policies/cors.ts';
import type { CsrfOptions } from '../policies/csrf.ts';
import { createLocalGuard } from '../policies/localOnly.ts';
import { createRelayLock } from '../policies/relayLock.ts';
import type { MatchRule, PathRule, ValueRule } from '../routes/rules.ts';
import { createRouteTable, type RouteEntry } from '../routes/table.ts';
import { type BackendScope, compileBackends, mergeAiBackends } from './ai-backend.ts';
import { mergeOptions } from './attached.ts';
import { groupEqualRoutes, hostnamesOf } from './equal-routes.ts';
import type { RoutePlan } from './plan.ts';
import { isProtectedBy, middlewaresOf, named, type PolicyLayer } from './policy-stack.ts';
import { warnOfPreflights, warnOfWholeAnswers } from './traps.ts';

export interface RouteScope extends BackendScope {
  /** The listener's policies: a lock there protects its routes. */
  readonly listener: PolicyLayer;
  readonly guard: {
    readonly allowAnonymous: boolean;
    readonly allowedHosts: readonly string[];
    readonly originPatterns: readonly string[];
  };
}

export interface RouteWanted {
  readonly config: RouteConfig;
  readonly name: string;
  readonly yamlPath: string;
}

/** A route with the place by which it remembers. */
interface RouteKeyed extends RouteWanted {
  readonly stateKey: string;
}

/** `within`: where they stand, by names. */
export function compileRoutes(
  wanted: readonly RouteWanted[],
  scope: RouteScope,
  within: string = scope.listener.stateKey,
  path: readonly string[] = [],
): readonly RouteEntry<RoutePlan>[] {
  return groupEqualRoutes(keyed(wanted, within), scope).map((members) => compileGroup(members, scope, path));
}

/** Names may repeat, but no route may fill or empty what another one remembers, such as its limits. */
function keyed(wanted: readonly RouteWanted[], within: string): readonly RouteKeyed[] {
  const counts = new Map<string, number>();
  return wanted.map((route) => {
    const count = (counts.get(route.name) ?? 0) + 1;
    counts.set(route.name, count);
    return { ...route, stateKey: `${within}/${encodeURIComponent(route.name.toWellFormed())}${count === 1 ? '' : `#${count}`}` };
  });
}

/** The group of routes that a route hands over to, if it does. */
function delegatedTo({ config: { backends } }: RouteWanted): string | undefined {
  const [only] = backends;
  return backends.length === 1 && only?.target.kind === 'routeGroup' ? only.target.name : undefined;
}

/** Their policies over the parent's; `path` are the groups on the way here, so that a circle is noticed. */
function compileChildren(parent: RouteKeyed, group: string, scope: RouteScope, path: readonly string[]): RoutePlan {
  const { name } = parent;
  const broken = (code: ErrorCode, message: string): RoutePlan => ({
    ...compileGroup([{ ...parent, config: { ...parent.config, backends: [] } }], scope, path).route,
    backend: { kind: 'broken', code, message },
  });
  if (path.includes(group)) {
    scope.surroundings.warn(
      parent.yamlPath,
      `the route groups ${[...path, group].join(' → ')} form a circle: its requests get 500`,
    );
    return broken('delegation_cycle', 'route delegation cycle detected');
  }
  const index = scope.config.routeGroups.findIndex((one) => one.name === group);
  const routes = scope.config.routeGroups[index]?.routes;
  if (routes === undefined) {
    scope.surroundings.warn(parent.yamlPath, `there is no route group named "${group}": its requests get 404`);
    return broken('route_not_found', 'route not found');
  }
  const entries = compileRoutes(
    routes.map((config, position) => ({
      config: { ...config, policies: mergeOptions(parent.config.policies, policiesOf(config, position, scope)) },
      name: config.name ?? `route${position}`,
      yamlPath: `routeGroups[${index}].routes[${position}]`,
    })),
    scope,
    `${parent.stateKey}/${encodeURIComponent(group.toWellFormed())}`,
    [...path, group],
  );
  const children = { routes: createRouteTable(entries), entries };
  const isProtected = entries.every(({ route }) => route.isProtected);
  return { name, policies: [], backend: { kind: 'none' }, isProtected, children };
}

/** A route's own policies, over those that are attached to it by name. */
export function policiesOf(config: RouteConfig, position: number, { attached }: Pick<BackendScope, 'attached'>): PolicyOptions {
  const name = config.name ?? `route${position}`;
  return mergeOptions(attached.forRoute({ ...config, name }), config.policies);
}

function compileGroup(members: readonly RouteKeyed[], scope: RouteScope, path: readonly string[]): RouteEntry<RoutePlan> {
  const [first] = members;
  if (first === undefined) throw new Error('a group has a first member');
  const place = { hostnames: hostnamesOf(first.config), rules: first.config.matches.map(ruleOf) };
  const group = delegatedTo(first);
  if (group !== undefined) return { ...place, route: compileChildren(first, group, scope, path) };
  const layer = routeLayer(first);
  const hasLock = isProtectedBy([scope.listener]) || isProtectedBy([layer]);
  const isProtected = hasLock || scope.surroundings.isRelay === true;
  // One route, one memory: whoever reaches the second member has the same limits left as at the first.
  const layerOf = (member: RouteKeyed): PolicyLayer => ({ ...routeLayer(member), stateKey: layer.stateKey });
  const compiled = members.map((member) =>
    compileBackends(member.config.backends, [scope.listener, layerOf(member)], `${member.yamlPath}.backends`, scope),
  );
  const [only] = compiled;
  const backend =
    compiled.length === 1 && only !== undefined
      ? only
      : { kind: 'ai' as const, ai: mergeAiBackends(compiled.flatMap((one) => (one.kind === 'ai' ? [one.ai] : []))) };
  const { warn } = scope.surroundings;
  warnOfPreflights(scope.listener, layer, warn);
  if (hasModels(backend) || first.yamlPath === 'llm') warnOfWholeAnswers([scope.listener, layer], warn);
  const middlewares = middlewaresOf([isProtected ? layer : knowingAdmin(layer, scope)], scope.surroundings);
  return {
    route: {
      name: first.name,
      policies: hasLock ? middlewares : [isProtected ? relayLock : guardOf(scope, layer), ...middlewares],
      backend,
      isProtected,
    },
    ...place,
  };
}

const relayLock = named('relayLock', createRelayLock());

function hasModels(backend: Backend): boolean {
  return backend.kind === 'ai' || (backend.kind === 'weighted' && backend.choices.some((choice) => hasModels(choice.backend)));
}

function routeLayer({ config, yamlPath, stateKey }: RouteKeyed): PolicyLayer {
  return { options: config.policies, place: 'route', yamlPath: `${yamlPath}.policies`, stateKey };
}

/** Without a lock the admin token still means what it says: whoever shows it may manage boxes, whoever does not is let in as before. */
function knowingAdmin(layer: PolicyLayer, { surroundings: { adminToken }, listener }: RouteScope): PolicyLayer {
  if (adminToken === undefined || layer.options.apiKey !== undefined || listener.options.apiKey !== undefined) return layer;
  return { ...layer, options: { ...layer.options, apiKey: apiKey.options.parse({ keys: [], mode: 'permissive' }) } };
}

function guardOf({ guard, listener }: RouteScope, route: PolicyLayer): MiddlewareHandler<GatewayEnv> {
  const corsOrigins = [...corsOriginsOf(listener.options), ...corsOriginsOf(route.options)];
  const csrf = route.options.csrf as CsrfOptions | undefined;
  return named('localOnly', createLocalGuard({ ...guard, corsOrigins, csrfOrigins: csrf?.additionalOrigins ?? [] }));
}

function corsOriginsOf(options: PolicyOptions): readonly string[] {
  return (options.cors as CorsOptions | undefined)?.allowOrigins ?? [];
}

/** One entry of `matches` as the rule that requests are held against. */
export function ruleOf({ path, method, headers, query }: MatchConfig): MatchRule {
  return { path: pathRuleOf(path), method, headers: headers.map(valueRuleOf), query: query.map(valueRuleOf) };
}

function pathRuleOf(path: MatchConfig['path']): PathRule {
  switch (path.kind) {
    case 'exact':
      return { kind: 'exact', value: path.value, regex: undefined };
    case 'prefix':
      return { kind: 'prefix', value: path.value.replace(/\/+$/, ''), regex: undefined };
    case 'regex':
      return { kind: 'regex', value: path.pattern, regex: path.regex };
  }
}

/** Also used for `llm.models[].matches`. */
export function valueRuleOf({ name, value }: { name: string; value: StringMatch }): ValueRule {
  return { name, matches: (given) => matchesText(value, given) };
}
