/** Clients of OpenAI's Responses at servers that speak chat completions. */
import type { Translation } from '../../exchange.ts';
import { openaiChat } from '../openai-chat.ts';
import { chatRewrite } from './chat-rewrite.ts';
import { openaiErrorText } from './errors.ts';
import { chatRequestOf } from './responses-request.ts';
import { createResponsesWriter, responsesAnswer } from './responses-writer.ts';

export const responsesOverChat: Translation = {
  upstream: openaiChat,
  request: chatRequestOf,
  rewriteFor: ({ body }) =>
    chatRewrite({
      whole: (answer) => responsesAnswer(answer, body),
      error: openaiErrorText,
      writer: () => createResponsesWriter(body),
    }),
};
