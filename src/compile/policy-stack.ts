/** The policies of one place, or of several on the way to a backend, turned into what runs. */
import type { MiddlewareHandler } from 'hono';
import type { PolicyOptions } from '../config/schema.ts';
import type { AttemptEdit, GatewayEnv } from '../exchange.ts';
import type { AiOptions } from '../policies/ai.ts';
import { policies, policyNamed } from '../policies/index.ts';
import type { PolicyDefinition } from '../policies/policy.ts';

/** One place's policies, outermost first in a stack: route, backend, provider. */
export interface PolicyLayer {
  readonly options: PolicyOptions;
  /** Of the `policies` object, for messages. */
  readonly yamlPath: string;
}

/** The middlewares of a listener or a route, in THE order. */
export function middlewaresOf(layer: PolicyLayer, adminToken: string | undefined): readonly MiddlewareHandler<GatewayEnv>[] {
  return policies.flatMap((policy) => {
    const options = layer.options[policy.name];
    if (options === undefined || policy.onRequest === undefined) return [];
    return [named(policy.name, policy.onRequest(options, scopeOf(policy, layer, adminToken)))];
  });
}

/** The policy's name on what it made: for stack traces, and for whoever shows a plan. */
export function named<Made extends object>(name: string, made: Made): Made {
  return Object.defineProperty(made, 'name', { value: name });
}

/** Whether this place's policies lock out whoever has no credential. */
export function isProtectedBy({ options }: PolicyLayer): boolean {
  return policies.some((policy) => options[policy.name] !== undefined && policy.protects?.(options[policy.name]) === true);
}

/** These add up over the layers; of all others the innermost layer's counts. */
const addingUp = new Set(['requestHeaderModifier', 'apiKey']);

/** The edits of each try, in THE order. `ai` merges member by member. */
export function attemptEditsOf(layers: readonly PolicyLayer[], adminToken: string | undefined): readonly AttemptEdit[] {
  return policies.flatMap((policy) => {
    const { onAttempt } = policy;
    if (onAttempt === undefined) return [];
    const given = layers.filter(({ options }) => options[policy.name] !== undefined);
    const used = addingUp.has(policy.name) ? given : given.slice(-1);
    return used.map((layer) => {
      const options = policy.name === 'ai' ? aiOptionsOf(layers) : layer.options[policy.name];
      return named(policy.name, onAttempt(options, scopeOf(policy, layer, adminToken)));
    });
  });
}

/** The `ai` policy of several layers as one: the inner layer's members win, one by one. */
export function aiOptionsOf(layers: readonly PolicyLayer[]): AiOptions {
  const given = layers.flatMap(({ options }) => (options.ai === undefined ? [] : [options.ai as AiOptions]));
  const merged: AiOptions = {};
  for (const name of ['routes', 'modelAliases', 'defaults', 'overrides'] as const) {
    const parts = given.map((one) => one[name]).filter((part) => part !== undefined);
    if (parts.length > 0) Object.assign(merged, { [name]: Object.assign({}, ...parts) });
  }
  return merged;
}

/** The innermost layer's options of a policy that the compiler itself reads. */
export function innermost<Options>(layers: readonly PolicyLayer[], name: string): Options | undefined {
  return layers.findLast(({ options }) => options[name] !== undefined)?.options[name] as Options | undefined;
}

function scopeOf(policy: PolicyDefinition, layer: PolicyLayer, adminToken: string | undefined) {
  return { yamlPath: `${layer.yamlPath}.${policy.name}`, adminToken };
}

/** Names of a layer's policies that run around the request: routes may only be grouped where these are equal. */
export function requestPoliciesOf({ options }: PolicyLayer): PolicyOptions {
  return Object.fromEntries(
    Object.entries(options)
      .filter(([name]) => policyNamed(name)?.onRequest !== undefined)
      .sort(([first], [second]) => (first < second ? -1 : 1)),
  );
}
