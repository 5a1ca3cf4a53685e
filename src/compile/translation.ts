/** Which protocols an upstream is spoken to in, and what stands between them and the client's. */
import type { Target } from '../backends/target.ts';
import { providerLabelOf } from '../config/providers.ts';
import type { Protocol } from '../exchange.ts';
import { translationTo } from '../protocols/translate/index.ts';
import type { ProviderTarget } from './provider-target.ts';

/** Boxes speak every protocol themselves. Throws, for each call, unsupported_conversion. */
export function compileTranslation({ provider, formats, address }: ProviderTarget): Target['translationFor'] {
  // What stands at an address of its own and says no more of itself may well be Ollama behind a lock.
  const mayBeOllama = provider.kind === 'openAI' && address !== undefined;
  const spoken = {
    provider: providerLabelOf(provider),
    formats: new Set<string>(formats.map(({ type }) => type)),
    passes: ({ family }: Protocol) => (family === 'openai' ? provider.kind !== 'anthropic' : mayBeOllama),
  };
  return (protocol, isBox) => {
    if (isBox || protocol === undefined || (protocol.kind !== 'inference' && protocol.kind !== 'estimate')) return undefined;
    return translationTo(spoken, protocol);
  };
}
