/** Routes: their rules, policies and backends; equal ones become one (design decision 2). */
import type { MiddlewareHandler } from 'hono';
import type { MatchConfig, PolicyOptions, RouteConfig } from '../config/schema.ts';
import type { ErrorCode } from '../errors.ts';
import type { GatewayEnv } from '../exchange.ts';
import { matchesText, type StringMatch } from '../fields/string-match.ts';
import { apiKey } from '../policies/apiKey.ts';
import type { CorsOptions } from '../policies/cors.ts';
import { createLocalGuard } from '../policies/localOnly.ts';
import type { MatchRule, PathRule, ValueRule } from '../routes/rules.ts';
import { createRouteTable, type RouteEntry } from '../routes/table.ts';
import { type BackendScope, compileBackends, mergeAiBackends } from './ai-backend.ts';
import { mergeOptions } from './attached.ts';
import type { RoutePlan } from './plan.ts';
import { isProtectedBy, middlewaresOf, named, type PolicyLayer, requestPoliciesOf } from './policy-stack.ts';

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

export function compileRoutes(
  wanted: readonly RouteWanted[],
  scope: RouteScope,
  path: readonly string[] = [],
): readonly RouteEntry<RoutePlan>[] {
  return groupEqual(wanted, scope).map((members) => compileGroup(members, scope, path));
}

/** Routes that match the same requests, in file order. Those that may not be one are shadowed, and that is said. */
function groupEqual(wanted: readonly RouteWanted[], scope: RouteScope): readonly (readonly RouteWanted[])[] {
  const groups = new Map<string, RouteWanted[]>();
  const order: RouteWanted[][] = [];
  for (const route of wanted) {
    const key = JSON.stringify([hostnamesOf(route.config), route.config.matches.map(ruleKeyOf)]);
    const equal = groups.get(key);
    if (equal === undefined) {
      const fresh = [route];
      groups.set(key, fresh);
      order.push(fresh);
    } else if (mayJoin(equal, route, scope)) {
      equal.push(route);
    }
  }
  return order;
}

function mayJoin(group: readonly RouteWanted[], route: RouteWanted, scope: RouteScope): boolean {
  const [first] = group;
  if (first === undefined) return true;
  const shadowed = `the route can never be reached: ${first.yamlPath} matches the same requests and comes first`;
  if (!endsInAi(first, scope) || !endsInAi(route, scope)) {
    scope.surroundings.warn(route.yamlPath, shadowed);
    return false;
  }
  const [own, other] = [first, route].map(({ config }) => requestPoliciesOf(config.policies));
  if (JSON.stringify(own) === JSON.stringify(other)) return true;
  const names = [...new Set([...Object.keys(own ?? {}), ...Object.keys(other ?? {})])].join(', ');
  scope.surroundings.warn(route.yamlPath, `${shadowed}. They would serve together if their policies (${names}) were the same`);
  return false;
}

/** The group of routes that a route hands over to, if it does. */
function delegatedTo({ config: { backends } }: RouteWanted): string | undefined {
  const [only] = backends;
  return backends.length === 1 && only?.target.kind === 'routeGroup' ? only.target.name : undefined;
}

/** Their policies over the parent's; `path` are the groups on the way here, so that a circle is noticed. */
function compileChildren(parent: RouteWanted, group: string, scope: RouteScope, path: readonly string[]): RoutePlan {
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

function endsInAi({ config }: RouteWanted, scope: RouteScope): boolean {
  return (
    config.backends.length > 0 &&
    config.backends.every(({ target }) => {
      if (target.kind !== 'reference') return target.kind === 'ai';
      return scope.config.backends.find(({ name }) => name === target.name)?.target.kind === 'ai';
    })
  );
}

function compileGroup(members: readonly RouteWanted[], scope: RouteScope, path: readonly string[]): RouteEntry<RoutePlan> {
  const [first] = members;
  if (first === undefined) throw new Error('a group has a first member');
  const place = { hostnames: hostnamesOf(first.config), rules: first.config.matches.map(ruleOf) };
  const group = delegatedTo(first);
  if (group !== undefined) return { ...place, route: compileChildren(first, group, scope, path) };
  const layer = routeLayer(first, scope);
  const isProtected = isProtectedBy([scope.listener]) || isProtectedBy([layer]);
  const compiled = members.map((member) =>
    compileBackends(member.config.backends, [scope.listener, routeLayer(member, scope)], `${member.yamlPath}.backends`, scope),
  );
  const [only] = compiled;
  const backend =
    compiled.length === 1 && only !== undefined
      ? only
      : { kind: 'ai' as const, ai: mergeAiBackends(compiled.flatMap((one) => (one.kind === 'ai' ? [one.ai] : []))) };
  const middlewares = middlewaresOf([isProtected ? layer : knowingAdmin(layer, scope)], scope.surroundings);
  return {
    route: {
      name: first.name,
      policies: isProtected ? middlewares : [guardOf(scope, layer), ...middlewares],
      backend,
      isProtected,
    },
    ...place,
  };
}

function routeLayer({ config, name, yamlPath }: RouteWanted, { listener }: RouteScope): PolicyLayer {
  return { options: config.policies, place: 'route', yamlPath: `${yamlPath}.policies`, stateKey: `${listener.stateKey}/${name}` };
}

/** Without a lock the admin token still means what it says: whoever shows it may manage boxes, whoever does not is let in as before. */
function knowingAdmin(layer: PolicyLayer, { surroundings: { adminToken }, listener }: RouteScope): PolicyLayer {
  if (adminToken === undefined || layer.options.apiKey !== undefined || listener.options.apiKey !== undefined) return layer;
  return { ...layer, options: { ...layer.options, apiKey: apiKey.options.parse({ keys: [], mode: 'permissive' }) } };
}

function guardOf({ guard, listener }: RouteScope, route: PolicyLayer): MiddlewareHandler<GatewayEnv> {
  const corsOrigins = [...corsOriginsOf(listener.options), ...corsOriginsOf(route.options)];
  return named('localOnly', createLocalGuard({ ...guard, corsOrigins }));
}

function corsOriginsOf(options: PolicyOptions): readonly string[] {
  return (options.cors as CorsOptions | undefined)?.allowOrigins ?? [];
}

function hostnamesOf({ hostnames }: RouteConfig): readonly string[] {
  return hostnames.map((name) => name.toLowerCase());
}

function ruleKeyOf({ path, method, headers, query }: MatchConfig): unknown {
  const values = (rules: readonly { name: string; value: StringMatch }[]) =>
    rules.map(({ name, value }) => [name, value.kind, value.kind === 'exact' ? value.value : value.pattern]);
  return [path.kind, pathRuleOf(path).value, method ?? null, values(headers), values(query)];
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
