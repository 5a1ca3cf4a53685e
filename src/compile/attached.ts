/** Top-level `policies`: what they add to the listeners, routes and backends that they name. */
import type { AttachedPolicyConfig, PolicyOptions } from '../config/schema.ts';
import { policyNamed } from '../policies/index.ts';

export interface ListenerNamed {
  /** `default` in the `binds` dialect, which has no gateways. */
  readonly gateway: string;
  readonly listener: string;
  readonly port: number;
}

export interface RouteNamed {
  readonly name: string;
  readonly namespace: string;
  readonly ruleName?: string | undefined;
}

export interface AttachedPolicies {
  /** What runs before a route is chosen, or for each of its routes: gateway below listener. */
  forListener(listener: ListenerNamed, phase: AttachedPolicyConfig['phase']): PolicyOptions;
  /** The route below its rule. */
  forRoute(route: RouteNamed): PolicyOptions;
  /** `provider`: what is meant for that one alone. */
  forBackend(name: string, provider?: string): PolicyOptions;
  /** Places in the list of those that nobody has asked for yet: once the plan is made, they name nothing that is there. */
  unused(): readonly number[];
}

export function createAttachedPolicies(policies: readonly AttachedPolicyConfig[]): AttachedPolicies {
  const used = new Set<AttachedPolicyConfig>();
  // Further out first: what names more of its target is nearer to it.
  const merged = (isMeant: (policy: AttachedPolicyConfig) => boolean, isNearer: (policy: AttachedPolicyConfig) => boolean) => {
    const meant = policies.filter(isMeant);
    for (const policy of meant) used.add(policy);
    const ordered = [...meant.filter((policy) => !isNearer(policy)), ...meant.filter(isNearer)];
    return ordered.reduce<PolicyOptions>((outer, { policy }) => mergeOptions(outer, policy), {});
  };
  return {
    forListener: ({ gateway, listener, port }, phase) =>
      merged(
        ({ target, phase: own }) =>
          own === phase &&
          target.kind === 'gateway' &&
          target.name === gateway &&
          (target.listenerName === undefined || target.listenerName === listener) &&
          (target.port === undefined || target.port === port),
        ({ target }) => target.kind === 'gateway' && (target.listenerName !== undefined || target.port !== undefined),
      ),
    forRoute: ({ name, namespace, ruleName }) =>
      merged(
        ({ target }) =>
          target.kind === 'route' &&
          target.name === name &&
          target.namespace === namespace &&
          (target.ruleName === undefined || target.ruleName === ruleName),
        ({ target }) => target.kind === 'route' && target.ruleName !== undefined,
      ),
    forBackend: (name, provider) =>
      merged(
        ({ target }) => target.kind === 'backend' && target.name === name && target.section === provider,
        () => false,
      ),
    unused: () => policies.flatMap((policy, index) => (used.has(policy) ? [] : [index])),
  };
}

/** One place's policies over another's: the inner ones replace the outer ones, unless a policy says how they combine. */
export function mergeOptions(outer: PolicyOptions, inner: PolicyOptions): PolicyOptions {
  const merged: PolicyOptions = { ...outer };
  for (const [name, options] of Object.entries(inner)) {
    const inherits = policyNamed(name)?.inherits;
    const before = outer[name];
    merged[name] = typeof inherits === 'function' && before !== undefined ? inherits(before, options) : options;
  }
  return merged;
}
