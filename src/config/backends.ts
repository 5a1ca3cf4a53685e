/** Where requests go: `host` backends, `ai` backends with their providers, and names of top-level backends. */
import * as z from 'zod';
import type { HostPort } from '../fields/host-port.ts';
import { hostPortField } from '../fields/host-port.ts';
import { pathField, pathPrefixField } from '../fields/path.ts';
import { policiesField } from './policy-map.ts';
import { backendProviderField } from './providers.ts';

export const nameField = z.string().min(1, 'a name must not be empty').max(200, 'a name may have 200 characters at most');

export const tokenizeField = z
  .boolean()
  .optional()
  .describe(
    "True: a prompt's tokens are estimated before it is sent, and count against limits of tokens at once. Otherwise they count when the answer ends.",
  );

const aiProviderShape = {
  name: nameField.describe('Name of the box or service, in logs and messages.'),
  provider: backendProviderField.describe('What answers there: exactly one kind.'),
  hostOverride: hostPortField
    .optional()
    .describe('Address of the server, `host:port`. For TLS add the policy `backendTLS`.')
    .meta({ examples: ['localhost:11434'] }),
  pathOverride: pathField.optional().describe('Replaces path and query of every request.'),
  pathPrefix: pathPrefixField.optional().describe('Stands in for the `/v1` at the start of the path.'),
  tokenize: tokenizeField,
  policies: policiesField('backend').describe('Policies for requests to this provider.'),
};

const customNeedsAddress = 'a custom provider needs a hostOverride';

const aiProviderField = z
  .strictObject(aiProviderShape)
  .meta({ id: 'aiProvider' })
  .superRefine(({ provider, hostOverride }, context) => {
    if (provider.kind === 'custom' && hostOverride === undefined) context.addIssue(customNeedsAddress);
  });

export type AiProviderConfig = z.output<typeof aiProviderField>;

export interface AiConfig {
  /** In the order to use them. A provider that stands alone is one group of one. */
  readonly groups: readonly { readonly providers: readonly AiProviderConfig[] }[];
  /** True: the providers stand at `ai.groups[g].providers[p]` in the YAML; false: the one provider is `ai` itself. */
  readonly isGrouped: boolean;
}

const { name: aiName, provider: aiProvider, ...aiOptional } = aiProviderShape;

/** `ai:`. Both forms are one schema, so that a mistake in one of them is not answered with the rules of both. */
const aiField = z
  .strictObject({
    name: aiName.optional(),
    provider: aiProvider.optional(),
    ...aiOptional,
    groups: z
      .array(
        z.strictObject({
          providers: z
            .array(aiProviderField)
            .min(1, 'a group needs at least one provider')
            .describe('Providers that share the load of this group.'),
        }),
      )
      .min(1, 'expected at least one group')
      .optional()
      .describe(
        'Instead of all the others: groups of providers in the order to use them. A later group serves while none of the earlier ones can.',
      ),
  })
  .meta({ id: 'ai', description: 'Language models: one provider (`name`, `provider`, …), or `groups` of them.' })
  .transform(({ groups, name, provider, ...rest }, context): AiConfig => {
    if (groups !== undefined) {
      const isAlone = [name, provider, rest.hostOverride, rest.pathOverride, rest.pathPrefix, rest.tokenize].every(
        (value) => value === undefined,
      );
      if (!isAlone || Object.keys(rest.policies).length > 0)
        context.addIssue('beside "groups" nothing else may stand: each provider has its own');
      return { groups, isGrouped: true };
    }
    if (name !== undefined && provider !== undefined) {
      if (provider.kind === 'custom' && rest.hostOverride === undefined) context.addIssue(customNeedsAddress);
      return { groups: [{ providers: [{ name, provider, ...rest }] }], isGrouped: false };
    }
    if (name === undefined) context.addIssue({ code: 'custom', path: ['name'], message: 'expected a name for this backend' });
    if (provider === undefined)
      context.addIssue({ code: 'custom', path: ['provider'], message: 'expected {openAI: …} or {custom: …}' });
    return z.NEVER;
  });

export type BackendTarget =
  | { readonly kind: 'host'; readonly host: HostPort }
  | { readonly kind: 'ai'; readonly ai: AiConfig }
  /** Names an entry of the top-level `backends`. */
  | { readonly kind: 'reference'; readonly name: string }
  /** Names an entry of the top-level `routeGroups`: its routes go on from here. */
  | { readonly kind: 'routeGroup'; readonly name: string };

const targetShape = {
  host: hostPortField
    .optional()
    .describe('Any HTTP server, `host:port`. Everything passes through.')
    .meta({ examples: ['localhost:8080'] }),
  ai: aiField.optional(),
};

/** One entry of a route's `backends`. */
export const routeBackendField = z
  .strictObject({
    weight: z
      .int('expected a whole number')
      .min(0, 'a weight cannot be negative')
      .max(1_000_000, 'a weight may be 1000000 at most')
      .optional()
      .describe(
        'Share of the requests, relative to the other backends; 0 takes none. Left out, it counts as 1, and boxes are chosen by what they have loaded.',
      ),
    ...targetShape,
    backend: nameField.optional().describe('Name of an entry of the top-level `backends`.'),
    routeGroup: nameField
      .optional()
      .describe('Name of an entry of the top-level `routeGroups`, whose routes choose further. Stands alone.'),
    policies: policiesField('backend').describe('Policies for requests to this backend.'),
  })
  .meta({ id: 'backend', description: 'Exactly one of `host`, `ai`, `backend` and `routeGroup`.' })
  .transform(({ weight, host, ai, backend, routeGroup, policies }, context) => {
    const targets = targetsOf({ host, ai, backend, routeGroup });
    if (targets.length !== 1) context.addIssue('expected exactly one of: host, ai, backend, routeGroup');
    return { weight, target: targets[0] ?? z.NEVER, policies };
  });

/** One entry of the top-level `backends`. */
export const namedBackendField = z
  .strictObject({
    name: nameField.describe('The name that routes use in `backend`.'),
    ...targetShape,
    policies: policiesField('backend').describe('Policies for requests to this backend.'),
  })
  .meta({ id: 'namedBackend', description: 'Exactly one of `host` and `ai`.' })
  .transform(({ name, host, ai, policies }, context) => {
    const targets = targetsOf({ host, ai, backend: undefined, routeGroup: undefined });
    if (targets.length !== 1) context.addIssue('expected exactly one of: host, ai');
    return { name, target: targets[0] ?? z.NEVER, policies };
  });

interface GivenTargets {
  readonly host: HostPort | undefined;
  readonly ai: AiConfig | undefined;
  readonly backend: string | undefined;
  readonly routeGroup: string | undefined;
}

function targetsOf({ host, ai, backend, routeGroup }: GivenTargets): BackendTarget[] {
  const targets: BackendTarget[] = [];
  if (host !== undefined) targets.push({ kind: 'host', host });
  if (ai !== undefined) targets.push({ kind: 'ai', ai });
  // agentgateway's own configurations also write the name with a slash in front.
  if (backend !== undefined) targets.push({ kind: 'reference', name: backend.replace(/^\//, '') });
  if (routeGroup !== undefined) targets.push({ kind: 'routeGroup', name: routeGroup });
  return targets;
}

export type RouteBackendConfig = z.output<typeof routeBackendField>;
export type NamedBackendConfig = z.output<typeof namedBackendField>;
