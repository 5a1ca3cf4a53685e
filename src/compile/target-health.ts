/** The health of targets, kept over reloads. */
import { createHealthState, createTargetHealth, type HealthListener, type TargetHealth } from '../backends/health.ts';
import { GatewayError } from '../errors.ts';
import type { Upstream } from '../exchange.ts';
import { type HealthOptions, healthRuleOf } from '../policies/health.ts';
import { innermost, type PolicyLayer, type PolicySurroundings } from './policy-stack.ts';
import type { Upstreams } from './upstreams.ts';

export interface HealthScope {
  /** Outermost first. */
  readonly layers: readonly PolicyLayer[];
  readonly upstreams: Pick<Upstreams, 'headersFor'>;
  readonly surroundings: Pick<PolicySurroundings, 'state' | 'report'>;
}

/**
 * Targets of one upstream and model that are judged alike share what is known, wherever they stand; so it also outlives a
 * reload that moves them, and one that changes for how long they are left alone. Undefined without a `health` policy, unless
 * `isAlways`.
 */
export function targetHealthOf(
  upstream: Upstream,
  model: string | undefined,
  { layers, upstreams, surroundings: { state, report } }: HealthScope,
  isAlways: boolean,
): TargetHealth | undefined {
  const options = innermost<HealthOptions>(layers, 'health');
  if (options === undefined && !isAlways) return undefined;
  const { rule, key } = healthRuleOf(options);
  // Not by name: one that has none in the YAML is numbered, and may have another number after a reload.
  const { host = '' } = upstreams.headersFor(upstream);
  const place = ['health', upstream.kind, upstream.baseUrl, host, model ?? '', key].join('\n');
  return createTargetHealth(state.kept(place, createHealthState), rule, tellingOf(upstream, model, report));
}

/** One line for each change of state. */
function tellingOf({ name }: Upstream, model: string | undefined, report: PolicySurroundings['report']): HealthListener {
  const who = model === undefined ? name : `${name} (${model})`;
  return {
    evicted(forMs, failures, cause) {
      const why = cause instanceof GatewayError ? cause.message : `it answered ${cause.status}`;
      const times = failures === 1 ? '' : `, unhealthy ${failures} times in a row`;
      report('warn', `health: ${who} is evicted for ${Math.round(forMs) / 1_000} s: ${why.slice(0, maxWhy)}${times}`);
    },
    returned: () => report('info', `health: ${who} is back: its eviction is over`),
  };
}

/** Longer than any message of ours. */
const maxWhy = 300;
