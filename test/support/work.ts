/** What a plain call asks for: one of nobody in particular, as urgent as any, that generates. */
import type { Work } from '../../src/exchange.ts';

export function plainWork(more: Partial<Work> = {}): Work {
  return {
    promptTokens: 1,
    conversation: undefined,
    sharer: '',
    weight: 1,
    urgency: 'interactive',
    use: 'generate',
    ...more,
  };
}
