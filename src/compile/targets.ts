/** One provider of an `ai` backend, or one `host` backend, as a target. */
import type { Target } from '../backends/target.ts';
import type { AiProviderConfig } from '../config/schema.ts';
import type { AttemptEdit, Upstream } from '../exchange.ts';
import type { HostPort } from '../fields/host-port.ts';
import { type AiOptions, compileModelAliases, modelDefaultOf, modelOverrideOf } from '../policies/ai.ts';
import { type BackendTlsOptions, upstreamTlsOf } from '../policies/backendTLS.ts';
import { limitsTokens } from '../policies/localRateLimit.ts';
import { pinnedNumCtxIn } from '../policies/pinned-num-ctx.ts';
import { affinityOf, type SessionAffinityOptions } from '../policies/sessionAffinity.ts';
import type { UrlRewriteOptions } from '../policies/urlRewrite.ts';
import { estimatePromptTokens } from '../protocols/count-tokens.ts';
import { compilePathRewrite, compilePaths } from './paths.ts';
import {
  aiOptionsOf,
  answerEditsOf,
  attemptEditsOf,
  finalEditsOf,
  innermost,
  type PolicyLayer,
  type PolicySurroundings,
} from './policy-stack.ts';
import { formatsOf, type ProviderTarget, vendorOf } from './provider-target.ts';
import { targetHealthOf } from './target-health.ts';
import { compileTranslation } from './translation.ts';
import type { Upstreams } from './upstreams.ts';
import { vendorEditsOf, vendorFinalEditsOf } from './vendor-edits.ts';

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

export function providerTargetOf(config: AiProviderConfig): ProviderTarget {
  const { provider, hostOverride, pathPrefix, pathOverride, tokenize } = config;
  if (provider.kind === 'preset' || provider.kind === 'reference')
    throw new Error(`no backend has a provider of kind ${provider.kind}`);
  return {
    name: config.name,
    provider,
    address: hostOverride === undefined ? undefined : { scheme: undefined, authority: hostOverride.authority },
    pathPrefix,
    pathOverride,
    formats: formatsOf(provider),
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
    health: targetHealthOf(upstream, wanted.model, scope, true),
    affinity: affinityOf(innermost<SessionAffinityOptions>(layers, 'sessionAffinity')),
    passthrough: scope.passthrough,
    binds: scope.passthrough === undefined ? bindingKeysOf(ai, layers) : [],
    namesFormats: wanted.provider.kind === 'custom',
    pinnedNumCtx: scope.passthrough === undefined ? pinnedNumCtxIn(ai.overrides) : undefined,
    declares: wanted.model,
    modelFor: scope.passthrough === undefined ? compileModelChoice(wanted, ai) : (requested) => requested,
    pathFor: compilePaths(wanted, compilePathRewrite(layers)),
    edits: [...attemptEditsOf(withoutPathRewrite(layers), scope.surroundings), ...vendorEditsOf(wanted, layers)],
    finalEdits: [
      ...(wanted.tokenize === true ? [estimatePrompt] : []),
      ...finalEditsOf(layers, scope.surroundings),
      ...vendorFinalEditsOf(wanted),
    ],
    translationFor: scope.passthrough === undefined ? compileTranslation(wanted) : () => undefined,
    countsTokens: wanted.formats.some(({ type }) => type === 'anthropicTokenCount'),
    answerEdits: answerEditsOf(layers, scope.surroundings),
  };
}

function bindingKeysOf({ promptGuard, overrides = {} }: AiOptions, layers: readonly PolicyLayer[]): readonly string[] {
  const hasGuards = promptGuard !== undefined && promptGuard.request.length + promptGuard.response.length > 0;
  const limits = innermost<Parameters<typeof limitsTokens>[0]>(layers, 'localRateLimit');
  return [
    ...(hasGuards ? ['promptGuard'] : []),
    ...(Object.keys(overrides).length > 0 ? ['overrides'] : []),
    ...(limits !== undefined && limitsTokens(limits) ? ['localRateLimit of tokens'] : []),
  ];
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
    health: targetHealthOf(upstream, undefined, scope, false),
    affinity: affinityOf(innermost<SessionAffinityOptions>(scope.layers, 'sessionAffinity')),
    passthrough: undefined,
    binds: [],
    namesFormats: false,
    declares: undefined,
    modelFor: () => undefined,
    pathFor: ({ clientPath, query }) => ({ path: clientPath, query }),
    edits: attemptEditsOf(scope.layers, scope.surroundings),
    finalEdits: [],
    translationFor: () => undefined,
    countsTokens: false,
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
  const authority = wanted.address?.authority ?? `${new URL(vendorOf(wanted).baseUrl).host}:443`;
  const scheme = wanted.address?.scheme ?? (isVendor || tls !== undefined ? 'https' : 'http');
  const baseUrl = `${scheme}://${withoutDefaultPort(scheme, authority)}`;
  return upstreams.upstreamFor({
    name: wanted.name,
    baseUrl,
    kind: kindOf(wanted, hasCredential, upstreams.isNamedBox(baseUrl)),
    tls: tls === undefined ? undefined : upstreamTlsOf(tls),
    host: hostShownTo(layers, authority),
    yamlPath,
  });
}

/**
 * Whoever has an address of its own and asks for no credential is taken for a box, until a probe says otherwise. Where formats
 * are named this only guards it: it is spoken to in them until a probe has found Ollama there (`namesFormats`).
 */
function kindOf({ provider, address }: ProviderTarget, hasCredential: boolean, isNamedBox: boolean): Upstream['kind'] {
  if (isNamedBox) return 'box';
  if (provider.kind === 'preset') return provider.preset === 'ollama' ? 'box' : 'openai';
  if (provider.kind === 'anthropic' || provider.kind === 'gemini') return 'openai';
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
