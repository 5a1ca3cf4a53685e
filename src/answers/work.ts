/** What a call asks of a box, read off the request. */
import type { Call, Exchange, Work } from '../exchange.ts';
import { type ShareSetting, shareOf } from './share.ts';

export function workOf(exchange: Exchange, { protocol }: Call, share: ShareSetting): Work {
  const { sharer, weight, urgency } = shareOf(exchange, share);
  return {
    promptTokens: 0,
    conversation: undefined,
    sharer,
    weight,
    urgency,
    use: protocol.operation === 'embeddings' ? 'embed' : 'generate',
  };
}
