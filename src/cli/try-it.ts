/** Where the command that a start prints can be tried: the first place of the plan that runs models. */
import { type Backend, targetsOf } from '../backends/target.ts';
import type { BindPlan, RoutePlan } from '../compile/plan.ts';
import type { MatchRule } from '../routes/rules.ts';
import type { RouteEntry } from '../routes/table.ts';

/** What a place asks of whoever comes. */
export type Lock = 'none' | 'key' | 'token' | 'password';

export interface Trial {
  /** As the configuration has it. */
  readonly port: number;
  /** Of chat completions there. */
  readonly path: string;
  readonly lock: Lock;
  /** Names of the upstreams behind it. */
  readonly upstreams: ReadonlySet<string>;
  /** Models that the configuration names, those first that a request without a model gets. */
  readonly models: readonly { readonly name: string /** Only if this box has it. */; readonly box: string | undefined }[];
  /** Whether clients may ask for a model that a box has. */
  lists(model: string): boolean;
}

const chat = '/v1/chat/completions';

/** Undefined where nothing is open to a plain request for chat completions. */
export function trialOf(binds: readonly BindPlan[]): Trial | undefined {
  const found = binds.flatMap(({ port, listeners }) =>
    listeners
      .filter(({ hostname }) => ['', '*', 'localhost'].includes(hostname))
      .flatMap(({ policies, entries }) => placesIn(entries, policies.map(nameOf)).map((place) => ({ port, ...place }))),
  );
  return found.find(({ path }) => path === chat) ?? found[0];
}

type Place = Omit<Trial, 'port'>;

function placesIn(entries: readonly RouteEntry<RoutePlan>[], above: readonly string[]): readonly Place[] {
  return entries.flatMap(({ route, hostnames, rules }) => {
    if (hostnames.length > 0 && !hostnames.includes('localhost')) return [];
    const policies = [...above, ...route.policies.map(nameOf)];
    const children = placesIn(route.children?.entries ?? [], policies);
    const path = rules.map(pathUnder).find((one) => one !== undefined);
    const { backend } = route;
    if (path === undefined || backend.kind !== 'ai' || policies.some((name) => closing.has(name))) return children;
    return [...children, { path, lock: route.isProtected ? lockOf(policies) : 'none', ...modelsOf(backend) }];
  });
}

/** Policies that answer instead of the backend, or let in other Corrals alone. */
const closing: ReadonlySet<string> = new Set(['refused', 'relayLock', 'directResponse', 'requestRedirect']);

function nameOf({ name }: { readonly name: string }): string {
  return name;
}

function pathUnder({ path: { kind, value }, method, headers, query }: MatchRule): string | undefined {
  if (headers.length + query.length > 0 || (method !== undefined && method !== 'POST')) return undefined;
  if (kind === 'exact') return value === chat ? chat : undefined;
  if (kind === 'regex') return undefined;
  return chat === value || chat.startsWith(`${value}/`) ? chat : value + chat;
}

function lockOf(policies: readonly string[]): Lock {
  if (policies.includes('basicAuth')) return 'password';
  if (policies.includes('jwtAuth')) return 'token';
  return policies.includes('apiKey') ? 'key' : 'none';
}

function modelsOf(backend: Extract<Backend, { kind: 'ai' }>): Pick<Trial, 'upstreams' | 'models' | 'lists'> {
  const { ai } = backend;
  const targets = targetsOf(backend);
  const lists = (model: string) => ai.listsModel(model);
  const declared = targets.flatMap(({ declares, upstream }) =>
    declares === undefined || !lists(declares)
      ? []
      : [{ name: declares, box: upstream.kind === 'box' ? upstream.name : undefined }],
  );
  return {
    upstreams: new Set(targets.map(({ upstream }) => upstream.name)),
    models: [...declared, ...ai.addedModels.map(({ name }) => ({ name, box: undefined }))],
    lists,
  };
}
