/**
 * The contract of a policy: one file, one YAML key. Its options are a zod schema, checked when the configuration is read;
 * its factories run once, when the plan is compiled; what they return runs per request and decides nothing by name.
 *
 * To add one: the file, its unit test, one line in `index.ts`. YAML key = policy name = file name = heading in the reference.
 */
import type { MiddlewareHandler } from 'hono';
import type * as z from 'zod';
import type { AttemptEdit, GatewayEnv } from '../exchange.ts';

/** Where a policy may stand in the YAML: on a listener (or gateway, or `llm.policies`), on a route, on a backend. */
export type Place = 'listener' | 'route' | 'backend';

/** What a factory may know of the surroundings. */
export interface PolicyScope {
  /** For messages: `binds[0].listeners[0].routes[1].policies.apiKey`. */
  readonly yamlPath: string;
  /** A token that counts as a key with the admin scope wherever keys are asked for; undefined when none is set. */
  readonly adminToken: string | undefined;
}

export interface PolicyDefinition<Options = unknown> {
  readonly name: string;
  /** One sentence for the reference and the editor's hover. */
  readonly about: string;
  readonly places: readonly Place[];
  readonly options: z.ZodType<Options>;
  /** The YAML path of the reference's example, optional text shown in the reference. */
  readonly example: string;
  /** Runs around the exchange: before route selection on listeners, after it on routes. Refuses by throwing GatewayError. */
  readonly onRequest?: (options: Options, scope: PolicyScope) => MiddlewareHandler<GatewayEnv>;
  /** Edits each try before it leaves. */
  readonly onAttempt?: (options: Options, scope: PolicyScope) => AttemptEdit;
  /** Says whether these options lock the route for everyone without a credential (design decision 6). */
  readonly protects?: (options: Options) => boolean;
}

/** Keeps the options' type while a policy is written down. */
export function definePolicy<Options>(definition: PolicyDefinition<Options>): PolicyDefinition<Options> {
  return definition;
}
