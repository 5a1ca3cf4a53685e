/** How calls of other protocols are put to a box in Ollama's own words: the only way to its options (`num_ctx`, `think` …). */
import type { AnswerRewrite, Protocol } from '../../exchange.ts';
import { memberObjects } from '../../json/nested.ts';
import type { ObjectText } from '../../json/object-text.ts';
import { readObject } from '../../json/read-object.ts';
import { anthropicMessages } from '../anthropic-messages.ts';
import { ollamaChat } from '../ollama-chat.ts';
import { ollamaEmbed } from '../ollama-embed.ts';
import { ollamaGenerate } from '../ollama-generate.ts';
import { openaiChat } from '../openai-chat.ts';
import { openaiCompletions } from '../openai-completions.ts';
import { openaiEmbeddings } from '../openai-embeddings.ts';
import { openaiResponses } from '../openai-responses.ts';
import { chatWords } from './ollama-chat-answer.ts';
import { nativeChatOf } from './ollama-chat-request.ts';
import { completionsWords, nativeGenerateOf } from './ollama-completions.ts';
import { embeddingsRewrite, nativeEmbedOf } from './ollama-embeddings.ts';
import { messagesWords } from './ollama-messages-answer.ts';
import { guessedTokens, nativeChatOfMessages } from './ollama-messages-request.ts';
import { responsesWords } from './ollama-responses-answer.ts';
import { nativeChatOfResponses } from './ollama-responses-request.ts';
import { nativeRewrite } from './ollama-rewrite.ts';
import { stringIn } from './reading.ts';

/** A call in Ollama's own words. */
export interface NativeCallPut {
  readonly protocol: Protocol;
  readonly bytes: Uint8Array;
  /** Brings the answer, whole or streamed, error or not, back into the client's protocol. */
  readonly rewrite: AnswerRewrite;
}

/** What is known of the call beside its body. */
export interface CallFacts {
  readonly isStream: boolean;
  readonly wantsUsage: boolean;
}

interface Way {
  readonly native: Protocol;
  put(body: ObjectText): string;
  rewrite(body: ObjectText, facts: CallFacts): AnswerRewrite;
}

const ways: ReadonlyMap<Protocol, Way> = new Map<Protocol, Way>([
  [
    openaiChat,
    {
      native: ollamaChat,
      put: nativeChatOf,
      rewrite: (_, { isStream, wantsUsage }) => nativeRewrite({ protocol: openaiChat, isStream }, chatWords(wantsUsage)),
    },
  ],
  [
    openaiCompletions,
    {
      native: ollamaGenerate,
      put: nativeGenerateOf,
      rewrite: (_, { isStream, wantsUsage }) =>
        nativeRewrite({ protocol: openaiCompletions, isStream }, completionsWords(wantsUsage)),
    },
  ],
  [openaiEmbeddings, { native: ollamaEmbed, put: nativeEmbedOf, rewrite: (body) => embeddingsRewrite(openaiEmbeddings, body) }],
  [
    anthropicMessages,
    {
      native: ollamaChat,
      put: nativeChatOfMessages,
      rewrite: (body, { isStream }) =>
        nativeRewrite(
          { protocol: anthropicMessages, isStream },
          messagesWords(stringIn(body, 'model') ?? '', isStream ? guessedTokens(body) : 0),
        ),
    },
  ],
  [
    openaiResponses,
    {
      native: ollamaChat,
      put: nativeChatOfResponses,
      rewrite: (body, { isStream }) => nativeRewrite({ protocol: openaiResponses, isStream }, responsesWords(body)),
    },
  ],
]);

/** Whether there is a native way for this protocol: not for forms, and not for what is native already. */
export function hasNativeWay(protocol: Protocol): boolean {
  return ways.has(protocol);
}

/** `bytes`: the body as it would leave for the box's own path. Undefined: only that path can serve it. Throws invalid_body. */
export function putNatively(protocol: Protocol, bytes: Uint8Array, facts: CallFacts): NativeCallPut | undefined {
  const way = ways.get(protocol);
  if (way === undefined) return undefined;
  const body = readObject(bytes);
  // Only the box's own path runs these tools by itself.
  if (runsSearches(body)) return undefined;
  const json = way.put(body);
  return { protocol: way.native, bytes: new TextEncoder().encode(json), rewrite: way.rewrite(body, facts) };
}

function runsSearches(body: ObjectText): boolean {
  if (body.textOf('tools')?.includes('web_search') !== true) return false;
  return memberObjects(body, 'tools')?.some((tool) => stringIn(tool, 'type')?.startsWith('web_search') === true) === true;
}
