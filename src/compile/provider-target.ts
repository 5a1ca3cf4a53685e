/** A provider as the compiler sees it, whichever dialect of the YAML it stands in. */
import { presets, type Vendor, vendors } from '../config/providers.ts';
import type { FormatConfig, ProviderConfig } from '../config/schema.ts';

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

/** What a provider says that it speaks. */
export function formatsOf(provider: ProviderTarget['provider']): readonly FormatConfig[] {
  if (provider.kind === 'custom') return provider.formats;
  return provider.kind === 'preset' ? presets[provider.preset].formats : vendors[provider.kind].formats;
}

/** Whose address it is where the configuration gives none. */
export function vendorOf({ provider }: ProviderTarget): Vendor {
  return provider.kind === 'custom' || provider.kind === 'preset' ? vendors.openAI : vendors[provider.kind];
}
