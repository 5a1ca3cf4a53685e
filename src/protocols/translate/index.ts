/** The translations there are, and which of them stands between a client and a server. */
import { GatewayError } from '../../errors.ts';
import type { Protocol, Translation } from '../../exchange.ts';
import { anthropicMessages } from '../anthropic-messages.ts';
import { openaiChat } from '../openai-chat.ts';
import { openaiEmbeddings } from '../openai-embeddings.ts';
import { openaiResponses } from '../openai-responses.ts';
import { chatOverMessages } from './chat-over-messages.ts';
import { messagesOverChat } from './messages-over-chat.ts';
import { responsesOverChat } from './responses-over-chat.ts';

/** By the client's protocol, the nearest first. */
const translations: ReadonlyMap<Protocol, readonly Translation[]> = new Map([
  [openaiChat, [chatOverMessages]],
  [anthropicMessages, [messagesOverChat]],
  [openaiResponses, [responsesOverChat]],
]);

/** What a server speaks. */
export interface Spoken {
  /** For the message where nothing fits. */
  readonly provider: string;
  /** Names of protocols. */
  readonly formats: ReadonlySet<string>;
  /** Protocols that no format stands for, whether they pass as they came. */
  passes(protocol: Protocol): boolean;
}

/** Protocols that agentgateway has a word for: a server speaks them when it says so. */
const named: ReadonlySet<string> = new Set(['completions', 'messages', 'responses', 'embeddings', 'anthropicTokenCount']);

/**
 * What stands between a client's protocol and what the server speaks; undefined where they are the same. Throws GatewayError
 * unsupported_conversion, in agentgateway's words, where there is nothing between them.
 */
export function translationTo({ provider, formats, passes }: Spoken, protocol: Protocol): Translation | undefined {
  if (formats.has(protocol.name)) return undefined;
  if (!named.has(protocol.name) && passes(protocol)) return undefined;
  const translation = translations.get(protocol)?.find(({ upstream }) => formats.has(upstream.name));
  if (translation !== undefined) return translation;
  throw new GatewayError(
    'unsupported_conversion',
    `unsupported conversion: from ${protocol.name} to provider ${provider} (supported: ${[...formats].join(', ')})${wayOut(formats)}`,
  );
}

/** What a client may send instead: the server's own protocols, and those that are translated to them. */
function wayOut(formats: ReadonlySet<string>): string {
  const paths = [openaiChat, anthropicMessages, openaiResponses, openaiEmbeddings].flatMap((protocol) => {
    const isSpoken = formats.has(protocol.name) || translations.get(protocol)?.some(({ upstream }) => formats.has(upstream.name));
    return isSpoken === true ? [protocol.path] : [];
  });
  return paths.length === 0 ? '' : `; what works with this upstream: POST ${paths.join(', ')}`;
}
