/** One provider of an `ai` backend, or one `host` backend, as a target. */
import type { PathQuestion, Target } from '../backends/target.ts';
import type { AiProviderConfig, FormatConfig, ProviderConfig } from '../config/schema.ts';
import type { AttemptEdit, Protocol, Upstream } from '../exchange.ts';
import type { HostPort } from '../fields/host-port.ts';
import { compileModelAliases, modelDefaultOf, modelOverrideOf } from '../policies/ai.ts';
import { type BackendTlsOptions, upstreamTlsOf } from '../policies/backendTLS.ts';
import { affinityOf, type SessionAffinityOptions } from '../policies/sessionAffinity.ts';
import { type PathRewrite, pathRewriteOf, type UrlRewriteOptions } from '../policies/urlRewrite.ts';
import { estimatePromptTokens } from '../protocols/count-tokens.ts';
import {
  aiOptionsOf,
  answerEditsOf,
  attemptEditsOf,
  finalEditsOf,
  innermost,
  type PolicyLayer,
  type PolicySurroundings,
} from './policy-stack.ts';
import { targetHealthOf } from './target-health.ts';
import type { Upstreams } from './upstreams.ts';

export interface TargetScope {
  readonly upstreams: Upstreams;
  readonly surroundings: PolicySurroundings;
  /** Outermost first: listener, route, backend, provider. */
  readonly layers: readonly PolicyLayer[];
  readonly weight: number | undefined;
  readonly group: number;
  readonly yamlPath: string;
  /** As `Target` has them. */
  readonly failsOver?: boolean;
  readonly pool?: object | undefined;
  readonly passthrough?: Target['passthrough'];
}

export interface ProviderTarget {
  readonly name: string;
  readonly provider: Exclude<ProviderConfig, { kind: 'reference' }>;
  readonly address: { readonly scheme: 'http' | 'https' | undefined; readonly authority: string } | undefined;
  readonly pathPrefix: string | undefined;
  readonly pathOverride: string | undefined;
  readonly formats: readonly FormatConfig[];
  /** Asked for where the client's name counts for nothing more, or for nothing at all (design decision 1). */
  readonly model: string | undefined;
  /** True: the model replaces the client's even on a box (`llm.models[].params.model`). */
  readonly modelIsFixed: boolean;
  /** True: what the prompt costs is estimated before it leaves, for limits of tokens. */
  readonly tokenize?: boolean | undefined;
}

export function providerTargetOf(config: AiProviderConfig): ProviderTarget {
  const { provider, hostOverride, pathPrefix, pathOverride, tokenize } = config;
  if (provider.kind !== 'openAI' && provider.kind !== 'custom')
    throw new Error(`no backend has a provider of kind ${provider.kind}`);
  return {
    name: config.name,
    provider,
    address: hostOverride === undefined ? undefined : { scheme: undefined, authority: hostOverride.authority },
    pathPrefix,
    pathOverride,
    formats: provider.kind === 'custom' ? provider.formats : [],
    model: provider.model,
    modelIsFixed: false,
    tokenize,
  };
}

export function createAiTarget(wanted: ProviderTarget, scope: TargetScope): Target {
  // What passes as it came is not looked into, and not changed.
  const layers = scope.passthrough === undefined ? scope.layers : scope.layers.map(withoutAi);
  const ai = aiOptionsOf(layers);
  const upstream = aiUpstreamOf(wanted, scope);
  return {
    upstream,
    weight: scope.weight,
    group: scope.group,
    failsOver: scope.failsOver ?? false,
    pool: scope.pool,
    health: targetHealthOf(upstream, wanted.model, layers, scope.surroundings, true),
    affinity: affinityOf(innermost<SessionAffinityOptions>(layers, 'sessionAffinity')),
    passthrough: scope.passthrough,
    declares: wanted.model,
    modelFor: scope.passthrough === undefined ? compileModelChoice(wanted, ai) : (requested) => requested,
    pathFor: compilePaths(wanted, compilePathRewrite(layers)),
    edits: attemptEditsOf(withoutPathRewrite(layers), scope.surroundings),
    finalEdits: [...(wanted.tokenize === true ? [estimatePrompt] : []), ...finalEditsOf(layers, scope.surroundings)],
    translationFor: () => undefined,
    answerEdits: answerEditsOf(layers, scope.surroundings),
  };
}

/** Of the body as it leaves: what a policy has put before the client's words costs, too. */
const estimatePrompt: AttemptEdit = (attempt) => {
  if (attempt.body !== undefined) attempt.promptTokens = estimatePromptTokens(attempt.body);
};

export function createHostTarget(host: HostPort, scope: TargetScope): Target {
  const tls = innermost<BackendTlsOptions>(scope.layers, 'backendTLS');
  const upstream = scope.upstreams.upstreamFor({
    name: host.authority,
    baseUrl: `${tls === undefined ? 'http' : 'https'}://${host.authority}`,
    kind: 'host',
    tls: tls === undefined ? undefined : upstreamTlsOf(tls),
    host: hostShownTo(scope.layers, host.authority),
    yamlPath: scope.yamlPath,
  });
  return {
    upstream,
    weight: scope.weight ?? 1,
    group: scope.group,
    failsOver: false,
    pool: undefined,
    health: targetHealthOf(upstream, undefined, scope.layers, scope.surroundings, false),
    affinity: affinityOf(innermost<SessionAffinityOptions>(scope.layers, 'sessionAffinity')),
    passthrough: undefined,
    declares: undefined,
    modelFor: () => undefined,
    pathFor: ({ clientPath, query }) => ({ path: clientPath, query }),
    edits: attemptEditsOf(scope.layers, scope.surroundings),
    finalEdits: [],
    translationFor: () => undefined,
    answerEdits: answerEditsOf(scope.layers, scope.surroundings),
  };
}

function withoutAi(layer: PolicyLayer): PolicyLayer {
  const { ai: _unused, ...options } = layer.options;
  return { ...layer, options };
}

function aiUpstreamOf(wanted: ProviderTarget, { layers, upstreams, yamlPath }: TargetScope): Upstream {
  const tls = innermost<BackendTlsOptions>(layers, 'backendTLS');
  const hasCredential = innermost(layers, 'backendAuth') !== undefined;
  const isVendor = wanted.address === undefined;
  const authority = wanted.address?.authority ?? 'api.openai.com:443';
  const scheme = wanted.address?.scheme ?? (isVendor || tls !== undefined ? 'https' : 'http');
  return upstreams.upstreamFor({
    name: wanted.name,
    baseUrl: `${scheme}://${withoutDefaultPort(scheme, authority)}`,
    kind: kindOf(wanted, hasCredential),
    tls: tls === undefined ? undefined : upstreamTlsOf(tls),
    host: hostShownTo(layers, authority),
    yamlPath,
  });
}

/** Whoever has an address of its own and asks for no credential is taken for a box, until a probe says otherwise. */
function kindOf({ provider, address }: ProviderTarget, hasCredential: boolean): Upstream['kind'] {
  if (provider.kind === 'preset') return provider.preset === 'ollama' ? 'box' : 'openai';
  return address === undefined || hasCredential ? 'openai' : 'box';
}

function withoutDefaultPort(scheme: string, authority: string): string {
  const port = scheme === 'https' ? ':443' : ':80';
  return authority.endsWith(port) ? authority.slice(0, -port.length) : authority;
}

/** The Host header that `urlRewrite` asks for, where it is a fixed one that differs from the address. */
function hostShownTo(layers: readonly PolicyLayer[], authority: string): string | undefined {
  const rewrite = innermost<UrlRewriteOptions>(layers, 'urlRewrite')?.authority;
  if (rewrite === undefined || typeof rewrite === 'string') return undefined;
  const host = 'full' in rewrite ? rewrite.full : 'host' in rewrite ? rewrite.host : undefined;
  return host === authority ? undefined : host;
}

/** The path part of `urlRewrite` is decided before a protocol is known; only its authority is left for the try. */
function withoutPathRewrite(layers: readonly PolicyLayer[]): readonly PolicyLayer[] {
  return layers.map((layer) => {
    const rewrite = layer.options.urlRewrite as UrlRewriteOptions | undefined;
    if (rewrite?.path === undefined) return layer;
    const { path: _decided, ...rest } = rewrite;
    return { ...layer, options: { ...layer.options, urlRewrite: rest } };
  });
}

function compileModelChoice(wanted: ProviderTarget, ai: ReturnType<typeof aiOptionsOf>): Target['modelFor'] {
  const aliasOf = compileModelAliases(ai.modelAliases);
  const always = modelOverrideOf(ai);
  const fallback = wanted.model ?? modelDefaultOf(ai);
  return (requested, isBox) => {
    if (always !== undefined) return always;
    const name = wanted.modelIsFixed || !isBox ? (wanted.model ?? requested ?? fallback) : (requested ?? fallback);
    return name === undefined ? undefined : aliasOf(name);
  };
}

/** The path that `urlRewrite` makes of the client's: it decides the protocol, and is what leaves where no protocol's path does. */
export function compilePathRewrite(layers: readonly PolicyLayer[]): PathRewrite {
  const layer = layers.findLast(({ options }) => options.urlRewrite !== undefined);
  if (layer === undefined) return (path) => path;
  const scope = { yamlPath: `${layer.yamlPath}.urlRewrite` };
  return pathRewriteOf(layer.options.urlRewrite as UrlRewriteOptions, scope) ?? ((path) => path);
}

/**
 * On a box the protocol's own path, whatever spelling the client used; below the prefix where the box stands behind a
 * reverse proxy. Elsewhere as agentgateway: the client's path, or the prefix and the protocol's suffix, or a format's own path.
 */
function compilePaths(
  { pathOverride, pathPrefix, formats, provider, address }: ProviderTarget,
  rewrite: PathRewrite,
): Target['pathFor'] {
  if (pathOverride !== undefined) {
    const queryStart = pathOverride.indexOf('?');
    const path = queryStart < 0 ? pathOverride : pathOverride.slice(0, queryStart);
    const query = queryStart < 0 ? '' : pathOverride.slice(queryStart);
    return () => ({ path, query });
  }
  const boxRoot = (pathPrefix ?? '').replace(/\/v1$/, '');
  const keepsPath = pathPrefix === undefined && provider.kind === 'openAI' && address !== undefined;
  const ownPaths = new Map(formats.flatMap(({ type, path }) => (path === undefined ? [] : [[type as string, path] as const])));
  return ({ protocol, clientPath, matchedPrefix, query, isBox }: PathQuestion) => {
    const usual = protocol === undefined ? undefined : wholePathOf(protocol);
    if (isBox) return { path: boxRoot + (usual ?? rewrite(clientPath, matchedPrefix)), query };
    const own = protocol === undefined ? undefined : ownPaths.get(protocol.name);
    if (own !== undefined) return { path: own, query };
    const asked = rewrite(clientPath, matchedPrefix);
    if (keepsPath) return { path: asked, query };
    return { path: (pathPrefix ?? '/v1') + (usual ?? asked).replace(/^\/v1(?=\/)/, ''), query };
  };
}

/** Undefined where a protocol's path is only the start of what a request asks for: a model's name or a digest follows. */
function wholePathOf({ kind, path }: Protocol): string | undefined {
  return kind === 'management' || path.endsWith(':id') ? undefined : path;
}
