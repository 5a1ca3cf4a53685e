/**
 * Routes that match the same requests and end in `ai` backends are one: the request's model chooses among them (design
 * decision 2). Only where that opens nothing: whoever names a model must not get round a lock, a limit or a guard by it.
 */
import { refusedIn } from '../config/refused.ts';
import type { MatchConfig, PolicyOptions, RouteConfig } from '../config/schema.ts';
import type { StringMatch } from '../fields/string-match.ts';
import { type BackendScope, providerPoliciesOf } from './ai-backend.ts';
import { requestPoliciesOf } from './policy-stack.ts';

interface Placed {
  readonly config: RouteConfig;
  readonly yamlPath: string;
}

type Scope = Pick<BackendScope, 'config' | 'surroundings' | 'attached'>;

/** In file order. Those that may not be one are shadowed, and that is said. */
export function groupEqualRoutes<Route extends Placed>(routes: readonly Route[], scope: Scope): readonly (readonly Route[])[] {
  const groups = new Map<string, Route[]>();
  const order: Route[][] = [];
  for (const route of routes) {
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

function mayJoin(group: readonly Placed[], route: Placed, scope: Scope): boolean {
  const [first] = group;
  if (first === undefined) return true;
  const shadowed = `the route can never be reached: ${first.yamlPath} matches the same requests and comes first`;
  if (!endsInAi(first, scope) || !endsInAi(route, scope)) {
    scope.surroundings.warn(route.yamlPath, shadowed);
    return false;
  }
  const [own, other] = [conditionsOf(first, scope), conditionsOf(route, scope)];
  const names = [...new Set([...own.keys(), ...other.keys()])].filter((name) => own.get(name) !== other.get(name)).sort();
  if (names.length === 0) return true;
  const [only] = names;
  const which = names.length === 1 ? `policy ${only} were` : `policies ${names.join(', ')} were`;
  scope.surroundings.warn(route.yamlPath, `${shadowed}. They would serve together if their ${which} the same`);
  return false;
}

function endsInAi({ config }: Placed, scope: Scope): boolean {
  return (
    config.backends.length > 0 &&
    config.backends.every(({ target }) => {
      if (target.kind !== 'reference') return target.kind === 'ai';
      return scope.config.backends.find(({ name }) => name === target.name)?.target.kind === 'ai';
    })
  );
}

/** What a request has to pass on a route, by policy, as text. */
function conditionsOf({ config }: Placed, scope: Scope): ReadonlyMap<string, string> {
  const conditions = new Map(
    Object.entries(requestPoliciesOf(config.policies)).map(([name, options]) => [name, comparedText(options)]),
  );
  const refused = refusedIn(config.policies);
  if (refused.length > 0) conditions.set('left out', refused.join());
  const guard = guardIn(config.policies);
  if (guard !== undefined) conditions.set('ai.promptGuard', comparedText(guard));
  // Each backend has the same ones, or the model would choose which of them hold.
  const locks = new Set(config.backends.map((backend) => comparedText(backendLocks(backend, scope))));
  const [lock] = locks;
  if (locks.size > 1 || (lock !== undefined && lock !== '[]')) conditions.set("backends'", [...locks].sort().join());
  return conditions;
}

/** Differs wherever the options do; of what cannot be compared it takes two for different. */
function comparedText(options: unknown): string {
  return JSON.stringify(options, (_, value: unknown) => {
    if (value instanceof Set || value instanceof Map) return [...value];
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
    const isOpaque = Object.values(value).some((member) => typeof member === 'function');
    const isMade = !isOpaque && Object.getPrototypeOf(value) !== Object.prototype && Object.getPrototypeOf(value) !== null;
    if (!isOpaque && !isMade) return value;
    // Expressions and patterns are what their text is.
    return 'source' in value && typeof value.source === 'string' ? { source: value.source } : crypto.randomUUID();
  });
}

function guardIn(policies: PolicyOptions): unknown {
  return (policies.ai as { readonly promptGuard?: unknown } | undefined)?.promptGuard;
}

function backendLocks({ target, policies }: RouteConfig['backends'][number], scope: Scope): unknown[] {
  const named = target.kind === 'reference' ? scope.config.backends.find(({ name }) => name === target.name) : undefined;
  const inner = named?.target ?? target;
  const providers = inner.kind === 'ai' ? inner.ai.groups.flatMap((group) => group.providers) : [];
  const places: PolicyOptions[] = [
    policies,
    ...(named === undefined ? [] : [named.policies, scope.attached.forBackend(named.name)]),
    ...providers.map((provider) => providerPoliciesOf(provider, named?.name, scope)),
  ];
  return places.flatMap((options) =>
    [options.authorization, options.extAuthz, guardIn(options), ...refusedIn(options)].filter((one) => one !== undefined),
  );
}

export function hostnamesOf({ hostnames }: Pick<RouteConfig, 'hostnames'>): readonly string[] {
  return hostnames.map((name) => name.toLowerCase());
}

function ruleKeyOf({ path, method, headers, query }: MatchConfig): unknown {
  const values = (rules: readonly { name: string; value: StringMatch }[]) =>
    rules.map(({ name, value }) => [name, value.kind, value.kind === 'exact' ? value.value : value.pattern]);
  const pathText = path.kind === 'regex' ? path.pattern : path.kind === 'prefix' ? path.value.replace(/\/+$/, '') : path.value;
  return [path.kind, pathText, method ?? null, values(headers), values(query)];
}
