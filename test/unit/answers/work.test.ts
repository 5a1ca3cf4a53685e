import { describe, expect, it } from 'vitest';
import { workOf } from '../../../src/answers/work.ts';
import { decodeCall } from '../../../src/protocols/decode.ts';
import { openaiChat } from '../../../src/protocols/openai-chat.ts';
import { fakeExchange } from '../policies/fake-exchange.ts';

const setting = { queue: { share: 'key' }, affinity: { enabled: true, headers: [] } } as const;

describe('what a call asks of a box', () => {
  const exchange = fakeExchange({ headers: { 'x-corral-class': 'bulk' } });
  exchange.identity = { name: 'webui', isAdmin: false, allowedModels: undefined, metadata: { weight: 3 } };
  const bytes = new TextEncoder().encode('{"model":"m","messages":[{"role":"user","content":"a secret"}]}');
  const call = decodeCall(openaiChat, bytes, exchange);

  it('crosses to an owner elsewhere with who shares, and without the prompt', () => {
    expect(JSON.parse(JSON.stringify(workOf(exchange, call, setting)))).toEqual({
      sharer: 'key:webui',
      weight: 3,
      urgency: 'bulk',
      use: 'generate',
    });
  });

  it('may be less urgent than its caller says', () => {
    const unhurried = fakeExchange();
    expect(workOf(unhurried, call, setting).urgency).toBe('interactive');
    expect(workOf(unhurried, call, setting, 'bulk').urgency).toBe('bulk');
  });
});
