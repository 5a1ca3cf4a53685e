/** Clients of chat completions at servers that speak Anthropic's Messages. */
import { GatewayError } from '../../errors.ts';
import type { AnswerRewrite, Call, Translation } from '../../exchange.ts';
import { anthropicMessages } from '../anthropic-messages.ts';
import { messagesRequestOf } from './chat-request.ts';
import { openaiErrorText, readError } from './errors.ts';
import { createStreamTranslation } from './events.ts';
import { chatAnswerOf } from './messages-answer.ts';
import { createMessagesStream } from './messages-stream.ts';

export const chatOverMessages: Translation = {
  upstream: anthropicMessages,
  request: messagesRequestOf,
  rewriteFor: rewriteFor,
};

function rewriteFor({ wantsUsage }: Call): AnswerRewrite {
  return {
    whole(text, status) {
      const contentType = 'application/json';
      if (status >= 400) return { text: openaiErrorText(readError(text, status), status), contentType };
      const answer = chatAnswerOf(text);
      if (answer === undefined)
        throw new GatewayError('unreadable_answer', "the upstream gave an answer that is none of Anthropic's");
      return { text: answer, contentType };
    },
    stream: () => createStreamTranslation(createMessagesStream(wantsUsage)),
  };
}
