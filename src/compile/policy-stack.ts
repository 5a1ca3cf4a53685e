/** The policies of one place, or of several on the way to a backend, turned into what runs. */
import type { MiddlewareHandler } from 'hono';
import { refusedIn } from '../config/refused.ts';
import type { PolicyOptions } from '../config/schema.ts';
import { GatewayError } from '../errors.ts';
import type { AnswerEdit, AttemptEdit, GatewayEnv } from '../exchange.ts';
import type { ServerRef } from '../fields/server-ref.ts';
import type { SideServer } from '../http/side-calls.ts';
import type { Platform } from '../platform.ts';
import { type AiOptions, ai } from '../policies/ai.ts';
import { policies, policyNamed } from '../policies/index.ts';
import type { Place, PolicyDefinition, PolicyScope } from '../policies/policy.ts';
import { unlessRelayed } from '../policies/relayLock.ts';
import { PlanError } from './upstreams.ts';

/** One place's policies. A stack of them is outermost first: listener, route, backend, provider. */
export interface PolicyLayer {
  readonly options: PolicyOptions;
  readonly place: Place;
  /** Of the `policies` object, for messages. */
  readonly yamlPath: string;
  /** The place by names, for what outlives a plan. */
  readonly stateKey: string;
}

/** What policies are given, but for their own place. */
export interface PolicySurroundings extends Omit<PolicyScope, 'yamlPath' | 'stateKey' | 'serverOf' | 'warn'> {
  serverOf(ref: ServerRef, yamlPath: string): SideServer;
  warn(yamlPath: string, message: string): void;
  /** The relay's role: Corrals in front have asked for keys already. */
  readonly isRelay?: boolean;
  /** For what is found out later, while requests are answered. */
  readonly report: Platform['report'];
}

/** A policy's options at the place whose layer they are, what outer places say included. */
interface Placed {
  readonly options: unknown;
  readonly layer: PolicyLayer;
}

/** What of a policy counts, given what each place says: the innermost, all of them, or their combination. */
function placedIn(policy: PolicyDefinition, layers: readonly PolicyLayer[]): readonly Placed[] {
  const given = layers.flatMap((layer): Placed[] => {
    const options = layer.options[policy.name];
    return options === undefined ? [] : [{ options, layer }];
  });
  const { inherits } = policy;
  if (given.length <= 1 || inherits === 'both') return given;
  const inner = given.at(-1);
  if (inherits === undefined || inner === undefined) return given.slice(-1);
  const options = given.map((one) => one.options).reduce((outer, next) => inherits(outer, next));
  return [{ options, layer: inner.layer }];
}

/** The middlewares of a listener or a route, in THE order. */
export function middlewaresOf(
  layers: readonly PolicyLayer[],
  surroundings: PolicySurroundings,
): readonly MiddlewareHandler<GatewayEnv>[] {
  const made = policies.flatMap((policy) => {
    const { onRequest } = policy;
    if (onRequest === undefined) return [];
    return placedIn(policy, layers).flatMap(({ options, layer }) => {
      const middleware = onRequest(options, scopeOf(policy, options, layer, surroundings));
      if (middleware === undefined) return [];
      const isLock = surroundings.isRelay === true && policy.protects !== undefined;
      return [named(policy.name, isLock ? unlessRelayed(middleware) : middleware)];
    });
  });
  return [...refusalOf(layers).map((refuse) => named('refused', async () => refuse())), ...made];
}

/** Where a policy was left out (`--ignore-unsupported`), nobody is let through. */
function refusalOf(layers: readonly PolicyLayer[]): readonly (() => never)[] {
  const missing = [...new Set(layers.flatMap(({ options }) => refusedIn(options)))];
  if (missing.length === 0) return [];
  return [
    () => {
      throw new GatewayError(
        'policy_refused',
        `Corral has no ${missing.join(', ')}, which the configuration asks for here; without it nobody is let through`,
      );
    },
  ];
}

/** The policy's name on what it made: for stack traces, and for whoever shows a plan. */
export function named<Made extends object>(name: string, made: Made): Made {
  return Object.defineProperty(made, 'name', { value: name });
}

/** Whether these places' policies lock out whoever has no credential. */
export function isProtectedBy(layers: readonly PolicyLayer[]): boolean {
  return policies.some((policy) => placedIn(policy, layers).some(({ options }) => policy.protects?.(options) === true));
}

/** The edits of each try, in THE order. */
export function attemptEditsOf(layers: readonly PolicyLayer[], surroundings: PolicySurroundings): readonly AttemptEdit[] {
  const refusal = refusalOf(layers.filter(isBackend)).map((refuse) => named('refused', () => refuse()));
  const made = policies.flatMap((policy) => [
    ...editsFrom(policy, policy.onAttempt, layers, surroundings),
    ...editsFrom(policy, policy.onBackendAttempt, layers.filter(isBackend), surroundings),
  ]);
  return [...refusal, ...made];
}

function editsFrom(
  policy: PolicyDefinition,
  make: PolicyDefinition['onAttempt'],
  layers: readonly PolicyLayer[],
  surroundings: PolicySurroundings,
): readonly AttemptEdit[] {
  if (make === undefined) return [];
  return placedIn(policy, layers).flatMap(({ options, layer }) => {
    const edit = make(options, scopeOf(policy, options, layer, surroundings));
    return edit === undefined ? [] : [named(policy.name, edit)];
  });
}

/** The edits of each try after a translation, in THE order. */
export function finalEditsOf(layers: readonly PolicyLayer[], surroundings: PolicySurroundings): readonly AttemptEdit[] {
  return policies.flatMap((policy) => editsFrom(policy, policy.onTranslated, layers, surroundings));
}

/** The edits of a backend's own answers; the listener's and the route's run as middleware. */
export function answerEditsOf(layers: readonly PolicyLayer[], surroundings: PolicySurroundings): readonly AnswerEdit[] {
  return policies.flatMap((policy) => {
    const { onBackendAnswer } = policy;
    if (onBackendAnswer === undefined) return [];
    return placedIn(policy, layers.filter(isBackend)).flatMap(({ options, layer }) => {
      const edit = onBackendAnswer(options, scopeOf(policy, options, layer, surroundings));
      return edit === undefined ? [] : [named(policy.name, edit)];
    });
  });
}

function isBackend({ place }: PolicyLayer): boolean {
  return place === 'backend';
}

/** The `ai` policy of several layers as one: the inner layer's members win, one by one. */
export function aiOptionsOf(layers: readonly PolicyLayer[]): AiOptions {
  const [placed] = placedIn(policyNamed(ai.name) as PolicyDefinition, layers);
  return (placed?.options ?? {}) as AiOptions;
}

/** The innermost layer's options of a policy that the compiler itself reads. */
export function innermost<Options>(layers: readonly PolicyLayer[], name: string): Options | undefined {
  return layers.findLast(({ options }) => options[name] !== undefined)?.options[name] as Options | undefined;
}

/** What a policy's factory is given. Throws PlanError where this runtime cannot have the policy. */
export function scopeOf(
  policy: Pick<PolicyDefinition, 'name' | 'refuses'>,
  options: unknown,
  layer: PolicyLayer,
  surroundings: PolicySurroundings,
): PolicyScope {
  const yamlPath = `${layer.yamlPath}.${policy.name}`;
  const refusal = policy.refuses?.(options, surroundings.runtime);
  if (refusal !== undefined) throw new PlanError(`${yamlPath}: ${refusal}`);
  return {
    ...surroundings,
    yamlPath,
    stateKey: `${layer.stateKey}/${policy.name}`,
    serverOf: (ref) => surroundings.serverOf(ref, yamlPath),
    warn: (message) => surroundings.warn(yamlPath, message),
  };
}

/** Names of a layer's policies that run around the request: routes may only be grouped where these are equal. */
export function requestPoliciesOf(options: PolicyOptions): PolicyOptions {
  return Object.fromEntries(
    Object.entries(options)
      .filter(([name]) => policyNamed(name)?.onRequest !== undefined)
      .sort(([first], [second]) => (first < second ? -1 : 1)),
  );
}
