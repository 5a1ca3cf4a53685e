/**
 * The same question, asked of a real Ollama once on `/v1` and once on `/api`: what Corral makes of the one must be the other, on
 * the way there and on the way back.
 */
import { describe, expect, it } from 'vitest';
import { bodyTextOf } from '../../../support/recordings.ts';
import { parseSse } from '../../../support/sse.ts';
import { essence, nativeBody, recorded, streamed, whole } from './natively.ts';

describe('T6: what leaves for /api/chat is what /v1/chat/completions asks for', () => {
  it.each([
    ['v1-chat-nostream', 'chat-nostream'],
    ['v1-chat-json-object', 'chat-format-json'],
    ['tools-v1-nostream', 'tools-native-nostream'],
    ['thinking-v1-nostream', 'thinking-native-nostream'],
  ])('%s as %s', (client, native) => {
    const sent = recorded(client).request.body;
    const wanted = recorded(native).request.body;
    // Natively nothing said is 0.8 and 0.9 or the model's own; on /v1 it is 1.
    expect(nativeBody('/v1/chat/completions', sent)).toEqual({ ...wanted, options: { ...wanted.options, top_p: 1 } });
  });

  it('/v1/completions as /api/generate', () => {
    const wanted = recorded('generate-nostream').request.body;
    const filled = { top_p: 1, frequency_penalty: 0, presence_penalty: 0 };
    expect(nativeBody('/v1/completions', recorded('v1-completions').request.body)).toEqual({
      ...wanted,
      options: { ...wanted.options, ...filled },
    });
  });

  it('/v1/embeddings as /api/embed', () => {
    expect(nativeBody('/v1/embeddings', recorded('v1-embeddings-string').request.body)).toEqual({
      ...recorded('embed-string').request.body,
      options: {},
    });
  });

  it.each([
    ['/v1/messages', 'anthropic-messages', {}],
    ['/v1/responses', 'v1-responses', {}],
  ])('%s fills nothing in that the box would not', (path, name, filled) => {
    const wanted = recorded('chat-nostream').request.body;
    expect(nativeBody(path, recorded(name).request.body)).toEqual({ ...wanted, options: { ...wanted.options, ...filled } });
  });
});

describe('T6: a whole answer comes back as the box would give it on /v1', () => {
  it.each([
    ['v1-chat-nostream', 'chat-nostream'],
    ['tools-v1-nostream', 'tools-native-nostream'],
    ['thinking-v1-nostream', 'thinking-native-nostream'],
    ['v1-completions', 'generate-nostream'],
    ['v1-embeddings-string', 'embed-string'],
    ['anthropic-messages', 'chat-nostream'],
    ['v1-responses', 'chat-nostream'],
    ['v1-completions-empty-prompt', 'generate-load-empty-prompt'],
  ])('%s from %s', (client, native) => {
    const { path, body } = recorded(client).request;
    const answer = whole(path, body, bodyTextOf(recorded(native)));
    expect(essence(JSON.parse(answer.text))).toEqual(essence(JSON.parse(bodyTextOf(recorded(client)))));
    expect(answer.contentType).toBe('application/json');
  });
});

describe('T6: a stream comes back event by event as the box would give it on /v1', () => {
  const eventsOf = (text: string) =>
    parseSse(text).map(({ event, data }) => [event, data === '[DONE]' ? data : essence(JSON.parse(data))]);
  const pairs = [
    ['v1-chat-stream', 'chat-stream'],
    ['tools-v1-stream', 'tools-native-stream'],
    ['thinking-v1-stream', 'thinking-native-stream'],
    ['v1-chat-logprobs-stream', 'chat-logprobs'],
    ['v1-completions-stream', 'generate-stream'],
    ['anthropic-messages-stream', 'chat-stream'],
    ['v1-responses-stream', 'chat-stream'],
    ['tools-responses-stream', 'tools-native-stream'],
  ] as const;

  it.each(pairs)('%s from %s', (client, native) => {
    const { path, body } = recorded(client).request;
    const lines = bodyTextOf(recorded(native));
    const wanted = eventsOf(bodyTextOf(recorded(client)));
    expect(eventsOf(streamed(path, body, lines))).toEqual(wanted);
  });

  it.each(pairs)('%s from %s cut anywhere', (client, native) => {
    const { path, body } = recorded(client).request;
    const lines = bodyTextOf(recorded(native));
    const wanted = eventsOf(streamed(path, body, lines));
    for (const bytesAtOnce of [1, 7, 64]) expect(eventsOf(streamed(path, body, lines, bytesAtOnce))).toEqual(wanted);
  });
});

describe('T6: a refusal comes back as the box would give it on /v1', () => {
  it.each([
    ['v1-chat-tools-unsupported', 'chat-tools-unsupported'],
    ['anthropic-tools-unsupported', 'chat-tools-unsupported'],
    ['v1-chat-embed-model', 'chat-embed-model'],
  ])('%s from %s', (client, native) => {
    const { path, body } = recorded(client).request;
    const { status = 0 } = recorded(native);
    expect(recorded(client).status).toBe(status);
    const answer = whole(path, body, bodyTextOf(recorded(native)), status);
    expect(essence(JSON.parse(answer.text))).toEqual(essence(JSON.parse(bodyTextOf(recorded(client)))));
  });
});

describe('T6: what Ollama refuses on /v1 is refused in its words before it is asked', () => {
  const messageIn = (name: string) => {
    const body = JSON.parse(bodyTextOf(recorded(name)));
    return body.error.message as string;
  };

  it.each([
    'v1-chat-wrong-type-temp',
    'v1-chat-wrong-type-maxtokens',
    'v1-chat-wrong-type-stream',
    'v1-chat-content-null',
    'v1-chat-content-bad-part',
    'v1-chat-image-url-http',
    'v1-chat-reasoning-bad',
    'v1-chat-no-messages',
    'v1-chat-empty-messages',
    'tools-v1-bad-arguments',
    'v1-completions-array-prompt',
    'v1-embeddings-bad-format',
    'v1-embeddings-noinput',
    'v1-embeddings-empty-array',
    'anthropic-no-max-tokens',
    'anthropic-no-messages',
    'v1-responses-bad-item',
  ])('%s', (name) => {
    const { path, body } = recorded(name).request;
    expect(recorded(name).status).toBe(400);
    expect(() => nativeBody(path, body)).toThrow(messageIn(name));
  });
});

describe('a whole answer where a stream was asked for ends as a stream does, also where it does not say that it is done', () => {
  it.each([
    ['/v1/chat/completions', {}, '"finish_reason":"stop"', 'data: [DONE]\n\n'],
    ['/v1/messages', { max_tokens: 9 }, 'event: message_delta', 'event: message_stop\ndata: {"type":"message_stop"}\n\n'],
  ])('%s', (path, more, last, end) => {
    const request = { model: 'm', stream: true, messages: [{ role: 'user', content: 'x' }], ...more };
    const { text, contentType } = whole(path, request, '{"model":"m","message":{"role":"assistant","content":"hi"}}');
    expect(contentType).toBe('text/event-stream');
    expect(text).toContain('hi');
    expect(text).toContain(last);
    expect(text.endsWith(end), text).toBe(true);
  });
});
