/** What is in force, for people who ask why a request went where it went: the configuration, the plan, the boxes. No secrets. */
import type { AiBackend, Backend, Target } from '../backends/target.ts';
import type { ListenerPlan, Plan, RoutePlan } from '../compile/plan.ts';
import type { Diagnostic } from '../config/load.ts';
import { createMasking } from '../config/masked.ts';
import type { BoxReport } from '../fleet/fleet.ts';
import type { RouteEntry } from '../routes/table.ts';

export interface DumpParts {
  readonly version: string;
  /** The configuration as written, variables put in. */
  readonly written: unknown;
  /** Told by flags and variables: masked wherever they stand. */
  readonly secrets: readonly string[];
  readonly plan: Plan;
  /** Of the text and of the plan. */
  readonly warnings: readonly Diagnostic[];
  readonly boxes: readonly BoxReport[];
  readonly nowMs: number;
  readonly inFlight: number;
  /** Whether what is in force is what the configuration says now. */
  readonly sync: object;
}

/** More than anyone reads at once; how many there are is told. */
const maxWarnings = 100;
const maxMessage = 1_000;

export function configDump({ version, written, secrets, plan, warnings, boxes, nowMs, inFlight, sync }: DumpParts): string {
  const masking = createMasking(written, secrets);
  // `fleet` stands in `config`, without the secrets of its boxes.
  const { fleet: _masked, ...settings } = plan.settings;
  const dump = {
    version,
    inFlight,
    sync,
    config: masking.config,
    settings,
    binds: plan.binds.map(({ port, listeners, tls }) => ({
      port,
      ...(tls === undefined ? {} : { tls: true }),
      listeners: listeners.map((listener) => listenerOf(listener, nowMs)),
    })),
    upstreams: plan.upstreams.map(({ name, baseUrl, kind, tls }) => ({ name, baseUrl, kind, hasTlsSettings: tls !== undefined })),
    boxes,
    warningCount: warnings.length,
    // Without the line of the file, which may hold anything.
    warnings: warnings.slice(0, maxWarnings).map(({ line, column, path, message }) => ({
      line,
      column,
      path: masking.text(path),
      message: masking.text(message).slice(0, maxMessage),
    })),
  };
  return `${JSON.stringify(dump, replacer, 2)}\n`;
}

/** JSON has no sets. */
function replacer(_name: string, value: unknown): unknown {
  return value instanceof Set ? [...value] : value;
}

function listenerOf({ name, gatewayName, hostname, policies, entries }: ListenerPlan, nowMs: number): object {
  return {
    name,
    gateway: gatewayName,
    hostname,
    policies: namesOf(policies),
    routes: entries.map((entry) => routeOf(entry, nowMs)),
  };
}

function routeOf({ route, hostnames, rules }: RouteEntry<RoutePlan>, nowMs: number): object {
  const { name, policies, backend, isProtected, children } = route;
  return {
    name,
    ...(hostnames.length === 0 ? {} : { hostnames }),
    matches: rules.length,
    isProtected,
    policies: namesOf(policies),
    ...(children === undefined
      ? { backend: backendOf(backend, nowMs) }
      : { routes: children.entries.map((entry) => routeOf(entry, nowMs)) }),
  };
}

function backendOf(backend: Backend, nowMs: number): object {
  switch (backend.kind) {
    case 'host':
      return { kind: 'host', targets: backend.targets.map((target) => targetOf(target, nowMs)) };
    case 'ai':
      return aiOf(backend.ai, nowMs);
    case 'weighted':
      return {
        kind: 'weighted',
        choices: backend.choices.map(({ weight, backend: choice }) => ({ weight, ...backendOf(choice, nowMs) })),
      };
    case 'none':
      return { kind: 'none' };
    case 'broken':
      return { kind: 'broken', code: backend.code, message: backend.message };
  }
}

function aiOf({ targets, virtualTargets = new Map(), addedModels, openPaths }: AiBackend, nowMs: number): object {
  const virtual = [...virtualTargets].filter(([, own]) => own.length > 0);
  return {
    kind: 'ai',
    targets: targets.map((target) => targetOf(target, nowMs)),
    ...(virtual.length === 0
      ? {}
      : { virtualModels: virtual.map(([name, own]) => ({ name, targets: own.map((target) => targetOf(target, nowMs)) })) }),
    models: addedModels,
    ...(openPaths.written.length === 0 ? {} : { openPaths: openPaths.written }),
  };
}

function targetOf({ upstream, weight, group, declares, edits, health }: Target, nowMs: number): object {
  return {
    upstream: upstream.name,
    ...(declares === undefined ? {} : { model: declares }),
    ...(weight === undefined ? {} : { weight }),
    group,
    policies: namesOf(edits),
    ...(health === undefined ? {} : { health: health.report(nowMs) }),
  };
}

function namesOf(made: readonly { readonly name: string }[]): readonly string[] {
  return [...new Set(made.map(({ name }) => name))];
}
