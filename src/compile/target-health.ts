/** The health of targets, kept over reloads, and how it stands now. */
import { createHealthState, createTargetHealth, type HealthReport, type TargetHealth } from '../backends/health.ts';
import { targetsOf } from '../backends/target.ts';
import type { Upstream } from '../exchange.ts';
import { type HealthOptions, healthRuleOf } from '../policies/health.ts';
import type { Plan } from './plan.ts';
import { innermost, type PolicyLayer, type PolicySurroundings } from './policy-stack.ts';
import type { Upstreams } from './upstreams.ts';

export interface HealthScope {
  /** Outermost first. */
  readonly layers: readonly PolicyLayer[];
  readonly upstreams: Pick<Upstreams, 'headersFor'>;
  readonly surroundings: Pick<PolicySurroundings, 'state'>;
}

/**
 * Targets of one upstream and model that are judged alike share what is known, wherever they stand; so it also outlives a
 * reload that moves them, and one that changes for how long they are left alone. Undefined without a `health` policy, unless
 * `isAlways`.
 */
export function targetHealthOf(
  upstream: Upstream,
  model: string | undefined,
  { layers, upstreams, surroundings: { state } }: HealthScope,
  isAlways: boolean,
): TargetHealth | undefined {
  const options = innermost<HealthOptions>(layers, 'health');
  if (options === undefined && !isAlways) return undefined;
  const { rule, key } = healthRuleOf(options);
  // Not by name: one that has none in the YAML is numbered, and may have another number after a reload.
  const { host = '' } = upstreams.headersFor(upstream);
  const place = ['health', upstream.kind, upstream.baseUrl, host, model ?? '', key].join('\n');
  return createTargetHealth(state.kept(place, createHealthState), rule);
}

export interface UpstreamHealth extends HealthReport {
  readonly upstream: string;
  /** Undefined where the requests name it. */
  readonly model: string | undefined;
}

/** How every target of the plan fares, each once. For the config dump and the metrics. */
export function healthReportsOf({ binds }: Plan, nowMs: number): readonly UpstreamHealth[] {
  const routes = binds.flatMap(({ listeners }) => listeners.flatMap(({ entries }) => entries.map(({ route }) => route)));
  const reports = new Map<string, UpstreamHealth>();
  for (const { upstream, declares, health } of routes.flatMap(({ backend }) => targetsOf(backend))) {
    if (health === undefined) continue;
    const report: UpstreamHealth = { upstream: upstream.name, model: declares, ...health.report(nowMs) };
    const key = `${report.upstream}\n${report.model ?? ''}`;
    // Judged by two rules, the worse one is shown.
    if ((reports.get(key)?.health ?? 2) > report.health || report.isEvicted) reports.set(key, report);
  }
  return [...reports.values()];
}
