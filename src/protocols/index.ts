/** The list of protocols, and which of them a path belongs to. */
import type { Protocol } from '../exchange.ts';
import { anthropicCountTokens } from './anthropic-count-tokens.ts';
import { anthropicMessages } from './anthropic-messages.ts';
import { managementIn, managementProtocols } from './management.ts';
import { ollamaChat } from './ollama-chat.ts';
import { ollamaEmbed, ollamaEmbeddings } from './ollama-embed.ts';
import { ollamaGenerate } from './ollama-generate.ts';
import { ollamaPs, ollamaShow, ollamaTags } from './ollama-lists.ts';
import { ollamaRoot, ollamaVersion } from './ollama-probes.ts';
import { openaiChat } from './openai-chat.ts';
import { openaiCompletions } from './openai-completions.ts';
import { openaiEmbeddings } from './openai-embeddings.ts';
import { openaiModel, openaiModels } from './openai-models.ts';
import { openaiResponses, openaiResponsesCompact } from './openai-responses.ts';
import { openaiTranscriptions } from './openai-transcriptions.ts';
import { segmentsOf } from './spelling.ts';

/** Every protocol that Corral serves. A new one: its file, its unit test, one line here. */
export const protocols: readonly Protocol[] = [
  openaiChat,
  openaiCompletions,
  openaiEmbeddings,
  openaiResponses,
  openaiResponsesCompact,
  openaiTranscriptions,
  openaiModels,
  openaiModel,
  anthropicMessages,
  anthropicCountTokens,
  ollamaChat,
  ollamaGenerate,
  ollamaEmbed,
  ollamaEmbeddings,
  ollamaTags,
  ollamaPs,
  ollamaShow,
  ollamaVersion,
  ollamaRoot,
];

export { managementProtocols };

/** What a method and a path ask for. */
export type PathVerdict =
  /** Send `protocol.path` upstream, never the client's spelling. `modelId`: decoded, for paths that end in `:id`. */
  | { readonly kind: 'served'; readonly protocol: Protocol; readonly modelId?: string }
  /** Needs the admin scope. `path` is how the box spells it. */
  | { readonly kind: 'management'; readonly protocol: Protocol; readonly path: string }
  /** `allow` is the value for the Allow header. */
  | { readonly kind: 'method_not_allowed'; readonly protocol: Protocol; readonly allow: string }
  | { readonly kind: 'unknown' };

interface Verdicts {
  readonly protocol: Protocol;
  readonly served: PathVerdict;
  readonly notAllowed: PathVerdict;
}

/** Made once: judging a plain spelling allocates nothing. */
function verdictsOf(protocol: Protocol): Verdicts {
  return {
    protocol,
    served: { kind: 'served', protocol },
    notAllowed: { kind: 'method_not_allowed', protocol, allow: protocol.methods.join(', ') },
  };
}

const byPath = new Map(protocols.filter(({ path }) => !path.endsWith(':id')).map((one) => [one.path, verdictsOf(one)]));
const longestPath = Math.max(...[...byPath.keys()].map((path) => path.split('/').length - 1));
const modelVerdicts = verdictsOf(openaiModel);
const unknown: PathVerdict = { kind: 'unknown' };

/**
 * Judges a request's path (undecoded, without query), in any spelling. What is, becomes or contains a management path is one;
 * a served path is also recognised at the end of a longer one (`/ollama/v1/chat/completions`), as agentgateway does.
 */
export function verdictOf(method: string, path: string): PathVerdict {
  const plain = byPath.get(path);
  return plain === undefined ? judgeSpelling(method, path) : pick(plain, method);
}

function pick(verdicts: Verdicts, method: string): PathVerdict {
  return verdicts.protocol.methods.includes(method) ? verdicts.served : verdicts.notAllowed;
}

function judgeSpelling(method: string, path: string): PathVerdict {
  const { resolved, unresolved } = segmentsOf(path);
  if (resolved.length === 0 && unresolved.length === 0) return pick(verdictsAt('/'), method);
  const lower = resolved.map((segment) => segment.toLowerCase());
  // A model may be called `api/pull`; here it stands where only a model's name can.
  const atStart = lower[0] === 'models' ? 1 : lower[0] === 'v1' && lower[1] === 'models' ? 2 : 0;
  if (atStart > 0) return judgeModels(method, resolved.slice(atStart));
  const management = managementIn(resolved) ?? managementIn(unresolved);
  if (management !== undefined) return { kind: 'management', ...management };
  for (let length = Math.min(longestPath, lower.length); length > 0; length--) {
    const verdicts = byPath.get(`/${lower.slice(-length).join('/')}`);
    if (verdicts !== undefined) return pick(verdicts, method);
  }
  const models = lower.findIndex((segment, index) => segment === 'v1' && lower[index + 1] === 'models');
  return models < 0 ? unknown : judgeModels(method, resolved.slice(models + 2));
}

function judgeModels(method: string, id: readonly string[]): PathVerdict {
  if (id.length === 0) return pick(verdictsAt(openaiModels.path), method);
  if (!openaiModel.methods.includes(method)) return modelVerdicts.notAllowed;
  return { kind: 'served', protocol: openaiModel, modelId: id.join('/') };
}

function verdictsAt(path: string): Verdicts {
  return byPath.get(path) ?? modelVerdicts;
}

const routeTypes: ReadonlyMap<string, Protocol> = new Map(
  [openaiChat, anthropicMessages, openaiModels, openaiResponses, openaiEmbeddings, anthropicCountTokens].map((one) => [
    one.name,
    one,
  ]),
);

/** The protocol behind a type in `ai.routes` (agentgateway RouteType); undefined for those that name none of Corral's. */
export function protocolOfRouteType(type: string): Protocol | undefined {
  return routeTypes.get(type);
}
