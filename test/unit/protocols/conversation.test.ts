import { describe, expect, it } from 'vitest';
import type { Protocol } from '../../../src/exchange.ts';
import { readObject } from '../../../src/json/read-object.ts';
import { anthropicMessages } from '../../../src/protocols/anthropic-messages.ts';
import { conversationOf, earlierShareOf, promptTokensOf } from '../../../src/protocols/conversation.ts';
import { ollamaGenerate } from '../../../src/protocols/ollama-generate.ts';
import { openaiChat } from '../../../src/protocols/openai-chat.ts';
import { openaiEmbeddings } from '../../../src/protocols/openai-embeddings.ts';
import { openaiResponses } from '../../../src/protocols/openai-responses.ts';

function callOf(protocol: Protocol, body: object | string) {
  const bytes = new TextEncoder().encode(typeof body === 'string' ? body : JSON.stringify(body));
  return { protocol, body: readObject(bytes), bytes };
}

const of = (protocol: Protocol, body: object | string, headers: Record<string, string> = {}, further: readonly string[] = []) =>
  conversationOf(callOf(protocol, body), new Headers(headers), further);

const said = (content: unknown, role = 'user') => ({ role, content });
const chat = (...messages: object[]) => of(openaiChat, { model: 'm', messages });

describe('session ids', () => {
  const body = { model: 'm', messages: [said('hi')] };

  it.each([
    'x-claude-code-session-id',
    'x-opencode-session',
    'x-session-affinity',
    'x-session-id',
    'thread-id',
    'session-id',
    'session_id',
    'conversation_id',
    'x-openwebui-chat-id',
  ])('are taken from %s', (name) => {
    const one = of(openaiChat, body, { [name]: 'one' });
    expect(one).toMatch(/^session [0-9a-f]{16}$/);
    expect(of(openaiChat, { messages: [said('something else')] }, { [name]: 'one' })).toBe(one);
    expect(of(openaiChat, body, { [name]: 'two' })).not.toBe(one);
  });

  it('are taken from configured headers first', () => {
    const headers = { 'x-session-id': 'a', 'x-mine': 'b' };
    expect(of(openaiChat, body, headers, ['x-mine'])).toBe(of(openaiChat, body, { 'x-mine': 'b' }, ['x-mine']));
    expect(of(openaiChat, body, headers)).toBe(of(openaiChat, body, { 'x-session-id': 'a' }));
  });

  it('are found in what Claude Code says of its user, old and new, and a user without one is none', () => {
    const withUser = (user_id: unknown) => of(anthropicMessages, { metadata: { user_id }, messages: [said('hi')] });
    const old = withUser('user_0a_account_1b_session_57a121ec-f78c');
    expect(old).toMatch(/^session /);
    expect(withUser(JSON.stringify({ device_id: 'd', account_uuid: '', session_id: '57a121ec-f78c' }))).toBe(old);
    expect(withUser('{"session_id":"other","SESSION_ID":"57a121ec-f78c"}')).toBe(old);
    for (const userId of ['user-7', '{"device_id":"d"}', '{"session_id":', 7, null]) expect(withUser(userId)).toMatch(/^start /);
  });

  it('are found in prompt_cache_key and conversation', () => {
    const one = of(openaiResponses, { input: 'x', prompt_cache_key: 'k1' });
    expect(one).toMatch(/^session /);
    expect(of(openaiResponses, { input: 'y', Prompt_Cache_Key: 'k1' })).toBe(one);
    expect(of(openaiResponses, { input: 'y', conversation: { id: 'k1' } })).toBe(one);
    expect(of(openaiResponses, { input: 'y', conversation: 'k1' })).toBe(one);
  });
});

describe("a conversation's start", () => {
  it('stays while the conversation grows, and is another one for another conversation', () => {
    const first = chat(said('Be brief', 'system'), said('What is a corral?'));
    expect(first).toMatch(/^start [0-9a-f]{16}$/);
    expect(chat(said('Be brief', 'system'), said('What is a corral?'), said('A fence.', 'assistant'), said('For whom?'))).toBe(
      first,
    );
    expect(chat(said('Be brief', 'system'), said('What is a barn?'))).not.toBe(first);
    expect(chat(said('Be long', 'system'), said('What is a corral?'))).not.toBe(first);
    expect(chat(said('Be briefWhat', 'system'), said(' is a corral?'))).not.toBe(first);
  });

  it('stays when the marks in it move, and when Claude Code’s line changes', () => {
    const call = (cch: string, mark: object, ...later: object[]) =>
      of(anthropicMessages, {
        system: [
          { type: 'text', text: `x-anthropic-billing-header: cc_version=2.1.37; cch=${cch};` },
          { type: 'text', text: 'You are Claude Code' },
        ],
        messages: [said([{ type: 'text', text: 'hi', ...mark }]), ...later],
      });
    expect(call('1', { cache_control: { type: 'ephemeral' } })).toBe(call('2', {}, said('yes?', 'assistant'), said('go on')));
  });

  it('is read in every protocol', () => {
    const input = [{ type: 'message', role: 'user', content: [{ type: 'input_text', text: 'hi' }] }];
    const responses = of(openaiResponses, { instructions: 'Be brief', input });
    expect(of(openaiResponses, { instructions: 'Be brief', input: [...input, { role: 'assistant', content: 'hm' }] })).toBe(
      responses,
    );
    expect(of(openaiResponses, { instructions: 'Be long', input })).not.toBe(responses);
    const file = 'x'.repeat(512);
    expect(of(ollamaGenerate, { prompt: `${file}a` })).toBe(of(ollamaGenerate, { prompt: `${file}b` }));
    expect(of(ollamaGenerate, { prompt: 'a' })).not.toBe(of(ollamaGenerate, { prompt: 'b' }));
  });

  it('is nothing where there is none, and for embeddings', () => {
    expect(of(openaiChat, { messages: [] })).toBeUndefined();
    expect(of(openaiChat, { messages: 'x', input: 7, prompt: null })).toBe(of(openaiChat, { messages: 'x' }));
    expect(of(openaiEmbeddings, { input: 'x' }, { 'x-session-id': 'a' })).toBeUndefined();
    expect(conversationOf({ protocol: openaiChat, body: undefined }, new Headers())).toBeUndefined();
  });

  it('reads 16 KiB at most', () => {
    const long = 'y'.repeat(16 * 1024);
    expect(chat(said(`${long}a`))).toBe(chat(said(`${long}b`)));
    expect(chat(said(`${long.slice(1)}a`))).not.toBe(chat(said(`${long.slice(1)}b`)));
  });
});

describe('the prompt', () => {
  it('has a token for four bytes, and images are no text', () => {
    expect(promptTokensOf(callOf(openaiChat, { messages: [said('x'.repeat(3_970))] }))).toBe(1_004);
    const url = `data:image/png;base64,${'A'.repeat(400_000)}`;
    const tokens = promptTokensOf(callOf(openaiChat, { messages: [said([{ type: 'image_url', image_url: { url } }])] }));
    expect(tokens).toBeGreaterThan(500);
    expect(tokens).toBeLessThan(2_000);
    expect(promptTokensOf({ body: undefined, bytes: new Uint8Array(9) })).toBe(0);
  });

  it('is new from the last answer on', () => {
    const share = (...messages: object[]) => earlierShareOf(callOf(openaiChat, { messages }));
    expect(share(said('hi'))).toBe(0);
    expect(share(said('h'.repeat(9_000)), said('yes?', 'assistant'), said('g'.repeat(1_000)))).toBeCloseTo(0.9, 1);
    expect(share(said('hi'), said('yes?', 'assistant'))).toBe(1);
    expect(earlierShareOf(callOf(ollamaGenerate, { prompt: 'x' }))).toBe(0);
  });
});
