import { describe, expect, it } from 'vitest';
import { workOf } from '../../../src/answers/work.ts';
import { decodeCall } from '../../../src/protocols/decode.ts';
import { ollamaGenerate } from '../../../src/protocols/ollama-generate.ts';
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

  it.each([
    [{}, []],
    [{ tools: [] }, []],
    [{ tools: [{ type: 'function' }] }, ['tools']],
    [{ tools: [{ type: 'function' }], tool_choice: 'none' }, []],
    [{ think: false }, []],
    [{ think: true }, ['thinking']],
    [{ think: 'high', tools: [{ type: 'function' }] }, ['tools', 'thinking']],
    [{ reasoning_effort: 'none' }, []],
    [{ reasoning_effort: 'low' }, ['thinking']],
  ])('needs a model that can do it: %o', (members, needs) => {
    const body = new TextEncoder().encode(JSON.stringify({ model: 'm', messages: [], ...members }));
    expect(workOf(exchange, decodeCall(openaiChat, body, exchange), setting).needs).toEqual(needs);
  });

  it('needs one that can insert, where there is a suffix', () => {
    const body = new TextEncoder().encode('{"model":"m","prompt":"x","suffix":"y"}');
    expect(workOf(exchange, decodeCall(ollamaGenerate, body, exchange), setting).needs).toEqual(['insert']);
  });

  it('may be less urgent than its caller says', () => {
    const unhurried = fakeExchange();
    expect(workOf(unhurried, call, setting).urgency).toBe('interactive');
    expect(workOf(unhurried, call, setting, 'bulk').urgency).toBe('bulk');
  });
});
