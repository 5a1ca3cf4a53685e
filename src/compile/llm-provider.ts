/** Where the provider of a model is, and what it is called. */
import { presets } from '../config/providers.ts';
import type { LlmConfig, LlmParams, LlmProviderConfig, ProviderConfig } from '../config/schema.ts';
import { formatsOf, type ProviderTarget } from './provider-target.ts';
import { PlanError } from './upstreams.ts';

/** The entry of `llm.providers` that a model refers to; undefined when it has a provider of its own. */
export function sharedProviderOf(
  provider: ProviderConfig,
  llm: LlmConfig,
  yamlPath: string,
): { config: LlmProviderConfig; yamlPath: string } | undefined {
  if (provider.kind !== 'reference') return undefined;
  const index = llm.providers.findIndex(({ name }) => name === provider.name);
  const config = llm.providers[index];
  if (config === undefined) throw new PlanError(`${yamlPath}.provider: there is no provider named "${provider.name}"`);
  return { config, yamlPath: `llm.providers[${index}]` };
}

/** What people know an upstream by that has no name of its own in the YAML. */
export function shownName(modelName: string, provider: ProviderConfig): string {
  if (provider.kind === 'preset') return provider.preset;
  return provider.kind === 'custom' ? (provider.providerOverride ?? modelName) : modelName;
}

/** At the preset's address unless the parameters give another. */
export function providerTargetFor(
  name: string,
  provider: Exclude<ProviderConfig, { kind: 'reference' }>,
  params: LlmParams,
): ProviderTarget {
  const preset = provider.kind === 'preset' ? presets[provider.preset] : undefined;
  const base = params.baseUrl ?? (preset === undefined ? undefined : partsOf(preset.baseUrl));
  const address =
    params.hostOverride === undefined
      ? base === undefined
        ? undefined
        : { scheme: base.scheme, authority: base.authority }
      : { scheme: undefined, authority: params.hostOverride.authority };
  return {
    name,
    provider,
    address,
    // An address without a path says nothing about the path.
    pathPrefix: params.pathPrefix ?? (base?.path || undefined),
    pathOverride: params.pathOverride,
    formats: formatsOf(provider),
    model: params.model ?? (provider.kind === 'preset' ? undefined : provider.model),
    modelIsFixed: params.model !== undefined,
    tokenize: params.tokenize,
  };
}

function partsOf(baseUrl: string): { scheme: 'http' | 'https'; authority: string; path: string } {
  const { protocol, host, port, pathname } = new URL(baseUrl);
  const scheme = protocol === 'https:' ? 'https' : 'http';
  return {
    scheme,
    authority: port === '' ? `${host}:${scheme === 'https' ? 443 : 80}` : host,
    path: pathname.replace(/\/+$/, ''),
  };
}
