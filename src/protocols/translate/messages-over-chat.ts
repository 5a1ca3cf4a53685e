/** Anthropic's clients at servers that speak chat completions. */
import type { Translation } from '../../exchange.ts';
import { openaiChat } from '../openai-chat.ts';
import { chatRewrite } from './chat-rewrite.ts';
import { messagesErrorText } from './errors.ts';
import { chatRequestOf } from './messages-request.ts';
import { createMessagesWriter, messagesAnswer } from './messages-writer.ts';

export const messagesOverChat: Translation = {
  upstream: openaiChat,
  request: chatRequestOf,
  rewriteFor: () => chatRewrite({ whole: messagesAnswer, error: messagesErrorText, writer: createMessagesWriter }),
};
