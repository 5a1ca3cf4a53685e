/** What a call asks of a box, read off the request. */
import type { Call, Exchange, Work } from '../exchange.ts';

export function workOf({ identity, claims }: Exchange, { protocol }: Call): Work {
  return {
    promptTokens: 0,
    conversation: undefined,
    sharer: claims?.user?.id ?? identity?.name ?? '',
    weight: 1,
    urgency: 'interactive',
    use: protocol.operation === 'embeddings' ? 'embed' : 'generate',
  };
}
