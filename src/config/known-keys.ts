/**
 * Keys that agentgateway knows and Corral refuses by name, by the end of the path where they stand (agentgateway
 * schema/config.json). Options inside a policy are named by the policy's own schema.
 */

import type { YamlPath } from './diagnostic.ts';
import { type ForeignKind, foreignMessage, reasonFor } from './foreign-keys.ts';
import { placesOf } from './policy-map.ts';
import { presetNames } from './providers.ts';

const listenerPolicies = 'oidc extProc';
const routePolicies = `${listenerPolicies} mcpAuthorization mcpGuardrails mcpAuthentication a2a backendTunnel remoteRateLimit`;
const backendPolicies = 'tcp backendTunnel inferenceRouting a2a mcpAuthorization mcpGuardrails';

const table: Readonly<Record<string, readonly string[]>> = {
  '': words('workloads services tcpRoutes mcp ui'),
  'binds[]': words('tunnelProtocol'),
  'listeners[]': words('tcpRoutes'),
  tls: words('spiffe'),
  'gateways.*': words(listenerPolicies),
  'gateways.*.listeners[]': words(listenerPolicies),
  'backends[]': words('service dynamic internal mcp aws invalid'),
  provider: words('vertex bedrock azure copilot'),
  'provider.openAI': words('moderation'),
  'listeners[].policies': words(listenerPolicies),
  'policies[].policy': words(routePolicies),
  'routes[].policies': words(routePolicies),
  'backends[].policies': words(backendPolicies),
  'ai.policies': words(backendPolicies),
  'providers[].policies': words(backendPolicies),
  'llm.policies': words(`${listenerPolicies} remoteRateLimit`),
  'llm.models[]': words('backendTunnel'),
  'llm.providers[].defaults': words('backendTunnel'),
  params: words('awsRegion vertexRegion vertexProject azureResourceName azureResourceType azureApiVersion azureProjectName'),
  config: words(
    'enableIpv6 dns database storage modelCatalog customFunctions session workerThreads backend localXdsPath hbone spiffe mcp namespace network gateway serviceAccount trustDomain additionalTrustDomains skipValidateTrustDomain clusterId caAddress caAuthToken xdsAddress xdsAuthToken',
  ),
  'config.logging': words('database'),
  'frontendPolicies.accessLog': words('otlp database'),
  'frontendPolicies.logging': words('otlp database'),
  'frontendPolicies.tracing': words('policies'),
  frontendPolicies: words('tls tcp networkExtAuthz proxyProtocol proxy connect'),
  'frontendPolicies.http': words(
    'http1MaxHeaders http1IdleTimeout http1HeaderCase http2WindowSize http2ConnectionWindowSize http2FrameSize http2MaxHeaderSize http2KeepaliveInterval http2KeepaliveTimeout maxConnectionDuration',
  ),
};

function words(text: string): readonly string[] {
  return text.split(' ');
}

/** Why a key of agentgateway's cannot stand somewhere, and what `--ignore-unsupported` may do about it. */
export interface Refusal {
  readonly message: string;
  /** Undefined: a mistake in the file, which nothing may pass over. */
  readonly kind: ForeignKind | undefined;
}

/** Undefined when the key means nothing there to agentgateway either. */
export function refusalOf(path: YamlPath, key: string): Refusal | undefined {
  const found = tableAt(path);
  if (found?.keys.includes(key) === true) return reasonFor(found.place, key);
  const last = path.at(-1);
  if (last === 'provider' && presetNames.some((name) => name === key)) {
    const message = 'a provider of llm.models; here write openAI, with the address in hostOverride';
    return { message, kind: undefined };
  }
  const places = last === 'policies' ? placesOf(key) : undefined;
  if (places === undefined) return undefined;
  return { message: `this policy cannot stand here; it may stand on a ${places.join(' or a ')}`, kind: undefined };
}

/** Keys that are refused for one reason, and the places where they are. */
export interface RefusedKeys {
  readonly keys: readonly string[];
  /** As in the table above: `''` is the top. */
  readonly places: readonly string[];
  readonly why: string;
}

/** All that is refused so, for people. */
export function refusedKeys(): readonly RefusedKeys[] {
  const all = Object.entries(table).flatMap(([place, keys]) =>
    keys.map((key) => ({ key, place, why: reasonFor(place, key).message.replace(`${foreignMessage}: `, '') })),
  );
  return [...Map.groupBy(all, ({ why }) => why)].map(([why, found]) => ({
    keys: [...new Set(found.map(({ key }) => key))],
    places: [...new Set(found.map(({ place }) => place))],
    why,
  }));
}

/** The entry for the longest end of the path that the table has. */
function tableAt(path: YamlPath): { readonly place: string; readonly keys: readonly string[] } | undefined {
  const steps = patternOf(path);
  for (let start = 0; start <= steps.length; start++) {
    const place = steps.slice(start).join('.');
    const keys = table[place];
    // The empty key is the root alone, not the end of every path.
    if (keys !== undefined && (start < steps.length || steps.length === 0)) return { place, keys };
  }
  return undefined;
}

/** `gateways.x.listeners[0]` → `gateways`, `*`, `listeners[]`. */
function patternOf(path: YamlPath): string[] {
  const steps: string[] = [];
  for (const [index, step] of path.entries()) {
    if (typeof step === 'number') steps.push(`${steps.pop() ?? ''}[]`);
    else steps.push(index === 1 && path[0] === 'gateways' ? '*' : step);
  }
  return steps;
}
