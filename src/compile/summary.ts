/**
 * What a plan would do, in a shape that stays: for `--validate-only`, as text and as JSON (docs/validation.md). Names of
 * policies, routes and boxes; no secret has a place in it.
 */
import { type Backend, targetsOf } from '../backends/target.ts';
import type { MatchRule } from '../routes/rules.ts';
import type { RouteEntry } from '../routes/table.ts';
import type { BindPlan, ListenerPlan, Plan, RoutePlan } from './plan.ts';

export interface PlanSummary {
  readonly ports: readonly PortSummary[];
  /** Those that are probed, each once. */
  readonly boxes: readonly { readonly name: string; readonly url: string }[];
}

export interface PortSummary {
  /** As the configuration has it. */
  readonly port: number;
  readonly protocol: 'HTTP' | 'HTTPS';
  readonly listeners: readonly ListenerSummary[];
}

export interface ListenerSummary {
  readonly gateway: string;
  readonly name: string;
  /** `*`: every host. */
  readonly hostname: string;
  /** In the order in which they run. */
  readonly policies: readonly string[];
  readonly routes: readonly RouteSummary[];
}

export interface RouteSummary {
  readonly name: string;
  /** Empty: every host. */
  readonly hostnames: readonly string[];
  /** `POST /v1/*`, `/healthz with header x-a`: one of them must fit. */
  readonly matches: readonly string[];
  readonly policies: readonly string[];
  /** protected: asks for credentials. localOnly: serves this machine. refused: answers 503 for want of a policy. */
  readonly access: 'protected' | 'localOnly' | 'refused';
  readonly targets: readonly TargetSummary[];
  /** Names that clients may ask for beside those that the boxes list. */
  readonly models: readonly string[];
  /** Routes that this one hands over to. */
  readonly routes?: readonly RouteSummary[];
}

export interface TargetSummary {
  readonly name: string;
  readonly url: string;
  readonly kind: 'box' | 'openai' | 'host';
  /** The model that the configuration names. */
  readonly model?: string;
  readonly weight?: number;
  /** From 0: later ones serve when none of the earlier can. Left out where there is just one. */
  readonly group?: number;
  /** Nothing is sent there: a policy or the backend itself was left out (`--ignore-unsupported`). */
  readonly isLeftOut?: true;
}

export function summaryOf({ binds, upstreams }: Plan): PlanSummary {
  return {
    ports: binds.map(portOf),
    boxes: upstreams
      .filter(({ kind }) => kind === 'box')
      .map(({ name, baseUrl }) => ({ name, url: withoutCredentials(baseUrl) })),
  };
}

function portOf({ port, tls, listeners }: BindPlan): PortSummary {
  return { port, protocol: tls === undefined ? 'HTTP' : 'HTTPS', listeners: listeners.map(listenerOf) };
}

function listenerOf({ gatewayName, name, hostname, policies, entries }: ListenerPlan): ListenerSummary {
  const names = namesOf(policies);
  const isRefused = names.includes(refused);
  return {
    gateway: gatewayName,
    name,
    hostname: hostname === '' ? '*' : hostname,
    policies: names,
    routes: entries.map((entry) => routeOf(entry, isRefused)),
  };
}

/** What the compiler calls the step that stands for a policy that was left out. */
const refused = 'refused';

function routeOf({ route, hostnames, rules }: RouteEntry<RoutePlan>, isRefusedAbove: boolean): RouteSummary {
  const policies = namesOf(route.policies);
  const isRefused = isRefusedAbove || policies.includes(refused) || isAllRefused(route.backend);
  return {
    name: route.name,
    hostnames,
    matches: rules.map(matchText),
    policies,
    access: isRefused ? 'refused' : route.isProtected ? 'protected' : 'localOnly',
    targets: targetsIn(route.backend),
    models: route.backend.kind === 'ai' ? route.backend.ai.addedModels.map(({ name }) => name) : [],
    ...(route.children === undefined ? {} : { routes: route.children.entries.map((child) => routeOf(child, isRefused)) }),
  };
}

function isAllRefused(backend: Backend): boolean {
  const targets = targetsOf(backend);
  return targets.length > 0 && targets.every(({ edits }) => namesOf(edits).includes(refused));
}

function namesOf(steps: readonly { readonly name: string }[]): readonly string[] {
  return steps.map(({ name }) => name);
}

function matchText({ path, method, headers, query }: MatchRule): string {
  const pathText = path.kind === 'prefix' ? `${path.value}/*` : path.kind === 'regex' ? `~${path.value}` : path.value;
  const rest = [...headers.map(({ name }) => `header ${name}`), ...query.map(({ name }) => `query ${name}`)];
  return `${method === undefined ? '' : `${method} `}${pathText}${rest.length === 0 ? '' : ` with ${rest.join(', ')}`}`;
}

function targetsIn(backend: Backend): readonly TargetSummary[] {
  const targets = targetsOf(backend);
  const hasGroups = new Set(targets.map(({ group }) => group)).size > 1;
  return targets.map(({ upstream: { name, baseUrl, kind }, declares, weight, group, edits }) => ({
    name,
    url: withoutCredentials(baseUrl),
    kind,
    ...(declares === undefined ? {} : { model: declares }),
    ...(weight === undefined ? {} : { weight }),
    ...(hasGroups ? { group } : {}),
    ...(namesOf(edits).includes(refused) ? { isLeftOut: true as const } : {}),
  }));
}

function withoutCredentials(url: string): string {
  return url.replace(/\/\/[^/@]*@/, '//');
}
