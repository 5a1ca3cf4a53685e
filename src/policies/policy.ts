/**
 * The contract of a policy: one file, one YAML key. Its options are a zod schema, checked when the configuration is read;
 * its factories run once, when the plan is compiled; what they return runs per request and decides nothing by name.
 *
 * To add one: the file, its unit test, one line in `index.ts`. YAML key = policy name = file name = heading in the reference.
 */
import type { MiddlewareHandler } from 'hono';
import type * as z from 'zod';
import type { AnswerEdit, AttemptEdit, GatewayEnv } from '../exchange.ts';
import type { ServerRef } from '../fields/server-ref.ts';
import type { SideCalls, SideServer } from '../http/side-calls.ts';
import type { Clock, Platform } from '../platform.ts';
import type { State } from '../state/state.ts';

/** Where a policy may stand in the YAML: on a listener (or gateway, or `llm.policies`), on a route, on a backend. */
export type Place = 'listener' | 'route' | 'backend';

/** What a factory may know of the surroundings. */
export interface PolicyScope {
  /** For messages: `binds[0].listeners[0].routes[1].policies.apiKey`. */
  readonly yamlPath: string;
  /** The place by names, the same after a reload that added other things: for `state`. */
  readonly stateKey: string;
  /** A token that counts as a key with the admin scope wherever keys are asked for; undefined when none is set. */
  readonly adminToken: string | undefined;
  readonly state: State;
  readonly clock: Clock;
  readonly runtime: Platform['runtime'];
  /** The plan's limit for request bodies, and the measure for whatever else a policy holds of one request. */
  readonly maxBodyBytes: number;
  readonly sideCalls: SideCalls;
  /** The server with OpenAI's moderation API: OpenAI itself, or the one that `fleet.moderationUrl` names. */
  readonly moderation: { readonly baseUrl: string; readonly path: string };
  /** The server that a policy's options name. Throws PlanError where there is none of that name. */
  serverOf(ref: ServerRef): SideServer;
  /** Said at start and by `--validate-only`, with the policy's place. */
  warn(message: string): void;
}

export interface PolicyDefinition<Options = unknown> {
  readonly name: string;
  /** One sentence for the reference and the editor's hover. */
  readonly about: string;
  readonly places: readonly Place[];
  readonly options: z.ZodType<Options>;
  /** The YAML path of the reference's example, optional text shown in the reference. */
  readonly example: string;
  /**
   * Runs around the exchange: before route selection on listeners, after it on routes. Refuses by throwing GatewayError.
   * Undefined where these options ask for nothing there: no request pays for it.
   */
  readonly onRequest?: (options: Options, scope: PolicyScope) => MiddlewareHandler<GatewayEnv> | undefined;
  /** Edits each try before it leaves, wherever the policy stands. */
  readonly onAttempt?: (options: Options, scope: PolicyScope) => AttemptEdit | undefined;
  /** Edits each try once more, after a translation: the body is in the upstream's own protocol. */
  readonly onTranslated?: (options: Options, scope: PolicyScope) => AttemptEdit | undefined;
  /** Edits each try, but only where the policy stands on a backend: on listeners and routes `onRequest` has done it. */
  readonly onBackendAttempt?: (options: Options, scope: PolicyScope) => AttemptEdit | undefined;
  /** Edits the headers of answers of the backend where the policy stands. */
  readonly onBackendAnswer?: (options: Options, scope: PolicyScope) => AnswerEdit | undefined;
  /**
   * How an inner place's options combine with an outer one's. Default: the inner ones replace the outer ones.
   * `both`: each place's run, outer first.
   */
  readonly inherits?: 'both' | ((outer: Options, inner: Options) => Options);
  /** Says whether these options lock the route for everyone without a credential (design decision 6). */
  readonly protects?: (options: Options) => boolean;
  /** Why this runtime cannot have it, or undefined. Asked when the plan is compiled. */
  readonly refuses?: (options: Options, runtime: Platform['runtime']) => string | undefined;
}

/** Keeps the options' type while a policy is written down. */
export function definePolicy<Options>(definition: PolicyDefinition<Options>): PolicyDefinition<Options> {
  return definition;
}
