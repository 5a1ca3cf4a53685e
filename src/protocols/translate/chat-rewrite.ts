/** Brings the answers of a chat server into the words of a client that speaks another protocol. */
import { GatewayError } from '../../errors.ts';
import type { AnswerRewrite } from '../../exchange.ts';
import { parsedRecord } from '../answer-text.ts';
import type { AnswerWriter, UpstreamError } from './answer-parts.ts';
import { type ChatAnswer, readChatAnswer } from './chat-answer.ts';
import { createChatStream } from './chat-stream.ts';
import { errorIn, readError, statusOf } from './errors.ts';
import { createStreamTranslation } from './events.ts';

export interface ClientWords {
  whole(answer: ChatAnswer): string;
  error(error: UpstreamError, status: number): string;
  writer(): AnswerWriter;
}

const json = 'application/json';

export function chatRewrite(words: ClientWords): AnswerRewrite {
  return {
    whole(text, status) {
      if (status >= 400) return { text: words.error(readError(text, status), status), contentType: json };
      const answer = readChatAnswer(text);
      if (answer !== undefined) return { text: words.whole(answer), contentType: json };
      // Some routers of models answer 200 and put the error inside.
      const error = errorIn(parsedRecord(text));
      if (error === undefined)
        throw new GatewayError('unreadable_answer', 'the upstream gave an answer that is no chat completion');
      const meant = statusOf(error);
      return { text: words.error(error, meant), status: meant, contentType: json };
    },
    stream: () => createStreamTranslation(createChatStream(words.writer())),
  };
}
