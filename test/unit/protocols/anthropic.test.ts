import Anthropic, { APIError } from '@anthropic-ai/sdk';
import { describe, expect, it } from 'vitest';
import { GatewayError } from '../../../src/errors.ts';
import {
  anthropicErrorBody,
  anthropicErrorInStream,
  anthropicStream,
  anthropicUsageOf,
} from '../../../src/protocols/anthropic.ts';
import { bodyTextOf, recordingOf } from '../../support/recordings.ts';

function clientOf(text: string, status: number, contentType: string): Anthropic {
  const fetch = () => Promise.resolve(new Response(text, { status, headers: { 'content-type': contentType } }));
  return new Anthropic({ apiKey: 'k', baseURL: 'http://corral.test', maxRetries: 0, fetch });
}

const call = { model: 'm', max_tokens: 5, messages: [{ role: 'user' as const, content: 'hi' }] };

async function failureOf(work: () => Promise<unknown>): Promise<APIError> {
  try {
    await work();
  } catch (thrown) {
    if (thrown instanceof APIError) return thrown;
    throw thrown;
  }
  throw new Error('nothing was thrown');
}

describe('errors', () => {
  it.each([
    ['missing_model', 400, 'invalid_request_error'],
    ['api_key_missing', 401, 'authentication_error'],
    ['admin_scope_required', 403, 'permission_error'],
    ['model_not_found', 404, 'not_found_error'],
    ['body_too_large', 413, 'request_too_large'],
    ['internal', 500, 'api_error'],
    ['upstream_closed', 502, 'api_error'],
    ['overloaded', 503, 'overloaded_error'],
    ['upstream_timeout', 504, 'timeout_error'],
  ] as const)('%s reaches the client with its message, status %i and type %s', async (code, status, type) => {
    const { text, contentType } = anthropicErrorBody(new GatewayError(code, 'what happened and the mend'), 'x-17');
    const error = await failureOf(() => clientOf(text, status, contentType).messages.create(call));
    expect({ status: error.status, type: error.type, message: error.apiMessage, code: error.errorCode }).toEqual({
      status,
      type,
      message: 'what happened and the mend',
      code,
    });
    expect(error.error).toMatchObject({ request_id: 'x-17' });
  });

  it('has the members that Ollama sends', () => {
    const { text } = anthropicErrorBody(new GatewayError('model_not_found', "model 'claude-x' not found"), 'x-17');
    expect(Object.keys(JSON.parse(text))).toEqual(Object.keys(JSON.parse(bodyTextOf(recordingOf('anthropic-unknown-model')))));
  });
});

describe('errors in streams', () => {
  it('make the client throw after the text that came', async () => {
    const begun = bodyTextOf(recordingOf('crash-anthropic-stream'));
    const end = anthropicErrorInStream(new GatewayError('broken_stream', 'box-a broke off'), 'x-17');
    const stream = await clientOf(begun + end, 200, 'text/event-stream').messages.create({ ...call, stream: true });
    const pieces: string[] = [];
    const error = await failureOf(async () => {
      for await (const event of stream)
        if (event.type === 'content_block_delta' && event.delta.type === 'text_delta') pieces.push(event.delta.text);
    });
    expect(pieces.slice(0, 3)).toEqual(['when', ' there', ' was']);
    expect(error.apiMessage).toBe('box-a broke off');
    expect(error.type).toBe('api_error');
  });

  it('are read back as a failure', () => {
    const end = anthropicErrorInStream(new GatewayError('broken_stream', 'box-a broke off'), 'x-17');
    const data = end.split('\n')[1]?.slice('data: '.length) ?? '';
    expect(anthropicStream.factsOf(data, 'error')).toEqual({ failed: 'box-a broke off' });
  });
});

describe('facts of events', () => {
  it.each([
    [
      'message_start: a guess, not usage',
      '{"type":"message_start","message":{"model":"m","usage":{"input_tokens":11,"output_tokens":0}}}',
      { model: 'm' },
    ],
    [
      'message_delta',
      '{"type":"message_delta","usage":{"input_tokens":19,"output_tokens":12}}',
      { usage: { inputTokens: 19, outputTokens: 12 } },
    ],
    [
      'cached input counts',
      '{"type":"message_delta","usage":{"input_tokens":3,"cache_read_input_tokens":20,"output_tokens":1}}',
      { usage: { inputTokens: 23, outputTokens: 1, cachedInputTokens: 20 } },
    ],
    ['half a usage is none', '{"type":"message_delta","usage":{"output_tokens":12}}', {}],
    [
      'text about usage',
      '{"type":"content_block_delta","delta":{"text":"message_delta"},"usage":{"input_tokens":1,"output_tokens":1}}',
      {},
    ],
    ['broken', '{"type":"message_de', {}],
  ])('%s', (_, data, expected) => {
    expect(anthropicStream.factsOf(data, undefined)).toEqual(expected);
  });

  it('message_stop ends the stream, by name or by type', () => {
    expect(anthropicStream.isTerminator('{"type":"message_stop"}', 'message_stop')).toBe(true);
    expect(anthropicStream.isTerminator('{"type":"message_stop"}', undefined)).toBe(true);
    expect(anthropicStream.isTerminator('{"type":"content_block_stop"}', 'content_block_stop')).toBe(false);
  });

  it('whole answers tell usage', () => {
    expect(anthropicUsageOf({ usage: { input_tokens: 19, output_tokens: 12 } })).toEqual({ inputTokens: 19, outputTokens: 12 });
    expect(anthropicUsageOf(null)).toBeUndefined();
  });
});
